"""The hosts of a cluster for tests in virtual time: an engine of the test, with agents that answer, or not."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import NamedTuple, cast

import trio

from fleet import __version__
from fleet.adapters.local_hosts import LocalHosts
from fleet.adapters.ray.frames import Adopt
from fleet.adapters.ray.hosts import RayHosts
from fleet.adapters.ray.link import HostLink
from fleet.adapters.ray.machine import Options
from fleet.adapters.ray.remote import RemoteOpenCodeHost, RemoteScripts
from fleet.ports import (
    LOCAL,
    Files,
    Host,
    HostEvent,
    HostPorts,
    HostUp,
    ProcessIdentity,
    Removals,
    Shells,
    Trees,
    Workspaces,
)
from tests.fakes.agents import FakeAgent, node_of
from tests.fakes.engine import FakeBackend, MemorySidecars

LEASE_S = 120.0
PROCESS = ProcessIdentity(7, 1.0, "boot")


class Setting(NamedTuple):
    hosts: RayHosts
    backend: FakeBackend
    sidecars: MemorySidecars
    agents: dict[str, FakeAgent]


def compose(link: HostLink) -> Host:
    nothing = object()
    return HostPorts(
        link.host,
        RemoteOpenCodeHost(link, "direct"),
        cast("Workspaces", nothing),
        cast("Trees", nothing),
        cast("Removals", nothing),
        cast("Files", nothing),
        RemoteScripts(link),
        cast("Shells", nothing),
    )


@asynccontextmanager
async def two_hosts(version: str = __version__, *, expected: tuple[str, ...] = ()) -> AsyncGenerator[Setting]:
    async with trio.open_nursery() as nursery:
        agents = {name: FakeAgent(name, version) for name in ("n1", "n2")}
        backend = FakeBackend({}, nursery, in_threads=False)
        backend.nodes_alive = (node_of("n1", gpu="true"), node_of("n2"))

        def adopt(order: Adopt) -> None:
            backend.adopted.append(order)
            backend.agents[order.host] = agents[order.host].served()

        backend.on_adopt = adopt
        sidecars = MemorySidecars(backend, nursery)
        options = Options("", __version__, LEASE_S)
        hosts = RayHosts(sidecars, compose_local(), compose, options, known=lambda: expected)
        await nursery.start(hosts.run)
        yield Setting(hosts, backend, sidecars, agents)
        nursery.cancel_scope.cancel()


def compose_local() -> LocalHosts:
    return LocalHosts(cast("Host", SimpleNamespace(name=LOCAL)))


async def told(hosts: RayHosts, seconds: float) -> list[HostEvent]:
    found: list[HostEvent] = []
    async with hosts.watch() as events:
        with trio.move_on_after(seconds):
            async for event in events:
                found.append(event)
    return found


def short(events: list[HostEvent]) -> list[tuple[str, str]]:
    """Return the kinds of events with the host, without repetitions."""
    last: dict[str, str] = {}
    found: list[tuple[str, str]] = []
    for each in events:
        name = each.info.name if isinstance(each, HostUp) else getattr(each, "name", "")
        kind = type(each).__name__
        if last.get(name) != kind:
            last[name] = kind
            found.append((kind, name))
    return found


async def ready(setting: Setting) -> None:
    """Wait until both hosts are heard, and their leases are renewed."""
    await told(setting.hosts, 5)


async def nothing(reason: str) -> None:
    await trio.lowlevel.checkpoint()
