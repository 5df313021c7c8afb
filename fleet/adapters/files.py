"""Reads the files of a workspace while an agent may change them and their symlinks.

Nothing outside of the directory is opened. The path is resolved first, then opened step by step without following
symlinks, so that a symlink which appears in between is refused. folders.py lists directories to choose from.
"""

import errno
import os
import stat
from pathlib import Path

import trio

from fleet.adapters import folder_search, folders
from fleet.errors import Rejected
from fleet.limits import DIRECTORY_ENTRIES_MAX, DIRECTORY_SEARCHES_MAX, FILE_READ_BYTES_MAX
from fleet.ports import FileContent, FileEntry, FileType, Folder, Listing

_STEP = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Non-blocking, because opening a pipe would wait for its writer."""


class LocalFiles:
    """`Files` on this machine's disk."""

    def __init__(self) -> None:
        self._searching = trio.CapacityLimiter(DIRECTORY_SEARCHES_MAX)

    async def read(self, directory: str, path: str) -> Listing | FileContent:
        """See `Files`. Reads in a thread."""
        return await trio.to_thread.run_sync(_read, Path(directory), path)

    async def browse(self, path: str, roots: tuple[str, ...]) -> Folder:
        """See `Files`. Reads in a thread."""
        return await trio.to_thread.run_sync(folders.browse, path, roots)

    async def search(self, path: str, query: str, roots: tuple[str, ...]) -> Folder:
        """See `Files`. Reads in one of a few threads: a search occupies the interpreter for up to a second."""
        return await trio.to_thread.run_sync(folder_search.search, path, query, roots, limiter=self._searching)

    async def make_directory(self, path: str, roots: tuple[str, ...]) -> Folder:
        """See `Files`. Writes in a thread."""
        return await trio.to_thread.run_sync(folders.make_directory, path, roots)


def _read(directory: Path, path: str) -> Listing | FileContent:
    try:
        root = directory.resolve(strict=True)
    except OSError as error:
        raise Rejected("workspace_gone", f"the directory {directory} no longer exists") from error
    try:
        descriptor = _open(root, _resolved(root, path))
    except OSError as error:
        raise _refusal(path, error) from error
    try:
        return _read_opened(descriptor, path)
    except PermissionError as error:
        raise _refusal(path, error) from error
    finally:
        os.close(descriptor)


def _resolved(root: Path, path: str) -> tuple[str, ...]:
    """Return the steps from `root` to the target of `path`. Raises `Rejected`, `OSError`."""
    if "\0" in path or Path(path).is_absolute():
        raise Rejected("path_outside_workspace", f"{path!r} is not a path inside the workspace")
    try:
        resolved = (root / path).resolve(strict=True)
    except RuntimeError as error:  # a loop of symlinks, before Python 3.13
        raise OSError(errno.ELOOP, "the symlinks form a loop") from error
    if not resolved.is_relative_to(root):
        raise Rejected("path_outside_workspace", f"{path} leads out of the workspace")
    return resolved.relative_to(root).parts


def _open(root: Path, steps: tuple[str, ...]) -> int:
    descriptor = os.open(root, _STEP | os.O_DIRECTORY)
    for step in steps:
        try:
            following = os.open(step, _STEP, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = following
    return descriptor


def _read_opened(descriptor: int, path: str) -> Listing | FileContent:
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        return _list(descriptor)
    if stat.S_ISREG(status.st_mode):
        with open(descriptor, "rb", closefd=False) as file:
            return FileContent(file.read(FILE_READ_BYTES_MAX), status.st_size)
    raise Rejected("file_unreadable", f"{path} is neither a file nor a directory")


def _list(descriptor: int) -> Listing:
    with os.scandir(descriptor) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    return Listing(tuple(_entry(entry) for entry in entries[:DIRECTORY_ENTRIES_MAX]), len(entries))


def _entry(entry: os.DirEntry[str]) -> FileEntry:
    name = os.fsencode(entry.name).decode("utf-8", "replace")
    kind = _type(entry)
    try:
        size = entry.stat(follow_symlinks=False).st_size if kind == "file" else None
    except OSError:  # removed meanwhile
        size = None
    return FileEntry(name, kind, size)


def _type(entry: os.DirEntry[str]) -> FileType:
    if entry.is_symlink():
        return "symlink"
    if entry.is_dir(follow_symlinks=False):
        return "directory"
    return "file" if entry.is_file(follow_symlinks=False) else "other"


def _refusal(path: str, error: OSError) -> Rejected:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        return Rejected("file_not_found", f"there is no {path} in the workspace")
    return Rejected("file_unreadable", f"{path} cannot be read: {error.strerror}")
