"""The workspace roots in force: the configured ones, narrowed by what clients have chosen.

A change applies at once to new sessions and to the directory browser. Existing sessions continue, so no work is lost.
"""

from fleet.actors.caller import Caller
from fleet.actors.context import Context
from fleet.core import workspace_roots as m
from fleet.core.paths import is_inside
from fleet.errors import Rejected, Unavailable


class WorkspaceRoots:
    """The roots, on one Fleet."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def configured(self) -> tuple[str, ...]:
        """What the configuration allows."""
        return self._context.policy.workspace_roots

    @property
    def chosen(self) -> tuple[str, ...]:
        """What clients have chosen. Raises `Unavailable` event_damaged: without it, more would be allowed."""
        if self._context.views.roots.damaged:
            raise Unavailable("event_damaged", "the chosen workspace roots cannot be read: their stream is damaged")
        state = self._context.views.roots.get(m.ROOTS_ID)
        return () if state is None else state.paths

    @property
    def allowed(self) -> tuple[str, ...]:
        """What is in force."""
        return m.allowed(self.configured, self.chosen)

    async def choose(self, path: str, caller: Caller) -> int:
        """Choose a workspace root and return the log position. Raises as `Workspaces.inspect`, and roots_full."""
        try:
            source = await self._context.local.workspaces.inspect(path)
        except Rejected as rejected:
            rejected.field = "path"
            raise
        if not is_inside(source.directory, self.configured):  # one of Fleet's own workspaces is no root
            raise outside(path, "path")
        return await self._ask(m.AddWorkspaceRoot(path=source.directory, at_ms=self._context.clock.now_ms()), caller)

    async def withdraw(self, path: str, caller: Caller) -> int:
        """Withdraw a chosen workspace root and return the log position. Raises `Rejected` root_not_found."""
        return await self._ask(m.RemoveWorkspaceRoot(path=path, at_ms=self._context.clock.now_ms()), caller)

    async def _ask(self, command: m.WorkspaceRootCommand, caller: Caller) -> int:
        return (await self._context.actors.roots.ask(m.ROOTS_ID, caller.deliver(command))).position

    def require(self, directory: str) -> None:
        """Raise `Rejected` directory_outside_roots where no new session may work in this real directory.

        What Fleet has made of an allowed source is allowed as well: a session may start from another's workspace.
        The rules of the configuration itself are those of the port `Workspaces`.
        """
        if self.chosen and not self._is_allowed(directory, self.allowed):
            raise outside(directory, "directory")

    def _is_allowed(self, directory: str, roots: tuple[str, ...]) -> bool:
        if is_inside(directory, roots):
            return True
        specs = [each.spec for each in self._context.views.workspaces if each.spec is not None]
        return any(
            spec.strategy != "existing"
            and is_inside(directory, (spec.directory,))
            and self._is_allowed(spec.source_directory, roots)
            for spec in specs
        )


def outside(path: str, field: str) -> Rejected:
    """Return the refusal of a path that the roots do not allow."""
    return Rejected(
        "directory_outside_roots",
        f"{path!r} is outside of the allowed roots",
        field=field,
        hint="GET /api/workspace-roots has those that are allowed.",
    )
