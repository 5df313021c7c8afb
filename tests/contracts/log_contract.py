"""What every `Log` does. tests/events/test_log_contract.py runs this class against each implementation."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import pytest
import trio
from hypothesis import strategies as st

import fleet.events.batch
from fleet.errors import Rejected
from fleet.events.envelope import Cause, Recorded, StateSnapshot
from fleet.events.log import Listener, Log, VersionConflict
from fleet.events.verify import verify
from fleet.limits import PAST_SNAPSHOT_EVENTS
from tests.events.samples import Counted, Opened

CAUSE = Cause("local", "command-1", "request-1")

Openings = Callable[[], AbstractAsyncContextManager[Any]]
"""Opens one and the same log again and again, one at a time; each has its writer running."""


def positions(events: Sequence[Recorded]) -> list[int]:
    return [event.position for event in events]


APPENDS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=40)
"""Appends of so many events to one of four streams."""


async def check_interleaving(opening: Openings, appends: list[tuple[int, int]], tasks: int) -> None:
    """Law: any interleaving of appends yields gapless positions and gapless versions per stream.

    hypothesis wants one class per test function, so each implementation's test calls this.
    """

    async def appender(log: Log, own: list[tuple[int, int]]) -> None:
        for stream, count in own:
            async with locks[stream]:
                version = log.stream_version(str(stream))
                await log.append(str(stream), version, [Counted(n) for n in range(count)], CAUSE)

    heard: list[Recorded] = []
    locks = [trio.Lock() for _ in range(4)]
    total = sum(count for _, count in appends)
    async with opening() as log:
        log.listen(heard.extend)
        async with trio.open_nursery() as nursery:
            for n in range(tasks):
                nursery.start_soon(appender, log, appends[n::tasks])
        assert log.head() == total
        assert positions(log.read_all()) == positions(heard) == list(range(1, total + 1))
        for stream in range(4):
            events = log.read_stream(str(stream))
            assert [event.version for event in events] == list(range(1, len(events) + 1))
            assert events == [event for event in heard if event.stream == str(stream)]
        report = verify(log)
        assert (report.events, report.first_break) == (total, None)


class LogContract:
    """Subclasses give the fixture `opening`."""

    @pytest.fixture
    def opening(self) -> Openings:
        raise NotImplementedError

    async def test_an_empty_log_is_empty(self, opening: Openings) -> None:
        async with opening() as log:
            assert log.head() == 0
            assert log.stream_version("a") == 0
            assert log.read_all() == log.read_stream("a") == list(log.replay("a")) == []
            assert log.find_command("x") is None
            assert log.load_snapshot("a") is None

    async def test_what_is_appended_is_read_back_whole(self, opening: Openings) -> None:
        async with opening() as log:
            await log.append("a", 0, [Opened("é"), Counted(2)], CAUSE, command_id="c")
            [first, second] = log.read_all()
        assert (first.position, first.stream, first.version) == (1, "a", 1)
        assert (second.position, second.stream, second.version) == (2, "a", 2)
        assert (first.event, second.event) == (Opened("é"), Counted(2))
        assert (first.type, first.schema, second.schema) == ("sample.opened", 1, 2)
        assert first.payload == '{"title":"é"}'.encode()
        assert (first.cause, first.command_id) == (CAUSE, "c")
        assert first.recorded_at_ms > 0

    async def test_append_says_what_it_reached(self, opening: Openings) -> None:
        async with opening() as log:
            await log.append("a", 0, [Counted(1), Counted(2)], CAUSE)
            appended = await log.append("b", 0, [Counted(3)], CAUSE)
            assert (appended.position, appended.version, appended.repeated) == (3, 1, False)
            assert (log.head(), log.stream_version("a"), log.stream_version("b")) == (3, 2, 1)

    async def test_streams_whose_names_begin_alike_stay_apart(self, opening: Openings) -> None:
        async with opening() as log:
            for name in ("a", "ab", "a-", "a\x01", "ÿ"):
                await log.append(name, 0, [Opened(name)], CAUSE)
            for name in ("a", "ab", "a-", "a\x01", "ÿ"):
                assert [event.event for event in log.read_stream(name)] == [Opened(name)]
                assert log.stream_version(name) == 1

    async def test_streams_are_listed_in_order_by_their_beginning(self, opening: Openings) -> None:
        async with opening() as log:
            for stream in ("b-2", "a-10", "b-1", "b"):
                await log.append(stream, 0, [Counted(1), Counted(2)], CAUSE)
            assert list(log.streams()) == ["a-10", "b", "b-1", "b-2"]
            assert list(log.streams("b-")) == ["b-1", "b-2"]
            assert list(log.streams("c")) == []

    async def test_reads_go_beyond_a_position_up_to_a_limit(self, opening: Openings) -> None:
        async with opening() as log:
            for n in range(6):
                await log.append("ab"[n % 2], n // 2, [Counted(n)], CAUSE)
            assert positions(log.read_all(2, 3)) == [3, 4, 5]
            assert positions(log.read_all(5)) == [6]
            assert positions(log.read_all(6)) == positions(log.read_all(99)) == []
            assert positions(log.read_stream("b")) == [2, 4, 6]
            assert positions(log.read_stream("b", 2)) == positions(log.read_stream("b", 3)) == [4, 6]
            assert positions(log.read_stream("b", 0, 2)) == [2, 4]
            assert positions(log.read_stream("b", 6)) == []
            assert list(log.replay("b", 2)) == [(2, 4, Counted(3)), (3, 6, Counted(5))]

    async def test_positions_of_a_stream_are_read_in_both_directions(self, opening: Openings) -> None:
        async with opening() as log:
            for n in range(9):
                await log.append(("a", "ab", "b")[n % 3], n // 3, [Counted(n)], CAUSE)
            for after, before in ((0, 10), (2, 8), (3, 5), (5, 5), (9, 2**63 - 1), (0, 0)):
                expected = [position for position in (2, 5, 8) if after < position < before]
                assert log.stream_positions("ab", after, before, 9, newest_first=False) == expected
                assert log.stream_positions("ab", after, before, 9, newest_first=True) == expected[::-1]
            assert log.stream_positions("ab", 0, 10, 2, newest_first=False) == [2, 5]
            assert log.stream_positions("ab", 0, 10, 2, newest_first=True) == [8, 5]
            assert log.stream_positions("b", 0, 10, 9, newest_first=True) == [9, 6, 3]
            assert log.stream_positions("a", 0, 10, 9, newest_first=True) == [7, 4, 1]
            assert log.stream_positions("c", 0, 10, 9, newest_first=True) == []

    async def test_headers_say_what_events_say(self, opening: Openings) -> None:
        async with opening() as log:
            for n in range(100):
                await log.append("ab"[n % 2], n // 2, [Counted(n)], Cause("local", f"@{n}", f"r{n}"))
            for wanted in (range(1, 101), range(100, 0, -1), (3, 1, 2)):
                headers = log.read_headers(wanted)
                assert [header.position for header in headers] == list(wanted)
                for header in headers:
                    (event,) = log.read_all(header.position - 1, 1)
                    assert (header.type, header.stream, header.version) == (event.type, event.stream, event.version)
                    assert (header.actor, header.causation_id) == (event.cause.actor, event.cause.causation_id)
                    assert header.recorded_at_ms == event.recorded_at_ms
            await log.erase("a")
            assert [header.type for header in log.read_headers([1, 2])] == ["sample.counted", "sample.counted"]
            assert log.read_headers([]) == []

    async def test_an_event_may_have_its_own_cause(self, opening: Openings) -> None:
        async with opening() as log:
            await log.append("a", 0, [Counted(0)], CAUSE)
            ann, ben = Cause("token:ann", "@1", "r1"), Cause("token:ben", None, "r2")
            appended = await log.append("b", 0, [Counted(n) for n in range(4)], ann, own_causes={1: ben, 3: 1})
            assert appended.position == 5
            followed = Cause("token:ben", "@3", "r2")
            assert [event.cause for event in log.read_stream("b")] == [ann, ben, ann, followed]

    async def test_replay_yields_every_page(self, opening: Openings) -> None:
        async with opening() as log:
            await log.append("a", 0, [Counted(n) for n in range(2500)], CAUSE)
            assert list(log.replay("a")) == [(n + 1, n + 1, Counted(n)) for n in range(2500)]

    async def test_another_version_is_a_conflict(self, opening: Openings) -> None:
        async with opening() as log:
            await log.append("a", 0, [Counted(1)], CAUSE)
            for wrong in (0, 2):
                with pytest.raises(VersionConflict) as conflict:
                    await log.append("a", wrong, [Counted(2)], CAUSE)
                assert (conflict.value.expected, conflict.value.actual) == (wrong, 1)
            assert log.head() == 1

    async def test_of_two_that_expect_the_same_version_one_wins(self, opening: Openings) -> None:
        outcomes: list[str] = []

        async def contend(log: Log) -> None:
            try:
                await log.append("a", 0, [Counted(1)], CAUSE)
                outcomes.append("won")
            except VersionConflict:
                outcomes.append("lost")

        async with opening() as log, trio.open_nursery() as nursery:
            nursery.start_soon(contend, log)
            nursery.start_soon(contend, log)
        assert sorted(outcomes) == ["lost", "won"]

    async def test_a_command_is_appended_once_and_for_all(self, opening: Openings) -> None:
        async with opening() as log:
            first = await log.append("a", 0, [Counted(1), Counted(2)], CAUSE, command_id="c", command_digest=b"d")
            await log.append("a", 2, [Counted(3)], CAUSE)
            again = await log.append("a", 3, [Counted(1)], CAUSE, command_id="c", command_digest=b"d")
            assert (again.position, again.version, again.repeated) == (first.position, first.version, True)
        async with opening() as log:
            again = await log.append("a", 3, [Counted(1)], CAUSE, command_id="c", command_digest=b"d")
            assert again.repeated
            found = log.find_command("c")
            assert found is not None
            assert (found.stream, found.position, found.version, found.digest) == ("a", 2, 2, b"d")
            with pytest.raises(Rejected) as conflict:
                await log.append("a", 3, [Counted(9)], CAUSE, command_id="c", command_digest=b"other")
            assert conflict.value.code == "idempotency_conflict"
            assert log.head() == 3

    async def test_the_same_command_from_two_tasks_at_once_is_appended_once(self, opening: Openings) -> None:
        repeated: list[bool] = []

        async def append(log: Log) -> None:
            repeated.append((await log.append("a", 0, [Counted(1)], CAUSE, command_id="c" * 900)).repeated)

        async with opening() as log:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(append, log)
                nursery.start_soon(append, log)
            assert sorted(repeated) == [False, True]
            assert log.head() == 1

    @pytest.mark.parametrize("command_id", ["", "\0", "c", "é" * 128, "é" * 129, "c" * 5000])
    async def test_a_command_id_may_be_any_text(self, opening: Openings, command_id: str) -> None:
        async with opening() as log:
            await log.append("a", 0, [Counted(1)], CAUSE, command_id=command_id)
            assert (await log.append("a", 0, [Counted(1)], CAUSE, command_id=command_id)).repeated
            assert log.find_command(command_id + "x") is None

    async def test_what_is_too_large_is_rejected(self, opening: Openings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fleet.events.batch, "EVENT_BYTES_MAX", 1000)
        async with opening() as log:
            with pytest.raises(Rejected) as rejected:
                await log.append("a", 0, [Counted(1), Opened("x" * 1000)], CAUSE)
            assert rejected.value.code == "event_too_large"
            assert log.head() == 0
            await log.append("a", 0, [Opened("x" * 900)], CAUSE)

    async def test_senseless_appends_are_bugs(self, opening: Openings) -> None:
        async with opening() as log:
            for name in ("", "a\0b", "x" * 257):
                with pytest.raises(ValueError, match="stream name"):
                    await log.append(name, 0, [Counted(1)], CAUSE)
            with pytest.raises(ValueError, match="has no events"):
                await log.append("a", 0, [], CAUSE)

    async def test_listeners_get_a_commit_before_its_appender_continues(self, opening: Openings) -> None:
        heard: list[tuple[str, int, int]] = []

        def listener(log: Log, name: str) -> Listener:
            return lambda events: heard.extend((name, event.position, log.head()) for event in events)

        async with opening() as log:
            for name in ("first", "second"):
                log.listen(listener(log, name))
            await log.append("a", 0, [Counted(1)], CAUSE)
            assert heard == [("first", 1, 1), ("second", 1, 1)]
            await log.append("a", 1, [Counted(2), Opened("b")], CAUSE)
        assert heard[2:] == [("first", 2, 3), ("first", 3, 3), ("second", 2, 3), ("second", 3, 3)]

    async def test_listeners_get_what_readers_get(self, opening: Openings) -> None:
        heard: list[Recorded] = []
        async with opening() as log:
            log.listen(heard.extend)
            await log.append("a", 0, [Counted(1), Opened("b")], CAUSE, command_id="c")
            assert heard == log.read_all()

    async def test_a_snapshot_is_there_at_once_and_after_the_next_commit_for_good(self, opening: Openings) -> None:
        async with opening() as log:
            await log.append("a", 0, [Counted(1)], CAUSE)
            log.save_snapshot("a", StateSnapshot(0, 0, "1", b"old"))
            log.save_snapshot("a", StateSnapshot(1, 1, "1", b"state"))
            assert log.load_snapshot("a") == StateSnapshot(1, 1, "1", b"state")
            await log.append("b", 0, [Counted(1)], CAUSE)
        async with opening() as log:
            assert log.load_snapshot("a") == StateSnapshot(1, 1, "1", b"state")
            assert log.load_snapshot("b") is None

    async def test_one_snapshot_in_many_versions_is_kept_for_readers_of_the_past(self, opening: Openings) -> None:
        every = PAST_SNAPSHOT_EVENTS
        saved = [StateSnapshot(n * every // 2, n, "1", b"state %d" % n) for n in range(1, 6)]
        async with opening() as log:
            await log.append("a", 0, [Counted(1)], CAUSE)
            log.keep_snapshot("a", StateSnapshot(1, 1, "1", b"only"))
            assert log.load_snapshot("a") is None
            assert log.load_snapshot("a", 1) == StateSnapshot(1, 1, "1", b"only")
            for snapshot in saved:
                log.save_snapshot("a", snapshot)
                await log.append("ab", log.stream_version("ab"), [Counted(1)], CAUSE)
            late = StateSnapshot(1, 1, "1", b"late")
            log.keep_snapshot("a", late)
            assert log.load_snapshot("a", 1) == late
            await log.append("ab", log.stream_version("ab"), [Counted(1)], CAUSE)
        async with opening() as log:
            found = [log.load_snapshot("a", at) for at in (0, 1, 2, 3, 4, 5, 9)]
            assert found == [None, late, saved[1], saved[1], saved[3], saved[4], saved[4]]
            assert log.load_snapshot("ab", 9) is None

    async def test_a_replay_ends_at_the_position_that_it_was_given(self, opening: Openings) -> None:
        async with opening() as log:
            await log.append("a", 0, [Counted(1), Counted(2), Counted(3)], CAUSE)
            assert [position for _, position, _ in log.replay("a", 1, 2)] == [2]
            assert [position for _, position, _ in log.replay("a", 1)] == [2, 3]

    async def test_a_reopened_log_continues(self, opening: Openings) -> None:
        for n in range(3):
            async with opening() as log:
                assert (log.head(), log.stream_version("a")) == (n, n)
                await log.append("a", n, [Counted(n)], CAUSE)
                assert positions(log.read_all()) == list(range(1, n + 2))
                assert verify(log).first_break is None

    async def test_a_cancelled_append_is_written_whole_or_not_at_all(self, opening: Openings) -> None:
        async def append(log: Log, n: int) -> None:
            with suppress(VersionConflict):  # the one before was cancelled, and goes through after all
                await log.append("a", log.stream_version("a"), [Counted(n), Counted(n)], CAUSE)

        async with opening() as log:
            for n in range(20):
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(append, log, n)
                        for _ in range(n % 4):
                            await trio.lowlevel.checkpoint()
                        scope.cancel()
            await log.append("end", 0, [Counted(0)], CAUSE)
            assert log.stream_version("a") % 2 == 0
            assert log.head() == log.stream_version("a") + 1
            assert verify(log).first_break is None

    async def test_the_log_can_be_verified(self, opening: Openings) -> None:
        async with opening() as log:
            verifiable: Log = log
            await log.append("a", 0, [Counted(n) for n in range(1500)], CAUSE)
            report = verify(verifiable)
            assert (report.events, report.streams, report.first_break) == (1500, 1, None)
