"""Retention: what ended long ago is erased by the rule, with proof, and nothing that is still needed."""

from typing import Any

import pytest
import trio
from msgspec.structs import replace

from fleet.limits import RETENTION_SWEEP_S
from tests.gateway.machine import PLAIN, REPOSITORY, Api, Machine

KEEP_S = 4 * RETENTION_SWEEP_S


async def stopped(api: Api, **fields: Any) -> str:
    item = await api.session(PLAIN, **fields)
    await api.send("DELETE", f"/api/sessions/{item['id']}")
    return str(item["id"])


async def there(api: Api) -> set[str]:
    return {each["id"] for each in (await api.send("GET", "/api/sessions")).json}


async def test_sessions_that_ended_long_ago_are_erased_by_the_rule(machine: Machine) -> None:
    machine.policy = replace(machine.policy, keep_transcripts_s=KEEP_S)
    async with machine.fleet() as api:
        old = await stopped(api, title="Old")
        await trio.sleep(KEEP_S - RETENTION_SWEEP_S)
        new, busy = await stopped(api), (await api.session(REPOSITORY, initialPrompt="ask"))["id"]
        assert await there(api) == {old, new, busy}
        assert (await api.send("GET", "/api/log/retention")).json["due"] == []
        await trio.sleep(RETENTION_SWEEP_S * 2.5)
        assert await there(api) == {new, busy}
        said = (await api.send("GET", f"/api/sessions/{old}")).problem(410, "erased")
        assert said["erasedBy"] == "policy:retention"
        await trio.sleep(2 * KEEP_S)
        assert await there(api) == {busy}
        assert (await api.send("GET", "/api/log/verify")).json["intact"]


async def test_what_is_due_is_listed_before_it_goes(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.actors.upkeep.retention.RETENTION_SESSIONS_MAX", 1)
    machine.policy = replace(machine.policy, keep_transcripts_s=RETENTION_SWEEP_S / 2)
    async with machine.fleet() as api:
        ids = [await stopped(api, title=f"Number {number}") for number in range(3)]
        await trio.sleep(RETENTION_SWEEP_S * 0.9)
        rule = (await api.send("GET", "/api/log/retention")).json
        assert ([each["id"] for each in rule["due"]], rule["total"]) == (ids, 3)
        assert rule["due"][0]["title"] == "Number 0"
        for left in (ids[1:], ids[2:], []):
            await trio.sleep(RETENTION_SWEEP_S)
            assert await there(api) == set(left)


async def test_session_is_kept_for_those_that_need_it(machine: Machine) -> None:
    machine.policy = replace(machine.policy, keep_transcripts_s=RETENTION_SWEEP_S)
    async with machine.fleet() as api:
        parent = await stopped(api, title="Parent")
        await api.send("POST", f"/api/sessions/{parent}/resume")
        child = await api.session(PLAIN, initialPrompt="ask", onComplete={"notifySessionId": parent})
        await api.send("DELETE", f"/api/sessions/{parent}")
        await trio.sleep(3 * RETENTION_SWEEP_S)
        assert await there(api) == {parent, child["id"]}, "the child still works"
        await api.send("DELETE", f"/api/sessions/{child['id']}")
        await trio.sleep(3 * RETENTION_SWEEP_S)
        assert parent not in await there(api), "no session needs it any more"


async def test_without_a_rule_nothing_is_erased(api: Api) -> None:
    session_id = await stopped(api)
    await trio.sleep(10 * RETENTION_SWEEP_S)
    assert await there(api) == {session_id}
    assert (await api.send("GET", "/api/log/retention")).json == {"keepTranscriptsDays": None, "due": [], "total": 0}
