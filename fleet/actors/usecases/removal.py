"""Ends sessions and workspaces for a caller: stop, clean up, erase, restore.

The session is always stopped first. Then its workspace is removed, if no other session claims it, and only after its
work was preserved (law 9). The session is erased last. Each step is durable before the next one, so an interrupted
request can be repeated.
"""

from typing import Final

import msgspec
import structlog
import trio

from fleet.actors.caller import Caller
from fleet.actors.context import Context, WorkspaceReply
from fleet.actors.effects.erasure import SessionErasure, absent_workspace
from fleet.actors.effects.stored_responses import erasure_key
from fleet.actors.effects.workspace import forget_trees, forget_workspace, saved_of_lost
from fleet.actors.effects.workspace_check import look
from fleet.actors.runtime.aggregate import Deliver
from fleet.actors.usecases.sessions import SessionUseCases
from fleet.core.paths import is_inside
from fleet.core.session.commands import EraseSession
from fleet.core.session.state import State as Session
from fleet.core.workspace.commands import RemoveWorkspace, RestoreWorkspace, WorkspaceCommand
from fleet.core.workspace.state import State
from fleet.errors import Problem, Rejected, Unavailable
from fleet.limits import REMOVAL_WAIT_S, SESSIONS_LISTED_MAX
from fleet.projections.views import Views

_log = structlog.get_logger(__name__)

NOT_ASKED: Final = "it was not asked for"
NOT_OURS: Final = "Fleet did not make the directory: Fleet never removes it"
LEFT: Final = "the OpenCode process {instance} does not answer: the session's turn may still work there"
"""Why a workspace is still there (removal_preview.py reports it before)."""
LEFT_ON: Final = (
    "the host {host} is away: the directory there and the log's records of the workspace are deleted when it is back"
)
_SETTLED: Final = frozenset(("ready", "removed", "failed"))


class Ending(msgspec.Struct, frozen=True):
    """The result for a session and its workspace. `left`: why the workspace still exists; None if it is removed.

    `traces` says what is left of an erased session outside of Fleet, a sentence each.
    """

    session: Session
    workspace: State | None
    left: str | None
    erased: bool
    position: int
    traces: tuple[str, ...] = ()


class RemovalUseCases:
    """Ends sessions, on one Fleet."""

    def __init__(self, context: Context, sessions: SessionUseCases, erasure: SessionErasure) -> None:
        self._context = context
        self._sessions = sessions
        self._erasure = erasure

    async def end(self, any_id: str, caller: Caller, *, cleanup: bool, permanent: bool, force: bool) -> Ending:
        """Stop the session; with `cleanup` or `permanent` its workspace goes too; `permanent` erases the session.

        Raises `Problem` workspace_dirty or workspace_busy where the workspace can't be removed without loss: the
        session has stopped then and is not erased. With `force` it is, and the workspace stays as it is.
        """
        result = await self._sessions.stop(any_id, caller)
        session, left = result.session, NOT_ASKED
        if cleanup or permanent:
            left = await self._remove(session, caller, force=force)
        traces = await self._erase(session.id, caller) if permanent else []
        workspace = self._context.views.workspaces.get(session.workspace_id)
        if permanent:
            await forget_trees(self._context, session.workspace_id)
            await forget_workspace(self._context, session.workspace_id, caller.cause)
            traces += await self._traces(session)
            traces += [LEFT_ON.format(host=each.spec.host) for each in (() if workspace is None else workspace.left)]
        gone = workspace is None or workspace.phase == "removed"
        return Ending(session, workspace, None if gone else left, permanent, self._context.log.head(), tuple(traces))

    async def _traces(self, session: Session) -> list[str]:
        """Return what is left of the erased session outside of Fleet, and was not to be deleted."""
        traces = list[str]()
        branch = None if session.settings.strategy == "existing" else session.settings.branch
        if branch is not None and await self._has_branch(session.source_directory, branch):
            traces.append(f"the repository still has the branch {branch}")
        for fork in self._context.views.sessions:
            if fork.settings.origin is not None and fork.settings.origin.session_id == session.id:
                traces.append(f"session {fork.id} is a fork of it, with a copy of its conversation")
        return traces

    async def _has_branch(self, directory: str, branch: str) -> bool:
        """Return whether the repository may have the branch."""
        workspaces = self._context.local.workspaces
        try:
            found = await workspaces.branches(await workspaces.inspect(directory), branch)
        except Problem as problem:
            _log.info("branches_not_read", directory=directory, code=problem.code)
            return True
        return any(each.kind == "local" and each.name == branch for each in found)

    async def remove(self, workspace_id: str, caller: Caller) -> State:
        """Remove a workspace that no session needs, or only some that have stopped; one that is gone stays so.

        Raises `Rejected` workspace_existing, or workspace_busy, which names the sessions, and nothing has changed then;
        and the problem that kept it from being removed without loss: it is as it was then.
        """
        while True:
            state = await self._settled(workspace_id)
            self._require_unneeded(state)
            if state.phase != "ready":
                return state
            command = RemoveWorkspace(session_ids=state.sessions, claims=state.claims, at_ms=self._now())
            reply = await self._ask_once(workspace_id, command, caller)
            if reply.repeated or reply.state.claims == state.claims:
                break  # else a session came while it was ordered
        state = await self._settled(workspace_id)
        if state.phase == "ready" and state.failure_code is not None:
            raise Problem(state.failure_code, state.failure_detail)
        await forget_workspace(self._context, workspace_id, caller.cause)
        return state

    def _require_unneeded(self, workspace: State) -> None:
        if workspace.spec is not None and workspace.spec.strategy == "existing":
            raise Rejected(
                "workspace_existing", f"{workspace.spec.directory!r} was there before Fleet: Fleet does not remove it"
            )
        needing = [state.id for state in self._context.views.sessions if _needs(state, workspace.id)]
        needing += guests(self._context.views, workspace)
        if needing:
            named = ", ".join(needing[:SESSIONS_LISTED_MAX]) + (", …" if len(needing) > SESSIONS_LISTED_MAX else "")
            raise Rejected(
                "workspace_busy",
                f"sessions need the workspace: {named}",
                hint="Stop them first with DELETE /api/sessions/{id}?cleanupWorkspace=true.",
            )

    async def restore(self, workspace_id: str, caller: Caller) -> State:
        """Restore a removed workspace. Raises the problem that prevented it."""
        await look(self._context, workspace_id)
        repeated = (await self._ask_once(workspace_id, RestoreWorkspace(at_ms=self._now()), caller)).repeated
        state = await self._settled(workspace_id)
        if state.phase != "ready" and not (repeated and state.failure_code is None):
            raise Problem(state.failure_code or "git_failed", state.failure_detail)
        return state

    def _now(self) -> int:
        return self._context.clock.now_ms()

    async def _remove(self, session: Session, caller: Caller, *, force: bool) -> str:
        """Release the workspace, remove it if no other session needs it, and return why it may still exist."""
        views = self._context.views
        while True:
            workspace = views.workspaces.get(session.workspace_id)
            if workspace is None or workspace.spec is None:
                return "it was never made"
            if workspace.spec.strategy == "existing" and session.id not in workspace.sessions:
                return NOT_OURS
            now = views.sessions.get(session.id)
            if now is not None and (now.phase != "stopped" or now.provisioning is not None):
                return "the session was resumed since"
            if now is not None and now.opencode.detaching_from is not None and workspace.spec.strategy != "existing":
                return self._left_behind(now, force=force)
            there = len(guests(views, workspace))
            if force and not there and workspace.sessions == (session.id,):
                await self._end_processes(workspace)
            command = RemoveWorkspace(
                session_ids=(session.id,), claims=workspace.claims, at_ms=self._now(), guests=there > 0
            )
            reply = await self._ask_workspace(workspace.id, command, caller)
            if reply.claims == workspace.claims:
                break  # else a session claimed it meanwhile: check again
        state = await self._settled(workspace.id)
        if there and state.phase == "ready":
            return sessions_work(there, "in its directory")
        if state.phase == "ready" and state.failure_code is not None and not state.sessions and not force:
            raise Problem(
                state.failure_code, state.failure_detail, hint="Use force=true to leave the workspace where it is."
            )
        if state.sessions:
            return sessions_work(len(state.sessions), "in it")
        if workspace.spec.strategy == "existing":
            return NOT_OURS
        return state.failure_detail

    async def _end_processes(self, workspace: State) -> None:
        """Stop processes of sessions in a worktree or clone that is to be removed; others prevent the removal."""
        if workspace.spec is None or workspace.spec.strategy == "existing":
            return
        if saved_of_lost(self._context, workspace.id) is not None:  # its processes have ended
            return
        directory = workspace.spec.directory if workspace.prepared is None else workspace.prepared.directory
        if pids := await self._context.at(workspace.spec.host).opencode.end_in(directory):
            _log.info("remnants_ended", workspace=workspace.id, pids=pids)

    def _left_behind(self, session: Session, *, force: bool) -> str:
        """Return why the workspace remains while the session's OpenCode process may use it. Raises `Problem`."""
        reason = LEFT.format(instance=session.opencode.detaching_from)
        if force:
            return reason
        raise Problem(
            "workspace_busy",
            reason,
            hint="Try again when it answers or has ended, or use force=true to leave the workspace.",
        )

    async def _settled(self, workspace_id: str) -> State:
        workspaces = self._context.views.workspaces
        with trio.move_on_after(REMOVAL_WAIT_S):
            state = await workspaces.wait_while_present(workspace_id, lambda s: s.phase in _SETTLED)
            if state is None:
                raise absent_workspace(self._context.log, workspace_id)
            return state
        raise Unavailable("timed_out", f"workspace {workspace_id} is still being removed", retry_after_s=10)

    async def _erase(self, session_id: str, caller: Caller) -> list[str]:
        """Erase the session and wait for it; return what that leaves outside of Fleet."""
        command = EraseSession(at_ms=self._now())
        with self._erasure.awaited(session_id) as erasing:
            try:
                await self._context.actors.sessions.ask(
                    session_id, Deliver(command, caller.cause, erasure_key(caller), caller.digest)
                )
            except Rejected as rejected:
                if rejected.code != "session_not_found":  # another request has erased it meanwhile
                    raise
            with trio.move_on_after(REMOVAL_WAIT_S):
                return await self._erasure.done(session_id, erasing)
        raise Unavailable("timed_out", "the session is hidden, and its records are still being erased")

    async def _ask_workspace(self, workspace_id: str, command: WorkspaceCommand, caller: Caller) -> State:
        return (await self._context.actors.workspaces.ask(workspace_id, Deliver(command, caller.cause))).state

    async def _ask_once(self, workspace_id: str, command: WorkspaceCommand, caller: Caller) -> WorkspaceReply:
        return await self._context.actors.workspaces.ask(workspace_id, caller.deliver(command))


def _needs(session: Session, workspace_id: str) -> bool:
    """Return whether the session works in the workspace, is about to, or may still have a turn there."""
    stopped = session.phase == "stopped" and session.provisioning is None and session.opencode.detaching_from is None
    return session.workspace_id == workspace_id and not stopped


def guests(views: Views, workspace: State) -> list[str]:
    """Return the sessions that use its directory through their own workspaces: an existing one, or copies."""
    if workspace.prepared is None:
        return []
    place = (workspace.prepared.directory,)
    return [
        session_id
        for other in views.workspaces
        if other.id != workspace.id and other.spec is not None and is_inside(other.spec.source_directory, place)
        for session_id in other.sessions
    ]


def sessions_work(count: int, where: str) -> str:
    """Return why a workspace remains that other sessions need."""
    return f"1 other session works {where}" if count == 1 else f"{count} other sessions work {where}"
