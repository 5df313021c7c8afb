"""The use cases of trust: show the commands of a repository, allow them, revoke the permission."""

from fleet.actors.caller import Caller
from fleet.actors.context import Context
from fleet.actors.usecases.sessions import SessionUseCases
from fleet.actors.usecases.workspace_roots import WorkspaceRoots
from fleet.core import trust as m
from fleet.errors import Rejected
from fleet.ports import Recipe


class Trust:
    """The trust, on one Fleet."""

    def __init__(self, context: Context, sessions: SessionUseCases) -> None:
        self._context = context
        self._sessions = sessions
        self._roots = WorkspaceRoots(context)

    @property
    def allowed(self) -> tuple[m.RecipeAllowed, ...]:
        """What is allowed, the oldest first."""
        state = self._context.views.trust.get(m.TRUST_ID)
        return () if state is None else state.allowed

    def allows(self, repository: str | None, digest: str) -> bool:
        """Return whether this content may run in this repository."""
        state = self._context.views.trust.get(m.TRUST_ID)
        return state is not None and state.allows(repository, digest)

    async def look(self, directory: str) -> tuple[str, Recipe]:
        """Return the repository of a directory, and what the `.fleet.toml` of its checkout asks for.

        Raises as `Workspaces.inspect` and `WorkspaceRoots.require`, and `Rejected` not_a_repository, setup_missing.
        """
        source = await self._context.local.workspaces.inspect(directory)
        self._roots.require(source.top or source.directory)  # the file is read there
        if source.repository is None or source.top is None:
            raise Rejected("not_a_repository", f"{directory!r} is in no checkout of git", field="directory")
        recipe = await self._context.local.scripts.read(source.top)
        if recipe is None:
            raise Rejected("setup_missing", f"{source.top!r} has no .fleet.toml that asks for anything")
        return self._origin_of(source.top) or source.repository, recipe

    def _origin_of(self, top: str) -> str | None:
        """Return the repository that a workspace was made from, which a clone does not record."""
        for session in self._context.views.sessions:
            workspace = self._context.views.workspaces.get(session.workspace_id)
            if workspace is not None and workspace.spec is not None and workspace.spec.directory == top:
                return session.source_repository
        return None

    async def allow(self, directory: str, digest: str, caller: Caller) -> tuple[str, Recipe, int]:
        """Allow what the checkout asks for, if it is still that content. Raises as `look`, and setup_changed."""
        repository, recipe = await self.look(directory)
        return repository, recipe, await self._allow(repository, recipe, digest, caller)

    async def allow_for(self, any_id: str, digest: str, caller: Caller) -> int:
        """Allow what the session waits for. Raises `Rejected` setup_not_waiting, setup_changed."""
        session = self._sessions.session(any_id)
        if session.setup is None or session.source_repository is None or session.setup.status == "skipped":
            raise Rejected("setup_not_waiting", "no set-up of this session waits for a person")
        return await self._allow(session.source_repository, session.setup.recipe, digest, caller)

    async def _allow(self, repository: str, recipe: Recipe, digest: str, caller: Caller) -> int:
        if recipe.digest != digest:
            raise Rejected(
                "setup_changed",
                f"the file's digest is {recipe.digest}, not {digest}",
                hint="Read the commands that it has now, and allow these.",
            )
        return await self._ask(
            m.AllowRecipe(repository=repository, recipe=recipe, at_ms=self._context.clock.now_ms(), actor=caller.actor),
            caller,
        )

    async def revoke(self, repository: str, digest: str | None, caller: Caller) -> int:
        """Revoke what was allowed in a repository. Raises `Rejected` trust_not_found."""
        return await self._ask(
            m.RevokeTrust(repository=repository, digest=digest, at_ms=self._context.clock.now_ms()), caller
        )

    async def _ask(self, command: m.TrustCommand, caller: Caller) -> int:
        return (await self._context.actors.trust.ask(m.TRUST_ID, caller.deliver(command))).position
