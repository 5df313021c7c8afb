"""The use cases of hosts: what is known of each, and draining."""

from typing import NamedTuple

from fleet.actors.caller import Caller
from fleet.actors.context import Context
from fleet.core import hosts as m
from fleet.core.times import rfc3339
from fleet.errors import Rejected
from fleet.ports import LOCAL, HostInfo


class HostView(NamedTuple):
    """A host as the log has it, what it said last, and how much of this Fleet is there."""

    known: m.KnownHost
    live: HostInfo | None
    processes: int
    sessions: int


class HostUseCases:
    """The hosts of one Fleet."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def views(self) -> list[HostView]:
        """Return the server's machine, then the others in the order in which they were first seen."""
        known = self._context.known_hosts
        return [self._view(each) for each in (known.host(LOCAL), *known.hosts.values())]

    def view(self, name: str) -> HostView:
        """Return what is known of a host. Raises `Rejected` host_not_found."""
        known = self._context.known_hosts
        if name != LOCAL and name not in known.hosts:
            raise Rejected("host_not_found", f"this Fleet has never seen a host {name!r}")
        return self._view(known.host(name))

    async def drain(self, name: str, caller: Caller) -> int:
        """Place no further sessions there; return the log position. Raises `Rejected` host_not_found, host_local."""
        return await self._ask(m.DrainHost(name=name, at_ms=self._context.clock.now_ms()), caller)

    async def undrain(self, name: str, caller: Caller) -> int:
        """Place sessions there again, and return the log position. Raises `Rejected` host_not_found, host_local."""
        return await self._ask(m.UndrainHost(name=name, at_ms=self._context.clock.now_ms()), caller)

    @property
    def engine_lost(self) -> m.EngineLost | None:
        """Since when and why the engine does not answer, None if it does or there is none."""
        return self._context.known_hosts.engine_lost

    def limitations(self) -> list[str]:
        """Return a sentence for the lost engine and each silent host. What was on a lost host can work elsewhere."""
        state = self._context.known_hosts
        engine = [] if state.engine_lost is None else [_engine_words(state.engine_lost)]
        return [*engine, *(_words(self._view(each)) for each in state.hosts.values() if each.phase == "silent")]

    def name_of(self, workspace_id: str) -> str | None:
        """Return the name of the host of a workspace; None while it is not placed, or where it was erased."""
        workspace = self._context.views.workspaces.get(workspace_id)
        return None if workspace is None or workspace.spec is None else workspace.spec.host

    async def _ask(self, command: m.HostsCommand, caller: Caller) -> int:
        return (await self._context.actors.hosts.ask(m.HOSTS_ID, caller.deliver(command))).position

    def _view(self, known: m.KnownHost) -> HostView:
        views = self._context.views
        processes = sum(each.host == known.name for each in views.instances.alive())
        current = (each for each in views.sessions if each.ended_at_ms is None or each.phase == "disconnected")
        sessions = sum(self.name_of(each.workspace_id) == known.name for each in current)
        return HostView(known, self._context.live.get(known.name), processes, sessions)


def _engine_words(lost: m.EngineLost) -> str:
    since = rfc3339(lost.at_ms)
    return f"the engine of the hosts has not answered since {since} ({lost.evidence}): no session can be placed there"


def _words(silent: HostView) -> str:
    known, sessions = silent.known, f"{silent.sessions} session{'' if silent.sessions == 1 else 's'}"
    since = f"has not answered since {rfc3339(known.since_ms)} ({known.evidence})"
    return f"the host {known.name} {since}: {sessions} may still work there"
