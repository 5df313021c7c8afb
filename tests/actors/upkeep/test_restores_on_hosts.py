"""Conversations that are restored on another host in several attempts."""

import pytest
import trio

from fleet.errors import Problem
from tests.actors.upkeep.test_absences import cluster, create, lose, machine_of, prompt, resume, wide
from tests.fakes.cluster import FakeCluster
from tests.gateway.machine import Api

__all__ = ["cluster", "wide"]  # fixtures


async def test_a_restored_conversation_gets_its_title_although_the_first_attempt_to_set_it_failed(
    cluster: FakeCluster, wide: Api
) -> None:
    session = await create(wide)
    await prompt(wide, session, "write")
    await wide.settled(session.id)
    node = machine_of(cluster, wide, session)
    await lose(node)
    other = cluster.machines["n2" if node.name == "n1" else "n1"]
    stored = other.world.store.sessions

    async def refuse_the_title() -> None:
        while True:
            await trio.sleep(0.001)
            if session.opencode.session_id in stored:
                other.world.refusals = 1
                return

    async with trio.open_nursery() as nursery:
        nursery.start_soon(refuse_the_title)
        with pytest.raises(Problem):
            await resume(wide, session)
    await resume(wide, session)
    assert stored[session.opencode.session_id]["title"] == session.settings.title
