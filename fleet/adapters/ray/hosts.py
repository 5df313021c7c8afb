"""`fleet.ports.Hosts` on a Ray cluster: finds hosts, hears them, and reports what becomes of them.

A machine of the cluster with the label `fleet-host` is a host of that name. Each host has a heartbeat. A host that
does not answer is silent after HOST_SILENT_S, and lost when its lease must have ended: after the lease and a margin,
together the grace, since the server began to wait for the answer that it never got. Where the cluster removes
machines, a host without a session rests: it has no agent until a call wakes it. `reservations` finds room.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import msgspec
import structlog
import trio

from fleet import __version__
from fleet.adapters.local_hosts import LocalHosts
from fleet.adapters.ray import frames
from fleet.adapters.ray.calls import OtherVersion, RemoteBugError
from fleet.adapters.ray.engine import Engine, Launch, UnreachableError
from fleet.adapters.ray.frames import HOST_LABEL, Adopt, Cluster, Dismiss, Node
from fleet.adapters.ray.heard_host import DEADLINES, HeardHost, HostDeadlines, lack_of
from fleet.adapters.ray.link import HostLink
from fleet.adapters.ray.machine import Beat, Options
from fleet.adapters.ray.reservations import HEAD_AWAY, Reservations, hosts_in
from fleet.errors import Problem, Rejected
from fleet.limits import HOST_BEAT_S, HOST_EVENTS_MAX, HOST_SILENT_S
from fleet.ports import (
    LOCAL,
    EngineDown,
    EngineUp,
    Host,
    HostEvent,
    HostInfo,
    HostLost,
    HostSilent,
    HostUp,
    Need,
    OnDelay,
)

_log = structlog.get_logger(__name__)

_UNREADABLE: Final = "unknown"
_ENGINE_LABELS: Final = "ray.io/"


class RayHosts:
    """The hosts of a cluster, and `local`. `compose` makes the ports of a host, `options` are those of all agents.

    `known` are the hosts that the log names. Of one that does not answer after a start nothing is reported here: what
    became of it follows from the log (actors/upkeep/host_records.py).
    """

    def __init__(
        self,
        launch: Launch,
        local: LocalHosts,
        compose: Callable[[HostLink], Host],
        options: Options,
        *,
        deadlines: HostDeadlines = DEADLINES,
        known: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._engine = Engine(launch, self._engine_changed)
        self._local = local
        self._compose = compose
        self._options = options
        self._deadlines = deadlines
        self._named = known
        self._known: dict[str, HeardHost] = {}
        self._engine_event: EngineUp | EngineDown | None = None
        self._readers: list[trio.MemorySendChannel[HostEvent]] = []
        self._nursery: trio.Nursery | None = None
        self._rehearsal: bool | None = None
        self._reservations = Reservations(self._engine, self._why_unusable, self._is_known)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the engine and hear the hosts, until cancelled. Raises `StartupError`."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for known in self._known.values():
                nursery.start_soon(self._hear, known)
            await nursery.start(self._engine.run)
            nursery.start_soon(self._look)
            task_status.started()

    # ------------------------------------------------------------------------------------------------------ the hosts

    def host(self, name: str) -> Host:
        """Return a host. Raises `Rejected` host_unknown."""
        if name == LOCAL:
            return self._local.host(LOCAL)
        if name not in self._known and name in self._named():
            self._know(name)
        if name not in self._known:
            raise Rejected("host_unknown", f"there is no host {name!r}", field="host")
        return self._known[name].host

    def offer_rehearsal(self, *, offered: bool) -> None:
        """Have every host offer the rehearsal model, or not; until this is said, no host starts OpenCode."""
        self._rehearsal = offered
        for known in self._known.values():
            if known.link.is_heard and self._nursery is not None:
                self._nursery.start_soon(self._pass_on_rehearsal, known)

    def _know(self, name: str) -> HeardHost:
        if name not in self._known:
            link = HostLink(name, self._engine)
            self._known[name] = known = HeardHost(link, self._compose(link))
            if self._nursery is not None:
                self._nursery.start_soon(self._hear, known)
        return self._known[name]

    async def _look(self) -> None:
        """Look at the cluster again and again: for new hosts, their labels, and room.

        When the head has been away, the next sidecar looks: Ray does not tell a driver from before where agents are
        that start again, and ends it if the cluster's process on this machine has ended, too.
        """
        is_away = False
        while True:
            try:
                with trio.fail_after(HOST_SILENT_S):
                    cluster = frames.decode_cluster(await self._engine.order(frames.Nodes()))
            except trio.TooSlowError:
                is_away = True
                self._tell_engine(EngineDown(HEAD_AWAY))
            except Problem:
                is_away = False  # the engine has said it
            else:
                if is_away:
                    self._engine.replace_sidecar("the head of the cluster has been away")
                else:
                    self._tell_engine(EngineUp())
                    self._see(cluster)
                    if cluster.has_autoscaler:
                        await self._rest_unused()
                is_away = False
            await trio.sleep(HOST_BEAT_S)

    def _see(self, cluster: Cluster) -> None:
        nodes = hosts_in(cluster)
        for name, node in nodes.items():
            if name != LOCAL:
                self._know(name).node = node
        for name, known in self._known.items():
            if known.link.is_resting and (name in nodes) is isinstance(known.event, HostLost):
                self._rested(known, is_there=name in nodes)
        self._replace_deaf_sidecar(nodes)
        self._reservations.see(cluster)

    def _replace_deaf_sidecar(self, nodes: Mapping[str, Node]) -> None:
        """Replace a sidecar that does not reach the agent of a machine that has come back, once for each silence."""
        for name, known in self._known.items():
            if name in nodes and known.is_deaf_on(nodes[name]) and known.replaced_for != known.last_s:
                known.replaced_for = known.last_s
                self._engine.replace_sidecar(f"it does not reach the agent of {name}, whose machine has come back")

    def _rested(self, known: HeardHost, *, is_there: bool) -> None:
        """The machine of a host without an agent has left the cluster, or has come back."""
        if is_there:
            known.link.wake()
        else:
            self._tell(known, HostLost(known.link.host, "the cluster has removed its machine, which had no session"))

    async def _rest_unused(self) -> None:
        """End agents that no session needs, where the cluster can remove machines: it keeps one that has an agent."""
        try:
            reserved = await self._reservations.hosts_in_use()
        except Problem:
            return
        now_s = trio.current_time()
        for name, known in self._known.items():
            if name in reserved or known.link.is_used or not known.link.is_heard:
                known.unused_since_s = None
            elif known.unused_since_s is None:
                known.unused_since_s = now_s
            elif now_s - known.unused_since_s >= self._deadlines.unused_s:
                await self._rest(known)

    async def _rest(self, known: HeardHost) -> None:
        try:
            if await known.host.opencode.find():
                return
            known.link.rest()
            await self._engine.order(Dismiss(known.link.host))
        except Problem:
            return  # the next look tries again, or finds it silent

    def _is_known(self, name: str) -> bool:
        return name in self._known or name in self._named()

    def _why_unusable(self, name: str) -> str | None:
        """Return why a host takes no session; None if it does, or would if it had to answer."""
        known = self._known.get(name)
        if known is None or not (known.link.is_heard or known.link.is_resting):
            return "which does not answer"
        return None if known.link.last is None else lack_of(known.link.last.info)

    # --------------------------------------------------------------------------------------------------- one heartbeat

    async def _hear(self, known: HeardHost) -> None:
        while True:
            if known.link.is_resting:
                await known.link.woken.wait()
                known.last_s = trio.current_time()
            asked_s = trio.current_time()
            try:
                with trio.fail_after(self._patience_s(known)):
                    await self._beat(known)
            except trio.TooSlowError:
                reason = "no answer to a heartbeat"
            except UnreachableError as error:
                reason = error.reason
            except Problem as problem:
                reason = problem.detail
            except RemoteBugError as bug:
                _log.error("agent_failed", host=known.link.host, error=str(bug))
                reason = "its agent has failed"
            else:
                known.note_heard()
                self._heard(known)
                reason = ""
            if reason and not known.link.is_resting:
                self._not_heard(known, reason)
            await trio.sleep_until(asked_s + HOST_BEAT_S if not reason else trio.current_time() + HOST_BEAT_S / 4)

    def _patience_s(self, known: HeardHost) -> float:
        """Return how long to wait for an answer. The wait for one of a silent host ends when the host is lost."""
        if not isinstance(known.event, HostSilent):
            return self._deadlines.silent_s
        left_s = known.last_s + self._grace_s(known) - trio.current_time()
        return min(self._deadlines.silent_s, max(left_s, HOST_BEAT_S / 4))

    def _grace_s(self, known: HeardHost) -> float:
        last = known.link.last
        return max(self._options.lease_s, 0.0 if last is None else last.lease_s) + self._deadlines.margin_s

    async def _beat(self, known: HeardHost) -> None:
        """Send a heartbeat; find or start the agent first if the sidecar does not know one."""
        try:
            await known.link.beat()
        except UnreachableError as error:
            if not error.is_gone or known.node is None:
                raise
            await self._adopt(known, is_fresh=False)
            await self._replace_other_version(known)
        except (OtherVersion, RemoteBugError):
            await self._replace_other_version(known)
        else:
            await self._replace_other_version(known, known.link.last)

    async def _replace_other_version(self, known: HeardHost, beat: Beat | None = None) -> None:
        """Replace an agent that another Fleet has started, with or without an answer that can be read."""
        try:
            version = (beat or await known.link.beat()).info.version
        except (OtherVersion, RemoteBugError):
            version = _UNREADABLE
        if version not in (__version__, known.upgraded_from):
            _log.info("agent_replaced", host=known.link.host, version=version)
            known.upgraded_from = version  # once: the machine may have that version of Fleet itself
            await self._adopt(known, is_fresh=True)
            await known.link.beat()
        elif version == _UNREADABLE:
            raise OtherVersion("its heartbeat cannot be read, and another agent there answers in the same way")

    async def _adopt(self, known: HeardHost, *, is_fresh: bool) -> None:
        options = msgspec.structs.replace(self._options, host=known.link.host)
        await self._engine.order(Adopt(known.link.host, msgspec.msgpack.encode(options), is_fresh=is_fresh))

    def _heard(self, known: HeardHost) -> None:
        beat = known.link.last
        if beat is None:
            return
        info = msgspec.structs.replace(self._info(known, beat.info), lease_s=beat.lease_s)
        before = known.event.info if isinstance(known.event, HostUp) else None
        known.link.heard()
        if self._nursery is not None and (before is None or before.epoch != info.epoch):
            self._nursery.start_soon(self._pass_on_rehearsal, known)
        self._tell(known, HostUp(info))
        if before is None or lack_of(before) != lack_of(info):
            self._reservations.changed()

    def _info(self, known: HeardHost, said: HostInfo) -> HostInfo:
        """Return what a host says of itself, under the name by which the cluster knows it."""
        said = msgspec.structs.replace(said, name=known.link.host)
        if known.node is None:
            return said
        labels = {
            name: value
            for name, value in known.node.labels.items()
            if name != HOST_LABEL and not name.startswith(_ENGINE_LABELS)
        }
        return msgspec.structs.replace(said, labels=labels, cpus=known.node.cpus)

    def _not_heard(self, known: HeardHost, reason: str) -> None:
        """Report that a host is silent or lost; nothing is reported here of one that never answered."""
        if known.event is None:
            return
        silent_s = trio.current_time() - known.last_s
        evidence = f"it had not been heard for {silent_s:.0f} s: {reason}"
        if silent_s >= self._grace_s(known):
            if not isinstance(known.event, HostLost):
                known.link.is_lost = True
                known.link.silent()
                self._tell(known, HostLost(known.link.host, evidence))
        elif silent_s >= self._deadlines.silent_s and not isinstance(known.event, HostSilent | HostLost):
            known.link.silent()
            self._tell(known, HostSilent(known.link.host, evidence))

    async def _pass_on_rehearsal(self, known: HeardHost) -> None:
        if self._rehearsal is None:
            return
        try:
            await known.link.port("machine").call("offer_rehearsal", self._rehearsal)
        except Problem as problem:
            _log.warning("rehearsal_not_offered", host=known.link.host, detail=problem.detail)

    # --------------------------------------------------------------------------------------------------------- events

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[HostEvent]]:
        """Follow the hosts and the engine (see the port); a reader that does not read ends."""
        return self._watch()

    @asynccontextmanager
    async def _watch(self) -> AsyncGenerator[AsyncIterator[HostEvent]]:
        sender, receiver = trio.open_memory_channel[HostEvent](HOST_EVENTS_MAX)
        known = (known.event for known in self._known.values())
        for event in (self._engine_event, *known):
            if event is not None:
                sender.send_nowait(event)
        self._readers.append(sender)
        async with sender, receiver, trio.open_nursery() as nursery:
            nursery.start_soon(self._pass_on_local, sender)
            try:
                yield receiver
            finally:
                if sender in self._readers:
                    self._readers.remove(sender)
            nursery.cancel_scope.cancel()

    async def _pass_on_local(self, reader: trio.MemorySendChannel[HostEvent]) -> None:
        async with self._local.watch() as events:
            async for event in events:
                if reader in self._readers:
                    self._send(reader, event)

    def _engine_changed(self, event: EngineUp | EngineDown) -> None:
        self._reservations.forget()
        self._tell_engine(event)

    def _tell_engine(self, event: EngineUp | EngineDown) -> None:
        self._reservations.away = event.evidence if isinstance(event, EngineDown) else ""
        if type(event) is not type(self._engine_event):
            self._engine_event = event
            self._publish(event)
            self._reservations.changed()

    def _tell(self, known: HeardHost, event: HostUp | HostSilent | HostLost) -> None:
        known.event = event
        self._publish(event)

    def _publish(self, event: HostEvent) -> None:
        for reader in tuple(self._readers):
            self._send(reader, event)

    def _send(self, reader: trio.MemorySendChannel[HostEvent], event: HostEvent) -> None:
        try:
            reader.send_nowait(event)
        except trio.WouldBlock:
            self._readers.remove(reader)
            reader.close()

    # ---------------------------------------------------------------------------------------------------- reservations

    async def require(self, need: Need) -> None:
        """Raise the `Rejected` with which `reserve` would refuse the need now."""
        await trio.lowlevel.checkpoint()
        self._reservations.require(need)

    async def reserve(self, slot: str, need: Need, preferred: tuple[str, ...], delayed: OnDelay) -> str:
        """Reserve room (see the port)."""
        name = await self._reservations.reserve(slot, need, preferred, delayed)
        if name != LOCAL and self._known[name].link.is_resting:
            self._known[name].link.wake()
            with trio.move_on_after(self._deadlines.silent_s):
                await self._known[name].link.wait_heard()
        return name

    async def release(self, slot: str) -> None:
        """Give the room of a slot back. Raises `Unavailable` engine_down."""
        await self._reservations.release(slot)

    async def slots(self) -> Mapping[str, str]:
        """Return the slots with their hosts (see the port)."""
        return await self._reservations.slots()
