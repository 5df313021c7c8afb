"""What travels between the server's machine and another one: repositories, trees, and work that is kept.

Each class is a port of `Host` for one other machine: it names directories as the head does, carries the work out there,
and brings the result to the head's own disk. A transfer takes `transfer_s` of the machine, and what has not arrived is
lost with it.
"""

import trio
from msgspec.structs import replace

from fleet.core.paths import is_inside
from fleet.ports import (
    Branch,
    Condition,
    Fault,
    FileChange,
    FileContent,
    Listing,
    PreparedWorkspace,
    PreservedWork,
    Preview,
    Source,
    Strategy,
    WorkspaceSpec,
)
from tests.fakes.machine import LOCAL_ROOT, FakeMachine
from tests.fakes.removals import FakeRemovals
from tests.fakes.trees import FakeTrees
from tests.fakes.workspaces import FakeRepository, FakeWorkspaces


class Way:
    """The way between the head and a machine: how specs are named there, and the mirrors of repositories."""

    def __init__(self, local: FakeMachine, machine: FakeMachine) -> None:
        self.local = local
        self.machine = machine

    def there(self, spec: WorkspaceSpec) -> WorkspaceSpec:
        """Return the spec as the machine gets it: another root, and the mirror for the source."""
        made = self.machine.disk.checkouts.get(spec.workspace_id)
        source = self._mirror(spec.source_directory) if made is None else made.spec.source_directory
        return replace(spec, source_directory=source, directory=self.directory(spec.directory))

    def directory(self, directory: str) -> str:
        """Return what a directory below the head's root is called on the machine."""
        return directory.replace(LOCAL_ROOT, self.machine.root, 1) if is_inside(directory, (LOCAL_ROOT,)) else directory

    def is_there(self, directory: str) -> bool:
        """Whether a directory is on the machine."""
        return is_inside(directory, (self.machine.root,))

    async def bring(self, source: Source) -> None:
        """Bring the repository of a source to its mirror: branches that were made there stay."""
        if source.top is None:
            return
        origin = self.local.workspaces.repository(source.directory)
        if origin is None:
            return
        await self.machine.call(trio.sleep, self.machine.transfer_s)
        mirrors = self.machine.disk.repositories
        top = self._mirror(source.directory)
        mirror = mirrors.get(top) or mirrors.setdefault(top, FakeRepository(top, head=""))
        self.machine.disk.directories.add(top)
        own = {name: tip for name, tip in mirror.branches.items() if name not in mirror.remotes}
        mirror.branches, mirror.remotes = {**own, **origin.branches}, dict(origin.branches)
        mirror.names = {**mirror.names, **origin.names}
        mirror.not_carried = origin.not_carried
        commit = origin.commit("HEAD")
        mirror.head = commit or ""
        if commit is not None:
            mirror.names[commit] = commit

    def _mirror(self, source_directory: str) -> str:
        repository = self.local.workspaces.repository(source_directory)
        return f"/hosts/{self.machine.name}/mirrors{source_directory if repository is None else repository.top}"


class TravellingWorkspaces:
    """The `Workspaces` port: sources are on the head, checkouts on the machine."""

    def __init__(self, way: Way, near: FakeWorkspaces, far: FakeWorkspaces) -> None:
        self._way = way
        self._near = near
        self._far = far
        self._call = way.machine.call

    async def inspect(self, directory: str) -> Source:
        if self._way.is_there(directory):
            return await self._call(self._far.inspect, directory)
        return await self._near.inspect(directory)

    async def require(self, directory: str) -> None:
        await self.inspect(directory)

    def plan(
        self, workspace_id: str, strategy: Strategy, source: Source, branch: str | None, title: str
    ) -> tuple[str, str | None]:
        return self._near.plan(workspace_id, strategy, source, branch, title)

    async def check(self, spec: WorkspaceSpec, source: Source) -> None:
        await self._near.check(spec, source)

    async def prepare(self, spec: WorkspaceSpec) -> PreparedWorkspace:
        source = await self._near.inspect(spec.source_directory)
        await self._way.bring(source)
        prepared = await self._call(self._far.prepare, self._way.there(spec))
        self._near.disk.placed[spec.workspace_id] = self._way.machine.name
        return replace(prepared, repository=source.repository)

    async def discard(self, spec: WorkspaceSpec) -> None:
        await self._call(self._far.discard, self._way.there(spec))

    async def require_related(self, spec: WorkspaceSpec, commit: str | None) -> Source:
        return await self._near.require_related(spec, commit)

    async def relink(self, spec: WorkspaceSpec) -> None:
        """Do nothing: a mirror does not move."""
        await trio.lowlevel.checkpoint()

    async def fault(self, spec: WorkspaceSpec) -> Fault | None:
        return await self._call(self._far.fault, self._way.there(spec))

    async def condition(self, directory: str) -> Condition | None:
        if self._way.is_there(directory):
            return await self._call(self._far.condition, directory)
        return await self._near.condition(directory)

    async def branches(self, source: Source, query: str) -> tuple[Branch, ...]:
        return await self._near.branches(source, query)

    async def strays(self, known: frozenset[str]) -> tuple[str, ...]:
        return await self._call(self._far.strays, known)


class TravellingTrees:
    """The `Trees` port: each tree that is taken on the machine is on the head before it is returned."""

    def __init__(self, way: Way, near: FakeTrees, far: FakeTrees) -> None:
        self._way = way
        self._near = near
        self._far = far
        self._call = way.machine.call

    async def take(self, workspace_id: str, directory: str) -> str:
        tree = await self._call(self._far.take, workspace_id, directory)
        await self._call(trio.sleep, self._way.machine.transfer_s)
        self._near.disk.trees.setdefault(workspace_id, {})[tree] = self._far.disk.trees[workspace_id][tree]
        return tree

    async def diff(self, workspace_id: str, before: str, after: str) -> tuple[FileChange, ...]:
        return await self._near.diff(workspace_id, before, after)

    async def compare(self, workspace_id: str, before: str, directory: str) -> tuple[FileChange, ...]:
        await self._send(workspace_id, before)
        return await self._call(self._far.compare, workspace_id, before, directory)

    async def lay_out(self, workspace_id: str, tree: str, directory: str) -> None:
        await self._send(workspace_id, tree)
        await self._call(self._far.lay_out, workspace_id, tree, directory)

    async def read(self, workspace_id: str, tree: str, path: str) -> Listing | FileContent:
        return await self._near.read(workspace_id, tree, path)

    async def forget(self, workspace_id: str) -> None:
        await self._near.forget(workspace_id)
        await self._call(self._far.forget, workspace_id)

    async def _send(self, workspace_id: str, tree: str) -> None:
        """Bring a tree to the machine. Raises `Problem` tree_gone."""
        files = self._near.tree(workspace_id, tree)
        if tree not in self._far.disk.trees.get(workspace_id, {}):
            await self._call(trio.sleep, self._way.machine.transfer_s)
            self._far.disk.trees.setdefault(workspace_id, {})[tree] = files


class TravellingRemovals:
    """The `Removals` port: what is kept on the machine is on the head before it is returned."""

    def __init__(self, way: Way, near: FakeRemovals, far: FakeRemovals) -> None:
        self._way = way
        self._near = near
        self._far = far
        self._call = way.machine.call

    async def keep(self, spec: WorkspaceSpec) -> PreservedWork:
        await self._send(spec)
        kept = await self._call(self._far.keep, self._way.there(spec))
        saved = self._far.disk.kept.get(spec.workspace_id)
        if kept.commit is None or saved is None:
            return kept
        await self._call(trio.sleep, self._way.machine.transfer_s)
        name, known = self._way.machine.name, self._near.disk.kept.get(spec.workspace_id)
        is_elsewhere = self._near.disk.placed.get(spec.workspace_id, name) != name
        if is_elsewhere and known is not None and known.commit != saved.commit:
            returned = f"{spec.workspace_id}-{name}"
            self._near.disk.kept[returned] = saved
            return replace(kept, ref=f"refs/fleet/returned/{returned}")
        self._near.disk.kept[spec.workspace_id] = saved
        return kept

    async def preview(self, spec: WorkspaceSpec) -> Preview:
        await self._send(spec)
        return await self._call(self._far.preview, self._way.there(spec))

    async def remove(self, spec: WorkspaceSpec, kept: PreservedWork) -> None:
        await self._call(self._far.remove, self._way.there(spec), kept)

    async def restore(self, spec: WorkspaceSpec, kept: PreservedWork) -> None:
        await self._way.bring(await self._way.local.workspaces.inspect(spec.source_directory))
        await self._send(spec)
        await self._call(self._far.restore, self._way.there(spec), kept)
        self._near.disk.placed[spec.workspace_id] = self._way.machine.name

    async def _send(self, spec: WorkspaceSpec) -> None:
        """Bring work that was kept to a machine that has no checkout: it may have been kept on another one."""
        saved = self._near.disk.kept.get(spec.workspace_id)
        if saved is None or spec.workspace_id in self._far.disk.checkouts:
            return
        await self._call(trio.sleep, self._way.machine.transfer_s)
        self._far.disk.kept[spec.workspace_id] = saved
