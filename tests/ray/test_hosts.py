"""Hosts of a real cluster with the real OpenCode: the contract, and what a lost machine leaves."""

import os
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable, Set
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple, TypeVar, cast

import pytest
import trio

from fleet import __version__
from fleet.adapters.git import GitTrees, GitWorkspaces
from fleet.adapters.local_hosts import LocalHosts
from fleet.adapters.ray.engine import sidecar
from fleet.adapters.ray.heard_host import DEADLINES, HostDeadlines
from fleet.adapters.ray.host import HeadPorts, ray_host
from fleet.adapters.ray.hosts import RayHosts
from fleet.adapters.ray.machine import Options
from fleet.adapters.travel import Head
from fleet.errors import Unavailable
from fleet.limits import PARCEL_PIECE_BYTES
from fleet.ports import LOCAL, Host, HostLost, HostSilent, HostUp, WorkspaceSpec
from tests.contracts.hosts_contract import ManyHostsContract
from tests.patience import PATIENCE_S
from tests.ray.conftest import RayCluster

T = TypeVar("T")


class Setting(NamedTuple):
    hosts: RayHosts
    root: Path


@asynccontextmanager
async def ray_hosts(
    cluster: RayCluster,
    place: Path,
    server: str = "hosts",
    *,
    lease_s: float = 120.0,
    deadlines: HostDeadlines = DEADLINES,
    names: Set[str] = frozenset(("n1", "n2")),
) -> AsyncGenerator[Setting]:
    """Run the hosts of a server with this id, which has its data in `place`, and wait until those of `names` answer."""
    head = Head(GitWorkspaces(place / "workspaces", (place,)), GitTrees(place / "trees"))
    hosts = RayHosts(
        sidecar(cluster.address, cluster.environment, server),
        LocalHosts(cast("Host", SimpleNamespace(name=LOCAL))),
        partial(ray_host, own=HeadPorts(head, place / "parcels")),
        Options("", __version__, lease_s, server),
        deadlines=deadlines,
    )
    hosts.offer_rehearsal(offered=True)
    async with trio.open_nursery() as nursery:
        await nursery.start(hosts.run)
        await heard(hosts, set(names))
        yield Setting(hosts, place)
        nursery.cancel_scope.cancel()


async def heard(hosts: RayHosts, names: set[str]) -> None:
    """Wait until these hosts answer."""
    with trio.fail_after(PATIENCE_S):
        async with hosts.watch() as events:
            async for event in events:
                if isinstance(event, HostUp):
                    names = names - {event.info.name}
                if not names:
                    return


async def lost(hosts: RayHosts, kind: type[HostSilent | HostLost], name: str) -> str:
    """Wait until a host is silent or lost, and return the evidence."""
    with trio.fail_after(PATIENCE_S):
        async with hosts.watch() as events:
            async for event in events:
                if isinstance(event, kind) and event.name == name:
                    return event.evidence
    raise AssertionError


async def epoch(hosts: RayHosts, name: str, *, after: str = "") -> str:
    """Wait until an agent of the host answers that is not the former one, and return its epoch."""
    with trio.fail_after(PATIENCE_S):
        async with hosts.watch() as events:
            async for event in events:
                if isinstance(event, HostUp) and event.info.name == name and event.info.epoch != after:
                    return event.info.epoch
    raise AssertionError


async def answered(call: Callable[[], Awaitable[T]]) -> T:
    """Return the result of a call, which is repeated while its host is silent: the machine may be busy."""
    with trio.fail_after(PATIENCE_S):
        while True:
            try:
                return await call()
            except Unavailable as problem:
                if problem.code != "host_unreachable":
                    raise
                await trio.sleep(0.2)
    raise AssertionError


def repository(place: Path) -> Path:
    source = place / "shop"
    source.mkdir()
    (source / "a.txt").write_text("one\n")
    (source / "large").write_bytes(os.urandom(2 * PARCEL_PIECE_BYTES))
    for command in ("init -q -b main", "add .", "-c user.name=x -c user.email=x commit -q -m first"):
        subprocess.run(["git", "-C", str(source), *command.split()], check=True)
    return source


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path.resolve()


async def test_the_hosts_of_a_cluster_keep_the_contract(cluster: RayCluster, place: Path) -> None:
    """One test, because a server takes a second to connect."""
    contract = ManyHostsContract()
    async with ray_hosts(cluster, place) as setting:
        for name in [each for each in dir(contract) if each.startswith("test_")]:
            await getattr(contract, name)(setting)


async def test_opencode_outlives_ray_on_its_machine_and_is_found_again(cluster: RayCluster, place: Path) -> None:
    async with ray_hosts(cluster, place) as setting:
        host = setting.hosts.host("n1")
        source = await host.workspaces.inspect(str(repository(place)))
        directory, branch = host.workspaces.plan("w1", "worktree", source, None, "Task")
        spec = WorkspaceSpec("w1", "worktree", source.directory, directory, branch, host="n1")
        prepared = await host.workspaces.prepare(spec)
        assert Path(prepared.directory, "a.txt").read_text() == "one\n"
        assert Path(prepared.directory, "large").read_bytes() == Path(source.directory, "large").read_bytes()

        identity = await host.opencode.spawn("i1", prepared.directory)
        endpoint = await host.opencode.wait_ready("i1", identity)
        async with host.opencode.connect("i1", endpoint) as client:
            before = await epoch(setting.hosts, "n1")
            await trio.to_thread.run_sync(cluster.order, "kill", "n1")  # Ray ends there, the machine itself does not
            await lost(setting.hosts, HostSilent, "n1")
            assert await client.health() == endpoint.version
        await trio.to_thread.run_sync(cluster.order, "add", "n1")
        await epoch(setting.hosts, "n1", after=before)
        assert await answered(partial(host.opencode.spawn, "i1", prepared.directory)) == identity
        (found,) = await answered(host.opencode.find)
        assert (found.instance_id, found.identity, found.server) == ("i1", identity, True)
        Path(prepared.directory, "b.txt").write_text("two\n")
        kept = await answered(partial(host.removals.keep, spec))
        assert kept.ref == "refs/fleet/kept/w1"
        await answered(partial(host.opencode.stop, "i1", identity))
        assert await answered(host.opencode.find) == ()


async def test_a_machine_that_ends_is_silent_then_lost_and_comes_back(cluster: RayCluster, place: Path) -> None:
    async with ray_hosts(cluster, place, "loss", lease_s=4.0, deadlines=HostDeadlines(2.0, 0.0)) as setting:
        before = await epoch(setting.hosts, "n2")
        await trio.to_thread.run_sync(cluster.order, "kill", "n2")
        assert "not been heard" in await lost(setting.hosts, HostSilent, "n2")
        await lost(setting.hosts, HostLost, "n2")
        await trio.to_thread.run_sync(cluster.order, "add", "n2")
        await epoch(setting.hosts, "n2", after=before)
