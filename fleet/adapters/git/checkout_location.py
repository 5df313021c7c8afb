"""Finds the checkout of a directory, and its rules of ignored files."""

from typing import NamedTuple

import trio

from fleet.adapters.git.command import attempt, run
from fleet.adapters.git.files import read_file
from fleet.core.paths import is_inside
from fleet.side_by_side import both


class Place(NamedTuple):
    """A directory, seen by git.

    Ignore rules and paths begin at `top`: the root of the checkout, or the directory itself if it is in none (or
    ignored by it). `prefix` is the directory relative to it, `""` or `"a/b/"`. The other fields describe the checkout
    and are None outside of one: its own git directory, the object directory, the content of `info/exclude`, the user's
    `core.excludesFile`.
    """

    top: str
    prefix: str = ""
    git_directory: str | None = None
    objects: str | None = None
    object_format: str = "sha1"
    exclude: bytes = b""
    excludes_file: str | None = None


async def locate(directory: str, *, moved: bool = False) -> Place:
    """Return the place of a real directory. A broken or untrusted `.git` is ignored. Raises `Problem`.

    `moved`: it is the root of a checkout although its configuration names another place, as in a submodule.
    """
    environment = {"GIT_WORK_TREE": directory} if moved else None
    flags = ("--show-toplevel", "--absolute-git-dir", "--git-common-dir", "--show-object-format")
    found, excludes = await both(
        attempt("rev-parse", "--path-format=absolute", *flags, directory=directory, environment=environment),
        attempt(*("config", "--type=path", "--get", "core.excludesFile"), directory=directory, environment=environment),
    )
    if found.code != 0:
        return Place(directory)
    lines = found.line.split("\n")
    if len(lines) != len(flags):  # a newline in a path
        lines = [
            await run("rev-parse", "--path-format=absolute", flag, directory=directory, environment=environment)
            for flag in flags
        ]
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
        excludes.line if excludes.says_yes() and excludes.line else None,
    )


async def _is_ignored(top: str, directory: str) -> bool:
    return (await attempt("check-ignore", "--quiet", "--", directory, directory=top)).says_yes()


def _read(path: str) -> bytes:
    try:
        return read_file(path)
    except OSError:
        return b""
