"""The log tells when a host was seen, silent, lost, back and drained, after restarts and on a full disk too."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, cast

import pytest
import trio
from msgspec.structs import replace

from fleet.actors.runtime.aggregate import Deliver
from fleet.adapters.local_hosts import LocalHosts
from fleet.core import hosts as m
from fleet.events.envelope import Cause
from fleet.limits import HOST_GRACE_MARGIN_S, HOST_GRACE_S, HOST_REPORT_S, HOST_RETRY_S
from fleet.ports import LOCAL, EngineDown, EngineUp, HostEvent, HostLost, HostSilent, HostUp
from tests.core.test_hosts import NODE
from tests.gateway.machine import Api, Machine


class ToldHosts(LocalHosts):
    """The server's machine, and news of others that the test tells."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine.hosts().host(LOCAL))
        self._send, self._receive = trio.open_memory_channel[HostEvent](100)

    async def tell(self, *news: HostEvent) -> None:
        for each in news:
            await self._send.send(each)
        await trio.sleep(1)

    def cut(self) -> None:
        """End what follows now, as for a reader that does not read."""
        self._send.close()
        self._send, self._receive = trio.open_memory_channel[HostEvent](100)

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[HostEvent]]:
        return nullcontext(self._receive)


@asynccontextmanager
async def following(machine: Machine, *, killed: bool = False) -> AsyncGenerator[tuple[Api, ToldHosts]]:
    """Run a Fleet that hears what the test tells."""
    hosts = ToldHosts(machine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "hosts", lambda: hosts)
        async with machine.fleet(killed=killed) as api:
            yield api, hosts


def told(api: Api) -> list[tuple[str, str]]:
    """Return type and evidence of the events about hosts."""
    stream = cast("list[Any]", api.fleet.log.read_stream("hosts-fleet"))
    return [(each.type, getattr(each.event, "evidence", "")) for each in stream]


async def test_changes_are_recorded_and_heartbeats_are_kept_in_memory(machine: Machine) -> None:
    busier = HostUp(replace(NODE, memory_free_bytes=1))
    async with following(machine) as (api, hosts):
        await hosts.tell(HostUp(NODE), busier, HostSilent("node1", "no answer for 10 s"), EngineDown("it ended"))
        await hosts.tell(EngineUp(), HostUp(NODE), HostUp(replace(NODE, name="local")), busier)
        await hosts.tell(HostLost("node1", "no answer for 135 s"))
        for command in (m.DrainHost(name="node1", at_ms=1), m.UndrainHost(name="node1", at_ms=2)):
            await api.fleet.context.actors.hosts.ask(m.HOSTS_ID, Deliver(command, Cause("token:ann")))
        live = {view.known.name: view.live for view in api.fleet.hosts.views()}
        assert live == {"local": replace(NODE, name="local"), "node1": busier.info}
    assert told(api) == [
        ("host.seen", ""),
        ("host.silent", "no answer for 10 s"),
        ("engine.lost", "it ended"),
        ("engine.back", ""),
        ("host.returned", ""),
        ("host.lost", "no answer for 135 s"),
        ("host.draining", ""),
        ("host.undrained", ""),
    ]


async def test_a_host_that_does_not_answer_after_a_restart_is_silent_and_then_lost(machine: Machine) -> None:
    async with following(machine, killed=True) as (_, hosts):
        await hosts.tell(HostUp(NODE), HostUp(replace(NODE, name="node2")))
    async with following(machine) as (api, hosts):
        await hosts.tell(HostUp(NODE))
        await trio.sleep(HOST_REPORT_S)
        assert [kind for kind, _ in told(api)] == ["host.seen", "host.seen", "host.silent"]
        await trio.sleep(HOST_GRACE_S + HOST_GRACE_MARGIN_S)
        state = api.fleet.views.hosts.get(m.HOSTS_ID)
        assert state is not None
        assert {each.name: each.phase for each in state.hosts.values()} == {"node1": "up", "node2": "lost"}
        assert "since the server started" in state.hosts["node2"].evidence


async def test_host_whose_agent_has_a_longer_grace_than_the_server_is_lost_later(machine: Machine) -> None:
    async with following(machine, killed=True) as (_, hosts):
        await hosts.tell(HostUp(replace(NODE, lease_s=1000.0)))
    async with following(machine) as (api, _):
        await trio.sleep(HOST_GRACE_S + HOST_GRACE_MARGIN_S + 1)
        assert [kind for kind, _ in told(api)] == ["host.seen", "host.silent"]
        await trio.sleep(1000.0 - HOST_GRACE_S)
        assert [kind for kind, _ in told(api)] == ["host.seen", "host.silent", "host.lost"]


async def test_a_full_disk_delays_what_it_refuses_and_not_a_loss(machine: Machine) -> None:
    async with following(machine) as (api, hosts):
        await hosts.tell(HostUp(NODE))
        machine.disk.low = True
        await hosts.tell(HostUp(replace(NODE, name="node2")), HostLost("node1", "no answer for 135 s"))
        assert told(api) == [("host.seen", ""), ("host.lost", "no answer for 135 s")]
        machine.disk.low = False
        await trio.sleep(HOST_RETRY_S)
        assert told(api)[2:] == [("host.seen", "")]


async def test_hosts_are_followed_again_when_they_had_more_news_than_could_be_recorded(machine: Machine) -> None:
    async with following(machine) as (api, hosts):
        await hosts.tell(HostUp(NODE))
        hosts.cut()
        await trio.sleep(HOST_RETRY_S + 1)
        await hosts.tell(HostSilent("node1", "no answer for 10 s"))
        assert [kind for kind, _ in told(api)] == ["host.seen", "host.silent"]
