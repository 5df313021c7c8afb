"""The port for trees: the content of a directory at a moment, kept outside of it."""

from typing import Literal, Protocol

import msgspec

ChangeStatus = Literal["added", "deleted", "modified"]


class FileChange(msgspec.Struct, frozen=True):
    r"""One file that differs between two trees.

    `before` and `after` are contents, None where the file is not there; a symlink's content is its target. A content
    that is longer than `DIFF_FILE_BYTES_MAX` is cut, and `is_truncated` says so. `file` is relative, with `/`; bytes in
    a name that are not UTF-8 are shown as `\xNN`, and `file_bytes` or `old_file_bytes` has the name in base64; both are
    None for a name in UTF-8. `mode_before` and `mode_after` are git's (`100644`, `100755`, `120000`, `160000`), None
    where the file is not there. `old_file`: it was renamed from there. `additions` and `deletions` count lines; 0 for a
    binary file.
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
    """Snapshots of directories, in git and out of it, in a store of Fleet's own: the directory is never written to."""

    async def take(self, workspace_id: str, directory: str) -> str:
        """Snapshot everything in `directory` that is not ignored and return the tree's id.

        Untracked files included; `.git` and nested repositories' contents not. The user's index, stash and refs are not
        touched. Costs about a `git status` where little has changed since the last one. Raises `Problem`.
        """
        ...

    async def diff(self, workspace_id: str, before: str, after: str) -> tuple[FileChange, ...]:
        """Return what differs between two trees of a workspace, sorted by file. Raises `Problem`."""
        ...

    async def compare(self, workspace_id: str, before: str, directory: str) -> tuple[FileChange, ...]:
        """Return what differs between a tree of a workspace and its `directory` as it is now, sorted by file.

        Nothing of that is kept, for any number of calls. Raises `Problem`.
        """
        ...

    async def lay_out(self, workspace_id: str, tree: str, directory: str) -> None:
        """Make `directory`, a fresh checkout without any work in it, hold the files of a tree, and no others.

        Idempotent. Raises `Problem` tree_gone where the tree can't be read any more.
        """
        ...

    async def forget(self, workspace_id: str) -> None:
        """Remove everything that is kept for a workspace. Idempotent."""
        ...
