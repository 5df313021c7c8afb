"""Makes git commands write objects to a temporary directory, so that a preview leaves a repository unchanged.

command.py calls it for each command that names a repository. The command reads the repository's objects and those of
the block, and writes to a temporary directory of the block.
"""

import hashlib
import os
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from fleet.adapters.git.files import read_file

_DIRECTORY: Final[ContextVar[str | None]] = ContextVar("scratch objects", default=None)


@contextmanager
def objects_discarded() -> Generator[None]:
    """Discard the objects that git writes in this block, child tasks included, at its end."""
    with tempfile.TemporaryDirectory(prefix="fleet-objects-") as directory:
        token = _DIRECTORY.set(directory)
        try:
            yield
        finally:
            _DIRECTORY.reset(token)


def discarding(repository: str | None, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a command needs besides `environment`; none outside of such a block."""
    directory = _DIRECTORY.get()
    if directory is None or repository is None:
        return {}
    objects = os.path.realpath(environment.get("GIT_OBJECT_DIRECTORY") or _objects_of(repository))
    # One for each repository, because their object formats may differ.
    place = Path(directory, hashlib.sha256(os.fsencode(objects)).hexdigest())
    place.mkdir(exist_ok=True)
    return {"GIT_OBJECT_DIRECTORY": str(place), "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(objects)}


def _objects_of(git_directory: str) -> str:
    """Return the object directory of a git directory, that of a worktree included."""
    try:
        common = read_file(Path(git_directory, "commondir")).removesuffix(b"\n")
    except OSError:
        return f"{git_directory}/objects"
    return str(Path(git_directory, os.fsdecode(common), "objects"))


def _quoted(path: str) -> str:
    """Return the path quoted for a list that git reads."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
