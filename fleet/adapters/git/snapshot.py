"""Updates the index of a snapshot repository from the files on disk, and writes the tree.

git finds the changes (`diff-files` for files in the index and `ls-files --others` for new ones, in parallel), and only
these files are read. The index stores the size, times and inode of each file, so that the next snapshot reads only
later changes. Files in the user's own index are included even if a rule ignores them, as in `git status`.

A tree does not contain the content of nested repositories (only their commit, as a gitlink), sockets, devices, pipes,
and files above `TREE_FILE_BYTES_MAX`; an unreadable file keeps its last known content. `Left` lists them.
"""

import os
import stat
from collections.abc import Iterable
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
from fleet.side_by_side import side_by_side


class Left(NamedTuple):
    """The files whose content on disk is not in the index: names relative to the top."""

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
    """Read the changed files into the store's index. Return those that could not be read, and the current rules.

    `before` are the rules of the last snapshot. `bounded`: omit large files and refuse too many; without it everything
    is included, as a removal needs it. Raises `Problem`: tree_too_large, git_failed (also when files change while they
    are read: try again).
    """
    known = await exists(store.index_file)  # before the first snapshot the index has no files
    changed: dict[str, bool] = {}
    new: list[str] = []
    rules: list[Rules] = []
    await side_by_side(
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
    found = await trio.to_thread.run_sync(_classify, place.top, present, bounded)
    await _drop(store, place, [*gone, *found.drop])
    await _add(store, place, found.add)
    for nested in found.left.nested:
        # git refuses one without a commit, which a gitlink could not name.
        await store.attempt("update-index", "--add", "--replace", "--", nested, top=place.top)
    return found.left, now


async def write_tree(store: SnapshotRepository, place: Place) -> str:
    """Write the index as a tree and return its id; paths in it begin at the place's directory.

    Raises `Problem` git_failed, also if an object of the index is missing.
    """
    if not place.prefix:
        return await store.run("write-tree")
    written = await store.attempt("write-tree", f"--prefix={place.prefix}")
    if written.code == 0:
        return written.line
    if "not found" in written.stderr:  # the directory has no files
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


def _classify(top: str, names: Iterable[str], bounded: bool) -> _Found:
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
        except OSError:  # removed since, or a directory above it is a file now
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
            f"{top!r} has {len(add)} files of {total} bytes to read; a snapshot has a limit for both",
            hint="List generated files in a .gitignore there, or work in a subdirectory.",
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
