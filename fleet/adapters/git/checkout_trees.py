"""Reads the content of a checkout, on disk and in its index, as git trees.

Repositories inside cannot be preserved: a tree has only the id of a commit for them. They are accepted only if all of
their content exists elsewhere: no file differs from `HEAD`, and remotes have every commit that they name.
"""

import os
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from fleet.adapters.git.checkout_location import Place, locate
from fleet.adapters.git.command import run, without_files
from fleet.adapters.git.repository import head_of
from fleet.adapters.git.snapshot import Left, forget_index, update_index, write_tree
from fleet.adapters.git.snapshot_repository import SnapshotRepository, make_store
from fleet.adapters.git.unique_commits import candidates_in
from fleet.errors import Problem, Rejected

_GITLINK: Final = "160000 "


async def tree_of(repository: str, commit: str | None) -> str:
    """Return the tree of a commit, the empty tree for none. Raises `Problem` git_failed."""
    if commit is None:
        return await run("mktree", directory=repository, repository=repository)
    return await run(
        "rev-parse",
        *("--verify", f"{commit}^{{tree}}"),
        directory=repository,
        repository=repository,
        environment=without_files(repository),
    )


@asynccontextmanager
async def scratch_store(objects: str, place: Place) -> AsyncGenerator[SnapshotRepository, None]:
    """Open a temporary store that writes its objects to a repository's directory."""
    with tempfile.TemporaryDirectory(prefix="fleet-index-") as scratch:
        store = SnapshotRepository(f"{scratch}/store", objects=objects, excludes_file=place.excludes_file)
        await make_store(store, place.object_format, exclude=place.exclude)
        yield store


async def work_tree(repository: str, place: Place, head: str | None) -> tuple[str, tuple[str, ...]]:
    """Write the files of a checkout to the repository; return their tree, and the non-empty repositories inside.

    Raises `Rejected` workspace_dirty for content that a tree cannot hold, `Problem` git_failed.
    """
    async with scratch_store(f"{repository}/objects", place) as store:
        await _seed(store, place, head)
        left, _ = await update_index(store, place, bounded=False)
        _refuse_left(place.top, left)
        inside = await _published_inside(store, place)
        return await write_tree(store, place), inside


async def index_tree(own: str, directory: str) -> str:
    """Return the index as a tree, without files in conflict: their versions are in the merged commits."""
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


# ------------------------------------------------------------------------------------------------ repositories inside


async def _published_inside(store: SnapshotRepository, place: Place) -> tuple[str, ...]:
    """Return the non-empty repositories in the store's index. Raises `Rejected` if one holds work."""
    staged = (await store.run("ls-files", "--stage", "-z", top=place.top)).split("\0")
    found: list[str] = []
    for name in (line.partition("\t")[2] for line in staged if line.startswith(_GITLINK)):
        directory = f"{place.top}/{name}"
        if not await trio.to_thread.run_sync(_holds_anything, directory):
            continue
        inside = await _look_inside(directory)
        if inside is None:
            raise _nested(place.top, name)
        found += [name, *(f"{name}/{inner}" for inner in inside)]
    return tuple(found)


def _holds_anything(directory: str) -> bool:
    try:
        return any(Path(directory).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # it cannot be read
        return True


async def _look_inside(directory: str) -> tuple[str, ...] | None:
    """Return the non-empty repositories inside a repository; None if that holds work of its own."""
    if not await trio.to_thread.run_sync(os.path.lexists, f"{directory}/.git"):
        return None
    place = await locate(directory, moved=True)
    own = place.git_directory
    if own is None or place.objects is None:
        return None
    if own != f"{directory}/.git" and await trio.Path(directory, ".git").is_dir():  # broken: git found one further up
        return None
    head, _ = await head_of(own)
    if head is None or not await _is_published(own):
        return None
    if await index_tree(own, directory) != await tree_of(own, head):
        return None
    async with scratch_store(place.objects, place) as store:
        await _seed(store, place, head)
        await store.attempt("update-index", "-q", "--refresh", top=directory)
        changed = await store.run("diff-files", "--name-only", "--ignore-submodules=dirty", top=directory)
        if changed or await store.run("ls-files", "--others", "--exclude-standard", top=directory):
            return None
        return await _published_inside(store, place)


async def require_published_modules(own: str) -> None:
    """Raise `Rejected` if the repository of a submodule in this git directory has commits of its own."""
    modules = Path(own, "modules")
    for found in await trio.to_thread.run_sync(_repositories_below, modules):
        if not await _is_published(str(found)):
            raise _nested(own, str(found.relative_to(own)))


def _repositories_below(top: Path) -> list[Path]:
    """Return the git directories below `top`: a submodule's name may contain slashes, and it may have submodules."""
    return [Path(at) for at, directories, files in os.walk(top) if "HEAD" in files and "objects" in directories]


async def _is_published(git_directory: str) -> bool:
    """Return whether remotes have every commit that a repository names, by its remote-tracking branches."""
    found = await candidates_in(git_directory, with_refs=True)
    head, _ = await head_of(git_directory)
    named = dict.fromkeys((*([] if head is None else [head]), *found.commits))
    if not named:
        return True
    asked = "".join(f"{commit}\n" for commit in named).encode()
    arguments = ("--max-count=1", "--stdin", "--not", "--remotes")
    listed = await run(
        "rev-list",
        *arguments,
        directory=git_directory,
        repository=git_directory,
        environment=without_files(git_directory),
        stdin=asked,
    )
    return not listed


async def _seed(store: SnapshotRepository, place: Place, head: str | None) -> None:
    """Fill the store's index from HEAD and the checkout's own index, which knows the state of the files on disk."""
    start = ("--empty",) if head is None else ("--reset", head)
    if place.git_directory is not None and await trio.to_thread.run_sync(
        _copy_index, place.git_directory, store.index_file
    ):
        try:
            await _clear_flags(store, place.top)
            await store.run("read-tree", *start, top=place.top)
        except Problem:  # only its own git directory can read it: then every file is read
            await trio.to_thread.run_sync(forget_index, store)
        else:
            return
    await store.run("read-tree", *start, top=place.top)


def _copy_index(git_directory: str, to: str) -> bool:
    try:
        shutil.copy2(Path(git_directory, "index"), to)  # with its time, by which git decides which files to read again
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Problem("git_failed", f"Fleet cannot read the index in {git_directory!r}: {error.strerror}") from None
    return True


async def _clear_flags(store: SnapshotRepository, top: str) -> None:
    """Include the files that the user's index marks as unchanged or skipped."""
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
    """Return the names that exist on disk; a sparse checkout omits the others."""
    return [name for name in names if os.path.lexists(f"{top}/{name}")]


def _refuse_left(top: str, left: Left) -> None:
    if left.nested:
        raise _nested(top, left.nested[0])
    if left.unreadable:
        raise _unkept(top, left.unreadable[0], "cannot be read by Fleet")


def _nested(top: str, name: str) -> Rejected:
    return _unkept(top, name, "is a nested repository or inside of one, with work that exists nowhere else")


def _unkept(top: str, name: str, why: str) -> Rejected:
    return Rejected(
        "workspace_dirty",
        f"{name!r} in {top!r} {why}, so it cannot be preserved",
        hint="Push what you need from it, move it out of the workspace or remove it, then try again.",
    )
