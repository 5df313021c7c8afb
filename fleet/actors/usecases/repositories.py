"""Lists the choices for a new session: the branches of a repository, and the agents, commands and models for it.

The directory has to be allowed by the workspace roots, as for a session.
"""

from collections.abc import Generator
from contextlib import contextmanager

from fleet.actors.context import Context
from fleet.actors.effects.known_offers import KnownOffers, Offered
from fleet.actors.usecases.workspace_roots import WorkspaceRoots
from fleet.errors import Problem
from fleet.ports import Branch, Source


class Repositories:
    """Reads repositories. A rejection names the parameter that contains the directory."""

    def __init__(self, context: Context, known: KnownOffers, roots: WorkspaceRoots) -> None:
        self._workspaces = context.local.workspaces
        self._known = known
        self._roots = roots

    async def branches(self, path: str, query: str) -> tuple[Branch, ...]:
        """Return the branches whose names have `query` in them, the newest first. Raises as `Workspaces` does."""
        with _about("path"):
            source = await self._allowed(path)
            if source.repository is not None:
                self._roots.require(source.repository)
            return await self._workspaces.branches(source, query)

    async def offered(self, directory: str | None) -> Offered | None:
        """Return the offer for a directory; None if none is known. Raises as `Workspaces.inspect`."""
        with _about("directory"):
            return await self._known.find(None if directory is None else await self._allowed(directory))

    async def _allowed(self, directory: str) -> Source:
        source = await self._workspaces.inspect(directory)
        self._roots.require(source.directory)
        return source


@contextmanager
def _about(field: str) -> Generator[None]:
    """Make a rejection name the parameter."""
    try:
        yield
    except Problem as problem:
        problem.field = None if problem.field is None else field
        raise
