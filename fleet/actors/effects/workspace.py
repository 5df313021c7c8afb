"""Carries out the effects of a workspace: prepare it, remove it without loss, restore it.

A `Problem` that an effect raises is reported as its failure (failures.py).
"""

from typing import Final

import structlog
import trio

from fleet.actors.context import Context
from fleet.actors.effects.setup import Setups
from fleet.actors.runtime.aggregate import Deliver, ReportBack
from fleet.backoff import backoff_s
from fleet.core.paths import is_inside
from fleet.core.workspace.commands import (
    EraseWorkspace,
    MoveWorkspace,
    ReportPrepared,
    ReportPreserved,
    ReportRemoved,
    ReportRestored,
    WorkspaceCommand,
)
from fleet.core.workspace.effects import Effect, EraseWorkspaceRecords, Prepare, Remove, Restore
from fleet.core.workspace.state import State
from fleet.errors import Problem, Rejected, Unavailable
from fleet.events.envelope import Cause
from fleet.limits import (
    HOST_SILENT_S,
    OUTSIDE_COPY_S,
    WORKSPACE_BUSY_POLL_S,
    WORKSPACE_BUSY_S,
    WORKSPACE_CHECK_S,
    WORKSPACE_DISCARDS_MAX,
)
from fleet.ports import Condition, Need, PreservedWork, WorkspaceSpec
from fleet.projections.views import Views

_log = structlog.get_logger(__name__)

Reporter = ReportBack[WorkspaceCommand]


class WorkspaceEffects:
    """The effects of all workspaces."""

    def __init__(self, context: Context, setups: Setups) -> None:
        self._context = context
        self._setups = setups

    async def perform(self, workspace_id: str, effect: Effect, report: Reporter) -> None:
        """Carry out `effect` for the workspace and report."""
        if isinstance(effect, Prepare):
            await self._prepare(workspace_id, effect, report)
        elif isinstance(effect, Remove):
            await self._remove(workspace_id, effect, report)
        elif isinstance(effect, EraseWorkspaceRecords):
            await erase_workspace(self._context, workspace_id)
        else:
            await self._restore(workspace_id, effect, report)

    def _now(self) -> int:
        return self._context.clock.now_ms()

    async def _prepare(self, workspace_id: str, effect: Prepare, report: Reporter) -> None:
        try:
            await self._release(workspace_id)  # it may be created again: OpenCode must not use what it knew of it
            host = self._context.at(effect.spec.host)
            if effect.saved is not None:
                await host.removals.restore(effect.spec, effect.saved)
            prepared = await host.workspaces.prepare(effect.spec)
        except Exception:
            state = self._context.views.workspaces.get(workspace_id)
            if state is None or state.prepared is None:  # else what is left of the one that was lost is work
                await self._discard(effect)
            raise
        await report(ReportPrepared(prepared=prepared, at_ms=self._now()))

    async def _discard(self, effect: Prepare) -> None:
        """Remove what the attempt has left, with retries; if they fail, the next attempt or start removes it."""
        for attempt in range(1, WORKSPACE_DISCARDS_MAX + 1):
            try:
                await self._context.at(effect.spec.host).workspaces.discard(effect.spec)
            except Problem as problem:
                _log.warning("workspace_not_discarded", workspace=effect.spec.workspace_id, detail=problem.detail)
                await trio.sleep(backoff_s(attempt))
            else:
                return

    # ------------------------------------------------------------------------------------------------------ removal

    async def _remove(self, workspace_id: str, effect: Remove, report: Reporter) -> None:
        """Preserve work, log it, remove the workspace; retried for a limited time while a process works there.

        Of a workspace on a lost host, the server has what was saved last. Its directory is a leftover of the host.
        """
        require_unused(self._context.views, workspace_id, effect.spec)
        await self._tear_down(workspace_id, report)
        saved = saved_of_lost(self._context, workspace_id)
        if saved is not None:
            await report(ReportPreserved(kept=saved, at_ms=self._now()))
            await report(ReportRemoved(left=True, at_ms=self._now()))
            return
        deadline, host = trio.current_time() + WORKSPACE_BUSY_S, self._context.at(effect.spec.host)
        while True:
            try:
                await self._release(workspace_id)
                kept = await host.removals.keep(effect.spec)
                await report(ReportPreserved(kept=kept, at_ms=self._now()))
                require_unused(self._context.views, workspace_id, effect.spec)
                await host.shells.forget(workspace_id)  # before: what fails after the removal denies it
                await host.removals.remove(effect.spec, kept)
            except Problem as problem:
                if problem.code in _PASSING and trio.current_time() < deadline:
                    await trio.sleep(WORKSPACE_BUSY_POLL_S)
                    continue
                raise
            await report(ReportRemoved(at_ms=self._now()))
            return

    async def _tear_down(self, workspace_id: str, report: Reporter) -> None:
        """Run the teardown of its set-up once; its failure does not stop the removal."""
        state = self._context.views.workspaces.get(workspace_id)
        torn_down = None if state is None else await self._setups.tear_down(state)
        if torn_down is not None:
            await report(torn_down)

    async def _release(self, workspace_id: str) -> None:
        """Make every OpenCode process release the directory: a prompt there would run as if it still existed."""
        state = self._context.views.workspaces.get(workspace_id)
        if state is None or state.prepared is None:
            return
        for instance in self._context.views.instances.alive():
            client = self._context.connections.current(instance.id)
            if client is not None:
                try:
                    await client.dispose(state.prepared.directory)
                except Problem as problem:
                    _log.info("directory_not_released", instance=instance.id, code=problem.code)

    async def _restore(self, workspace_id: str, effect: Restore, report: Reporter) -> None:
        if saved_of_lost(self._context, workspace_id) is not None:
            await self._restore_elsewhere(workspace_id, effect.spec, report)
            return
        await self._context.at(effect.spec.host).removals.restore(effect.spec, effect.kept)
        await report(ReportRestored(at_ms=self._now()))

    async def _restore_elsewhere(self, workspace_id: str, spec: WorkspaceSpec, report: Reporter) -> None:
        """Let the workspace be made on another host than its lost one. The session that resumes there reserves room.

        Raises `Unavailable` host_unreachable if no other host has room now.
        """
        state, known = self._context.views.workspaces.get(workspace_id), self._context.known_hosts
        if state is None:
            return
        away = known.lost | known.draining | {left.spec.host for left in state.left}
        policy, slot = self._context.policy, f"restore-{workspace_id}"
        need = Need(cpus=policy.host_cpus, memory_mb=policy.host_memory_mb, avoid=frozenset(away))

        async def refuse(reason: str) -> None:
            said = f"its host {spec.host} is lost, and no other host takes it: it would wait for {reason}"
            raise Unavailable("host_unreachable", said)

        try:
            host = await self._context.hosts.reserve(slot, need, (), refuse)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + HOST_SILENT_S):
                await self._context.hosts.release(slot)
        evidence = f"{spec.host} is lost, and the workspace is restored"
        at_ms = self._now()
        await report(MoveWorkspace(source=spec.host, host=host, claims=state.claims, evidence=evidence, at_ms=at_ms))


def saved_of_lost(context: Context, workspace_id: str) -> PreservedWork | None:
    """Return the work that was saved last of a workspace whose host is lost; None if its host is not lost."""
    state = context.views.workspaces.get(workspace_id)
    if state is None or state.spec is None or state.spec.host not in context.known_hosts.lost:
        return None
    at = state.prepared
    return state.saved or PreservedWork(None, None, None if at is None else at.branch, None if at is None else at.head)


async def erase_workspace(context: Context, workspace_id: str) -> None:
    """Erase the payloads of the workspace's events. Idempotent. Raises as `Log.erase`."""
    await context.log.erase(context.views.workspaces.stream(workspace_id))
    context.views.workspaces.erased(workspace_id)


async def forget_trees(context: Context, workspace_id: str) -> None:
    """Delete snapshots that no session needs any more, neither for its diffs nor as the origin of a fork.

    What a session with a damaged stream needs is not known.
    """
    if context.views.sessions.damaged:
        return
    for state in context.views.sessions:
        if workspace_id in (state.workspace_id, state.settings.origin and state.settings.origin.workspace_id):
            return
    try:
        await context.host_of(workspace_id).trees.forget(workspace_id)
    except Problem as problem:  # the session is erased nevertheless
        _log.warning("trees_not_forgotten", workspace=workspace_id, detail=problem.detail)


async def forget_workspace(context: Context, workspace_id: str, cause: Cause) -> None:
    """Erase a workspace that is gone and whose sessions are all erased: its branch may be named after a title.

    A session whose stream is damaged is not erased, and may be one of them. What is left on a host that is away can
    only be found with the record of the workspace, which is erased after it.
    """
    views = context.views
    state = views.workspaces.get(workspace_id)
    if state is None or state.phase not in ("removed", "failed") or state.sessions or state.left:
        return
    if views.sessions.damaged:
        return
    if any(session.workspace_id == workspace_id for session in views.sessions):
        return
    await _forget_snapshots(context, state)
    command = EraseWorkspace(at_ms=context.clock.now_ms())
    try:
        await context.actors.workspaces.ask(workspace_id, Deliver(command, cause))
    except Rejected as rejected:  # another request has erased it
        _log.info("workspace_not_erased", workspace=workspace_id, code=rejected.code)
    await erase_workspace(context, workspace_id)


async def _forget_snapshots(context: Context, state: State) -> None:
    """Let OpenCode keep no contents of the files of a workspace that is gone."""
    if state.spec is None:
        return
    named, made = state.spec.directory, state.prepared
    with trio.move_on_after(OUTSIDE_COPY_S):
        try:
            for directory in {named, named if made is None else made.directory}:  # a host may have it in another place
                await context.at(state.spec.host).opencode.forget_directory(directory)
        except Problem as problem:  # the workspace is erased nevertheless
            _log.warning("snapshots_not_forgotten", workspace=state.id, detail=problem.detail)


def require_unused(views: Views, workspace_id: str, spec: WorkspaceSpec) -> None:
    """Raise `Rejected` if sessions use a directory of this workspace through another workspace."""
    for state in views.sessions:
        works = state.phase not in ("stopped", "erased") and is_inside(state.directory, (spec.directory,))
        if works and state.workspace_id != workspace_id:
            raise Rejected(
                "workspace_busy", f"the session {state.id} works in {state.directory!r}", hint="Stop it first."
            )


async def condition_of(context: Context, state: State) -> Condition | None:
    """Return the condition of a workspace's checkout; None if the check takes too long."""
    if state.phase != "ready" or state.prepared is None or state.fault is not None:
        return None
    with trio.move_on_after(WORKSPACE_CHECK_S):
        try:
            return await context.host_of(state.id).workspaces.condition(state.prepared.directory)
        except Problem as problem:
            _log.info("workspace_not_looked_at", workspace=state.id, detail=problem.detail)
    return None


_PASSING: Final = frozenset(("workspace_busy", "workspace_dirty"))
"""Problems that may soon be over: a process that is ending, a file that is being written."""
