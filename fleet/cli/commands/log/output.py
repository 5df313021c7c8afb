"""The directory that a `fleet log` command writes."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from fleet.errors import StartupError


@contextmanager
def new_directory(directory: Path) -> Generator[Path]:
    """Make the directory, readable for this user alone, or take an empty one.

    If the block does not end well, what it wrote is removed: half an export proves nothing. Raises `StartupError`.
    """
    try:
        existed = directory.is_dir()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        taken = any(directory.iterdir())
    except OSError as error:
        raise StartupError(f"The directory {directory} cannot be made: {error.strerror}.") from error
    if taken:
        raise StartupError(f"The directory {directory} is not empty: choose another one with -o.")
    try:
        yield directory
    except BaseException:
        _empty(directory)
        if not existed:
            directory.rmdir()
        raise


def _empty(directory: Path) -> None:
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
