"""Brings the index of a snapshot repository in line with the files on disk, and writes the tree.

git finds what differs (`diff-files` for what the index knows, `ls-files --others` for what it does not, side by side),
and only that is read. The index keeps what git saw of each file (size, times, inode), so that the next snapshot reads
what changed since. What is in the user's own index counts even where a rule ignores it, as it does for `git status`.

Not in a tree: contents of nested repositories (their commit is, as a gitlink), sockets, devices and pipes; a file above
`TREE_FILE_BYTES_MAX`; a file that Fleet may not read stays as it was last seen. `Left` names them.
"""

import os
import stat
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import trio

from fleet.adapters.git.checkout_location import Place
from fleet.adapters.git.files import exists
from fleet.adapters.git.ignore_rules import IGNORED_AND_TRACKED, Rules, rules_of
from fleet.adapters.git.snapshot_repository import SnapshotRepository
from fleet.errors import Problem
from fleet.limits import TREE_FILE_BYTES_MAX, TREE_NEW_BYTES_MAX, TREE_NEW_FILES_MAX


class Left(NamedTuple):
    """What is not in the index as it is on disk: names relative to the top."""

    nested: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    large: tuple[str, ...] = ()


class _Found(NamedTuple):
    add: list[str]
    drop: list[str]
    left: Left


async def update_index(
    store: SnapshotRepository, place: Place, *, bounded: bool, before: Rules | None = None
) -> tuple[Left, Rules]:
    """Read what changed on disk into the store's index. Return what could not be, and the rules that held.

    `before` are the rules of the last snapshot. `bounded`: leave large files out and refuse too much; without it
    everything stays in that is there, as a removal needs it. Raises `Problem`: tree_too_large, git_failed (also when
    files change while they are read: try again).
    """
    known = await exists(store.index_file)  # the first snapshot asks git for no file that is in the index
    changed: dict[str, bool] = {}
    new: list[str] = []
    rules: list[Rules] = []
    await _side_by_side(
        *([partial(_find_changed, store, place, changed)] if known else []),
        partial(_find_new, store, place, new),
        partial(_find_rules, place, before, rules, exact=not bounded),
    )
    (now,) = rules
    gone = [name for name, is_gone in changed.items() if is_gone]
    present = [*(name for name, is_gone in changed.items() if not is_gone), *new]
    if not now.same(before) or any(name.rpartition("/")[2] == ".gitignore" for name in (*changed, *new)):
        listed = await store.run("ls-files", *IGNORED_AND_TRACKED, top=place.top) if known else ""
        ignored = set(_names(listed))
        present += sorted(now.forced - ignored)
        if bounded:
            gone += [name for name in ignored - now.forced if name not in changed]
    found = await trio.to_thread.run_sync(_look_at, place.top, present, bounded)
    await _drop(store, place, [*gone, *found.drop])
    await _add(store, place, found.add)
    for nested in found.left.nested:
        # One without a commit is refused, and has nothing that a gitlink could name.
        await store.attempt("update-index", "--add", "--replace", "--", nested, top=place.top)
    return found.left, now


async def write_tree(store: SnapshotRepository, place: Place) -> str:
    """Write the index as a tree and return its id; paths in it begin at the place's directory.

    Raises `Problem` git_failed, also where an object that the index names is gone.
    """
    if not place.prefix:
        return await store.run("write-tree")
    written = await store.attempt("write-tree", f"--prefix={place.prefix}")
    if written.code == 0:
        return written.line
    if "not found" in written.stderr:  # nothing is there
        return await store.run("mktree")
    raise written.failed()


async def _find_changed(store: SnapshotRepository, place: Place, into: dict[str, bool]) -> None:
    listed = await store.run("diff-files", "--name-status", "-z", "--ignore-submodules=dirty", top=place.top)
    fields = listed.split("\0")
    into.update(
        (name, status == "D")
        for status, name in zip(fields[::2], fields[1::2], strict=False)
        if name.startswith(place.prefix)
    )


async def _find_new(store: SnapshotRepository, place: Place, into: list[str]) -> None:
    below = ("--", place.prefix) if place.prefix else ()
    into += _names(await store.run("ls-files", "--others", "--exclude-standard", "-z", *below, top=place.top))


async def _find_rules(place: Place, before: Rules | None, into: list[Rules], *, exact: bool) -> None:
    into.append(await rules_of(place, before, exact=exact))


async def _side_by_side(*actions: Callable[[], Awaitable[None]]) -> None:
    """Do all at once; the first problem ends the others and is raised as it is, not in a group."""
    problems: list[Problem] = []

    async def act(action: Callable[[], Awaitable[None]]) -> None:
        try:
            await action()
        except Problem as problem:
            problems.append(problem)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for action in actions:
            nursery.start_soon(act, action)
    if problems:
        raise problems[0]


def _look_at(top: str, names: Iterable[str], bounded: bool) -> _Found:
    add: list[str] = []
    drop: list[str] = []
    nested: list[str] = []
    unreadable: list[str] = []
    large: list[str] = []
    total = 0
    for name in names:
        path = f"{top}/{name}"
        try:
            seen = os.lstat(path)
        except OSError:  # gone since, or a directory above it is a file now
            drop.append(name)
            continue
        if stat.S_ISDIR(seen.st_mode):
            (nested if os.path.lexists(f"{path}/.git") else drop).append(name.rstrip("/"))
        elif stat.S_ISLNK(seen.st_mode):
            add.append(name)
        elif not stat.S_ISREG(seen.st_mode):
            drop.append(name)
        elif not os.access(path, os.R_OK):
            unreadable.append(name)
        elif bounded and seen.st_size > TREE_FILE_BYTES_MAX:
            large.append(name)
            drop.append(name)
        else:
            add.append(name)
            total += seen.st_size
    if bounded and (len(add) > TREE_NEW_FILES_MAX or total > TREE_NEW_BYTES_MAX):
        raise Problem(
            "tree_too_large",
            f"{top!r} has {len(add)} files of {total} bytes to read, which is more than a snapshot takes",
            hint="Name what is generated in a .gitignore there, or work in a subdirectory.",
        )
    return _Found(add, drop, Left(tuple(nested), tuple(unreadable), tuple(large)))


async def _drop(store: SnapshotRepository, place: Place, names: list[str]) -> None:
    if names:
        nothing = "0" * (40 if place.object_format == "sha1" else 64)
        lines = "".join(f"0 {nothing}\t{name}\0" for name in names)
        await store.run("update-index", "-z", "--index-info", top=place.top, stdin=os.fsencode(lines))


async def _add(store: SnapshotRepository, place: Place, names: list[str]) -> None:
    if names:
        listed = os.fsencode("\0".join(names) + "\0")
        await store.run("update-index", "--add", "--remove", "--replace", "-z", "--stdin", top=place.top, stdin=listed)


def _names(listed: str) -> list[str]:
    return [name for name in listed.split("\0") if name]


def forget_index(store: SnapshotRepository) -> None:
    """Remove the store's index: the next snapshot reads everything."""
    with suppress(FileNotFoundError):
        Path(store.index_file).unlink()
