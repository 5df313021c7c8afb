"""What a server that has gone still holds on a real cluster is found, named and released, and its files stay."""

from functools import partial
from pathlib import Path

import trio

from fleet.adapters.ray.survey import Server, Survey, survey
from fleet.ports import Need, WorkspaceSpec
from tests.patience import PATIENCE_S
from tests.ray.conftest import RayCluster
from tests.ray.test_hosts import answered, ray_hosts, repository

HOSTS = ("n1", "n2")
NEED = Need(host="n1", cpus=1, memory_mb=100)


async def test_what_a_server_holds_is_released_without_it_and_its_work_stays(
    cluster: RayCluster, tmp_path: Path
) -> None:
    place = tmp_path.resolve()
    async with ray_hosts(cluster, place, "gone", lease_s=600.0) as setting:
        host = setting.hosts.host("n1")
        assert await setting.hosts.reserve("s1", NEED, (), _nothing) == "n1"
        source = await host.workspaces.inspect(str(repository(place)))
        directory, branch = host.workspaces.plan("w1", "worktree", source, None, "Task")
        spec = WorkspaceSpec("w1", "worktree", source.directory, directory, branch, host="n1")
        prepared = await host.workspaces.prepare(spec)
        work = Path(prepared.directory, "work.txt")
        work.write_text("only here\n")
        identity = await host.opencode.spawn("i1", prepared.directory)
        await host.opencode.wait_ready("i1", identity)

    with trio.fail_after(PATIENCE_S):  # Ray has to notice the end of the sidecar
        while _server(found := await survey(cluster.address, cluster.environment), "gone").connected_from:
            pass
    assert _server(found, "gone") == Server("gone", HOSTS, ("n1",), reservations=1, cpus=1.0, memory_mb=100)
    there = {each.host: each for each in found.presences_of("gone")}
    assert (there["n1"].opencode, there["n1"].workspaces, there["n2"].processes) == (1, 1, 0)
    assert there["n1"].directory == str(work.parents[3])
    assert found.sign_of_life(_server(found, "gone"), 0.0) == "its OpenCode runs on n1, until its lease there ends"

    async with ray_hosts(cluster, place, "other") as other:
        assert await other.hosts.reserve("s1", NEED, (), _nothing) == "n1"
        after = await survey(cluster.address, cluster.environment, release="gone")
        assert _server(after, "gone") == Server("gone")
        assert [(each.host, each.processes) for each in after.presences_of("gone")] == [("n1", 0), ("n2", 0)]
        assert work.read_text() == "only here\n"
        assert _server(after, "other").reservations == 1
        assert _server(after, "other").connected_from != ""
        assert await other.hosts.slots() == {"s1": "n1"}
        assert await answered(other.hosts.host("n1").opencode.find) == ()
        await other.hosts.release("s1")

    async with ray_hosts(cluster, place, "gone") as back:  # a server that comes back all the same
        assert await back.hosts.slots() == {}
        assert await back.hosts.reserve("s1", NEED, (), _nothing) == "n1"
        again = await answered(partial(back.hosts.host("n1").workspaces.prepare, spec))
        assert Path(again.directory, "work.txt").read_text() == "only here\n"
        await back.hosts.release("s1")


def _server(found: Survey, name: str) -> Server:
    """Return a server of the survey."""
    assert found.failure == ""
    (server,) = (each for each in found.servers if each.id == name)
    return server


async def _nothing(_reason: str) -> None:
    await trio.lowlevel.checkpoint()
