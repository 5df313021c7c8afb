"""The files of a workspace, to be read and nothing else."""

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


class Files(Protocol):
    """Reads files below a directory, and nowhere else."""

    async def read(self, directory: str, path: str) -> Listing | FileContent:
        """Return what is at `path`, relative to `directory`; "" is the directory itself.

        Symlinks are followed as long as they stay inside. Raises `Rejected`: workspace_gone (the directory is no more),
        file_not_found, path_outside_workspace, file_unreadable (no permission, or neither file nor directory).
        """
        ...
