"""The `Removals` port of another host: the server has all work before anything of it is removed.

`keep` preserves the workspace in the host's mirror and brings that, with every branch that was changed there, into the
source repository. `restore` works on any host: it gets the work from the source repository.
"""

from fleet.adapters.git import branches, restores, returned_refs
from fleet.adapters.git.mirrors import is_ancestor
from fleet.adapters.git.preservation_commit import Saved, kept_ref, load
from fleet.adapters.git.repository import is_commit, read_ref
from fleet.adapters.travel.courier import Courier, Head
from fleet.adapters.travel.places import HostPlaces
from fleet.errors import Rejected
from fleet.ports import PreservedWork, Preview, Removals, Source, WorkspaceSpec


class TravellingRemovals:
    """Removes and restores workspaces on the host whose own adapter is `node`. `head` are the server's."""

    def __init__(self, head: Head, node: Removals, places: HostPlaces, courier: Courier) -> None:
        self._head = head.workspaces
        self._trees = head.trees
        self._node = node
        self._places = places
        self._courier = courier

    async def keep(self, order: WorkspaceSpec) -> PreservedWork:
        """Preserve what exists only in the workspace, in the source repository (see the port)."""
        _, repository = await self._source(order)
        kept = await self._node.keep(self._places.order(order, repository))
        await self._courier.bring(repository, order.workspace_id)
        return kept

    async def preview(self, order: WorkspaceSpec) -> Preview:
        """Return what `keep` and `remove` would do (see the port)."""
        _, repository = await self._source(order)
        return await self._node.preview(self._places.order(order, repository))

    async def remove(self, order: WorkspaceSpec, kept: PreservedWork) -> None:
        """Remove a workspace that has not changed since it was preserved (see the port)."""
        _, repository = await self._source(order)
        await self._courier.bring(repository, order.workspace_id)
        await self._require_kept(repository, order, kept)
        await self._node.remove(self._places.order(order, repository), kept)
        async with self._head.locks.hold(repository):
            await returned_refs.release(repository, self._places.name, order, kept.commit)

    async def restore(self, order: WorkspaceSpec, kept: PreservedWork) -> None:
        """Restore a workspace on this host, wherever it was (see the port)."""
        source, repository = await self._source(order)
        await self._courier.bring(repository, order.workspace_id)  # it may have been here, with later work
        also = await returned_refs.kept_refs(repository, order.workspace_id)
        named = {"commit": kept.commit, "head": kept.head}
        for name, commit in named.items():
            if commit is not None and await is_commit(repository, commit):
                also[f"refs/fleet/bases/{order.workspace_id}/{name}"] = commit
        if order.strategy == "worktree":
            also |= await self._branches(repository, kept)
        await self._courier.deliver(source, repository, also)
        await self._node.restore(self._places.order(order, repository), kept)
        await self._trees.borrow(order.workspace_id, repository, kept.head)
        await self._courier.bring(repository, order.workspace_id)

    async def _source(self, order: WorkspaceSpec) -> tuple[Source, str]:
        """Return the source and its repository: without them no work can be preserved."""
        if order.strategy == "existing":
            raise Rejected(
                "invalid",
                f"{order.source_directory!r} is a person's own directory, which Fleet never removes",
                field="cleanupWorkspace",
                hint="Only worktrees and clones can be removed.",
            )
        source = await self._head.inspect(order.source_directory)
        return source, await self._head.repository_of(source)

    async def _require_kept(self, repository: str, order: WorkspaceSpec, kept: PreservedWork) -> None:
        if kept.commit is None:
            return
        there = await read_ref(repository, kept_ref(order.workspace_id))
        if there is None or not await is_ancestor(repository, kept.commit, there):
            raise Rejected(
                "workspace_dirty",
                f"The preserved work ({kept.commit[:12]}) is not under {kept_ref(order.workspace_id)}",
                hint="Try again: Fleet will preserve its current content first.",
            )

    async def _branches(self, repository: str, kept: PreservedWork) -> dict[str, str]:
        """Return branches that the host needs at another commit than the source has them.

        The source has an older one if a checkout there uses it. Raises `Rejected` branch_exists if it has others.
        """
        saved = Saved("", kept.head, kept.branch, None, None)
        if kept.commit is not None:
            saved = await load(repository, kept.commit)
        found: dict[str, str] = {}
        for branch, wanted in restores.wanted_branches(saved).items():
            there = await branches.tip(repository, branch)
            if there is None or there == wanted:
                continue
            if not await is_ancestor(repository, there, wanted) or not await returned_refs.given_by_a_host(
                repository, branch, wanted
            ):
                raise restores.refuse_moved(branch, there, wanted)
            found[f"refs/heads/{branch}"] = wanted
        return found
