"""The port for the shells of agents: environment variables for each workspace, and free ports."""

from collections.abc import Mapping
from typing import Protocol


class Shells(Protocol):
    """The shells in which agents run commands, on this machine."""

    async def expose(self, workspace_id: str, variables: Mapping[str, str]) -> None:
        """Set these variables for every command that starts in the workspace from now on. Raises `Problem`."""
        ...

    async def forget(self, workspace_id: str) -> None:
        """Remove the stored variables of a workspace that is removed. Raises `Problem`."""
        ...

    async def are_free(self, first: int, count: int) -> bool:
        """Return whether none of these ports of the loopback address is in use."""
        ...
