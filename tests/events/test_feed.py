"""Following the log: from disk, then live, always gapless."""

from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

from fleet.events.envelope import Cause, Recorded
from fleet.events.feed import Feed, FeedReader, Filter
from fleet.limits import FEED_PAGE_EVENTS
from tests.events.samples import Counted, sample_registry
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog(MemoryDisk(), sample_registry(), FakeClock())


async def append(log: MemoryLog, stream: str, count: int = 1) -> None:
    await log.append(stream, log.stream_version(stream), [Counted(n) for n in range(count)], Cause())


async def read_until(reader: AsyncIterator[list[Recorded]], position: int) -> list[int]:
    found: list[int] = []
    with trio.fail_after(5):
        async for batch in reader:
            found += [event.position for event in batch]
            if found and found[-1] >= position:
                return found
    raise AssertionError("a reader does not end")


async def test_reader_gets_stored_events_and_then_new_ones(log: MemoryLog) -> None:
    feed = Feed(log)
    await append(log, "a", 3)
    async with feed.subscribe(after=1) as reader:
        seen = [reader.caught_up]
        assert await read_until(reader, 3) == [2, 3]
        seen.append(reader.caught_up)
        await append(log, "b", 2)
        seen.append(reader.caught_up)
        assert seen == [False, True, False]
        await append(log, "a")
        batch = await anext(reader)
        assert [event.position for event in batch] == [4, 5, 6]
        assert reader.cursor == 6


async def test_a_waiting_reader_is_woken(log: MemoryLog) -> None:
    feed = Feed(log)
    batches: list[list[Recorded]] = []

    async def read(reader: FeedReader) -> None:
        async for batch in reader:
            batches.append(batch)

    async with feed.subscribe(after=0) as reader, trio.open_nursery() as nursery:
        nursery.start_soon(read, reader)
        await trio.testing.wait_all_tasks_blocked()
        assert batches == []
        await append(log, "a", 2)
        await trio.testing.wait_all_tasks_blocked()
        assert [[event.position for event in batch] for batch in batches] == [[1, 2]]
        nursery.cancel_scope.cancel()


async def test_stored_events_are_read_in_pages(log: MemoryLog) -> None:
    feed = Feed(log)
    await append(log, "a", 3 * FEED_PAGE_EVENTS)
    async with feed.subscribe(after=0) as reader:
        pages = [(len(await anext(reader)), reader.caught_up) for _ in range(3)]
    assert pages == [(FEED_PAGE_EVENTS, False), (FEED_PAGE_EVENTS, False), (FEED_PAGE_EVENTS, True)]


async def test_events_between_subscribing_and_reading_are_not_missed(log: MemoryLog) -> None:
    feed = Feed(log)
    await append(log, "a")
    async with feed.subscribe(after=0) as reader:
        await append(log, "a", 2)
        assert await read_until(reader, 3) == [1, 2, 3]


async def test_reader_of_a_stream_gets_only_its_events(log: MemoryLog) -> None:
    feed = Feed(log)
    await append(log, "a", 2)
    await append(log, "b", 2)
    await append(log, "a", 1)
    async with feed.subscribe(after=0, stream="b") as reader:
        assert await read_until(reader, 4) == [3, 4]
        assert reader.caught_up
        for stream in "aba":
            await append(log, stream, 2)
        assert await read_until(reader, 9) == [8, 9]
        assert reader.caught_up
        assert reader.statistics().saturations == 0


async def test_predicate_filters_stored_and_new_events(log: MemoryLog) -> None:
    feed = Feed(log)
    await append(log, "a", 4)
    async with feed.subscribe(after=0, stream=lambda event: event.position % 2 == 0) as reader:
        assert await read_until(reader, 4) == [2, 4]
        await append(log, "a", 4)
        assert await read_until(reader, 8) == [6, 8]


def nothing(_: Recorded) -> bool:
    return False


@pytest.mark.parametrize("stream", ["b", nothing])
async def test_reader_catches_up_without_matching_events(log: MemoryLog, stream: Filter) -> None:
    feed = Feed(log)
    await append(log, "a", 2 * FEED_PAGE_EVENTS + 3)
    async with feed.subscribe(after=0, stream=stream) as reader:
        with trio.fail_after(5):
            assert await anext(reader) == []
        assert reader.caught_up
        assert reader.cursor == log.head()


@pytest.mark.parametrize("stream", [None, "a"])
async def test_slow_reader_reads_the_rest_from_the_log(log: MemoryLog, stream: str | None) -> None:
    feed = Feed(log)
    async with feed.subscribe(after=0, stream=stream, buffer=4) as reader:
        for _ in range(10):
            await append(log, "a")
            assert reader.statistics().waiting <= 4
        statistics = reader.statistics()
        assert (statistics.phase, statistics.saturations, statistics.behind) == ("saturated", 1, 10)
        assert await read_until(reader, 10) == list(range(1, 11))
        assert reader.caught_up
        await append(log, "a")
        assert await read_until(reader, 11) == [11]


async def test_waiting_reader_gets_a_commit_larger_than_its_buffer(log: MemoryLog) -> None:
    feed = Feed(log)
    found: list[int] = []

    async def read(reader: FeedReader) -> None:
        found.extend(await read_until(reader, 20))

    async with feed.subscribe(after=0, buffer=4) as reader, trio.open_nursery() as nursery:
        nursery.start_soon(read, reader)
        await trio.testing.wait_all_tasks_blocked()
        await append(log, "a", 20)
    assert found == list(range(1, 21))


async def test_a_closed_reader_is_forgotten(log: MemoryLog) -> None:
    feed = Feed(log)
    async with feed.subscribe(after=0), feed.subscribe(after=0, stream="a"), feed.subscribe(after=0, stream="a"):
        assert len(feed.statistics()) == 3
    assert feed.statistics() == []
    await append(log, "a")


async def test_many_readers_and_writers_at_once(log: MemoryLog) -> None:
    feed = Feed(log)
    found: dict[int, list[int]] = {}

    async def read(after: int, buffer: int) -> None:
        async with feed.subscribe(after=after, buffer=buffer) as reader:
            found[after] = await read_until(reader, 200)

    async def write(stream: str) -> None:
        for _ in range(50):
            await append(log, stream)

    async with trio.open_nursery() as nursery:
        for n in range(20):
            nursery.start_soon(read, n, 1 + n)
        for stream in "abcd":
            nursery.start_soon(write, stream)
    assert found == {after: list(range(after + 1, 201)) for after in range(20)}
