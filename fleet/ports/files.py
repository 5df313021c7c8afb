"""The ports for reading the files of a workspace, and for the directories in which workspaces may be."""

from typing import Literal, Protocol

import msgspec

FileType = Literal["file", "directory", "symlink", "other"]


class FileEntry(msgspec.Struct, frozen=True):
    """What stands in a directory. `size_bytes` is a file's, None for anything else."""

    name: str
    type: FileType
    size_bytes: int | None = None


class Listing(msgspec.Struct, frozen=True):
    """A directory: its first entries by name, and how many there are."""

    entries: tuple[FileEntry, ...]
    total: int


class FileContent(msgspec.Struct, frozen=True):
    """A file: its beginning, and how large it is as a whole."""

    content: bytes
    size_bytes: int


class FolderEntry(msgspec.Struct, frozen=True):
    """A directory in a directory. `path` is real: of a symlink, where it leads to."""

    name: str
    path: str
    is_git_repo: bool


class Folder(msgspec.Struct, frozen=True):
    """A directory by its real path, with the directories in it by name; `parent` is None where the roots end.

    Of a search it has those below it that were found; `is_truncated`: there may be more.
    """

    path: str
    parent: str | None
    is_git_repo: bool
    entries: tuple[FolderEntry, ...]
    is_truncated: bool = False


class Files(Protocol):
    """Reads files below a directory, and nowhere else; browses and makes directories below roots, which are real."""

    async def browse(self, path: str, roots: tuple[str, ...]) -> Folder:
        """Return the directory at this absolute path; what leads out of the roots is not in it.

        Raises `Rejected`: directory_missing, not_a_directory, directory_outside_roots, directory_unreadable.
        """
        ...

    async def search(self, path: str, query: str, roots: tuple[str, ...]) -> Folder:
        """Return directories below the one at this absolute path whose names have `query` in them, in any case.

        A name that is or begins with the query comes first, then what is nearer. Hidden directories and dependencies
        are left out, and so is what a bounded search did not come to. Raises what `browse` raises.
        """
        ...

    async def make_directory(self, path: str, roots: tuple[str, ...]) -> Folder:
        """Make a directory in one that is there, and return it.

        Raises what `browse` raises of the one above, and `Rejected` directory_exists, directory_unwritable.
        """
        ...

    async def read(self, directory: str, path: str) -> Listing | FileContent:
        """Return what is at `path`, relative to `directory`; "" is the directory itself.

        Symlinks are followed as long as they stay inside. Raises `Rejected`: workspace_gone (the directory is no more),
        file_not_found, path_outside_workspace, file_unreadable (no permission, or neither file nor directory).
        """
        ...
