"""Where a directory that is to be snapshotted lies, and which rules say what is ignored there."""

from pathlib import Path
from typing import NamedTuple

import trio

from fleet.adapters.git.command import attempt, run
from fleet.core.paths import is_inside


class Place(NamedTuple):
    """A directory, seen by git.

    `top` is where ignore rules and paths begin: the root of the checkout, or the directory itself where it is in none
    (or is ignored by it). `prefix` is the directory below it, `""` or `"a/b/"`. The rest is about the checkout and None
    outside of one: its own git directory, the object directory, what `info/exclude` holds, the user's
    `core.excludesFile`.
    """

    top: str
    prefix: str = ""
    git_directory: str | None = None
    objects: str | None = None
    object_format: str = "sha1"
    exclude: bytes = b""
    excludes_file: str | None = None


async def locate(directory: str) -> Place:
    """Return the place of a real directory. A broken or distrusted `.git` counts as none. Raises `Problem`."""
    flags = ("--show-toplevel", "--absolute-git-dir", "--git-common-dir", "--show-object-format")
    found = await attempt("rev-parse", "--path-format=absolute", *flags, directory=directory)
    if found.code != 0:
        return Place(directory)
    lines = found.line.split("\n")
    if len(lines) != len(flags):  # a newline in a path
        lines = [await run("rev-parse", "--path-format=absolute", flag, directory=directory) for flag in flags]
    top, git_directory, repository, object_format = lines
    if not is_inside(directory, (top,)):  # `core.worktree` may name any place
        return Place(directory)
    prefix = "" if directory == top else f"{directory.removeprefix(top).strip('/')}/"
    if prefix and await _is_ignored(top, directory):
        return Place(directory)
    return Place(
        top,
        prefix,
        git_directory,
        f"{repository}/objects",
        object_format,
        await trio.to_thread.run_sync(_read, f"{repository}/info/exclude"),
        await _excludes_file(directory),
    )


async def _is_ignored(top: str, directory: str) -> bool:
    return (await attempt("check-ignore", "--quiet", "--", directory, directory=top)).code == 0


async def _excludes_file(directory: str) -> str | None:
    found = await attempt("config", "--type=path", "--get", "core.excludesFile", directory=directory)
    return found.line if found.code == 0 and found.line else None


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
