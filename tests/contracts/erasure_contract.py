"""What erasing a stream does in every `Log`. tests/events/test_erasure.py runs it against each implementation."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

import fleet.events.writer
import tests.fakes.memory_log
from fleet.errors import Rejected
from fleet.events.envelope import ERASED_DIGEST, Cause, Erased, Recorded, StateSnapshot
from fleet.events.feed import Feed
from fleet.events.log import Log
from fleet.events.verify import verify
from tests.contracts.log_contract import Openings
from tests.events.samples import Counted, Gone, Opened, reworded

CAUSE = Cause("local", "command-1", "request-1")
SECRET = "what nobody may read again"


def without_content(events: list[Recorded]) -> list[tuple[object, ...]]:
    return [
        (e.position, e.stream, e.version, e.type, e.schema, e.recorded_at_ms, e.cause, e.command_id) for e in events
    ]


@asynccontextmanager
async def written(opening: Openings) -> AsyncGenerator[Any, None]:
    """Streams a and b, interleaved; a has three events."""
    async with opening() as log:
        await log.append("a", 0, [Opened(SECRET), Counted(1, SECRET)], CAUSE, command_id="c", command_digest=b"d")
        await log.append("b", 0, [Opened("b")], CAUSE, command_id="other", command_digest=b"e")
        log.save_snapshot("a", StateSnapshot(2, 2, "1", SECRET.encode()))
        await log.append("a", 2, [Counted(2, SECRET)], CAUSE)
        log.save_snapshot("b", StateSnapshot(1, 3, "1", b"kept"))
        yield log


class ErasureContract:
    """Subclasses give the fixture `opening`."""

    @pytest.fixture
    def opening(self) -> Openings:
        raise NotImplementedError

    async def test_that_it_was_there_stays_and_nothing_more(self, opening: Openings) -> None:
        async with written(opening) as log:
            before = log.read_all()
            assert not log.is_erased("a")
            await log.erase("a")
        for _ in range(2):
            async with opening() as log:
                assert (log.is_erased("a"), log.is_erased("b"), log.is_erased("c")) == (True, False, False)
                assert without_content(log.read_all()) == without_content(before)
                assert [(e.event, e.payload) for e in log.read_stream("a")] == [(Erased(), b"{}")] * 3
                assert log.read_stream("b") == before[2:3]
                assert list(log.replay("a")) == [(1, 1, Erased()), (2, 2, Erased()), (3, 4, Erased())]
                assert (log.head(), log.stream_version("a")) == (4, 3)

    async def test_the_chain_remains_provable(self, opening: Openings) -> None:
        async with written(opening) as log:
            verifiable: Log = log
            await log.append("a", 3, [Gone()], CAUSE)
            before = verify(verifiable)
            await log.erase("a")
            after = verify(verifiable)
            assert (after.events, after.digest, after.first_break) == (5, before.digest, None)
            assert (before.erased, after.erased) == (0, 4)

    async def test_no_byte_of_the_content_can_be_read(self, opening: Openings) -> None:
        async with written(opening) as log:
            verifiable: Log = log
            log.keep_snapshot("a", StateSnapshot(1, 1, "1", SECRET.encode()))
            await log.append("b", 1, [Counted(1)], CAUSE)
            log.keep_snapshot("a", StateSnapshot(2, 2, "1", SECRET.encode()))
            await log.erase("a")
            log.keep_snapshot("a", StateSnapshot(2, 2, "1", SECRET.encode()))
            assert [log.load_snapshot("a", at) for at in (None, 1, 2, 9)] == [None] * 4
            assert log.load_snapshot("b") == StateSnapshot(1, 3, "1", b"kept")
            for position in (1, 2, 4):
                record = verifiable.read_record(position)
                assert record is not None
                assert SECRET.encode() not in record

    async def test_a_snapshot_that_comes_late_is_not_kept(self, opening: Openings) -> None:
        async with written(opening) as log:
            log.save_snapshot("a", StateSnapshot(3, 4, "1", SECRET.encode()))
            await log.erase("a")
            log.save_snapshot("a", StateSnapshot(3, 4, "1", SECRET.encode()))
            await log.append("b", 1, [Counted(1)], CAUSE)
        async with opening() as log:
            assert log.load_snapshot("a") is None

    async def test_a_command_is_not_carried_out_again(self, opening: Openings) -> None:
        async with written(opening) as log:
            await log.erase("a")
            found = log.find_command("c")
            assert found is not None
            assert (found.stream, found.position, found.version, found.digest) == ("a", 2, 2, ERASED_DIGEST)
            # What it was cannot be told any more: the id alone says that it comes again.
            for digest in (b"d", b"something else"):
                again = await log.append("a", 3, [Counted(1)], CAUSE, command_id="c", command_digest=digest)
                assert (again.position, again.version, again.repeated) == (2, 2, True)
            with pytest.raises(Rejected):
                await log.append("b", 1, [Counted(1)], CAUSE, command_id="other", command_digest=b"x")

    async def test_erasing_again_or_nothing_changes_nothing(self, opening: Openings) -> None:
        async with written(opening) as log:
            await log.erase("a")
            before = log.read_all()
            await log.erase("a")
            await log.erase("nobody")
            assert log.read_all() == before
            assert not log.is_erased("nobody")

    async def test_a_stream_may_continue_and_be_erased_again(self, opening: Openings) -> None:
        async with written(opening) as log:
            await log.erase("a")
            await log.append("a", 3, [Counted(9, SECRET)], CAUSE)
            assert [e.event for e in log.read_stream("a")] == [Erased()] * 3 + [Counted(9, SECRET)]
            await log.erase("a")
            assert {e.event for e in log.read_stream("a")} == {Erased()}

    async def test_long_streams_are_erased_page_by_page(
        self, opening: Openings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fleet.events.writer, "ERASE_PAGE_EVENTS", 4)
        monkeypatch.setattr(tests.fakes.memory_log, "ERASE_PAGE_EVENTS", 4)
        for count in (3, 4, 5, 12):
            async with opening() as log:
                name = f"of {count}"
                await log.append(name, 0, [Counted(n) for n in range(count)], CAUSE)
                await log.erase(name)
                assert [e.event for e in log.read_stream(name)] == [Erased()] * count

    async def test_others_append_while_a_long_stream_is_erased(
        self, opening: Openings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fleet.events.writer, "ERASE_PAGE_EVENTS", 2)
        monkeypatch.setattr(tests.fakes.memory_log, "ERASE_PAGE_EVENTS", 2)

        async def append(log: Log) -> None:
            for n in range(20):
                await log.append("b", n, [Counted(n)], CAUSE)

        async with opening() as log:
            verifiable: Log = log
            await log.append("a", 0, [Counted(n) for n in range(40)], CAUSE)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(log.erase, "a")
                nursery.start_soon(append, log)
            assert [e.event for e in log.read_stream("b")] == [Counted(n) for n in range(20)]
            assert verify(verifiable).erased == 40

    async def test_a_cancelled_erasure_is_finished_by_the_next(
        self, opening: Openings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fleet.events.writer, "ERASE_PAGE_EVENTS", 2)
        monkeypatch.setattr(tests.fakes.memory_log, "ERASE_PAGE_EVENTS", 2)
        async with opening() as log:
            await log.append("a", 0, [Counted(n) for n in range(40)], CAUSE)
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(log.erase, "a")
                    while not log.is_erased("a"):
                        await trio.lowlevel.checkpoint()
                    scope.cancel()
            left = [e.event for e in log.read_stream("a")]
            erased = left.count(Erased())
            assert 0 < erased < 40
            assert left[:erased] == [Erased()] * erased
            await log.erase("a")
            assert {e.event for e in log.read_stream("a")} == {Erased()}

    async def test_replaced_payload_is_there_instead_of_the_first_and_proved(self, opening: Openings) -> None:
        async with opening() as log:
            await log.append("session-a", 0, [Opened(SECRET)], CAUSE, command_id="c", command_digest=b"d")
            await log.append("answer-a", 0, [Opened(SECRET)], CAUSE)
            await log.append("session-b", 0, [Opened("b")], CAUSE)
            log.save_snapshot("session-a", StateSnapshot(1, 1, "1", SECRET.encode()))
            log.keep_snapshot("session-a", StateSnapshot(1, 1, "1", SECRET.encode()))
            text = b'{"title":"gone"}'
            await log.append("session-a", 1, [reworded((1, text), (2, text), (3, text))], CAUSE)
        for _ in range(2):
            async with opening() as log:
                events = log.read_all()
                assert [(e.payload, e.event, e.replaced) for e in events[:3]] == [
                    (text, Opened("gone"), True),
                    (text, Opened("gone"), True),
                    (b'{"title":"b"}', Opened("b"), False),  # it is for another session to order
                ]
                assert next(iter(log.replay("session-a"))) == (1, 1, Opened("gone"))
                verifiable: Log = log
                assert SECRET.encode() not in b"".join(verifiable.read_record(n) or b"" for n in (1, 2))
                assert (verify(verifiable).first_break, verify(verifiable, ()).erased) == (None, 0)
                assert [log.load_snapshot("session-a", at) for at in (None, 1)] == [None, None]
                assert log.find_command("c").digest == ERASED_DIGEST
        async with opening() as log:
            without = b'{"replaced":[{"position":2,"payload":{"title":"gone"}}]}'
            await log.append("session-a", 2, [reworded((1, b'{"title":"again"}'), (4, without))], CAUSE)
            assert verify(log).first_break is None
            await log.erase("session-a")
            await log.append("session-a", 3, [reworded((1, text))], CAUSE)
            assert log.read_stream("session-a")[0].event == Erased()

    async def test_the_feed_shows_that_something_was_there(self, opening: Openings) -> None:
        async with written(opening) as log:
            await log.erase("a")
            async with Feed(log).subscribe(after=0) as reader:
                batch = await anext(reader)
            assert [type(e.event) for e in batch] == [Erased, Erased, Opened, Erased]
