"""The log has the rules by which a process asks and allows: "not asked" can be told from "allowed"."""

import pytest
import trio

from fleet.limits import OFFERS_DELAY_S
from tests.fakes import opencode_client
from tests.gateway.door import PLAIN, Machine

RULES = [{"permission": "bash", "pattern": "*", "action": "ask"}, {"permission": "bash", "pattern": "git *"}]


async def test_permission_rules_are_recorded_once_for_a_process(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = [{"name": "build", "mode": "primary", "permission": RULES}, {"name": "plan", "mode": "primary"}]
    monkeypatch.setattr(opencode_client, "AGENTS", agents)
    for _ in range(2):  # the second start adopts the process
        async with machine.fleet(killed=True) as door:
            if not len(door.fleet.views.sessions):
                await door.session()
            await trio.sleep(OFFERS_DELAY_S + 5)
            (read,) = [each for each in door.fleet.log.read_all() if each.type == "instance.permission-rules-read"]
            assert read.event.directory == PLAIN
            assert [(each.name, bytes(each.rules)) for each in read.event.agents] == [
                (
                    "build",
                    b'[{"permission":"bash","pattern":"*","action":"ask"},{"permission":"bash","pattern":"git *"}]',
                )
            ]
