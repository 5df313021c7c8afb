"""What is being written: the signals of tools are held to a few a second, and the newest always comes."""

from collections.abc import AsyncGenerator
from itertools import pairwise
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from fleet.core.session.turn_events import PartRecorded, TurnEnded
from fleet.events.envelope import Cause, Recorded
from fleet.limits import TOOL_SIGNAL_S
from fleet.ports import Part, PartDelta
from fleet.projections.activities import Activities
from fleet.projections.inflight import InFlight, Reader


def tool(part_id: str, output: str, conversation: str = "ses_1") -> Part:
    raw = msgspec.json.encode({"id": part_id, "output": output})
    return Part(part_id, conversation, "msg_1", "tool", False, raw)


def text(part_id: str, so_far: str) -> Part:
    return Part(part_id, "ses_1", "msg_1", "text", False, msgspec.json.encode({"id": part_id}), so_far)


def logged(event: Any) -> list[Recorded]:
    return [Recorded(1, "session-s", 1, "", 1, 0, Cause(), b"", event)]


@pytest.fixture
async def inflight() -> AsyncGenerator[InFlight]:
    found = InFlight(Activities(lambda: 0))
    async with trio.open_nursery() as nursery:
        await nursery.start(found.run, trio.Event())
        yield found
        nursery.cancel_scope.cancel()


def taken(reader: Reader) -> list[dict[str, Any]]:
    return [msgspec.json.decode(signal.body) for signal in reader.take()]


def outputs(reader: Reader) -> list[str]:
    return [signal["part"]["output"] for signal in taken(reader)]


async def test_signals_of_a_tool_are_limited_and_the_newest_is_sent(
    inflight: InFlight, autojump_clock: MockClock
) -> None:
    told: list[tuple[float, str]] = []
    with inflight.read(None, lambda: None) as reader:
        began = trio.current_time()
        for n in range(200):
            inflight.part("s", tool("prt_1", str(n)))
            told += [(trio.current_time() - began, output) for output in outputs(reader)]
            await trio.sleep(0.01)
        assert 7 <= len(told) <= 9
        assert told[0][1] == "0"
        gaps_s = [later - earlier for (earlier, _), (later, _) in pairwise(told)]
        assert min(gaps_s) >= TOOL_SIGNAL_S - 0.001
        await trio.sleep(2 * TOOL_SIGNAL_S)
        assert outputs(reader) == ["199"]
        await trio.sleep(10)
        assert outputs(reader) == [], "said once"


async def test_each_tool_has_its_own_pace_and_texts_have_none(inflight: InFlight, autojump_clock: MockClock) -> None:
    with inflight.read(None, lambda: None) as reader:
        for n in range(3):
            inflight.part("s", tool("prt_1", f"a{n}"))
            inflight.part("s", tool("prt_2", f"b{n}"))
            inflight.part("t", tool("prt_1", f"c{n}"))
            inflight.part("s", text("prt_3", "x" * n))
        assert [signal["part"].get("output") for signal in taken(reader)] == ["a0", "b0", "c0", None, None, None]
        await trio.sleep(2 * TOOL_SIGNAL_S)
        assert sorted(outputs(reader)) == ["a2", "b2", "c2"]


async def test_ended_tool_sends_no_more_signals(inflight: InFlight, autojump_clock: MockClock) -> None:
    finished = PartRecorded(part_id="prt_1", message_id="msg_1", type="tool", at_ms=1, body=msgspec.Raw(b"{}"))
    ends: list[Any] = [finished, TurnEnded(number=1, outcome="finished", evidence="", at_ms=1)]
    for end in ends:
        with inflight.read(None, lambda: None) as reader:
            inflight.part("s", tool("prt_1", "1"))
            inflight.part("s", tool("prt_1", "2"))
            inflight.on_commit(logged(end))
            await trio.sleep(1)
            assert outputs(reader) == ["1"]
            assert inflight.snapshot(None) == {}
            inflight.part("s", tool("prt_1", "3"))
            assert outputs(reader) == ["3"]
            inflight.forget("s")


async def test_signals_and_open_parts_say_which_conversation_they_belong_to(
    inflight: InFlight, autojump_clock: MockClock
) -> None:
    with inflight.read(frozenset(("s",)), lambda: None) as reader:
        inflight.part("s", tool("prt_1", "1", "ses_sub"))
        inflight.part("s", text("prt_2", ""))
        inflight.delta("s", PartDelta("ses_1", "msg_1", "prt_2", "text", "Hi"))
        await wait_all_tasks_blocked()
        assert [signal["conversation"] for signal in taken(reader)] == ["ses_sub", "ses_1", "ses_1"]
    (first, second) = inflight.snapshot(frozenset(("s",)))["s"]
    assert (first.conversation, second.conversation, second.text) == ("ses_sub", "ses_1", "Hi")
    assert inflight.open_part("s", "prt_1") == first
    assert inflight.open_part("s", "prt_9") is None
