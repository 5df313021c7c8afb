"""The ports for reading the files of a workspace, and for the directories in which workspaces may be."""

from typing import Literal, Protocol

import msgspec

FileType = Literal["file", "directory", "symlink", "other"]


class FileEntry(msgspec.Struct, frozen=True):
    """An entry of a directory. `size_bytes` is set for files only."""

    name: str
    type: FileType
    size_bytes: int | None = None


class Listing(msgspec.Struct, frozen=True):
    """A directory: its first entries by name, and how many there are."""

    entries: tuple[FileEntry, ...]
    total: int


class FileContent(msgspec.Struct, frozen=True):
    """A file: the beginning of its content, and its full size."""

    content: bytes
    size_bytes: int


class FolderEntry(msgspec.Struct, frozen=True):
    """A directory inside another one. `path` is the real path: the target of a symlink."""

    name: str
    path: str
    is_git_repo: bool


class Folder(msgspec.Struct, frozen=True):
    """A directory by its real path, with the directories in it by name; `parent` is None at the top of the roots.

    The result of a search has the directories found below it; `is_truncated`: there may be more.
    """

    path: str
    parent: str | None
    is_git_repo: bool
    entries: tuple[FolderEntry, ...]
    is_truncated: bool = False


class Files(Protocol):
    """Reads files only below a directory; browses and makes directories below roots, which are real paths."""

    async def browse(self, path: str, roots: tuple[str, ...]) -> Folder:
        """Return the directory at this absolute path; entries outside the roots are left out.

        Raises `Rejected`: directory_missing, not_a_directory, directory_outside_roots, directory_unreadable.
        """
        ...

    async def search(self, path: str, query: str, roots: tuple[str, ...]) -> Folder:
        """Return directories below this absolute path whose names contain `query`, ignoring case.

        Names that are the query or begin with it come first, then nearer directories. Hidden directories, dependencies
        and everything beyond the search's limits are left out. Raises the errors of `browse`.
        """
        ...

    async def make_directory(self, path: str, roots: tuple[str, ...]) -> Folder:
        """Make a directory in an existing one, and return it.

        Raises the errors of `browse` for its parent, and `Rejected` directory_exists, directory_unwritable.
        """
        ...

    async def read(self, directory: str, path: str) -> Listing | FileContent:
        """Return what is at `path`, relative to `directory`; "" is the directory itself.

        Symlinks that stay inside are followed. Raises `Rejected`: workspace_gone (the directory no longer exists),
        file_not_found, path_outside_workspace, file_unreadable (no permission, or neither file nor directory).
        """
        ...
