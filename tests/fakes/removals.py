"""Removals of a simulated run: what a checkout holds moves to `FakeDisk.kept`, and back."""

import hashlib

import trio
from msgspec.structs import replace

from fleet.errors import Problem, Rejected
from fleet.ports import Busy, PreservedWork, Preview, WorkspaceSpec
from tests.fakes.workspaces import FakeCheckout, FakeDisk, FakeKept, FakeRepository


class FakeRemovals:
    """The `Removals` port on a `FakeDisk`. `pause_s` is how long each step takes before it changes anything."""

    def __init__(self, disk: FakeDisk, pause_s: float = 0.01) -> None:
        self.disk = disk
        self._pause_s = pause_s

    async def keep(self, spec: WorkspaceSpec) -> PreservedWork:
        made = await self._begin(spec)
        if made is None:
            saved = self.disk.kept.get(spec.workspace_id)
            return PreservedWork(None, None, spec.branch, None) if saved is None else _kept(spec, saved)
        saved = self._saved(made)
        if saved is None:
            return PreservedWork(None, None, spec.branch, made.head)
        self.disk.kept[spec.workspace_id] = saved
        return _kept(spec, saved)

    async def preview(self, spec: WorkspaceSpec) -> Preview:
        made = await self._begin(spec)
        saved = self.disk.kept.get(spec.workspace_id) if made is None else self._saved(made)
        busy = tuple(Busy(pid) for pid in self.disk.busy.get(spec.directory, ()))
        if saved is None:
            return Preview(PreservedWork(None, None, spec.branch, None if made is None else made.head), busy)
        return Preview(replace(_kept(spec, saved), commit=None), busy)

    async def remove(self, spec: WorkspaceSpec, kept: PreservedWork) -> None:
        made = await self._begin(spec)
        if made is None:
            return
        if self.disk.busy.get(spec.directory):
            raise Rejected("workspace_busy", f"{self.disk.busy[spec.directory]} work in {spec.directory!r}")
        now = self._saved(made)
        stored = self.disk.kept.get(spec.workspace_id)
        if (None if now is None else now.commit) != kept.commit or (now is not None and stored != now):
            raise Rejected("workspace_dirty", f"{spec.directory!r} differs from the preserved work")
        del self.disk.checkouts[spec.workspace_id]
        self.disk.directories.discard(spec.directory)
        self.disk.contents.pop(spec.directory, None)
        if spec.branch is not None and made.created_branch:
            self._source(spec).branches.pop(spec.branch, None)

    async def restore(self, spec: WorkspaceSpec, kept: PreservedWork) -> None:
        if await self._begin(spec) is not None:
            return
        saved = self._wanted(spec, kept)
        repository = self._source(spec)
        if spec.branch is not None and spec.strategy == "worktree" and saved.created_branch:
            tip = _tip(saved)
            if repository.branches.get(spec.branch, tip) != tip:
                raise Rejected(
                    "branch_exists", f"{spec.branch!r} is at another commit", field="branch", hint="Rename it."
                )
            repository.branches[spec.branch] = tip
        work = list(saved.work)
        made = FakeCheckout(spec, saved.head, saved.created_branch, whole=True, work=work, unborn=saved.unborn)
        self.disk.checkouts[spec.workspace_id] = made
        self.disk.directories.add(spec.directory)
        if saved.contents:
            self.disk.contents[spec.directory] = dict(saved.contents)

    async def _begin(self, spec: WorkspaceSpec) -> FakeCheckout | None:
        if spec.strategy == "existing":
            raise Rejected("invalid", f"{spec.source_directory!r} is a person's own directory")
        await trio.sleep(self._pause_s)
        made = self.disk.checkouts.get(spec.workspace_id)
        if made is not None:
            self._source(spec)
        return made

    def _source(self, spec: WorkspaceSpec) -> FakeRepository:
        tops = [top for top in self.disk.repositories if f"{spec.source_directory}/".startswith(f"{top}/")]
        if tops:
            return self.disk.repositories[max(tops, key=len)]
        origin = self.disk.checkout_at(spec.source_directory)
        if origin is None:
            raise Problem("directory_missing", f"the source repository {spec.source_directory!r} is gone")
        return self._source(origin.spec)

    def _saved(self, made: FakeCheckout) -> FakeKept | None:
        contents = self.disk.contents.get(made.spec.directory, {})
        if not made.work and not contents and made.unborn is None:
            return None
        held = repr((made.head, made.work, sorted(contents.items()), made.unborn)).encode()
        commit = hashlib.sha1(held, usedforsecurity=False).hexdigest()
        return FakeKept(commit, made.head, made.created_branch, tuple(made.work), dict(contents), made.unborn)

    def _wanted(self, spec: WorkspaceSpec, kept: PreservedWork) -> FakeKept:
        saved = self.disk.kept.get(spec.workspace_id)
        if kept.commit is not None:
            if saved is None or saved.commit != kept.commit:
                raise Problem("workspace_gone", f"{kept.commit!r} is not kept")
            return saved
        if kept.head is None:
            raise Problem("workspace_gone", f"Nothing is known of {spec.directory!r}")
        created = spec.strategy == "worktree" and spec.branch not in self._source(spec).branches
        return FakeKept("", kept.head, created, (), {})


def _kept(spec: WorkspaceSpec, saved: FakeKept) -> PreservedWork:
    branch, head = (spec.branch, saved.head) if saved.unborn is None else (saved.unborn, None)
    return PreservedWork(f"refs/fleet/kept/{spec.workspace_id}", saved.commit, branch, head)


def _tip(saved: FakeKept) -> str:
    commits = [word.removeprefix("commit ") for word in saved.work if word.startswith("commit ")]
    return commits[-1] if commits else saved.head
