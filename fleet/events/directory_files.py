"""The files of a data directory that a backup holds beside log and blobs, listed and read without following links.

    tokens.json     digests of the access tokens             signing.key, signing.pub    the key that signs the log
    webhooks/       addresses and secrets of webhooks        opencode-versions.json      the versions that wrote
    OpenCode's data trees/          snapshots of files, for diffs and forks

All else belongs to running processes (passwords, locks, logs), can be computed again (views, shells), or is the work of
people and agents, which git holds (workspaces).
"""

import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

from fleet.errors import Rejected
from fleet.limits import BACKUP_ROWS_MAX, EXPORT_PAGE_BYTES
from fleet.wire.backup import BackupFile, FileChunk, FileList

_FILES: Final = frozenset(("tokens.json", "signing.key", "signing.pub", "opencode-versions.json"))
_FOLDERS: Final = frozenset(("webhooks", "trees"))
_PASSING: Final = (".lock", ".new")
_TEMPORARY: Final = frozenset(("moment",))


def is_in_backup(path: str) -> bool:
    """Return whether a backup holds the file with this path below the data directory."""
    parts = PurePosixPath(path).parts
    if path != "/".join(parts) or not parts or ".." in parts or path.startswith("/") or "\0" in path:
        return False
    if len(parts) == 1:
        return path in _FILES
    passing = path.endswith(_PASSING) or parts[-1].startswith("tmp_")
    return parts[0] in _FOLDERS and not passing and not _TEMPORARY.intersection(parts)


def list_files(directory: Path, after: str = "", limit: int = BACKUP_ROWS_MAX) -> FileList:
    """Return a page of the files, in the order of their paths. It walks over all of them: call it in a thread."""
    found = sorted(paths_of(directory))
    page = found[bisect_right(found, after) :][: limit + 1]
    files: list[BackupFile] = []
    for path in page[:limit]:
        with suppress(OSError):  # it was removed meanwhile
            status = (directory / path).lstat()
            files.append(BackupFile(path, status.st_size, status.st_mtime_ns))
    return FileList(files, more=len(page) > limit)


def paths_of(directory: Path) -> Iterator[str]:
    """Yield the paths of all files of a backup, below the directory."""
    for name in _FILES:
        if (directory / name).is_file() and not (directory / name).is_symlink():
            yield name
    for folder in _FOLDERS:
        for at, folders, names in os.walk(directory / folder):
            folders[:] = [each for each in folders if each not in _TEMPORARY]
            below = os.path.relpath(at, directory)
            for name in names:
                path = f"{below}/{name}"
                if is_in_backup(path) and _is_text(path) and not Path(at, name).is_symlink():
                    yield path


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:  # Fleet writes no such name
        return False
    return True


def read_file(directory: Path, path: str, offset: int) -> FileChunk:
    """Return the next bytes of a file. Raises `Rejected` file_not_found for one that is not in a backup."""
    if not is_in_backup(path):
        raise Rejected("file_not_found", f"{path!r} is not a file of a backup")
    try:
        real = (directory / path).resolve(strict=True)
        if real != directory.resolve() / path:
            raise FileNotFoundError
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise Rejected("file_not_found", f"{path!r} cannot be read: it was removed") from error
    with os.fdopen(descriptor, "rb") as file:
        file.seek(offset)
        content = file.read(EXPORT_PAGE_BYTES)
        return FileChunk(content, end=not file.read(1))
