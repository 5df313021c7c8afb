"""A search of the log finds what looking at every event finds, in any order, over any number of requests."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.events.envelope import Cause, Recorded
from fleet.events.search import Search, chain, find_events
from fleet.events.times import LogTimes
from fleet.limits import LOG_SEARCH_PAGE_BYTES
from tests.events.samples import Counted, Opened, sample_registry
from tests.fakes.clock import EPOCH_MS, FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog

STREAMS, ACTORS, REQUESTS = ("a", "ab", "b"), ("local", "token:ann"), (None, "r1", "r2")
TIMES = st.integers(-3, 12).map(lambda second: EPOCH_MS + 1000 * second)


class Entry(NamedTuple):
    """An event of a log that is made up; `second` is what the machine's clock says, which may step back."""

    stream: str
    event: Any
    actor: str
    request: str | None
    second: int


class Kept:
    """The times that an earlier server has stored."""

    def __init__(self) -> None:
        self.times: list[tuple[int, int]] = []

    def load_times(self) -> list[tuple[int, int]]:
        return self.times

    def save_times(self, first: int, times: Sequence[tuple[int, int]]) -> None:
        self.times[first:] = times


ENTRIES = st.builds(
    Entry,
    st.sampled_from(STREAMS),
    st.sampled_from((Opened("x"), Counted(1))),
    st.sampled_from(ACTORS),
    st.sampled_from(REQUESTS),
    st.integers(0, 9),
)
SEARCHES = st.builds(
    Search,
    after=st.integers(0, 45),
    before=st.none() | st.integers(0, 60),
    newest_first=st.booleans(),
    limit=st.integers(1, 12),
    stream=st.none() | st.sampled_from((*STREAMS, "none")),
    types=st.frozensets(st.sampled_from(("sample.opened", "sample.counted"))),
    actor=st.none() | st.sampled_from((*ACTORS, "nobody")),
    correlation_id=st.none() | st.sampled_from(("r1", "r2")),
    from_ms=st.none() | TIMES,
    to_ms=st.none() | TIMES,
)


@pytest.fixture(autouse=True)
def small_pages() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for module in ("search", "times"):
            patch.setattr(f"fleet.events.{module}.LOG_SEARCH_PAGE_EVENTS", 4)
        patch.setattr("fleet.events.search.LOG_SEARCH_EVENTS_MAX", 12)
        yield


async def log_of(entries: list[Entry]) -> MemoryLog:
    clock = FakeClock()
    log = MemoryLog(MemoryDisk(), sample_registry(), clock)
    for entry in entries:
        clock.skew_ms = 1000 * entry.second - int(trio.current_time() * 1000)
        cause = Cause(entry.actor, None, entry.request)
        await log.append(entry.stream, log.stream_version(entry.stream), [entry.event], cause)
    return log


def brute_force(log: MemoryLog, search: Search) -> list[int]:
    """Return the positions by looking at every event."""
    found = [
        event.position
        for event in log.read_all()
        if event.position > search.after
        and (search.before is None or event.position < search.before)
        and search.stream in (None, event.stream)
        and (not search.types or event.type in search.types)
        and search.actor in (None, event.cause.actor)
        and search.correlation_id in (None, event.cause.correlation_id)
        and (search.from_ms is None or event.recorded_at_ms >= search.from_ms)
        and (search.to_ms is None or event.recorded_at_ms <= search.to_ms)
    ]
    return found[::-1] if search.newest_first else found


async def all_pages(log: MemoryLog, times: LogTimes, search: Search) -> list[Recorded]:
    """Return what all pages have, one request after the other."""
    found: list[Recorded] = []
    while True:
        page = await find_events(log, times, search)
        assert len(page.events) <= search.limit
        found += page.events
        if page.next_cursor is None:
            return found
        bound = {"before": page.next_cursor} if search.newest_first else {"after": page.next_cursor}
        search = msgspec.structs.replace(search, **bound)


@settings(max_examples=150)
@given(st.lists(ENTRIES, max_size=45), st.lists(SEARCHES, min_size=1, max_size=4), st.lists(TIMES, max_size=3))
def test_search_finds_the_same_events_as_a_full_scan(
    entries: list[Entry], searches: list[Search], moments: list[int]
) -> None:
    async def check() -> None:
        log = await log_of(entries)
        times = LogTimes(log)
        for search in searches:
            found = await all_pages(log, times, search)
            assert [event.position for event in found] == brute_force(log, search)
            assert found == [log.read_all(event.position - 1, 1)[0] for event in found]
        kept = Kept()
        await LogTimes(log, kept).extend()
        for time_ms in moments:
            by_then = [event.position for event in log.read_all() if event.recorded_at_ms <= time_ms]
            assert await times.at(time_ms) == max(by_then, default=0)
            assert await LogTimes(log, kept).at(time_ms) == max(by_then, default=0)

    trio.run(check)


async def test_search_reads_a_limited_number_of_events_per_request() -> None:
    log = await log_of([Entry("a", Opened("x"), "local", None, 0)] * 30)
    times, search = LogTimes(log), Search(actor="nobody")
    walked = [page.next_cursor for page in [await find_events(log, times, search)]]
    assert walked == [12]
    assert (await find_events(log, times, Search(actor="nobody", newest_first=True))).next_cursor == 17
    assert (await find_events(log, times, Search(actor="nobody", after=24))).next_cursor is None


async def test_page_ends_with_the_event_that_fills_it(monkeypatch: pytest.MonkeyPatch) -> None:
    log = await log_of([Entry("a", Opened("x" * 1000), "local", None, 0)] * 5)
    monkeypatch.setattr("fleet.events.search.LOG_SEARCH_PAGE_BYTES", 1500)
    page = await find_events(log, LogTimes(log), Search())
    assert ([event.position for event in page.events], page.next_cursor) == ([1, 2], 2)


async def test_search_lets_other_tasks_run_between_pages() -> None:
    log = await log_of([Entry("a", Opened("x"), "local", None, 0)] * 12)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        await trio.lowlevel.checkpoint()
        before = turns
        await find_events(log, LogTimes(log), Search(actor="nobody", from_ms=0))
        assert turns - before >= 5
        nursery.cancel_scope.cancel()


async def test_chain_leads_to_the_first_cause() -> None:
    log = MemoryLog(MemoryDisk(), sample_registry(), FakeClock())
    await log.append("a", 0, [Opened("x")], Cause("token:ann", "session:s", "r1"))
    await log.append("b", 0, [Opened("x")], Cause("local"))
    await log.append("a", 1, [Counted(1)], Cause("system", "@1", "r1"))
    await log.append("b", 1, [Counted(1)], Cause("system", "@3", "r1"))
    assert [event.position for event in chain(log, 4, 10)] == [4, 3, 1]
    assert [event.position for event in chain(log, 4, 2)] == [4, 3]
    assert [event.position for event in chain(log, 2, 10)] == [2]


async def test_chain_of_large_events_is_cut() -> None:
    log = MemoryLog(MemoryDisk(), sample_registry(), FakeClock())
    for number in range(4):
        await log.append("a", number, [Opened("x" * (LOG_SEARCH_PAGE_BYTES // 2))], Cause("local", f"@{number}"))
    assert [event.position for event in chain(log, 4, 10)] == [4, 3]


@pytest.mark.parametrize("wrong", ["@2", "@9", "@0", "@x", "@", "@-1"])
async def test_chain_ends_at_a_cause_outside_the_log(wrong: str) -> None:
    log = MemoryLog(MemoryDisk(), sample_registry(), FakeClock())
    await log.append("a", 0, [Opened("x")], Cause("local"))
    await log.append("a", 1, [Opened("x")], Cause("system", wrong))
    assert [event.position for event in chain(log, 2, 10)] == [2]
