"""Directories that are deleted on another host, where each check takes a call."""

import trio

from tests.actors.upkeep.test_absences import cluster, create, machine_of, prompt, wide
from tests.fakes.cluster import FakeCluster
from tests.gateway.machine import Api

__all__ = ["cluster", "wide"]  # fixtures


async def test_prompt_that_waits_on_a_host_is_not_sent_to_a_directory_that_was_deleted_meanwhile(
    cluster: FakeCluster, wide: Api
) -> None:
    session = await create(wide)
    await prompt(wide, session, "bash:5")
    await prompt(wide, session, "write")
    disk = machine_of(cluster, wide, session).disk
    await trio.sleep(2)
    disk.directories.remove(session.directory)
    ended = await wide.fleet.views.sessions.wait(session.id, lambda s: s.phase == "error")
    assert ended.failure is not None
    assert ended.failure.code == "workspace_gone"
