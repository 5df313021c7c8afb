"""Moves workspaces to another host when their host is lost, or is drained and no session of theirs runs there any more.

A lost host has no process of Fleet: the lease of each has ended (core/hosts.py). So a session never works at two
places. The workspace is made on the other host from the work that was saved last; on a drained host, it is saved again
before the move. What it leaves there is recorded in `left`.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import trio
from msgspec.structs import replace

from fleet.actors.context import Context
from fleet.actors.effects.rooms import Rooms
from fleet.actors.effects.saving import save
from fleet.actors.runtime.aggregate import Deliver
from fleet.actors.runtime.causation import cause_here
from fleet.actors.runtime.retry import Patience, persist
from fleet.core.hosts import HOSTS_ID
from fleet.core.instance.state import OVER
from fleet.core.session.state import State
from fleet.core.times import rfc3339
from fleet.core.workspace.commands import MoveWorkspace, WorkspaceCommand
from fleet.core.workspace.state import State as Workspace
from fleet.errors import Unavailable
from fleet.limits import HOST_RETRY_S, TURN_RECHECK_S
from fleet.ports import LOCAL, OnDelay, WorkspaceSpec

Work = Callable[[], Awaitable[WorkspaceSpec | None]]
"""Finds where a workspace is from now on; None if that has to be decided again."""


class Moves:
    """Chooses the host of a session's workspace before the session works there."""

    def __init__(self, context: Context, rooms: Rooms) -> None:
        self._context = context
        self._rooms = rooms

    async def place(self, session: State, spec: WorkspaceSpec, delayed: OnDelay) -> WorkspaceSpec:
        """Reserve room for the session where its workspace is or will be, and return the spec with that host.

        It waits for the host and for room if necessary, and decides again when the host is lost or drained meanwhile.
        A workspace that was never made moves away from a host that does not answer. A session that has been somewhere
        also waits for the engine, because the loss of a host may be found while the engine is down. Raises as
        `Rooms.place`.
        """
        while True:
            workspace = self._context.views.workspaces.get(spec.workspace_id)
            host = None if workspace is None or workspace.spec is None else workspace.spec.host
            if workspace is None or host in (None, LOCAL):
                return await self._rooms.place(session, spec, delayed)
            work: Work = partial(self._rooms.place, session, spec, delayed)
            if _is_stuck(workspace):
                work = partial(self._place_again, session, workspace, delayed)
            elif self._why_left(host) is not None:
                work = partial(self._move, session, workspace, host, delayed)
            placed = await self._while_unchanged(host, partial(_once_engine_answers, work, delayed))
            if placed is not None:
                return replace(spec, host=placed.host)

    async def _move(self, session: State, workspace: Workspace, source: str, delayed: OnDelay) -> WorkspaceSpec | None:
        """Move the workspace; None if it changed meanwhile, so that the decision has to be made again."""
        if self._is_lost(source):
            claims = workspace.claims
        else:
            await self._left(workspace.id, source, delayed)
            claims = workspace.claims
            await save(self._context, workspace.id)
        host = await self._rooms.elsewhere(session, frozenset((source, *_held_by(workspace))), delayed)
        return await self._moved(session, workspace, host, claims, self._why_left(source) or "")

    async def _place_again(self, session: State, workspace: Workspace, delayed: OnDelay) -> WorkspaceSpec | None:
        """Move a workspace that could not be made to a host with room; None as `_move`."""
        source = workspace.spec
        if source is None:
            return None
        host = await self._rooms.again(session, source.host, _held_by(workspace), delayed)
        if host == source.host:
            return source
        return await self._moved(session, workspace, host, workspace.claims, f"{source.host} did not answer")

    async def _moved(
        self, session: State, workspace: Workspace, host: str, claims: int, evidence: str
    ) -> WorkspaceSpec | None:
        source = "" if workspace.spec is None else workspace.spec.host
        at_ms = self._context.clock.now_ms()
        command = MoveWorkspace(source=source, host=host, claims=claims, evidence=evidence, at_ms=at_ms)
        deliver = Deliver[WorkspaceCommand](command, cause_here(f"session:{session.id}"))
        spec = (await self._context.actors.workspaces.ask(workspace.id, deliver)).state.spec
        return spec if spec is not None and spec.host == host else None

    async def _left(self, workspace_id: str, host: str, delayed: OnDelay) -> None:
        """Wait until no process of this host works for a session of the workspace."""
        while self._runs(workspace_id, host):
            await delayed(f"the end of what still runs in its workspace on {host}, which is drained")
            await trio.sleep(TURN_RECHECK_S)

    def _runs(self, workspace_id: str, host: str) -> bool:
        sessions = self._context.views.sessions
        used = (sessions.get(each) for here in self._processes(host) for each in here)
        return any(state is not None and state.workspace_id == workspace_id for state in used)

    def _processes(self, host: str) -> list[dict[str, str]]:
        instances = self._context.views.instances
        return [state.sessions for state in instances if state.host == host and state.phase not in OVER - {"stopping"}]

    async def _while_unchanged(self, host: str, work: Work) -> WorkspaceSpec | None:
        """Return what `work` returns; None if the host was lost, came back, was drained or undrained meanwhile."""
        before = self._status(host)
        error: Exception | None = None
        done: WorkspaceSpec | None = None

        async def watch() -> None:
            views = self._context.views.hosts
            while self._status(host) == before:
                await views.change_of(HOSTS_ID, views.get(HOSTS_ID))
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            try:
                done = await work()
            except Exception as raised:  # raised below, outside of the nursery, which would wrap it in a group
                error = raised
            nursery.cancel_scope.cancel()
        if error is not None:
            raise error
        return done

    def _status(self, host: str) -> tuple[bool, bool]:
        known = self._context.known_hosts.host(host)
        return known.phase == "lost", known.draining_since_ms is not None

    def _is_lost(self, host: str) -> bool:
        return self._context.known_hosts.host(host).phase == "lost"

    def _why_left(self, host: str) -> str | None:
        """Return why workspaces leave the host; None if they stay."""
        known = self._context.known_hosts.host(host)
        if known.phase == "lost":
            return f"{host} is lost since {rfc3339(known.since_ms)}: {known.evidence}"
        return None if known.draining_since_ms is None else f"{host} is drained"


def _is_stuck(workspace: Workspace) -> bool:
    """Return whether the workspace could not be made, because its host did not answer."""
    return workspace.phase == "failed" and workspace.prepared is None and workspace.failure_code == "host_unreachable"


def _held_by(workspace: Workspace) -> frozenset[str]:
    """Return the hosts that may still have an older directory of the workspace."""
    return frozenset(left.spec.host for left in workspace.left)


def why_drained(context: Context, instance_id: str) -> str | None:
    """Return why a session leaves the host of its process before its next turn; None if the host is not drained."""
    host = context.host_of_instance(instance_id).name
    is_drained = host in context.known_hosts.draining
    return f"the host {host} is drained: the session moves to another one" if is_drained else None


async def _once_engine_answers(work: Work, delayed: OnDelay) -> WorkspaceSpec | None:
    """Return what `work` returns, and repeat it while the engine of the hosts does not answer."""

    async def attempt() -> WorkspaceSpec | None:
        try:
            return await work()
        except Unavailable as problem:
            if problem.code == "engine_down":
                await delayed("the engine of the hosts, which does not answer")
            raise

    return await persist(attempt, Patience("move_waits_for_engine", only=("engine_down",)), every_s=HOST_RETRY_S)
