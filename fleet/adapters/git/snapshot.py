"""Brings a store's index in line with the files on disk and writes the tree.

git finds what differs (`diff-files` for what the index knows, `ls-files --others` for what it does not, side by side),
and only that is read. The index keeps what git saw of each file (size, times, inode), so that the next snapshot reads
what changed since. What is in the user's own index counts even where a rule ignores it, as it does for `git status`.

Not in a tree: contents of nested repositories (their commit is, as a gitlink), sockets, devices and pipes; a file above
`TREE_FILE_BYTES_MAX`; a file that Fleet may not read stays as it was last seen. `Left` names them.
"""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import trio

from fleet.adapters.git.command import attempt
from fleet.adapters.git.places import Place
from fleet.adapters.git.stores import Store
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


async def update_index(store: Store, place: Place, *, bounded: bool, rules_changed: bool) -> Left:
    """Read what changed on disk into the store's index, and say what could not be.

    `rules_changed`: what is ignored, or the user's index, may have changed since the last snapshot. `bounded`: leave
    large files out and refuse too much; without it everything stays in that is there, as a removal needs it. Raises
    `Problem`: tree_too_large, git_failed (also when files change while they are read: try again).
    """
    changed: dict[str, bool] = {}
    new: list[str] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_find_changed, store, place, changed)
        nursery.start_soon(_find_new, store, place, new)
    known_only = [name for name, gone in changed.items() if gone]
    present = [*(name for name, gone in changed.items() if not gone), *new]
    if rules_changed or any(name.rpartition("/")[2] == ".gitignore" for name in (*changed, *new)):
        forced, tracked = await _ignored_but_tracked(store, place)
        if bounded:
            known_only += [name for name in tracked - forced if name not in changed]
        present += sorted(forced - tracked)
    found = await trio.to_thread.run_sync(_look_at, place.top, present, bounded)
    await _drop(store, place, [*known_only, *found.drop])
    await _add(store, place, found.add)
    for nested in found.left.nested:
        # One without a commit is refused, and has nothing that a gitlink could name.
        await store.attempt("update-index", "--add", "--replace", "--", nested, top=place.top)
    return found.left


async def write_tree(store: Store, place: Place) -> str:
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


async def _find_changed(store: Store, place: Place, into: dict[str, bool]) -> None:
    listed = await store.run("diff-files", "--name-status", "-z", "--ignore-submodules=dirty", top=place.top)
    fields = listed.split("\0")
    into.update(
        (name, status == "D")
        for status, name in zip(fields[::2], fields[1::2], strict=False)
        if name.startswith(place.prefix)
    )


async def _find_new(store: Store, place: Place, into: list[str]) -> None:
    below = ("--", place.prefix) if place.prefix else ()
    into += _names(await store.run("ls-files", "--others", "--exclude-standard", "-z", *below, top=place.top))


async def _ignored_but_tracked(store: Store, place: Place) -> tuple[set[str], set[str]]:
    """Return the ignored names that are in the user's index, and those that are in the store's."""
    arguments = ("--cached", "--ignored", "--exclude-standard", "-z")
    tracked = set(_names(await store.run("ls-files", *arguments, top=place.top)))
    if place.git_directory is None:
        return set(), tracked
    # An index that git cannot read now (the user's git is writing, or it is damaged) names nothing.
    listed = await attempt("ls-files", *arguments, directory=place.top)
    forced = {name for name in _names(listed.stdout) if name.startswith(place.prefix)} if listed.code == 0 else tracked
    return forced, tracked


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


async def _drop(store: Store, place: Place, names: list[str]) -> None:
    if names:
        nothing = "0" * (40 if place.object_format == "sha1" else 64)
        lines = "".join(f"0 {nothing}\t{name}\0" for name in names)
        await store.run("update-index", "-z", "--index-info", top=place.top, stdin=os.fsencode(lines))


async def _add(store: Store, place: Place, names: list[str]) -> None:
    if names:
        listed = os.fsencode("\0".join(names) + "\0")
        await store.run("update-index", "--add", "--remove", "--replace", "-z", "--stdin", top=place.top, stdin=listed)


def _names(listed: str) -> list[str]:
    return [name for name in listed.split("\0") if name]


def forget_index(store: Store) -> None:
    """Remove the store's index: the next snapshot reads everything."""
    with suppress(FileNotFoundError):
        Path(store.index_file).unlink()
