"""The shells of a simulated run: variables in memory, which outlive a crash, and ports that others have taken."""

from collections.abc import Mapping

import trio


class FakeShells:
    """The `Shells` port. `variables` are what commands find, by workspace; `taken` are ports that others listen on."""

    def __init__(self) -> None:
        self.variables: dict[str, dict[str, str]] = {}
        self.taken: set[int] = set()

    async def expose(self, workspace_id: str, variables: Mapping[str, str]) -> None:
        await trio.lowlevel.checkpoint()
        self.variables[workspace_id] = dict(variables)

    async def forget(self, workspace_id: str) -> None:
        await trio.lowlevel.checkpoint()
        self.variables.pop(workspace_id, None)

    async def are_free(self, first: int, count: int) -> bool:
        await trio.lowlevel.checkpoint()
        return not self.taken & set(range(first, first + count))
