"""Reads a file or a directory of a tree in a snapshot repository."""

import os
from pathlib import PurePosixPath

from fleet.adapters.git.snapshot_repository import SnapshotRepository
from fleet.adapters.git.tree_diff import require_trees
from fleet.errors import Rejected
from fleet.limits import DIRECTORY_ENTRIES_MAX, FILE_READ_BYTES_MAX
from fleet.ports import FileContent, FileEntry, FileType, Listing

_TYPES: dict[str, FileType] = {"040000": "directory", "100644": "file", "100755": "file", "120000": "symlink"}


async def read_path(store: SnapshotRepository, tree: str, path: str) -> Listing | FileContent:
    """Return what is at `path` in a tree; the content of a symlink is its target.

    Raises `Rejected` path_outside_workspace, file_not_found, file_unreadable; `Problem` tree_gone, git_failed.
    """
    await require_trees(store, tree)
    steps = PurePosixPath(path).parts
    if "\0" in path or ".." in steps or steps[:1] == ("/",):
        raise Rejected("path_outside_workspace", f"{path!r} is not a path inside the workspace")
    if "\n" in path:  # git could not be asked for it
        raise Rejected("file_unreadable", f"{path!r} cannot be read: its name has a line feed")
    asked = os.fsencode(f"{tree}:{'/'.join(steps)}\n")
    told = await store.run("cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)", stdin=asked)
    name, _, rest = told.partition(" ")
    kind, _, size = rest.partition(" ")
    if kind == "tree":
        return await _list(store, name)
    if kind != "blob":
        raise Rejected("file_not_found", f"there was no {path} in the workspace")
    wanted = min(int(size), FILE_READ_BYTES_MAX)
    return FileContent(await store.head(wanted, "cat-file", "blob", name) if wanted else b"", int(size))


async def _list(store: SnapshotRepository, tree: str) -> Listing:
    listed = (await store.run("ls-tree", "-z", "--long", tree)).split("\0")
    entries = sorted((_entry(line) for line in listed if line), key=lambda entry: entry.name)
    return Listing(tuple(entries[:DIRECTORY_ENTRIES_MAX]), len(entries))


def _entry(line: str) -> FileEntry:
    described, _, name = line.partition("\t")
    mode, *_, size = described.split()
    kind = _TYPES.get(mode, "other")
    return FileEntry(os.fsencode(name).decode("utf-8", "replace"), kind, int(size) if kind == "file" else None)
