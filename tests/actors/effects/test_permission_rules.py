"""The log has the rules by which a process asks and allows: "not asked" can be told from "allowed"."""

import msgspec
import pytest
import trio

from fleet.limits import OFFERS_DELAY_S
from tests.fakes import opencode_client
from tests.gateway.machine import PLAIN, REPOSITORY, Machine

RULES = [{"permission": "bash", "pattern": "*", "action": "ask"}, {"permission": "bash", "pattern": "git *"}]


async def test_permission_rules_are_recorded_once_for_a_process(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = [{"name": "build", "mode": "primary", "permission": RULES}, {"name": "plan", "mode": "primary"}]
    monkeypatch.setattr(opencode_client, "AGENTS", agents)
    for _ in range(2):  # the second start adopts the process
        async with machine.fleet(killed=True) as api:
            if not len(api.fleet.views.sessions):
                await api.session()
            await trio.sleep(OFFERS_DELAY_S + 5)
            (read,) = [each for each in api.fleet.log.read_all() if each.type == "instance.permission-rules-read"]
            assert read.event.directory == PLAIN
            assert [(each.name, bytes(each.rules)) for each in read.event.agents] == [
                (
                    "build",
                    b'[{"permission":"bash","pattern":"*","action":"ask"},{"permission":"bash","pattern":"git *"}]',
                )
            ]


async def test_permission_rules_are_recorded_for_each_directory_while_a_session_works_there(machine: Machine) -> None:
    """One process serves a repository and its worktrees, and each of them may have its own configuration."""
    machine.world.agents_in[REPOSITORY] = [{"name": "build", "mode": "primary", "permission": RULES}]
    async with machine.fleet() as api:
        await api.session(REPOSITORY)
        await trio.sleep(OFFERS_DELAY_S + 5)
        item = await api.session(REPOSITORY, isolationStrategy="worktree")
        other = item["directory"]
        machine.world.agents_in[other] = [{"name": "build", "mode": "primary", "permission": RULES}]
        await trio.sleep(OFFERS_DELAY_S + 5)
        assert (await api.send("DELETE", f"/api/sessions/{item['id']}")).status == 200
        await trio.sleep(OFFERS_DELAY_S + 5)
        machine.world.agents_in[other] = [{"name": "build", "mode": "primary", "permission": RULES[:1]}]
        assert (await api.send("POST", f"/api/sessions/{item['id']}/resume")).status == 200
        await trio.sleep(OFFERS_DELAY_S + 5)
        read = [each for each in api.fleet.log.read_all() if each.type == "instance.permission-rules-read"]
        assert [(each.stream, each.event.directory) for each in read] == [
            (f"instance-{item['instanceId']}", directory) for directory in (REPOSITORY, other, other)
        ]
        assert [len(msgspec.json.decode(each.event.agents[0].rules)) for each in read[1:]] == [2, 1]
