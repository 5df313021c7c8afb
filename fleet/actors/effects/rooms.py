"""Reserves room for sessions on hosts: it chooses the host of a new workspace, and releases room that is not needed.

A workspace stays on its host, unless that is lost or drained (moves.py). A new one goes to a host that has the
repository already, the one with the fewest sessions first, and else to any that has room. A fork works on the host of
its origin, where OpenCode has the conversation; if that does not answer, on another one. The room of a session is
reserved under its id, and released when it has ended.
"""

from collections import Counter

import structlog
import trio
from msgspec.structs import replace

from fleet.actors.context import Context
from fleet.core.hosts import HOSTS_ID
from fleet.core.hosts import State as KnownHosts
from fleet.core.session.state import ENDED, State
from fleet.core.session.values import SessionSettings
from fleet.errors import Problem, Rejected
from fleet.keyed_locks import Locks
from fleet.limits import ROOM_SWEEP_S
from fleet.ports import LOCAL, Need, OnDelay, WorkspaceSpec

_log = structlog.get_logger(__name__)


class Rooms:
    """The room of all sessions. `run` fits a `ChildSpec`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._slots = Locks()

    async def require(self, settings: SessionSettings) -> None:
        """Raise `Rejected` host_unknown, host_unsuitable if no host can take a session with these settings."""
        if settings.strategy != "existing":
            await self._context.hosts.require(self._need(settings))
        elif settings.host not in (None, LOCAL) or settings.host_labels:
            raise Rejected(
                "host_unsuitable",
                "an existing directory is on the server's own machine",
                field="host",
                hint="Create a worktree or a clone of it on the other host.",
            )

    async def place(self, session: State, spec: WorkspaceSpec, delayed: OnDelay) -> WorkspaceSpec:
        """Reserve room for the session, waiting for it if necessary, and return the spec with the host.

        Raises `Rejected` host_unknown, host_unsuitable; `Unavailable` engine_down.
        """
        if spec.strategy == "existing":
            return spec
        made = self._made_on(spec.workspace_id)
        need = self._need(session.settings)
        if made is not None:
            need = replace(need, host=made, labels={}, avoid=frozenset())
        if need.host == LOCAL:  # its processes are limited otherwise
            return spec
        async with self._slots.hold(session.id):
            host = None
            while host is None:
                host = await self._reserve(session, need, delayed)
                if made is not None and host not in (None, made):  # another session has moved the workspace
                    await self._context.hosts.release(session.id)
                    host = None
                need = need if made is not None else self._need(session.settings)
        return replace(spec, host=host)

    async def elsewhere(self, session: State, avoid: frozenset[str], delayed: OnDelay) -> str:
        """Reserve room for a session whose workspace leaves its host, and return the other host; raises as `place`.

        A host that was chosen by name is given up if it is to be avoided.
        """
        need, named = self._need(session.settings), session.settings.host
        need = replace(need, host=None if named in avoid else named)
        async with self._slots.hold(session.id):
            await self._context.hosts.release(session.id)
            host = None
            while host is None:
                away = self._context.known_hosts.draining | avoid
                host = await self._reserve(session, replace(need, avoid=away), delayed)
        return host

    async def again(self, session: State, failed: str, avoid: frozenset[str], delayed: OnDelay) -> str:
        """Reserve room for a session whose host does not answer, and return the host: that one if there is no other.

        A host that was chosen by name is waited for. Raises as `place`.
        """
        async with self._slots.hold(session.id):
            await self._context.hosts.release(session.id)
            host = None
            while host is None:
                need = self._need(session.settings)
                host = await self._reserve(session, replace(need, avoid=need.avoid | avoid), delayed, failed)
        return host

    async def _reserve(self, session: State, need: Need, delayed: OnDelay, failed: str | None = None) -> str | None:
        """Reserve room and return the host; None if other hosts are drained or lost than when the wait began.

        The host `failed` is the last choice.
        """
        host: str | None = None
        refusal: Problem | None = None
        order, known = self._preferred(session), self._context.known_hosts
        if failed is not None:
            order = (*order, *known.reachable)
        preferred = () if need.host else tuple(name for name in order if name not in (*need.avoid, failed))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._until_changed, known, nursery.cancel_scope)
            try:
                host = await self._context.hosts.reserve(session.id, need, preferred, delayed)
            except Problem as problem:  # the nursery would wrap it in a group
                refusal = problem
            nursery.cancel_scope.cancel()
        if refusal is not None:
            raise refusal
        return host

    async def _until_changed(self, known: KnownHosts, waiting: trio.CancelScope) -> None:
        """End the wait for room when a host is drained, undrained, lost or back."""
        before = (known.draining, known.lost)
        await self._context.views.hosts.wait(HOSTS_ID, lambda state: (state.draining, state.lost) != before)
        waiting.cancel()

    def _need(self, settings: SessionSettings) -> Need:
        policy, origin = self._context.policy, self._origin_host(settings)
        return Need(
            host=settings.host or origin,
            labels=settings.host_labels,
            cpus=policy.host_cpus if settings.cpus is None else settings.cpus,
            memory_mb=policy.host_memory_mb if settings.memory_mb is None else settings.memory_mb,
            avoid=self._context.known_hosts.draining,
        )

    def _origin_host(self, settings: SessionSettings) -> str | None:
        """Return the host of the session that a fork begins with, unless that is away or drained."""
        if settings.origin is None:
            return None
        name = self._context.host_of(settings.origin.workspace_id).name
        return name if self._context.known_hosts.takes_sessions(name) else None

    def _made_on(self, workspace_id: str) -> str | None:
        """Return the host on which the workspace is, None if it is still to be made."""
        state = self._context.views.workspaces.get(workspace_id)
        is_made = state is not None and (state.phase != "failed" or state.prepared is not None)
        return state.spec.host if state is not None and state.spec is not None and is_made else None

    def _preferred(self, session: State) -> tuple[str, ...]:
        """Return the hosts that have the session's repository, those with the fewest sessions first."""
        load: Counter[str] = Counter()
        has_repository: set[str] = set()
        for other in self._context.views.sessions:
            host = self._context.host_of(other.workspace_id).name
            if host == LOCAL or other.id == session.id:
                continue
            load[host] += needs_room(other)
            if other.source_repository == session.source_repository:
                has_repository.add(host)
        avoided = self._context.known_hosts.draining
        return tuple(sorted(has_repository - avoided, key=lambda host: (load[host], host)))

    # ------------------------------------------------------------------------------------------------------ release

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Release room that no session needs, until `stopping`."""
        task_status.started()
        logged = ""
        while not stopping.is_set():
            try:
                await self._release_unneeded()
                logged = ""
            except Problem as problem:  # the engine does not answer
                if problem.code != logged:
                    logged = problem.code
                    _log.warning("rooms_not_released", code=problem.code, detail=problem.detail)
            with trio.move_on_after(ROOM_SWEEP_S):
                await stopping.wait()

    async def _release_unneeded(self) -> None:
        for session_id in await self._context.hosts.slots():
            if not self._is_needed(session_id):
                async with self._slots.hold(session_id):
                    if not self._is_needed(session_id):  # and it was not resumed meanwhile
                        await self._context.hosts.release(session_id)

    def _is_needed(self, session_id: str) -> bool:
        session = self._context.views.sessions.get(session_id)
        return session is not None and needs_room(session)


def needs_room(session: State) -> bool:
    """Return whether a session works on its host, or may begin to without a resume."""
    if session.provisioning is not None or session.opencode.instance_id is not None:
        return True
    return session.phase not in ENDED and session.phase != "error"
