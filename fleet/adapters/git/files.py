"""The few file operations of workspaces, off the event loop."""

import os
import shutil
from pathlib import Path

import trio

from fleet.errors import Problem
from fleet.private import make_private_directory


async def make_directory(directory: str) -> None:
    """Create a directory, and those above it, for this user alone. Raises `Problem` git_failed."""
    try:
        await trio.to_thread.run_sync(make_private_directory, Path(directory))
    except OSError as error:
        raise _refused("create", directory, error) from None


async def exists(path: str) -> bool:
    """Tell whether anything is there, a symlink to nowhere included."""
    return await trio.to_thread.run_sync(os.path.lexists, path)


async def remove_tree(directory: str) -> None:
    """Remove a directory and all that is in it, following no symlink. Raises `Problem` git_failed."""
    try:
        await trio.to_thread.run_sync(shutil.rmtree, directory)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _refused("remove", directory, error) from None


async def remove_if_empty(directory: str) -> None:
    """Remove a directory that holds nothing; leave any other alone."""
    try:
        await trio.to_thread.run_sync(os.rmdir, directory)
    except OSError:
        return


def _refused(verb: str, directory: str, error: OSError) -> Problem:
    return Problem(
        "git_failed", f"Fleet cannot {verb} {directory!r}: {error.strerror}", hint="Check rights and free space there."
    )
