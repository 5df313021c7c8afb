"""Applies to processes, workspaces and sessions what is recorded about their hosts: silent, lost, back, or drained.

While a host is silent, its processes are unreachable, with the host's evidence. Once it is lost, so are they: their
lease has ended, and nothing is left there to stop. Their sessions are disconnected, or are resumed on another host
(core/session). A host that answers again is cleared of what does not belong there (leftovers.py), and sessions leave a
drained one as soon as they are idle. A start of Fleet does not wait for a host that is away.
"""

import structlog
import trio

from fleet.actors.context import Context
from fleet.actors.effects.moves import why_drained
from fleet.actors.runtime.aggregate import Deliver
from fleet.actors.upkeep.leftovers import Leftovers
from fleet.core.hosts import HOSTS_ID, KnownHost
from fleet.core.instance import commands
from fleet.core.instance.state import State
from fleet.core.session.commands import CompleteIdleSession, MoveSession, SessionCommand
from fleet.core.times import rfc3339
from fleet.errors import Problem
from fleet.events.envelope import Cause
from fleet.limits import HEALTH_TIMEOUT_S, HOST_SWEEP_S
from fleet.ports import Exit

_log = structlog.get_logger(__name__)

_CAUSE = Cause("policy:hosts")
_DRAIN = Cause("policy:drain")


class Absences:
    """Follows the records of the hosts. `run` fits a `ChildSpec`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._leftovers = Leftovers(context)
        self._silenced: set[str] = set()  # instances that are unreachable because of their host
        self._cleared: dict[str, tuple[str, int]] = {}  # hosts without strangers: epoch, and when it was back from loss
        self._clearing: set[str] = set()

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Apply each change of a host until `stopping`, and look again from time to time while there are others."""
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._follow, nursery)
            await stopping.wait()
            nursery.cancel_scope.cancel()

    async def _follow(self, nursery: trio.Nursery) -> None:
        hosts = self._context.views.hosts
        while True:
            known = hosts.get(HOSTS_ID)
            others = [] if known is None else [host for host in known.hosts.values() if host.facts is not None]
            for host in others:
                try:
                    await self._apply(host)
                    if host.phase == "up" and host.name not in self._clearing:
                        self._clearing.add(host.name)
                        nursery.start_soon(self._clear, host)
                    if host.phase == "up" and host.draining_since_ms is not None:
                        await self._drain(host.name)
                except Problem as problem:  # a full disk: the next look tries again
                    _log.warning("absence_not_recorded", host=host.name, code=problem.code, detail=problem.detail)
            with trio.move_on_after(HOST_SWEEP_S if others else float("inf")):
                await hosts.change_of(HOSTS_ID, known)

    async def _apply(self, host: KnownHost) -> None:
        here = [state for state in self._context.views.instances if state.host == host.name]
        if host.phase == "lost":
            for instance in here:
                if instance.phase not in ("stopped", "lost"):
                    await self._lose(instance, host)
        elif host.phase == "silent":
            for instance in here:
                if instance.phase in ("ready", "unreachable"):
                    await self._silence(instance, host)
        else:
            for instance in here:
                if instance.id in self._silenced:
                    await self._hear(instance)

    async def _clear(self, host: KnownHost) -> None:
        """Remove what does not belong on a host that answers. A call that gets no answer takes its time."""
        state = (host.facts.epoch if host.facts else "", host.since_ms)
        try:
            if self._cleared.get(host.name) != state:
                await self._leftovers.stop_strangers(host.name)
                self._cleared[host.name] = state
            for workspace_id, left in self._leftovers.on(host.name):
                await self._leftovers.remove(workspace_id, left)
        except Problem as problem:
            _log.info("host_not_cleared", host=host.name, code=problem.code, detail=problem.detail)
        finally:
            self._clearing.discard(host.name)

    async def _drain(self, host: str) -> None:
        """Let the idle sessions leave the host, and those in error their process: they move when they are resumed."""
        for session in list(self._context.views.sessions):
            instance_id = session.opencode.instance_id
            if instance_id is None or self._context.host_of(session.workspace_id).name != host:
                continue
            evidence = why_drained(self._context, instance_id) or ""
            command: SessionCommand | None = None
            if session.phase == "idle":
                command = MoveSession(evidence=evidence, at_ms=self._now())
            elif session.phase == "error":
                command = CompleteIdleSession(idle_since_ms=self._now(), evidence=evidence, at_ms=self._now())
            if command is not None:
                await self._context.actors.sessions.ask(session.id, Deliver(command, _DRAIN))

    async def _lose(self, instance: State, host: KnownHost) -> None:
        since = rfc3339(host.since_ms)
        evidence = (
            f"its host {host.name} is lost since {since}: {host.evidence}, which is longer than a process there "
            "continues without this server"
        )
        self._silenced.discard(instance.id)
        await self._tell(
            instance, commands.ReportLost(exit=Exit(), evidence=evidence, host_lost=True, at_ms=self._now())
        )

    async def _silence(self, instance: State, host: KnownHost) -> None:
        evidence = f"its host {host.name} has not answered since {rfc3339(host.since_ms)}: {host.evidence}"
        self._silenced.add(instance.id)
        if instance.evidence != evidence:
            await self._tell(instance, commands.ReportUnreachable(evidence=evidence, of_host=True, at_ms=self._now()))

    async def _hear(self, instance: State) -> None:
        """Report that the process answers, if it does; what follows its events reports it later otherwise."""
        self._silenced.discard(instance.id)
        client = self._context.connections.current(instance.id)
        if instance.phase != "unreachable" or client is None:
            return
        with trio.move_on_after(HEALTH_TIMEOUT_S):
            try:
                await client.health()
            except Problem:
                return
            await self._tell(instance, commands.ReportReachable(at_ms=self._now()))

    async def _tell(self, instance: State, command: commands.InstanceCommand) -> None:
        await self._context.actors.instances.ask(instance.id, Deliver(command, _CAUSE))

    def _now(self) -> int:
        return self._context.clock.now_ms()
