"""Packs and trials need the same memory for a session of any length, except for a few bytes an event."""

import tracemalloc
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from fleet.core.session.turn_events import PartRecorded
from fleet.core.session.values import raw
from fleet.events.catalog import make_registry
from fleet.events.envelope import Cause
from fleet.evidence import page
from fleet.evidence.document import Made, Relatives
from fleet.evidence.pack import pack_files
from fleet.evidence.policy_trial import rules_from, try_rules
from fleet.wire.policy import PolicyBody
from tests.core.sessions import ACTIVE, AT, accepted, ended, started
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryDisk, MemoryLog

TURNS = 60
OUTPUT = "x" * 20_000


async def worked(turns: int) -> MemoryLog:
    """Return the log of a session with so many turns, each with a command that prints much."""
    log = MemoryLog(MemoryDisk(), make_registry(), FakeClock())
    await log.append("session-s1", 0, ACTIVE, Cause())
    for number in range(1, turns + 1):
        state = {"status": "completed", "input": {"command": f"make {number}"}, "output": OUTPUT}
        body = {"type": "tool", "tool": "bash", "callID": f"c{number}", "state": state}
        ran = PartRecorded(
            part_id=f"prt_{number}", message_id="msg_a", type="tool", body=raw(msgspec.json.encode(body)), at_ms=AT
        )
        begun = (accepted(f"p{number}"), started(number, f"p{number}")) if number > 1 else ()
        await log.append(
            "session-s1", log.stream_version("session-s1"), (*begun, ran, ended(number, "finished")), Cause()
        )
    return log


async def packed(log: MemoryLog) -> None:
    async for _ in pack_files(log, None, "s1", lambda _: Relatives(), Made("1", "2026-01-01T00:00:00.000Z", "local")):
        pass


async def tried(log: MemoryLog) -> None:
    found = await try_rules(log, "session-s1", rules_from(PolicyBody(permission={"bash": "ask"}), "/home/user"))
    assert found is not None
    assert found.asked > 0


@pytest.mark.parametrize("work", [packed, tried])
async def test_memory_does_not_grow_with_the_session(
    work: Callable[[MemoryLog], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "PACK_STEPS_MAX", TURNS // 4)
    peaks: list[int] = []
    for turns in (TURNS, 10 * TURNS):
        log = await worked(turns)
        await work(log)  # what is loaded once
        tracemalloc.start()
        await work(log)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    few, many = peaks
    assert many < few + 3000 * 9 * TURNS, peaks  # an event with its output takes 20 KB
