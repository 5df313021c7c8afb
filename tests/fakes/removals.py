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

    async def keep(self, order: WorkspaceSpec) -> PreservedWork:
        made = await self._begin(order)
        if made is None:
            saved = self.disk.kept.get(order.workspace_id)
            return PreservedWork(None, None, order.branch, None) if saved is None else _kept(order, saved)
        saved = self._saved(made)
        if saved is None:
            return PreservedWork(None, None, order.branch, made.head)
        self.disk.kept[order.workspace_id] = saved
        return _kept(order, saved)

    async def preview(self, order: WorkspaceSpec) -> Preview:
        made = await self._begin(order)
        saved = self.disk.kept.get(order.workspace_id) if made is None else self._saved(made)
        busy = tuple(Busy(pid) for pid in self.disk.busy.get(order.directory, ()))
        if saved is None:
            return Preview(PreservedWork(None, None, order.branch, None if made is None else made.head), busy)
        return Preview(replace(_kept(order, saved), commit=None), busy)

    async def remove(self, order: WorkspaceSpec, kept: PreservedWork) -> None:
        made = await self._begin(order)
        if made is None:
            return
        if self.disk.busy.get(order.directory):
            raise Rejected("workspace_busy", f"{self.disk.busy[order.directory]} work in {order.directory!r}")
        now = self._saved(made)
        stored = self.disk.kept.get(order.workspace_id)
        if (None if now is None else now.commit) != kept.commit or (now is not None and stored != now):
            raise Rejected("workspace_dirty", f"{order.directory!r} differs from the preserved work")
        del self.disk.checkouts[order.workspace_id]
        self.disk.directories.discard(order.directory)
        self.disk.contents.pop(order.directory, None)
        if order.branch is not None and made.created_branch:
            self._source(order).branches.pop(order.branch, None)

    async def restore(self, order: WorkspaceSpec, kept: PreservedWork) -> None:
        if await self._begin(order) is not None:
            return
        saved = self._wanted(order, kept)
        repository = self._source(order)
        if order.branch is not None and order.strategy == "worktree" and saved.created_branch:
            tip = _tip(saved)
            if repository.branches.get(order.branch, tip) != tip:
                raise Rejected(
                    "branch_exists", f"{order.branch!r} is at another commit", field="branch", hint="Rename it."
                )
            repository.branches[order.branch] = tip
        work = list(saved.work)
        made = FakeCheckout(order, saved.head, saved.created_branch, whole=True, work=work, unborn=saved.unborn)
        self.disk.checkouts[order.workspace_id] = made
        self.disk.directories.add(order.directory)
        if saved.contents:
            self.disk.contents[order.directory] = dict(saved.contents)

    async def _begin(self, order: WorkspaceSpec) -> FakeCheckout | None:
        if order.strategy == "existing":
            raise Rejected("invalid", f"{order.source_directory!r} is a person's own directory")
        await trio.sleep(self._pause_s)
        made = self.disk.checkouts.get(order.workspace_id)
        if made is not None:
            self._source(order)
        return made

    def _source(self, order: WorkspaceSpec) -> FakeRepository:
        tops = [top for top in self.disk.repositories if f"{order.source_directory}/".startswith(f"{top}/")]
        if tops:
            return self.disk.repositories[max(tops, key=len)]
        origin = self.disk.checkout_at(order.source_directory)
        if origin is None:
            raise Problem("directory_missing", f"The source repository {order.source_directory!r} is gone")
        return self._source(origin.order)

    def _saved(self, made: FakeCheckout) -> FakeKept | None:
        contents = self.disk.contents.get(made.order.directory, {})
        if not made.work and not contents and made.unborn is None:
            return None
        held = repr((made.head, made.work, sorted(contents.items()), made.unborn)).encode()
        commit = hashlib.sha1(held, usedforsecurity=False).hexdigest()
        return FakeKept(commit, made.head, made.created_branch, tuple(made.work), dict(contents), made.unborn)

    def _wanted(self, order: WorkspaceSpec, kept: PreservedWork) -> FakeKept:
        saved = self.disk.kept.get(order.workspace_id)
        if kept.commit is not None:
            if saved is None or saved.commit != kept.commit:
                raise Problem("workspace_gone", f"{kept.commit!r} is not kept")
            return saved
        if kept.head is None:
            raise Problem("workspace_gone", f"Nothing is known of {order.directory!r}")
        created = order.strategy == "worktree" and order.branch not in self._source(order).branches
        return FakeKept("", kept.head, created, (), {})


def _kept(order: WorkspaceSpec, saved: FakeKept) -> PreservedWork:
    branch, head = (order.branch, saved.head) if saved.unborn is None else (saved.unborn, None)
    return PreservedWork(f"refs/fleet/kept/{order.workspace_id}", saved.commit, branch, head)


def _tip(saved: FakeKept) -> str:
    commits = [word.removeprefix("commit ") for word in saved.work if word.startswith("commit ")]
    return commits[-1] if commits else saved.head
