"""Lists and creates directories on this machine's disk, below the roots only. folder_search.py searches.

A path is resolved first, symlinks included, and has to be inside of a root. Then it is opened step by step from that
root without following symlinks, so that a symlink which appears in between is refused.
"""

import errno
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import PurePath

from fleet.core.paths import is_inside
from fleet.errors import Rejected
from fleet.ports import Folder, FolderEntry

_STEP = os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
_THROUGH = _STEP | getattr(os, "O_PATH", os.O_RDONLY)
"""Passing through a directory needs no permission to read it, where the system distinguishes the two."""


def browse(path: str, roots: tuple[str, ...]) -> Folder:
    """See `Files.browse`. Blocks."""
    real = resolved(path, roots)
    try:
        with opened(real, roots, os.O_RDONLY) as descriptor:
            return _folder(real, roots, descriptor)
    except OSError as error:
        raise refusal(path, error) from error


def make_directory(path: str, roots: tuple[str, ...]) -> Folder:
    """See `Files.make_directory`. Blocks."""
    above, name = os.path.split(path.rstrip("/"))
    if name in ("", ".", ".."):
        raise Rejected("invalid", f"{path!r} does not end with the name of a new directory", field="path")
    real = resolved(above, roots)
    try:
        with opened(real, roots, _THROUGH) as descriptor:
            _make(name, descriptor, path)
    except OSError as error:
        raise refusal(above, error) from error
    return browse(os.path.join(real, name), roots)  # noqa: PTH118 - text stays text here


def _make(name: str, above: int, path: str) -> None:
    try:
        os.mkdir(name, dir_fd=above)
    except FileExistsError:
        raise Rejected("directory_exists", f"{path!r} already exists", field="path") from None
    except (OSError, UnicodeEncodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "its name is not valid text"
        raise Rejected("directory_unwritable", f"{path!r} cannot be created: {why}", field="path") from error


def resolved(path: str, roots: tuple[str, ...]) -> str:
    """Return the real path, which is inside of a root. An error about a path outside does not say whether it exists."""
    if not PurePath(path).is_absolute():
        raise Rejected(
            "directory_missing", f"{path!r} is not an absolute path", field="path", hint="Use an absolute path."
        )
    try:
        real = os.path.realpath(path)
        os.fsencode(real)
    except (OSError, ValueError) as error:
        raise Rejected("directory_missing", f"{path!r} is not a path", field="path") from error
    if not is_inside(real, roots):
        raise Rejected(
            "directory_outside_roots",
            f"{path!r} is outside of the allowed roots",
            field="path",
            hint="GET /api/workspace-roots lists the allowed roots.",
        )
    return real


@contextmanager
def opened(real: str, roots: tuple[str, ...], flags: int) -> Generator[int]:
    """Open a real path step by step from its root. Raises `OSError`."""
    root = next(root for root in roots if is_inside(real, (root,)))
    descriptor = os.open(root, _THROUGH)
    try:
        for step in (*PurePath(real).relative_to(root).parts, "."):
            following = os.open(step, _STEP | flags if step == "." else _THROUGH, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = following
        yield descriptor
    finally:
        os.close(descriptor)


def _folder(real: str, roots: tuple[str, ...], descriptor: int) -> Folder:
    with os.scandir(descriptor) as found:
        names = sorted(entry.name for entry in found if is_directory(entry))
    entries = [entry_of(name, real, roots, descriptor) for name in names]
    return Folder(
        real,
        parent_of(real, roots),
        is_repository(".", descriptor),
        tuple(entry for entry in entries if entry is not None),
    )


def parent_of(real: str, roots: tuple[str, ...]) -> str | None:
    """Return the directory above a real path, None at the top of the roots."""
    parent = str(PurePath(real).parent)
    return parent if parent != real and is_inside(parent, roots) else None


def is_directory(entry: os.DirEntry[str]) -> bool:
    """Return whether it is a directory, or a symlink to one."""
    try:
        return entry.is_dir()
    except OSError:  # a loop of symlinks, or a file system that is not mounted
        return False


def entry_of(name: str, above: str, roots: tuple[str, ...], descriptor: int) -> FolderEntry | None:
    """Return the entry; None if it leads out of the roots, or its name is not valid text."""
    real = os.path.realpath(os.path.join(above, name))  # noqa: PTH118 - text stays text here
    try:
        (name + real).encode()
    except UnicodeEncodeError:
        return None
    return FolderEntry(name, real, is_repository(name, descriptor)) if is_inside(real, roots) else None


def is_repository(name: str, descriptor: int) -> bool:
    """Return whether git would treat the directory as a work tree or a bare repository."""
    if _mode(f"{name}/.git", descriptor) is not None:
        return True
    parts = [_mode(f"{name}/{part}", descriptor) for part in ("HEAD", "objects", "refs")]
    return None not in parts and stat.S_ISDIR(parts[1] or 0) and stat.S_ISDIR(parts[2] or 0)


def _mode(path: str, descriptor: int) -> int | None:
    try:
        return os.stat(path, dir_fd=descriptor).st_mode
    except OSError:
        return None


def refusal(path: str, error: OSError) -> Rejected:
    """Return the refusal for a system error about a path."""
    if error.errno in (errno.ENOTDIR, errno.ELOOP):
        return Rejected("not_a_directory", f"{path!r} is not a directory", field="path")
    if error.errno in (errno.ENOENT, errno.ENAMETOOLONG):
        return Rejected("directory_missing", f"{path!r} does not exist", field="path")
    return Rejected("directory_unreadable", f"{path!r} cannot be read: {error.strerror}", field="path")
