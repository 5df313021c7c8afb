"""Retention: what ended long ago is erased by the rule, with proof, and nothing that is still needed."""

from typing import Any

import pytest
import trio
from msgspec.structs import replace

from fleet.limits import RETENTION_SWEEP_S
from tests.gateway.door import PLAIN, REPOSITORY, Door, Machine

KEEP_S = 4 * RETENTION_SWEEP_S


async def stopped(door: Door, **fields: Any) -> str:
    item = await door.session(PLAIN, **fields)
    await door.knock("DELETE", f"/api/sessions/{item['id']}")
    return str(item["id"])


async def there(door: Door) -> set[str]:
    return {each["id"] for each in (await door.knock("GET", "/api/sessions")).json}


async def test_sessions_that_ended_long_ago_are_erased_by_the_rule(machine: Machine) -> None:
    machine.policy = replace(machine.policy, keep_transcripts_s=KEEP_S)
    async with machine.fleet() as door:
        old = await stopped(door, title="Old")
        await trio.sleep(KEEP_S - RETENTION_SWEEP_S)
        new, busy = await stopped(door), (await door.session(REPOSITORY, initialPrompt="ask"))["id"]
        assert await there(door) == {old, new, busy}
        assert (await door.knock("GET", "/api/log/retention")).json["due"] == []
        await trio.sleep(RETENTION_SWEEP_S * 2.5)
        assert await there(door) == {new, busy}
        said = (await door.knock("GET", f"/api/sessions/{old}")).problem(410, "erased")
        assert said["erasedBy"] == "policy:retention"
        await trio.sleep(2 * KEEP_S)
        assert await there(door) == {busy}
        assert (await door.knock("GET", "/api/log/verify")).json["intact"]


async def test_what_is_due_is_listed_before_it_goes(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.actors.upkeep.retention.RETENTION_SESSIONS_MAX", 1)
    machine.policy = replace(machine.policy, keep_transcripts_s=RETENTION_SWEEP_S / 2)
    async with machine.fleet() as door:
        ids = [await stopped(door, title=f"Number {number}") for number in range(3)]
        await trio.sleep(RETENTION_SWEEP_S * 0.9)
        rule = (await door.knock("GET", "/api/log/retention")).json
        assert ([each["id"] for each in rule["due"]], rule["total"]) == (ids, 3)
        assert rule["due"][0]["title"] == "Number 0"
        for left in (ids[1:], ids[2:], []):
            await trio.sleep(RETENTION_SWEEP_S)
            assert await there(door) == set(left)


async def test_session_is_kept_for_those_that_need_it(machine: Machine) -> None:
    machine.policy = replace(machine.policy, keep_transcripts_s=RETENTION_SWEEP_S)
    async with machine.fleet() as door:
        parent = await stopped(door, title="Parent")
        await door.knock("POST", f"/api/sessions/{parent}/resume")
        child = await door.session(PLAIN, initialPrompt="ask", onComplete={"notifySessionId": parent})
        await door.knock("DELETE", f"/api/sessions/{parent}")
        await trio.sleep(3 * RETENTION_SWEEP_S)
        assert await there(door) == {parent, child["id"]}, "the child still works"
        await door.knock("DELETE", f"/api/sessions/{child['id']}")
        await trio.sleep(3 * RETENTION_SWEEP_S)
        assert parent not in await there(door), "no session needs it any more"


async def test_without_a_rule_nothing_is_erased(door: Door) -> None:
    session_id = await stopped(door)
    await trio.sleep(10 * RETENTION_SWEEP_S)
    assert await there(door) == {session_id}
    assert (await door.knock("GET", "/api/log/retention")).json == {"keepTranscriptsDays": None, "due": [], "total": 0}
