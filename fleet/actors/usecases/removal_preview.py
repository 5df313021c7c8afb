"""Previews the end of a session: whether its workspace would be removed, which work would be preserved, and where.

A preview changes and logs nothing. Its rules are those of removal.py and of the removal (`Removals.preview` looks as
`keep` does), so an ending does the same unless something changes in between.
"""

import msgspec
import trio

from fleet.actors.context import Context
from fleet.actors.effects.workspace import condition_of, require_unused, saved_of_lost
from fleet.actors.usecases.removal import LEFT, NOT_ASKED, NOT_OURS, guests, sessions_work
from fleet.actors.usecases.sessions import SessionUseCases
from fleet.core.session.state import State as Session
from fleet.core.workspace.state import State
from fleet.errors import Problem, Unavailable
from fleet.limits import REMOVAL_WAIT_S
from fleet.ports import Busy, PreservedWork, Preview, WorkspaceSpec


class WorkspacePreview(msgspec.Struct, frozen=True):
    """The workspace after an ending. `reason` says why it would stay, None where it would be removed.

    `blocked`: its removal was asked for and would be refused; an ending without `force` stops there. `kept` is the work
    that would be kept, or was kept when it was removed before. `dirty`: it has uncommitted work, None where that is not
    known.
    """

    state: State
    reason: str | None
    blocked: bool = False
    kept: PreservedWork | None = None
    dirty: bool | None = None


class EndingPreview(msgspec.Struct, frozen=True):
    """A session and its workspace after an ending."""

    session: Session
    workspace: WorkspacePreview | None
    erased: bool


class RemovalPreviews:
    """Makes previews, on one Fleet."""

    def __init__(self, context: Context, sessions: SessionUseCases) -> None:
        self._context = context
        self._sessions = sessions

    async def look(self, any_id: str, *, cleanup: bool, permanent: bool, force: bool) -> EndingPreview:
        """Return what `RemovalUseCases.end` would do. Raises `Rejected` session_not_found, `Unavailable` timed_out."""
        session = self._sessions.session(any_id)
        workspace = self._context.views.workspaces.get(session.workspace_id)
        if workspace is None or workspace.spec is None:
            return EndingPreview(session, None, permanent)
        with trio.move_on_after(REMOVAL_WAIT_S):
            found = await self._workspace(session, workspace, workspace.spec, wanted=cleanup or permanent)
            return EndingPreview(session, found, permanent and (force or not found.blocked))
        raise Unavailable("timed_out", "the inspection of the workspace takes too long", retry_after_s=10)

    async def _workspace(
        self, session: Session, workspace: State, spec: WorkspaceSpec, *, wanted: bool
    ) -> WorkspacePreview:
        if workspace.phase == "removed":
            return WorkspacePreview(workspace, None, kept=workspace.kept)
        condition = await condition_of(self._context, workspace)
        dirty = None if condition is None else condition.dirty
        reason = self._why_left(session, workspace, spec) if wanted else NOT_ASKED
        if reason is not None:
            return WorkspacePreview(workspace, reason, dirty=dirty)
        try:
            preview = await self._removal(session, workspace, spec)
        except Problem as problem:
            return WorkspacePreview(workspace, problem.detail, blocked=True, dirty=dirty)
        return WorkspacePreview(workspace, None, kept=preview.kept, dirty=dirty)

    def _why_left(self, session: Session, workspace: State, spec: WorkspaceSpec) -> str | None:
        """Return why the workspace would remain without a check of its files; None if it would be removed."""
        there = len(guests(self._context.views, workspace))
        others = len([each for each in workspace.sessions if each != session.id])
        if there and workspace.phase == "ready":
            return sessions_work(there, "in its directory")
        if others:
            return sessions_work(others, "in it")
        if spec.strategy == "existing":
            return NOT_OURS
        if workspace.phase == "failed":
            return workspace.failure_detail
        return None if workspace.phase == "ready" else f"it is {workspace.phase}: try again in a moment"

    async def _removal(self, session: Session, workspace: State, spec: WorkspaceSpec) -> Preview:
        """Check the workspace as a removal does. Raises the `Problem` that would prevent the removal."""
        if session.opencode.detaching_from is not None:
            raise Problem("workspace_busy", LEFT.format(instance=session.opencode.detaching_from))
        require_unused(self._context.views, workspace.id, spec)
        saved = saved_of_lost(self._context, workspace.id)
        if saved is not None:
            return Preview(saved, ())
        preview = await self._context.at(spec.host).removals.preview(spec)
        strangers = await self._strangers(session, preview.busy)
        if strangers:
            listed = ", ".join(each.words for each in strangers)
            raise Problem("workspace_busy", f"processes have their working directory in {spec.directory!r}: {listed}")
        return preview

    async def _strangers(self, session: Session, busy: tuple[Busy, ...]) -> list[Busy]:
        """Return those of the processes that would still work there after the session has stopped."""
        instance = (
            None
            if session.opencode.instance_id is None
            else self._context.views.instances.get(session.opencode.instance_id)
        )
        if not busy or instance is None:
            return list(busy)
        stays = len(instance.sessions) > 1  # its server does; what the session's tools have started ends with its turn
        own = {
            found.identity.pid
            for found in await self._context.at(instance.host).opencode.find()
            if found.instance_id == instance.id and not (stays and found.server)
        }
        return [each for each in busy if each.pid not in own]
