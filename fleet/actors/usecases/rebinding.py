"""Binds a workspace to the new place of its repository after the project was moved or renamed.

The event is in the log before anything on disk changes; a repeated request repairs what a crash has left.
"""

import msgspec
import trio

from fleet.actors.caller import Caller
from fleet.actors.context import Context, WorkspaceReply
from fleet.actors.effects.workspace_check import look
from fleet.actors.usecases.workspace_roots import WorkspaceRoots
from fleet.core.paths import is_inside
from fleet.core.workspace.commands import RebindWorkspace
from fleet.core.workspace.state import State
from fleet.errors import Rejected
from fleet.ports import WorkspaceSpec


class Rebinding:
    """Rebinds workspaces, on one Fleet."""

    def __init__(self, context: Context, roots: WorkspaceRoots) -> None:
        self._context = context
        self._roots = roots
        self._binding = trio.Lock()

    async def rebind(self, workspace_id: str, directory: str, caller: Caller) -> WorkspaceReply:
        """Let a worktree or clone have its source in `directory` from now on.

        Raises `Rejected`: workspace_not_found, workspace_existing, workspace_busy, what `Workspaces.inspect` refuses of
        the directory, not_a_repository, source_unrelated where the repository there is another one, and invalid where
        it has this workspace as its own source.
        """
        state = self._context.views.workspaces.get(workspace_id)
        if state is None or state.spec is None:
            raise Rejected("workspace_not_found", f"there is no workspace {workspace_id}")
        if state.spec.strategy == "existing":
            raise Rejected("workspace_existing", "a directory that was there before Fleet has no source")
        spec = msgspec.structs.replace(state.spec, source_directory=await self._found(state, state.spec, directory))
        command = RebindWorkspace(source_directory=spec.source_directory, at_ms=self._context.clock.now_ms())
        async with self._binding:  # two that are bound to each other at once would make a ring
            self._require_elsewhere(workspace_id, spec.source_directory)
            reply = await self._context.actors.workspaces.ask(workspace_id, caller.deliver(command))
        if reply.state.phase == "ready":
            await self._context.at(spec.host).workspaces.relink(spec)
        seen = await look(self._context, workspace_id)
        return reply if seen is None else msgspec.structs.replace(reply, state=seen)

    async def _found(self, state: State, spec: WorkspaceSpec, directory: str) -> str:
        """Return the real directory, in a repository that has what the workspace began with."""
        named = msgspec.structs.replace(spec, source_directory=directory)
        head = None if state.prepared is None else state.prepared.head
        try:
            source = await self._context.at(spec.host).workspaces.require_related(named, head)
        except Rejected as rejected:
            rejected.field = "sourceDirectory"
            raise
        self._roots.require(source.directory)
        return source.directory

    def _require_elsewhere(self, workspace_id: str, directory: str) -> None:
        """Reject a directory made from the workspace itself: preserved work would be removed with it."""
        specs = [each.spec for each in self._context.views.workspaces if each.spec is not None]
        made = [spec for spec in specs if spec.strategy != "existing"]
        place: str | None = directory
        for _ in made:  # each is met once at most
            above = next((spec for spec in made if place and is_inside(place, (spec.directory,))), None)
            if above is not None and above.workspace_id == workspace_id:
                raise Rejected(
                    "invalid",
                    f"{directory!r} is in this workspace, or made from this workspace",
                    field="sourceDirectory",
                    hint="Name the directory that the project was moved to.",
                )
            place = None if above is None else above.source_directory
