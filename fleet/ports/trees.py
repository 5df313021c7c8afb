"""The port for trees: snapshots of a directory's content, stored outside of it."""

from typing import Literal, Protocol

import msgspec

from fleet.ports.files import FileContent, Listing

ChangeStatus = Literal["added", "deleted", "modified"]


class FileChange(msgspec.Struct, frozen=True):
    r"""One file that differs between two trees.

    `before` and `after` are contents, None where the file does not exist; a symlink's content is its target. Content
    beyond `DIFF_FILE_BYTES_MAX` is cut, and `is_truncated` is set. `file` is relative, with `/`; bytes in a name that
    are not UTF-8 are shown as `\xNN`, and `file_bytes` or `old_file_bytes` has the name in base64; both are None for a
    name in UTF-8. `mode_before` and `mode_after` are git's (`100644`, `100755`, `120000`, `160000`), None where the
    file does not exist. `old_file` is the name before a rename. `additions` and `deletions` count lines; 0 for a binary
    file.
    """

    file: str
    status: ChangeStatus
    additions: int
    deletions: int
    is_binary: bool
    is_truncated: bool
    before: bytes | None
    after: bytes | None
    mode_before: str | None
    mode_after: str | None
    old_file: str | None = None
    file_bytes: str | None = None
    old_file_bytes: str | None = None


class Trees(Protocol):
    """Takes snapshots of directories, with or without git, into Fleet's own store; it never writes to the directory."""

    async def take(self, workspace_id: str, directory: str) -> str:
        """Snapshot everything in `directory` that is not ignored and return the tree's id.

        It includes untracked files, but not `.git` and the contents of nested repositories. The user's index, stash and
        refs stay unchanged. If little has changed since the last snapshot, it costs about a `git status`. Raises
        `Problem`.
        """
        ...

    async def diff(self, workspace_id: str, before: str, after: str) -> tuple[FileChange, ...]:
        """Return the files that differ between two trees of a workspace, sorted by name. Raises `Problem`."""
        ...

    async def compare(self, workspace_id: str, before: str, directory: str) -> tuple[FileChange, ...]:
        """Return the files that differ between a tree of a workspace and its `directory` now, sorted by name.

        Nothing is stored, however often it is called. Raises `Problem`.
        """
        ...

    async def lay_out(self, workspace_id: str, tree: str, directory: str) -> None:
        """Replace the files of `directory`, a new checkout without any work in it, with those of a tree.

        Idempotent. Raises `Problem` tree_gone if the tree can no longer be read.
        """
        ...

    async def read(self, workspace_id: str, tree: str, path: str) -> Listing | FileContent:
        """Return what is at `path` in a tree of a workspace; "" is all of it. The content of a symlink is its target.

        Raises `Rejected` path_outside_workspace, file_not_found, file_unreadable; `Problem` tree_gone if the tree can
        no longer be read.
        """
        ...

    async def forget(self, workspace_id: str) -> None:
        """Remove all trees of a workspace. Idempotent."""
        ...
