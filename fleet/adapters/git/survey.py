"""Looks at a worktree or clone and puts everything that is in it, as objects, into the source repository.

The checkout's files, index and refs are only read. The work tree is hashed as it is on disk, except for files that git
itself would call unchanged: those are what `HEAD` has. So no clean filter runs, and a large file that a filter keeps
elsewhere (LFS) is not copied. Refused is what a commit cannot hold: nested repositories, and files without read access.
"""

import os
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import trio

from fleet.adapters.git import branches
from fleet.adapters.git.command import attempt, run
from fleet.adapters.git.places import Place, locate
from fleet.adapters.git.repository import commit_of, read_ref
from fleet.adapters.git.saved import Saved
from fleet.adapters.git.snapshot import Left, forget_index, update_index, write_tree
from fleet.adapters.git.stores import Store, make_store
from fleet.adapters.git.tips import Candidates, candidates_in, own_tips
from fleet.adapters.git.worktrees import note_ref, registration_at
from fleet.errors import Problem, Rejected
from fleet.limits import IGNORED_NAMED_MAX
from fleet.ports import WorkspaceOrder


class Work(NamedTuple):
    """What a workspace holds. `nothing`: all of it is on branches that stay. `objects`: tags that only it has."""

    saved: Saved
    nothing: bool
    git_directory: str | None
    objects: tuple[str, ...]
    ignored: tuple[str, ...]


async def survey(repository: str, order: WorkspaceOrder, directory: str) -> Work:
    """Look at the checkout of `order`, which stands at `directory` now.

    Raises `Rejected` workspace_dirty for what cannot be kept, `Problem` git_failed.
    """
    place = await _place(repository, order, directory)
    own = place.git_directory
    head, branch = await _head(repository, order, own)
    found = Candidates((), ()) if own is None else await candidates_in(own, with_refs=order.strategy == "clone")
    note = await read_ref(own or repository, note_ref(order.workspace_id))
    going, tip = await going_branch(repository, order)
    refs = found.refs if tip is None else ((f"refs/heads/{going}", tip),)
    candidates = [commit for commit in (head, tip, *found.commits) if commit is not None]
    objects = await _fetch(repository, order, own, candidates, found.tags)
    tips = await own_tips(repository, candidates, going)
    tree = await _work_tree(repository, place, head)
    head_tree = await tree_of(repository, head)
    index = None if own is None else await _index_tree(own, directory)
    saved = Saved(
        tree,
        head,
        branch,
        note,
        None if index == head_tree else index,
        refs,
        tuple(commit for commit in tips if commit != head),
    )
    nothing = tree == head_tree and saved.staged is None and not tips and not objects
    return Work(saved, nothing, own, objects, () if own is None else await _ignored(directory))


async def going_branch(repository: str, order: WorkspaceOrder) -> tuple[str | None, str | None]:
    """Return the branch that goes with a worktree and its commit: the one that Fleet made for it, else None."""
    if order.strategy == "clone" or order.branch is None:
        return None, None
    if await read_ref(repository, note_ref(order.workspace_id)) is None:
        return None, None
    return order.branch, await branches.tip(repository, order.branch)


async def tree_of(repository: str, commit: str | None) -> str:
    """Return the tree of a commit, the empty tree for none. Raises `Problem` git_failed."""
    if commit is None:
        return await run("mktree", directory=repository, repository=repository)
    return await run("rev-parse", "--verify", f"{commit}^{{tree}}", directory=repository, repository=repository)


@asynccontextmanager
async def scratch_store(repository: str, place: Place) -> AsyncGenerator[Store, None]:
    """Open a store that writes its objects to the repository and is gone after the block."""
    with tempfile.TemporaryDirectory(prefix="fleet-index-") as scratch:
        store = Store(f"{scratch}/store", objects=f"{repository}/objects", excludes_file=place.excludes_file)
        await make_store(store, place.object_format, exclude=place.exclude)
        yield store


async def _place(repository: str, order: WorkspaceOrder, directory: str) -> Place:
    place = await locate(directory)
    found = await attempt("rev-parse", "--path-format=absolute", "--git-common-dir", directory=directory)
    shared = str(await trio.Path(found.line).resolve()) if found.code == 0 else None
    own = f"{directory}/.git" if order.strategy == "clone" else repository
    if place.top == directory and place.git_directory is not None and shared == own:
        return place
    if order.strategy == "clone":
        raise Rejected(
            "workspace_dirty",
            f"git cannot read the clone at {directory!r}, so what is in it cannot be kept",
            hint="Repair its .git, or save what you need, remove the directory, then try again.",
        )
    # A worktree whose link to the repository is broken: its files are kept all the same.
    object_format = await run("rev-parse", "--show-object-format", directory=repository, repository=repository)
    return Place(directory, object_format=object_format)


async def _head(repository: str, order: WorkspaceOrder, own: str | None) -> tuple[str | None, str | None]:
    if own is None:
        registration = await registration_at(repository, order.directory)
        if registration is not None and registration.head is not None and registration.head.strip("0"):
            return registration.head, registration.branch
        return None if order.branch is None else await branches.tip(repository, order.branch), order.branch
    named = await attempt("symbolic-ref", "--quiet", "HEAD", directory=own, repository=own)
    found = await attempt("rev-parse", "--verify", "--quiet", "HEAD^{commit}", directory=own, repository=own)
    return found.line if found.code == 0 else None, named.line.removeprefix("refs/heads/") or None


async def _fetch(
    repository: str, order: WorkspaceOrder, own: str | None, commits: list[str], tags: tuple[str, ...]
) -> tuple[str, ...]:
    """Bring a clone's commits and tags into the source, under no name yet. Return the tags that the source lacks."""
    if order.strategy != "clone" or own is None:
        return ()
    listed = await run("for-each-ref", "--format=%(objectname)", directory=repository, repository=repository)
    missing = tuple(sorted(set(tags) - set(listed.split())))
    wanted = "".join(f"{name}\n" for name in dict.fromkeys((*commits, *missing)))
    if wanted:
        await fetch(own, repository, wanted)
    return missing


async def fetch(origin: str, repository: str, wanted: str) -> None:
    """Copy objects and what they lead to from one repository to another; `wanted` has a line for each.

    Raises `Problem` git_failed, also where the origin does not have all of the history (a shallow one).
    """
    await run(
        "fetch",
        *("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--stdin", "--", origin),
        directory=repository,
        repository=repository,
        environment={
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "protocol.version",  # the one that hands out objects which no ref names
            "GIT_CONFIG_VALUE_0": "2",
            "GIT_CONFIG_KEY_1": "protocol.file.allow",
            "GIT_CONFIG_VALUE_1": "always",
        },
        stdin=wanted.encode(),
    )


async def _work_tree(repository: str, place: Place, head: str | None) -> str:
    async with scratch_store(repository, place) as store:
        await _seed(store, place, head)
        left, _ = await update_index(store, place, bounded=False)
        _refuse_left(place.top, left)
        return await write_tree(store, place)


async def _seed(store: Store, place: Place, head: str | None) -> None:
    """Begin with what HEAD has, and what the checkout's own index knows of those files on disk."""
    start = ("--empty",) if head is None else ("--reset", head)
    if place.git_directory is not None and await trio.to_thread.run_sync(
        _copy_index, place.git_directory, store.index_file
    ):
        try:
            await _clear_flags(store, place.top)
            await store.run("read-tree", *start, top=place.top)
        except Problem:  # one that only its own git directory can read: then every file is read
            await trio.to_thread.run_sync(forget_index, store)
        else:
            return
    await store.run("read-tree", *start, top=place.top)


def _copy_index(git_directory: str, to: str) -> bool:
    try:
        shutil.copy2(Path(git_directory, "index"), to)  # with its time: git tells by it which files to look at twice
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Problem("git_failed", f"Fleet cannot read the index in {git_directory!r}: {error.strerror}") from None
    return True


async def _clear_flags(store: Store, top: str) -> None:
    """Look at files that somebody told git not to look at."""
    listed = (await store.run("ls-files", "-v", "-z", top=top)).split("\0")
    assumed = [line[2:] for line in listed if line[:1].islower()]
    hidden = [line[2:] for line in listed if line[:1] in ("S", "s")]
    skipped = await trio.to_thread.run_sync(_present, top, hidden)
    for option, names in (("--no-assume-unchanged", assumed), ("--no-skip-worktree", skipped)):
        if names:
            await store.run(
                "update-index", option, "-z", "--stdin", top=top, stdin=os.fsencode("\0".join((*names, "")))
            )


def _present(top: str, names: list[str]) -> list[str]:
    """Return those that are on disk: the others are left out by a sparse checkout."""
    return [name for name in names if os.path.lexists(f"{top}/{name}")]


def _refuse_left(top: str, left: Left) -> None:
    for names, why in ((left.nested, "is a repository of its own"), (left.unreadable, "cannot be read by Fleet")):
        if names:
            raise Rejected(
                "workspace_dirty",
                f"{names[0]!r} in {top!r} {why}, so it cannot be kept",
                hint="Move it out of the workspace or remove it, then try again.",
            )


async def _index_tree(own: str, directory: str) -> str:
    """Return what is staged as a tree. Of a file in conflict nothing is: its sides are in the commits that meet."""
    with tempfile.TemporaryDirectory(prefix="fleet-index-") as scratch:
        copy = f"{scratch}/index"
        if not await trio.to_thread.run_sync(_copy_index, own, copy):
            return await run("mktree", directory=own, repository=own)
        environment = {"GIT_INDEX_FILE": copy, "GIT_WORK_TREE": directory}

        async def git(command: str, *arguments: str, stdin: bytes = b"") -> str:
            return await run(
                command, *arguments, directory=directory, repository=own, environment=environment, stdin=stdin
            )

        unmerged = [line for line in (await git("ls-files", "--unmerged", "-z")).split("\0") if line]
        if unmerged:
            names = {line.partition("\t")[2]: len(line.split(" ")[1]) for line in unmerged}
            lines = "".join(f"0 {'0' * digits}\t{name}\0" for name, digits in names.items())
            await git("update-index", "-z", "--index-info", stdin=os.fsencode(lines))
        return await git("write-tree")


async def _ignored(directory: str) -> tuple[str, ...]:
    listed = await run(
        "ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z", directory=directory
    )
    names = [os.fsencode(name).decode(errors="backslashreplace") for name in listed.split("\0") if name]
    return tuple(sorted(names)[:IGNORED_NAMED_MAX])


async def is_commit(repository: str, commit: str) -> bool:
    """Tell whether the repository has a commit."""
    return await commit_of(repository, commit) == commit
