"""The `Removals` port of another host: the server has all work before anything of it is removed.

`keep` preserves the workspace in the host's mirror and brings that, with every branch that was changed there, into the
source repository. `restore` works on any host: it gets the work from the source repository. From then on the workspace
is there. `keep` on the host that had it before returns a ref below `refs/fleet/returned/` if that has other work.
"""

from msgspec.structs import replace

from fleet.adapters.git import branches, restores, returned_refs
from fleet.adapters.git.mirrors import is_ancestor
from fleet.adapters.git.preservation_commit import Saved, load
from fleet.adapters.git.removals import require_removable
from fleet.adapters.git.repository import is_commit
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

    async def keep(self, spec: WorkspaceSpec) -> PreservedWork:
        """Preserve what exists only in the workspace, in the source repository (see the port)."""
        _, repository = await self._source(spec)
        kept = await self._node.keep(self._places.spec(spec, repository))
        await self._courier.bring(repository, spec.workspace_id)
        if kept.commit is None:
            return kept
        return replace(kept, ref=await self._where(repository, spec, kept.commit))

    async def preview(self, spec: WorkspaceSpec) -> Preview:
        """Return what `keep` and `remove` would do (see the port)."""
        _, repository = await self._source(spec)
        return await self._node.preview(self._places.spec(spec, repository))

    async def remove(self, spec: WorkspaceSpec, kept: PreservedWork) -> None:
        """Remove a workspace that has not changed since it was preserved (see the port)."""
        _, repository = await self._source(spec)
        await self._courier.bring(repository, spec.workspace_id)
        if kept.commit is not None:
            await self._where(repository, spec, kept.commit)
        await self._node.remove(self._places.spec(spec, repository), kept)
        await self._courier.release(repository, spec, kept.commit)

    async def restore(self, spec: WorkspaceSpec, kept: PreservedWork) -> None:
        """Restore a workspace on this host, wherever it was (see the port)."""
        source, repository = await self._source(spec)
        await self._courier.bring(repository, spec.workspace_id)  # it may have been here, with later work
        also = await returned_refs.kept_refs(repository, spec.workspace_id)
        named = {"commit": kept.commit, "head": kept.head}
        for name, commit in named.items():
            if commit is not None and await is_commit(repository, commit):
                also[f"refs/fleet/bases/{spec.workspace_id}/{name}"] = commit
        if spec.strategy == "worktree":
            also |= await self._branches(repository, kept)
        await self._courier.deliver(source, repository, also)
        await self._node.restore(self._places.spec(spec, repository), kept)
        await self._trees.borrow(spec.workspace_id, repository, kept.head)
        await self._courier.bring(repository, spec.workspace_id)
        await self._courier.place(repository, spec.workspace_id, kept.commit or kept.head)

    async def _source(self, spec: WorkspaceSpec) -> tuple[Source, str]:
        """Return the source and its repository: without them no work can be preserved."""
        require_removable(spec)
        source = await self._head.inspect(spec.source_directory)
        return source, await self._head.repository_of(source)

    async def _where(self, repository: str, spec: WorkspaceSpec, commit: str) -> str:
        """Return the ref that has the preserved work. Raises `Rejected` workspace_dirty if the server lacks it."""
        ref = await returned_refs.where_kept(repository, self._places.name, spec.workspace_id, commit)
        if ref is None:
            raise Rejected(
                "workspace_dirty",
                f"the preserved work ({commit[:12]}) is not in the repository of {spec.source_directory!r}",
                hint="Try again: Fleet will preserve its current content first.",
            )
        return ref

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
