"""The `Trees` port of another host: trees are taken there and stored on the server.

The server has each tree before `take` returns, so what reads trees needs no host. What writes to a workspace or reads
it gets the tree on the host first, if that lacks it.
"""

from fleet.adapters.git.trees import GitTrees
from fleet.adapters.travel.courier import Courier
from fleet.adapters.travel.places import HostPlaces
from fleet.errors import Problem
from fleet.ports import FileChange, FileContent, Listing, Trees


class TravellingTrees:
    """Trees of workspaces on the host whose own adapter is `node`. `head` is the server's."""

    def __init__(self, head: GitTrees, node: Trees, places: HostPlaces, courier: Courier) -> None:
        self._head = head
        self._node = node
        self._places = places
        self._courier = courier

    async def take(self, workspace_id: str, directory: str) -> str:
        """Snapshot a directory of the host, store the tree on the server and return its id (see the port)."""
        tree = await self._node.take(workspace_id, directory)
        await self._courier.bring_tree(workspace_id, tree)
        return tree

    async def diff(self, workspace_id: str, before: str, after: str) -> tuple[FileChange, ...]:
        """Return the differences between two trees (see the port)."""
        return await self._head.diff(workspace_id, before, after)

    async def compare(self, workspace_id: str, before: str, directory: str) -> tuple[FileChange, ...]:
        """Return the differences between a tree and a directory of the host (see the port)."""
        try:
            return await self._node.compare(workspace_id, before, directory)
        except Problem as problem:
            if problem.code != "tree_gone":
                raise
        await self._courier.deliver_tree(workspace_id, workspace_id, before, directory)  # it was taken on another host
        return await self._node.compare(workspace_id, before, directory)

    async def lay_out(self, workspace_id: str, tree: str, directory: str) -> None:
        """Replace the files of a directory of the host with those of a tree (see the port).

        The host stores the tree for the workspace of the directory, whose end removes it.
        """
        here = self._places.workspace_of(directory) or workspace_id
        await self._courier.deliver_tree(workspace_id, here, tree, directory)
        await self._node.lay_out(here, tree, directory)

    async def read(self, workspace_id: str, tree: str, path: str) -> Listing | FileContent:
        """Return what is at `path` in a tree (see the port)."""
        return await self._head.read(workspace_id, tree, path)

    async def forget(self, workspace_id: str) -> None:
        """Remove all trees of a workspace, first those of the server. Idempotent."""
        await self._head.forget(workspace_id)
        await self._node.forget(workspace_id)
