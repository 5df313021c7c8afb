"""The file operations of workspaces, outside the event loop."""

import errno
import os
import shutil
import stat
from pathlib import Path

import trio

from fleet.errors import Problem
from fleet.limits import GIT_OUTPUT_BYTES_MAX
from fleet.private_files import make_private_directory


async def make_directory(directory: str) -> None:
    """Create a directory and its parents, accessible only to this user. Raises `Problem` git_failed."""
    try:
        await trio.to_thread.run_sync(make_private_directory, Path(directory))
    except OSError as error:
        raise _refused("create", directory, error) from None


def read_file(path: str | Path, *, follow: bool = True, head_bytes: int | None = None) -> bytes:
    """Return the content of a file of a repository, or its first `head_bytes`.

    Raises `OSError`, also for anything but a regular file (a repository may contain pipes and devices) and for a whole
    file above `GIT_OUTPUT_BYTES_MAX`. Without `follow` a symlink is refused.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    opened = os.open(path, flags)
    try:
        seen = os.fstat(opened)
        if not stat.S_ISREG(seen.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        if head_bytes is None and seen.st_size > GIT_OUTPUT_BYTES_MAX:
            raise OSError(errno.EFBIG, f"it is {seen.st_size} bytes; the limit is {GIT_OUTPUT_BYTES_MAX}")
        with open(opened, "rb", closefd=False) as file:
            return file.read(head_bytes)  # the size is not reliable: it is 0 for files of /proc
    finally:
        os.close(opened)


async def exists(path: str) -> bool:
    """Return whether the path exists; a broken symlink does."""
    return await trio.to_thread.run_sync(os.path.lexists, path)


async def remove_tree(directory: str) -> None:
    """Remove a directory and its content without following symlinks. Raises `Problem` git_failed."""
    try:
        await trio.to_thread.run_sync(shutil.rmtree, directory)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _refused("remove", directory, error) from None


async def remove_if_empty(directory: str) -> None:
    """Remove a directory if it is empty."""
    try:
        await trio.to_thread.run_sync(os.rmdir, directory)
    except OSError:
        return


def _refused(verb: str, directory: str, error: OSError) -> Problem:
    return Problem(
        "git_failed", f"Fleet cannot {verb} {directory!r}: {error.strerror}", hint="Check permissions and free space."
    )
