"""Takes the inventory of a worktree or clone: it writes all of its content as objects into the source repository.

The checkout's files, index and refs are only read. The work tree is hashed as it is on disk, except files that git
considers unchanged, for which `HEAD` has the content. So no clean filter runs, and a large file that a filter stores
elsewhere (LFS) is not copied. Content that a commit cannot hold is refused: nested repositories with work, and
unreadable files.
"""

import os
from typing import NamedTuple

import trio

from fleet.adapters.git import branches
from fleet.adapters.git.checkout_location import Place, locate
from fleet.adapters.git.checkout_trees import index_tree, require_published_modules, tree_of, work_tree
from fleet.adapters.git.command import LOCAL_ALLOWED, attempt, run
from fleet.adapters.git.preservation_commit import Saved
from fleet.adapters.git.repository import head_of, read_ref
from fleet.adapters.git.unique_commits import Candidates, candidates_in, own_tips, worktree_directory
from fleet.adapters.git.worktrees import note_ref, registration_at
from fleet.errors import Rejected
from fleet.ports import WorkspaceSpec


class Work(NamedTuple):
    """The content of a workspace. `nothing`: all of it is on branches that stay. `objects`: tags that only it has."""

    saved: Saved
    nothing: bool
    git_directory: str | None
    objects: tuple[str, ...]
    ignored: tuple[str, ...]


async def survey(repository: str, spec: WorkspaceSpec, directory: str) -> Work:
    """Read the checkout of `spec`, which is at `directory` now.

    Raises `Rejected` workspace_dirty for content that cannot be preserved, `Problem` git_failed.
    """
    place = await _place(repository, spec, directory)
    # A worktree whose link is broken still has its HEAD, index and records in the repository.
    own = place.git_directory or await worktree_directory(repository, spec.directory)
    head, branch = await _head(repository, spec, own)
    found = await candidates_of(repository, spec, own)
    note = await read_ref(own or repository, note_ref(spec.workspace_id))
    going, tip = await going_branch(repository, spec)
    refs = found.refs if tip is None else ((f"refs/heads/{going}", tip),)
    candidates = [commit for commit in (head, tip, *found.commits) if commit is not None]
    objects = await _fetch(repository, spec, own, candidates, found.tags)
    tips = await own_tips(repository, candidates, going)
    tree, inside = await work_tree(repository, place, head)
    head_tree = await tree_of(repository, head)
    index = None if own is None else await index_tree(own, directory)
    saved = Saved(
        tree,
        head,
        branch,
        note,
        None if index == head_tree else index,
        refs,
        tuple(commit for commit in tips if commit != head),
    )
    # Without a checked-out commit, a restore can only begin at a preserved one.
    nothing = head is not None and tree == head_tree and saved.staged is None and not tips and not objects
    ignored = () if place.git_directory is None else await _ignored(directory, inside)
    return Work(saved, nothing, own, objects, ignored)


async def candidates_of(repository: str, spec: WorkspaceSpec, own: str | None) -> Candidates:
    """Return the refs and commits of the workspace's own git directory; without one, those that the source has.

    Raises `Rejected` workspace_dirty if a submodule's repository in it has commits of its own.
    """
    named = own or await worktree_directory(repository, spec.directory)
    if named is None:
        return Candidates((), ())
    await require_published_modules(named)
    return await candidates_in(named, with_refs=spec.strategy == "clone")


async def going_branch(repository: str, spec: WorkspaceSpec) -> tuple[str | None, str | None]:
    """Return the branch that is removed with a worktree, and its commit: the one that Fleet made for it, or None."""
    if spec.strategy == "clone" or spec.branch is None:
        return None, None
    if await read_ref(repository, note_ref(spec.workspace_id)) is None:
        return None, None
    return spec.branch, await branches.tip(repository, spec.branch)


async def _place(repository: str, spec: WorkspaceSpec, directory: str) -> Place:
    place = await locate(directory)
    found = await attempt("rev-parse", "--path-format=absolute", "--git-common-dir", directory=directory)
    shared = str(await trio.Path(found.line).resolve()) if found.code == 0 else None
    own = f"{directory}/.git" if spec.strategy == "clone" else repository
    if place.top == directory and place.git_directory is not None and shared == own:
        return place
    if spec.strategy == "clone":
        raise Rejected(
            "workspace_dirty",
            f"git cannot read the clone at {directory!r}, so its content cannot be preserved",
            hint="Repair its .git, or save what you need, remove the directory, then try again.",
        )
    # The link of this worktree to its repository is broken, but its files are preserved.
    object_format = await run("rev-parse", "--show-object-format", directory=repository, repository=repository)
    return Place(directory, object_format=object_format)


async def _head(repository: str, spec: WorkspaceSpec, own: str | None) -> tuple[str | None, str | None]:
    if own is None:
        registration = await registration_at(repository, spec.directory)
        if registration is not None and registration.head is not None:
            return registration.head, registration.branch
        return None if spec.branch is None else await branches.tip(repository, spec.branch), spec.branch
    return await head_of(own)


async def _fetch(
    repository: str, spec: WorkspaceSpec, own: str | None, commits: list[str], tags: tuple[str, ...]
) -> tuple[str, ...]:
    """Copy a clone's commits and tags into the source without refs. Return the tags that the source lacks."""
    if spec.strategy != "clone" or own is None:
        return ()
    listed = await run("for-each-ref", "--format=%(objectname)", directory=repository, repository=repository)
    missing = tuple(sorted(set(tags) - set(listed.split())))
    wanted = "".join(f"{name}\n" for name in dict.fromkeys((*commits, *missing)))
    if wanted:
        await fetch(own, repository, wanted)
    return missing


async def fetch(origin: str, repository: str, wanted: str) -> None:
    """Copy objects and everything they refer to between repositories; `wanted` has a line for each object.

    Raises `Problem` git_failed, also if the origin lacks a part of the history (a shallow one).
    """
    await run(
        "fetch",
        *("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--stdin", "--", origin),
        directory=repository,
        repository=repository,
        environment=LOCAL_ALLOWED
        | {
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_1": "protocol.version",  # this version sends objects that no ref names
            "GIT_CONFIG_VALUE_1": "2",
        },
        stdin=wanted.encode(),
    )


async def _ignored(directory: str, inside: tuple[str, ...]) -> tuple[str, ...]:
    names: list[str] = []
    for below in ("", *(f"{name}/" for name in inside)):
        listed = await run(
            "ls-files",
            *("--others", "--ignored", "--exclude-standard", "--directory", "-z"),
            directory=f"{directory}/{below}",
            environment={"GIT_WORK_TREE": f"{directory}/{below}"},
        )
        names += [os.fsencode(below + name).decode(errors="backslashreplace") for name in listed.split("\0") if name]
    return tuple(sorted(names))
