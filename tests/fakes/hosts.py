"""The hosts of a simulated Fleet: the port `Hosts` on a cluster of fake machines (cluster.py).

`FakeHosts` is made again by each start of Fleet, and `close` says that this Fleet has ended. It hears the machines
without calls: what a heartbeat would find is looked up whenever the cluster changes and when a deadline is reached.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Literal, TypeVar, cast

import trio

from fleet.adapters.files import LocalFiles
from fleet.errors import Rejected, Unavailable
from fleet.ports import (
    LOCAL,
    Endpoint,
    EngineDown,
    EngineUp,
    Files,
    Host,
    HostEvent,
    HostLost,
    HostPorts,
    HostSilent,
    HostUp,
    Need,
    OnDelay,
    OpenCode,
    OpenCodeHost,
    Scripts,
    Shells,
)
from tests.fakes.cluster import SILENT_S, FakeCluster
from tests.fakes.machine import FakeMachine
from tests.fakes.travelling import TravellingRemovals, TravellingTrees, TravellingWorkspaces, Way

Port = TypeVar("Port")


def local_host(machine: FakeMachine) -> HostPorts:
    """Return the ports of the server's own machine."""
    return HostPorts(
        LOCAL,
        machine.opencode,
        machine.workspaces,
        machine.trees,
        machine.removals,
        LocalFiles(),
        machine.scripts,
        machine.shells,
    )


def remote_host(local: FakeMachine, machine: FakeMachine) -> HostPorts:
    """Return the ports of another machine, behind its network."""
    way = Way(local, machine)
    return HostPorts(
        machine.name,
        cast("OpenCodeHost", RemoteOpenCode(machine)),
        TravellingWorkspaces(way, local.workspaces, machine.workspaces),
        TravellingTrees(way, local.trees, machine.trees),
        TravellingRemovals(way, local.removals, machine.removals),
        remote(machine, cast("Files", LocalFiles())),
        remote(machine, cast("Scripts", machine.scripts)),
        remote(machine, cast("Shells", machine.shells)),
    )


def remote(machine: FakeMachine, port: Port) -> Port:
    """Return `port` with every awaited call on the way to the machine."""
    return cast("Port", _Remote(machine, port))


class _Remote:
    def __init__(self, machine: FakeMachine, port: object) -> None:
        self._machine = machine
        self._port = port

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._port, name)
        return _called(self._machine, member) if iscoroutinefunction(member) else member


def _called(machine: FakeMachine, function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(function)
    async def called(*arguments: Any, **options: Any) -> Any:
        return await machine.call(function, *arguments, **options)

    return called


class RemoteOpenCode(_Remote):
    """The processes of another machine. Their HTTP goes straight to the machine; the password comes from its agent."""

    def __init__(self, machine: FakeMachine) -> None:
        super().__init__(machine, machine.opencode)

    def connect(self, instance_id: str, endpoint: Endpoint) -> AbstractAsyncContextManager[OpenCode]:
        return self._connect(instance_id, endpoint)

    @asynccontextmanager
    async def _connect(self, instance_id: str, endpoint: Endpoint) -> AsyncGenerator[OpenCode]:
        await self._machine.call(trio.sleep, 0)
        async with self._machine.opencode.connect(instance_id, endpoint) as client:
            yield client


Standing = Literal["up", "silent", "lost"]


@dataclass
class Heard:
    """What one Fleet knows of a machine: `since_s` is when it last heard of it, or began to listen."""

    since_s: float
    standing: Standing | None = None
    epoch: str = ""
    event: HostEvent | None = None


class FakeHosts:
    """`fleet.ports.Hosts` of one simulated Fleet. `hosts` replaces the ports of some machines."""

    def __init__(self, cluster: FakeCluster, hosts: Mapping[str, Host] | None = None) -> None:
        self.cluster = cluster
        self._hosts: dict[str, Host] = dict(hosts or {})
        self._heard: dict[str, Heard] = {}
        self._engine: EngineDown | EngineUp = EngineUp()
        self._readers: list[trio.MemorySendChannel[HostEvent]] = []
        self._scope = trio.CancelScope()
        cluster.head_is(up=True)
        self._look()
        cluster.nursery.start_soon(self._listen)

    def close(self) -> None:
        """This Fleet has ended: no machine hears of it any more."""
        self._scope.cancel()
        self.cluster.head_is(up=False)

    def host(self, name: str) -> Host:
        machine = self.cluster.machines.get(name)
        if machine is None:
            raise Rejected("host_unknown", f"there is no host {name!r}", field="host")
        if name not in self._hosts:
            self._hosts[name] = local_host(machine) if name == LOCAL else remote_host(self.cluster.local, machine)
        return self._hosts[name]

    # ---------------------------------------------------------------------------------------------------- reservations

    async def require(self, need: Need) -> None:
        await self._ask_engine()
        self.cluster.require(need)

    async def reserve(self, slot: str, need: Need, preferred: tuple[str, ...], delayed: OnDelay) -> str:
        told = ""
        while True:
            await self.require(need)
            change = self.cluster.change
            if (name := self.cluster.find_room(slot, need, preferred)) is not None:
                return name
            coming = self.cluster.ask_for_machine(need)
            reason = "a machine that starts" if coming else self.cluster.shortage(need)
            if reason != told:
                told = reason
                await delayed(reason)
            await change.wait()

    async def release(self, slot: str) -> None:
        await self._ask_engine()
        self.cluster.release(slot)

    async def slots(self) -> Mapping[str, str]:
        await self._ask_engine()
        return {slot: held.host for slot, held in self.cluster.slots.items() if held.host != LOCAL}

    async def _ask_engine(self) -> None:
        await trio.sleep(0.002)
        if not self.cluster.engine_up:
            raise Unavailable("engine_down", "the engine of the hosts does not answer", retry_after_s=5)

    # ---------------------------------------------------------------------------------------------------------- watch

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[HostEvent]]:
        return self._watch()

    @asynccontextmanager
    async def _watch(self) -> AsyncGenerator[AsyncIterator[HostEvent]]:
        sender, receiver = trio.open_memory_channel[HostEvent](float("inf"))
        self._look()
        if isinstance(self._engine, EngineDown):
            sender.send_nowait(self._engine)
        for heard in self._heard.values():
            if heard.event is not None:
                sender.send_nowait(heard.event)
        self._readers.append(sender)
        try:
            yield receiver
        finally:
            self._readers.remove(sender)

    async def _listen(self) -> None:
        with self._scope:
            while True:
                change = self.cluster.change
                with trio.CancelScope(deadline=self._look()):
                    await change.wait()

    def _look(self) -> float:
        """Take note of what can be heard now; return when to look again if nothing changes."""
        self._look_at_engine()
        machines = self.cluster.machines.values()
        known = [machine for machine in machines if not machine.gone or machine.name in self._heard]
        return min(self._look_at(machine) for machine in known)

    def _look_at_engine(self) -> None:
        if self.cluster.engine_up is isinstance(self._engine, EngineUp):
            return
        self._engine = EngineUp() if self.cluster.engine_up else EngineDown("the engine's process has ended")
        self._tell(self._engine)

    def _look_at(self, machine: FakeMachine) -> float:
        now_s = trio.current_time()
        heard = self._heard.setdefault(machine.name, Heard(now_s))
        if machine.answers:
            heard.since_s = now_s
            if heard.standing != "up" or heard.epoch != machine.epoch:
                heard.standing, heard.epoch = "up", machine.epoch
                self._note(heard, HostUp(machine.info))
            return float("inf")
        if heard.standing == "up":
            heard.standing, heard.since_s = None, now_s  # it was heard until now
        silent_at_s = heard.since_s + SILENT_S
        lost_at_s = heard.since_s + self.cluster.lease_s + self.cluster.margin_s
        evidence = f"it had not been heard for {now_s - heard.since_s:.0f} s"
        if now_s >= lost_at_s and heard.standing != "lost":
            heard.standing = "lost"
            self._note(heard, HostLost(machine.name, evidence))
        elif now_s >= silent_at_s and heard.standing is None:
            heard.standing = "silent"
            self._note(heard, HostSilent(machine.name, evidence))
        return float("inf") if heard.standing == "lost" else lost_at_s if heard.standing == "silent" else silent_at_s

    def _note(self, heard: Heard, event: HostEvent) -> None:
        heard.event = event
        self._tell(event)

    def _tell(self, event: HostEvent) -> None:
        for reader in self._readers:
            reader.send_nowait(event)
