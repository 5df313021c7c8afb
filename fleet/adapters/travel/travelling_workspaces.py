"""The `Workspaces` port of another host: sources are on the server, checkouts on the host.

What a person names is inspected and checked on the server. A worktree or clone is made on the host, from its mirror of
the repository, which is brought up to date first. The base of a new branch is resolved on the server.
"""

from pathlib import PurePath

from msgspec.structs import replace

from fleet.adapters.git import branches, returned_refs
from fleet.adapters.git.mirror_offers import left_behind
from fleet.adapters.git.repository import read_ref
from fleet.adapters.git.workspaces import no_subdirectory
from fleet.adapters.git.worktrees import note_ref
from fleet.adapters.travel.courier import Courier, Head
from fleet.adapters.travel.places import HostPlaces, key_of
from fleet.core.paths import is_inside
from fleet.errors import Problem, Rejected
from fleet.ports import Branch, Condition, Fault, PreparedWorkspace, Source, Strategy, Workspaces, WorkspaceSpec

_ELSEWHERE = frozenset(("directory_missing", "not_a_directory"))


class TravellingWorkspaces:
    """Workspaces on the host whose own adapter is `node`. `head` are the server's."""

    def __init__(self, head: Head, node: Workspaces, places: HostPlaces, courier: Courier) -> None:
        self._head = head.workspaces
        self._trees = head.trees
        self._node = node
        self._places = places
        self._courier = courier

    async def inspect(self, directory: str) -> Source:
        """Return what a directory of the server is, or one below the host's root (see the port)."""
        return await self._owner(directory).inspect(directory)

    async def require(self, directory: str) -> None:
        """Raise the `Rejected` with which `inspect` would refuse the directory (see the port)."""
        await self._owner(directory).require(directory)

    def plan(
        self, workspace_id: str, strategy: Strategy, source: Source, branch: str | None, title: str
    ) -> tuple[str, str | None]:
        """Return (directory, branch); the directory of a new checkout is on the host."""
        directory, chosen = self._head.plan(workspace_id, strategy, source, branch, title)
        return directory if strategy == "existing" else self._places.directory(workspace_id, directory), chosen

    async def check(self, spec: WorkspaceSpec, source: Source) -> None:
        """Check that `prepare` would accept the workspace (see the port)."""
        await self._head.check(self._here(spec), source)
        if spec.strategy != "worktree" or source.repository is None or spec.branch is None:
            return
        if await branches.tip(source.repository, spec.branch) is not None:
            await self._check_not_used_there(spec, source.repository)

    async def prepare(self, spec: WorkspaceSpec) -> PreparedWorkspace:
        """Make the workspace, or finish one that a crash left incomplete (see the port).

        Raises the errors of `GitWorkspaces.prepare`.
        """
        if spec.strategy == "existing":  # it is a directory of the server
            return await self._head.prepare(spec)
        source = await self._head.inspect(spec.source_directory)
        repository = await self._head.repository_of(source)
        base = await self._base(source, repository, spec)
        # A ref keeps it on the host: perhaps no branch has it, as at a detached HEAD.
        also = {} if base is None else {f"refs/fleet/bases/{spec.workspace_id}/head": base}
        if kept := await returned_refs.kept_refs(repository, spec.workspace_id):
            await self._courier.bring(repository, spec.workspace_id)  # before the host gets an older one
            also |= kept | await returned_refs.kept_refs(repository, spec.workspace_id)
        await self._courier.deliver(source, repository, also)
        given = spec.base_ref if base is None else base
        there = self._places.spec(spec, repository, given)
        prepared = await self._node.prepare(there)
        if not is_inside(prepared.directory, (there.directory,)):  # it would count as that of another workspace
            raise Problem(
                "git_failed", f"the host has made the workspace in {prepared.directory!r}, which is not its own"
            )
        await self._trees.borrow(spec.workspace_id, repository, prepared.head)
        await self._courier.bring(repository, spec.workspace_id)
        await self._courier.place(repository, spec.workspace_id, base or prepared.head)
        left = (*await left_behind(source, repository), *prepared.not_carried)
        return await self._in_subdirectory(source, replace(prepared, not_carried=left))

    async def discard(self, spec: WorkspaceSpec) -> None:
        """Remove the remains of `prepare` (see the port)."""
        if spec.strategy == "existing":
            return
        source = await self._head.inspect(spec.source_directory)
        repository = await self._head.repository_of(source)
        await self._node.discard(self._places.spec(spec, repository))
        await self._courier.bring(repository, spec.workspace_id)
        await self._courier.release(repository, spec, None)

    async def require_related(self, spec: WorkspaceSpec, commit: str | None) -> Source:
        """Return the source if its repository has the commit (see the port)."""
        return await self._head.require_related(self._here(spec), commit)

    async def relink(self, spec: WorkspaceSpec) -> None:
        """Let the host find the mirror of a worktree whose repository was moved on the server."""
        if spec.strategy != "worktree":
            return
        repository = await self._head.repository_of(await self._head.inspect(spec.source_directory))
        directory = self._places.directory(spec.workspace_id, spec.directory)
        await self._courier.transfer.adopt(key_of(repository), directory)

    async def fault(self, spec: WorkspaceSpec) -> Fault | None:
        """Return what is wrong with a workspace on the host (see the port)."""
        if spec.strategy == "existing":
            return await self._head.fault(spec)
        return await self._node.fault(replace(spec, directory=self._there(spec)))

    async def condition(self, directory: str) -> Condition | None:
        """Return the condition of a checkout (see the port)."""
        return await self._owner(directory).condition(directory)

    async def branches(self, source: Source, query: str) -> tuple[Branch, ...]:
        """Return branches of the source's repository (see the port)."""
        return await self._head.branches(source, query)

    async def strays(self, known: frozenset[str]) -> tuple[str, ...]:
        """Return directories of the host that belong to none of the ids in `known`."""
        return await self._node.strays(known)

    def _owner(self, directory: str) -> Workspaces:
        return self._node if self._places.has(directory) else self._head

    def _there(self, spec: WorkspaceSpec) -> str:
        return self._places.directory(spec.workspace_id, spec.directory)

    def _here(self, spec: WorkspaceSpec) -> WorkspaceSpec:
        """Return the spec with the place that it would have on the server."""
        if spec.strategy == "existing":
            return spec
        return replace(spec, directory=f"{self._head.root}/{spec.workspace_id}/{PurePath(spec.directory).name}")

    async def _base(self, source: Source, repository: str, spec: WorkspaceSpec) -> str | None:
        """Return the commit at which the host begins a new branch; None if the branch exists already."""
        branch = await branches.check_name(repository, spec.branch)
        if await branches.tip(repository, branch) is not None:
            return None
        begun = await read_ref(repository, note_ref(spec.workspace_id))
        return begun or await branches.base_commit(source, spec.base_ref)

    async def _check_not_used_there(self, spec: WorkspaceSpec, repository: str) -> None:
        there = self._places.spec(spec, repository)
        try:
            await self._node.check(there, await self._node.inspect(there.source_directory))
        except Rejected as rejected:
            if rejected.code == "branch_checked_out":  # the server has checked everything else
                raise

    async def _in_subdirectory(self, source: Source, prepared: PreparedWorkspace) -> PreparedWorkspace:
        """Return the workspace in the subdirectory that the source is in its own checkout, if it has that."""
        if source.top is None or source.top == source.directory:
            return prepared
        below = PurePath(source.directory).relative_to(source.top)
        try:
            found = (await self._node.inspect(f"{prepared.directory}/{below}")).directory
        except Rejected as rejected:
            if rejected.code not in _ELSEWHERE:
                raise
            found = ""
        if is_inside(found, (prepared.directory,)):
            return replace(prepared, directory=found)
        return replace(prepared, not_carried=(no_subdirectory(source), *prepared.not_carried))
