"""Trees of a simulated run: a snapshot is a copy of `FakeDisk.contents`, and of the files in a checkout's `work`."""

import difflib
import hashlib
from pathlib import PurePosixPath

import trio

from fleet.errors import Problem, Rejected
from fleet.ports import ChangeStatus, FileChange, FileContent, FileEntry, Listing
from tests.fakes.workspaces import FakeDisk


class FakeTrees:
    """The `Trees` port on a `FakeDisk`."""

    def __init__(self, disk: FakeDisk) -> None:
        self.disk = disk

    async def take(self, workspace_id: str, directory: str) -> str:
        self.disk.trees_taken_s.append(trio.current_time())
        await trio.sleep(self.disk.tree_s)
        if self.disk.tree_fault is not None:
            raise Problem(self.disk.tree_fault, "The snapshot cannot be taken")
        files = self._files(directory)
        tree = hashlib.sha1(repr(sorted(files.items())).encode(), usedforsecurity=False).hexdigest()
        self.disk.trees.setdefault(workspace_id, {})[tree] = files
        return tree

    async def diff(self, workspace_id: str, before: str, after: str) -> tuple[FileChange, ...]:
        await trio.lowlevel.checkpoint()
        return _changes(self.tree(workspace_id, before), self.tree(workspace_id, after))

    async def compare(self, workspace_id: str, before: str, directory: str) -> tuple[FileChange, ...]:
        await trio.lowlevel.checkpoint()
        return _changes(self.tree(workspace_id, before), self._files(directory))

    async def lay_out(self, workspace_id: str, tree: str, directory: str) -> None:
        await trio.lowlevel.checkpoint()
        self.disk.contents[directory] = dict(self.tree(workspace_id, tree))

    async def read(self, workspace_id: str, tree: str, path: str) -> Listing | FileContent:
        await trio.lowlevel.checkpoint()
        files = self.tree(workspace_id, tree)
        steps = PurePosixPath(path).parts
        if ".." in steps or steps[:1] == ("/",):
            raise Rejected("path_outside_workspace", f"{path!r} is not a path inside the workspace")
        name = "/".join(steps)
        if name in files:
            return FileContent(files[name], len(files[name]))
        below = {each[len(name) :].lstrip("/"): content for each, content in files.items() if _is_below(each, name)}
        if name and not below:
            raise Rejected("file_not_found", f"there was no {path} in the workspace")
        entries: dict[str, FileEntry] = {}
        for each, content in sorted(below.items()):
            first, _, rest = each.partition("/")
            entries[first] = FileEntry(first, "directory") if rest else FileEntry(first, "file", len(content))
        return Listing(tuple(entries.values()), len(entries))

    async def forget(self, workspace_id: str) -> None:
        await trio.lowlevel.checkpoint()
        self.disk.trees.pop(workspace_id, None)

    def tree(self, workspace_id: str, tree: str) -> dict[str, bytes]:
        """Return the files of a tree. Raises `Problem` tree_gone."""
        trees = self.disk.trees.get(workspace_id, {})
        if tree not in trees:
            raise Problem("tree_gone", "the snapshot is gone")
        return trees[tree]

    def _files(self, directory: str) -> dict[str, bytes]:
        if directory not in self.disk.directories:
            raise Problem("directory_missing", f"{directory!r} no longer exists")
        made = self.disk.checkout_at(directory)
        worked = () if made is None else (word for word in made.work if word.startswith("file "))
        files = {word.removeprefix("file "): b"work\n" for word in worked}
        return files | self.disk.contents.get(directory, {})


def _is_below(name: str, directory: str) -> bool:
    return not directory or name.startswith(f"{directory}/")


def _changes(old: dict[str, bytes], new: dict[str, bytes]) -> tuple[FileChange, ...]:
    return tuple(
        _change(name, old.get(name), new.get(name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def _change(name: str, before: bytes | None, after: bytes | None) -> FileChange:
    status: ChangeStatus = "added" if before is None else "deleted" if after is None else "modified"
    binary = any(b"\0" in side for side in (before, after) if side is not None)
    lines = [] if binary else list(difflib.ndiff(_lines(before), _lines(after)))
    return FileChange(
        name,
        status,
        sum(line.startswith("+ ") for line in lines),
        sum(line.startswith("- ") for line in lines),
        binary,
        False,
        before,
        after,
        None if before is None else "100644",
        None if after is None else "100644",
    )


def _lines(content: bytes | None) -> list[str]:
    return [] if content is None else content.decode("latin-1").split("\n")[:-1]
