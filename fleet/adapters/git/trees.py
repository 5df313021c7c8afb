"""The `Trees` port: one snapshot repository for each workspace, below one root.

A store holds every tree of its workspace and is removed with it. Objects that the workspace's repository already has
are borrowed, not copied. So a tree can be read as long as the repository has them, which is certain right after `take`.
To keep contents longer, copy them with `diff` in time; later it may raise tree_gone.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Final

import structlog
import trio

from fleet.adapters.git import packs
from fleet.adapters.git.checkout_location import Place, locate
from fleet.adapters.git.files import remove_tree
from fleet.adapters.git.ignore_rules import Rules
from fleet.adapters.git.snapshot import Left, forget_index, update_index, write_tree
from fleet.adapters.git.snapshot_repository import SnapshotRepository, make_store, unwritable
from fleet.adapters.git.tree_diff import compare, require_trees
from fleet.adapters.git.tree_files import read_path
from fleet.errors import Problem
from fleet.keyed_locks import Locks
from fleet.limits import DIRTY_PATHS_SHOWN_MAX, TREE_ATTEMPTS_MAX
from fleet.ports import FileChange, FileContent, Listing

_log = structlog.get_logger(__name__)

_FORMAT: Final = "sha1"
_COMPLETE: Final = "refs/fleet"
"""Refs in the store of a workspace on another host: trees that are known to be complete here."""
_MOMENT: Final = "moment"
"""The directory in a store with the temporary index and objects of a comparison with the current files."""


class GitTrees:
    """Snapshots below `root`, which is created on first use. One snapshot at a time per workspace."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self._locks = Locks()
        self._rules: dict[str, Rules] = {}

    async def take(self, workspace_id: str, directory: str) -> str:
        """Snapshot a directory and return the tree's id (see the port).

        Raises `Problem`: directory_missing, tree_too_large, git_failed.
        """
        async with self._locks.hold(workspace_id):
            store, place = await self._open(workspace_id, directory)
            tree, self._rules[workspace_id] = await self._take(workspace_id, store, place)
            return tree

    async def diff(self, workspace_id: str, before: str, after: str) -> tuple[FileChange, ...]:
        """Return the differences between two trees, sorted by file (see the port).

        A renamed file is `modified`, with `old_file`. At most `DIFF_FILES_MAX` files. Raises `Problem`: tree_gone,
        git_failed.
        """
        store = await self._existing(workspace_id)
        return await compare(store, before, after)

    async def compare(self, workspace_id: str, before: str, directory: str) -> tuple[FileChange, ...]:
        """Return the differences between a tree and the current directory (see the port).

        Raises `Problem`: directory_missing, tree_too_large, tree_gone, git_failed.
        """
        async with self._locks.hold(workspace_id):
            store, place = await self._open(workspace_id, directory)
            scratch = f"{store.directory}/{_MOMENT}"
            moment = store._replace(objects=f"{scratch}/objects", index_name=f"{_MOMENT}/index")
            await remove_tree(scratch)  # a crash may have left it
            try:
                await trio.to_thread.run_sync(_borrow, store, moment)
                tree, _ = await self._take(workspace_id, moment, place)
                return await compare(moment, before, tree)
            except OSError as error:
                raise unwritable(store, error) from None
            finally:
                with trio.CancelScope(shield=True):
                    await remove_tree(scratch)

    async def lay_out(self, workspace_id: str, tree: str, directory: str) -> None:
        """Replace the files of `directory` with those of a tree (see the port).

        Raises `Problem`: tree_gone, git_failed.
        """
        store = SnapshotRepository(self._store(workspace_id), index_name="laid-out")
        async with self._locks.hold(workspace_id):
            laid = await store.attempt("read-tree", tree)
            if laid.code != 0:
                await require_trees(store, tree)
                raise laid.failed()
            await store.run("checkout-index", "--all", "--force", top=directory)
            others = (await store.run("ls-files", "-z", "--others", top=directory)).split("\0")
            await trio.to_thread.run_sync(_unlink, directory, [name for name in others if name])

    async def read(self, workspace_id: str, tree: str, path: str) -> Listing | FileContent:
        """Return a file or a directory of a tree (see the port)."""
        store = await self._existing(workspace_id)
        return await read_path(store, tree, path)

    async def pack(self, workspace_id: str, tree: str, had: tuple[str, ...], directory: Path) -> packs.NewParcel | None:
        """Write a parcel into `directory` with a tree, without what is in the trees `had`.

        Raises `Problem`: tree_gone, git_failed.
        """
        store = await self._existing(workspace_id)
        await require_trees(store, tree)
        return await packs.pack(packs.Objects(store.directory, trusted=True), directory, (tree,), had)

    async def receive(
        self, workspace_id: str, tree: str, file: Path | None, had: tuple[str, ...], *, directory: str | None = None
    ) -> bool:
        """Store a tree from a pack. Return whether all of it exists, as far as it is not in the trees `had`.

        `directory` is the workspace's checkout, None if it is on another host. Raises `Problem` git_failed.
        """
        async with self._locks.hold(workspace_id):
            store = SnapshotRepository(self._store(workspace_id))
            if directory is not None:
                store, _ = await self._open(workspace_id, directory)
            elif not await trio.Path(store.directory, "HEAD").exists():
                await make_store(store, _FORMAT)
            return await packs.store(packs.Objects(store.directory, trusted=True), file, (tree,), had)

    async def has(self, workspace_id: str, tree: str, had: tuple[str, ...]) -> bool:
        """Return whether a store has a tree and everything in it, as far as it is not in the trees `had`."""
        store = self._store(workspace_id)
        if not await trio.Path(store, "HEAD").exists():
            return False
        return await packs.is_complete(packs.Objects(store, trusted=True), (tree,), had)

    async def borrow(self, workspace_id: str, repository: str, head: str | None) -> None:
        """Let the store of a workspace on another host read the objects of its source; remember the tree of `head`."""
        async with self._locks.hold(workspace_id):
            store = SnapshotRepository(self._store(workspace_id))
            source = packs.Objects(repository)
            if await source.run("rev-parse", "--show-object-format") != _FORMAT:
                await make_store(store, _FORMAT)
                return
            await make_store(store, _FORMAT, borrowed=f"{repository}/objects")
            if head is not None and await source.among((head,)):
                await store.run("update-ref", f"{_COMPLETE}/head", await source.run("rev-parse", f"{head}^{{tree}}"))

    async def complete(self, workspace_id: str) -> tuple[str, ...]:
        """Return trees that the store of a workspace on another host has completely."""
        store = SnapshotRepository(self._store(workspace_id))
        if not await trio.Path(store.directory, "HEAD").exists():
            return ()
        return tuple((await store.run("for-each-ref", "--format=%(objectname)", _COMPLETE)).split())

    async def note_complete(self, workspace_id: str, tree: str) -> None:
        """Remember that the store of a workspace on another host has all of a tree."""
        await SnapshotRepository(self._store(workspace_id)).run("update-ref", f"{_COMPLETE}/last", tree)

    async def forget(self, workspace_id: str) -> None:
        """Remove all snapshots of a workspace. Idempotent. Raises `Problem` git_failed."""
        async with self._locks.hold(workspace_id):
            self._rules.pop(workspace_id, None)
            await remove_tree(self._store(workspace_id))

    async def tidy(self, workspaces: Path) -> None:
        """Remove the snapshots of workspaces without a directory below `workspaces`: the server has all of them."""
        try:
            stores = await trio.to_thread.run_sync(os.listdir, self._root)
        except OSError:  # there are none yet
            return
        for workspace_id in stores:
            async with self._locks.hold(workspace_id):
                if await trio.Path(workspaces, workspace_id).exists():
                    continue
                self._rules.pop(workspace_id, None)
                try:
                    await remove_tree(self._store(workspace_id))
                except Problem as problem:
                    _log.warning("snapshots_not_removed", workspace=workspace_id, detail=problem.detail)

    async def _existing(self, workspace_id: str) -> SnapshotRepository:
        store = SnapshotRepository(self._store(workspace_id))
        if not await trio.Path(store.directory, "HEAD").exists():
            raise Problem("tree_gone", f"there are no snapshots of workspace {workspace_id!r}")
        return store

    async def _open(self, workspace_id: str, directory: str) -> tuple[SnapshotRepository, Place]:
        directory = await trio.to_thread.run_sync(os.path.realpath, directory)
        if not await trio.Path(directory).is_dir():
            raise Problem("directory_missing", f"{directory!r} no longer exists", hint="Restore the workspace.")
        place = await locate(directory)
        store = SnapshotRepository(self._store(workspace_id), excludes_file=place.excludes_file)
        borrowed = place.objects if place.object_format == _FORMAT else None
        await make_store(store, _FORMAT, exclude=place.exclude, borrowed=borrowed)
        return store, place._replace(object_format=_FORMAT)

    async def _take(self, workspace_id: str, store: SnapshotRepository, place: Place) -> tuple[str, Rules]:
        """Write the tree of a place to a store; return it and the current rules."""
        attempts = TREE_ATTEMPTS_MAX
        while True:
            attempts -= 1
            try:
                before = self._rules.get(workspace_id)
                left, rules = await update_index(store, place, bounded=True, before=before)
                tree = await write_tree(store, place)
            except Problem as problem:
                if attempts == 0 or problem.code != "git_failed":
                    raise
                _log.info("snapshot_tried_again", workspace=workspace_id, why=problem.detail)
                if attempts == 1:  # a damaged index, or missing borrowed objects
                    self._rules.pop(workspace_id, None)
                    await trio.to_thread.run_sync(forget_index, store)
                continue
            _log_left(workspace_id, left)
            return tree, rules

    def _store(self, workspace_id: str) -> str:
        if workspace_id in ("", ".", "..") or PurePath(workspace_id).name != workspace_id:
            raise ValueError(f"{workspace_id!r} is not the id of a workspace")
        return f"{self._root}/{workspace_id}"


def _borrow(store: SnapshotRepository, moment: SnapshotRepository) -> None:
    """Start with the index of the last snapshot, and read the objects of all snapshots."""
    info = Path(moment.objects or "", "info")
    info.mkdir(mode=0o700, parents=True)
    (info / "alternates").write_text("../../objects\n")  # relative to the object directory, so that any path works
    with suppress(FileNotFoundError):
        shutil.copyfile(store.index_file, moment.index_file)


def _unlink(directory: str, names: list[str]) -> None:
    for name in names:
        Path(directory, name).unlink(missing_ok=True)


def _log_left(workspace_id: str, left: Left) -> None:
    for why, names in (("unreadable", left.unreadable), ("too large", left.large)):
        if names:
            shown = [ascii(name) for name in names[:DIRTY_PATHS_SHOWN_MAX]]
            _log.warning("files_not_in_snapshot", workspace=workspace_id, why=why, count=len(names), files=shown)
