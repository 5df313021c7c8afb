"""The `Removals` port: it preserves all work of a workspace before it removes it, and can restore it.

`keep` only adds to the source repository. `remove` works in steps, which the next call recognizes by the names in the
workspace's own place:

1. no process works there; the checkout is renamed to `.removing`, so that no process can reach it by its path;
2. there it is read again. If it differs from the preserved work, it gets its name back and the removal is refused;
3. it is renamed to `.removed`: it is verified, and from here on it is only deleted;
4. files, registration, branch and note are deleted in this order. A branch is deleted only if all its commits stay
   reachable.

`restore` is in restores.py.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import trio
from msgspec.structs import replace

from fleet.adapters.git import restores, worktrees
from fleet.adapters.git.checkout_trees import tree_of
from fleet.adapters.git.command import run
from fleet.adapters.git.files import exists, make_directory, remove_if_empty, remove_tree
from fleet.adapters.git.includes import carry
from fleet.adapters.git.inventory import Work, candidates_of, fetch, going_branch, survey
from fleet.adapters.git.open_processes import busy_in, require_not_busy
from fleet.adapters.git.preservation_commit import Saved, commit_tree, find, kept_ref, load, store
from fleet.adapters.git.repository import is_commit, read_ref
from fleet.adapters.git.scratch import objects_discarded
from fleet.adapters.git.unique_commits import own_tips
from fleet.adapters.git.workspaces import GitWorkspaces
from fleet.errors import Problem, Rejected
from fleet.limits import IGNORED_LISTED_MAX
from fleet.ports import PreservedWork, Preview, Source, WorkspaceSpec

_log = structlog.get_logger(__name__)


class GitRemovals:
    """Removes what `workspaces` made, under its locks."""

    def __init__(self, workspaces: GitWorkspaces) -> None:
        self._workspaces = workspaces

    async def keep(self, order: WorkspaceSpec) -> PreservedWork:
        """Preserve what exists only in the workspace, under `refs/fleet/kept/<workspace id>` (see the port).

        Raises `Rejected`: invalid (strategy `existing`), workspace_dirty (nested repositories, unreadable files),
        `Problem`: directory_missing (the source does not exist), git_failed.
        """
        async with self._hold(order) as repository:
            if repository is None:
                return PreservedWork(None, None, order.branch, None)
            await _restore_name(order)
            work = await _inspect(repository, order, order.directory)
            return work if isinstance(work, PreservedWork) else await _keep(repository, order, work)

    async def preview(self, order: WorkspaceSpec) -> Preview:
        """Return what `keep` and `remove` would do (see the port); objects are written to a scratch directory.

        Raises the errors of both, except workspace_busy because of processes.
        """
        async with self._hold(order) as repository:
            if repository is None:
                return Preview(PreservedWork(None, None, order.branch, None))
            directory = await _current_directory(order)
            with objects_discarded():
                work = await _inspect(repository, order, directory)
            await _require_not_locked(repository, order)
            await restores.require_allowed(repository, order)
            kept = work if isinstance(work, PreservedWork) else _would_keep(order, work)
            return Preview(kept, await busy_in(directory) if await exists(directory) else ())

    async def remove(self, order: WorkspaceSpec, kept: PreservedWork) -> None:
        """Remove a workspace that has not changed since it was preserved (see the port). Idempotent.

        Raises `Rejected`: invalid, workspace_dirty, workspace_busy; `Problem`: directory_missing, git_failed.
        """
        async with self._hold(order) as repository:
            if repository is None:
                return
            await _require_kept(repository, order, kept)
            if await exists(order.directory):
                await restores.require_possible(repository, order, kept)
            await _prove(repository, order, kept)
            await remove_tree(_removed(order))
            await _unregister(repository, order, kept)
        await remove_if_empty(str(Path(order.directory).parent))

    async def restore(self, order: WorkspaceSpec, kept: PreservedWork) -> None:
        """Restore a workspace as it was preserved (see the port), its index included. Idempotent.

        Raises `Rejected`: invalid, branch_exists, branch_checked_out, workspace_dirty (something else is in its place);
        `Problem`: workspace_gone (nothing exists to restore from), directory_missing, git_failed.
        """
        async with self._hold(order) as repository:
            if repository is None:
                raise Problem(
                    "workspace_gone",
                    f"The repository of {order.directory!r} is no longer in {order.source_directory!r}",
                    hint=f"Set its new place: PATCH /api/workspaces/{order.workspace_id} with sourceDirectory.",
                )
            await _restore_name(order)
            source = await self._source(order)
            await restores.restore(repository, _beside(repository, source), order, kept)
            await _carry(None if source is None else source.top, order)

    @asynccontextmanager
    async def _hold(self, order: WorkspaceSpec) -> AsyncGenerator[str | None, None]:
        """Hold the workspace's lock and yield the source repository; None if neither of them exists."""
        if order.strategy == "existing":
            raise Rejected(
                "invalid",
                f"{order.source_directory!r} is a person's own directory, which Fleet never removes",
                field="cleanupWorkspace",
                hint="Only worktrees and clones can be removed.",
            )
        self._workspaces.require_own_place(order)
        repository = await self._repository(order)
        key = repository if order.strategy == "worktree" and repository is not None else order.directory
        async with self._workspaces.locks.hold(key):
            yield repository

    async def _repository(self, order: WorkspaceSpec) -> str | None:
        if order.strategy == "worktree":
            repository = await self._workspaces.repository_of_worktree(order)
        else:
            repository = await self._workspaces.repository_of_clone(order)
        if repository is None and any([await exists(path) for path in _places(order)]):
            raise Problem(
                "directory_missing",
                f"The source repository at {order.source_directory!r} is missing, so no work can be preserved there",
                hint=f"Restore it, or save what you need from {order.directory!r} and remove that yourself.",
            )
        return repository

    async def _source(self, order: WorkspaceSpec) -> Source | None:
        """Return the checkout that the workspace was made from, None if only its repository exists."""
        try:
            return await self._workspaces.inspect(order.source_directory)
        except Rejected:
            return None


def _beside(repository: str, source: Source | None) -> str:
    """Return the git directory of the source if it is a checkout of the repository, else the repository."""
    if source is None or source.repository != repository:
        return repository
    return source.git_directory or repository


async def _carry(top: str | None, order: WorkspaceSpec) -> None:
    """Copy the ignored files that a new workspace would get from the checkout at `top`; log those not copied."""
    for lacking in await carry(top, order.directory):
        _log.warning("workspace_not_complete", workspace=order.workspace_id, detail=lacking.detail)


def _removing(order: WorkspaceSpec) -> str:
    return str(Path(order.directory).parent / ".removing")


def _removed(order: WorkspaceSpec) -> str:
    return str(Path(order.directory).parent / ".removed")


def _places(order: WorkspaceSpec) -> tuple[str, ...]:
    return order.directory, _removing(order), _removed(order)


async def _restore_name(order: WorkspaceSpec) -> None:
    """Give the checkout its name back after an interrupted removal."""
    if await _current_directory(order) == _removing(order):
        await trio.Path(_removing(order)).rename(order.directory)


async def _current_directory(order: WorkspaceSpec) -> str:
    """Return the path of the checkout, if it exists: an interrupted removal has left it under another name."""
    if not await exists(_removing(order)):
        return order.directory
    if await exists(order.directory):
        raise Rejected(
            "workspace_dirty",
            f"{order.directory!r} was created again while its workspace was being removed",
            hint=f"Save what you need from it and remove it; the workspace is in {_removing(order)!r}.",
        )
    return _removing(order)


async def _inspect(repository: str, order: WorkspaceSpec, directory: str) -> Work | PreservedWork:
    """Return the content of a workspace; without its directory what is left of it, or what was preserved."""
    if await exists(directory):
        return await survey(repository, order, directory)
    return await _inspect_without_directory(repository, order)


def _would_keep(order: WorkspaceSpec, work: Work) -> PreservedWork:
    """Return the result of `_keep` without making a commit."""
    named = work.ignored[:IGNORED_LISTED_MAX]
    ref = None if work.nothing else kept_ref(order.workspace_id)
    return PreservedWork(ref, None, work.saved.branch, work.saved.head, named, len(work.ignored) - len(named))


async def _keep(repository: str, order: WorkspaceSpec, work: Work) -> PreservedWork:
    saved, kept = work.saved, _would_keep(order, work)
    if work.nothing:
        return kept
    for name in work.objects:
        ref = f"refs/fleet/kept-tags/{order.workspace_id}/{name}"
        await run("update-ref", ref, name, directory=repository, repository=repository)
    parents = [commit for commit in (saved.head, *saved.commits) if commit is not None]
    if saved.staged is not None:
        parents.append(await _index_commit(repository, order, work))
    commit = await store(repository, order.workspace_id, saved, parents)
    return replace(kept, commit=commit)


async def _index_commit(repository: str, order: WorkspaceSpec, work: Work) -> str:
    """Commit the index, so that it stays reachable; that of a clone has to be copied into the source."""
    if work.saved.staged is None or work.git_directory is None:
        raise ValueError("nothing is staged")
    parents = [] if work.saved.head is None else [work.saved.head]
    where = work.git_directory if order.strategy == "clone" else repository
    commit = await commit_tree(where, work.saved.staged, parents, b"What was staged\n")
    if order.strategy == "clone":
        await fetch(where, repository, f"{commit}\n")
    return commit


async def _inspect_without_directory(repository: str, order: WorkspaceSpec) -> Work | PreservedWork:
    found = await find(repository, order.workspace_id)
    going, tip = await going_branch(repository, order)
    registration = await worktrees.registration_at(repository, order.directory)
    head = tip if registration is None else registration.head
    named = await candidates_of(repository, order, None)
    candidates = [commit for commit in (head, tip, *named.commits) if commit is not None]
    tips = await own_tips(repository, candidates, going)
    if found is not None and not await _left(repository, found[0], tips):
        return PreservedWork(kept_ref(order.workspace_id), found[0], found[1].branch, found[1].head)
    branch = order.branch if registration is None else registration.branch
    if not tips:
        return PreservedWork(None, None, branch, head)
    note = await read_ref(repository, worktrees.note_ref(order.workspace_id))
    refs = () if tip is None else ((f"refs/heads/{going}", tip),)
    commits = tuple(commit for commit in tips if commit != head)
    saved = Saved(await tree_of(repository, head), head, branch, note, None, refs, commits)
    return Work(saved, False, None, (), ())


async def _left(repository: str, kept: str, commits: list[str]) -> list[str]:
    """Return the commits that the preservation commit does not reach."""
    if not commits:
        return []
    listed = await run("rev-list", *commits, "--not", kept, directory=repository, repository=repository)
    return listed.split()


async def _require_kept(repository: str, order: WorkspaceSpec, kept: PreservedWork) -> None:
    if kept.commit is None:
        return
    now = await read_ref(repository, kept_ref(order.workspace_id))
    if now is None or await _left(repository, now, [kept.commit] if await is_commit(repository, kept.commit) else []):
        raise _changed(
            order, f"the preserved work ({kept.commit[:12]}) is no longer under {kept_ref(order.workspace_id)}"
        )


async def _prove(repository: str, order: WorkspaceSpec, kept: PreservedWork) -> None:
    """Move the checkout to where it can be deleted, or raise and leave it in its place."""
    if await exists(order.directory):
        await _require_not_locked(repository, order)
        await require_not_busy(order.directory)
        await remove_tree(_removed(order))
        if not await exists(_removing(order)):
            await trio.Path(order.directory).rename(_removing(order))
    if not await exists(_removing(order)):
        return
    proven = False
    try:
        await require_not_busy(_removing(order))
        await _require_same(repository, order, kept, await survey(repository, order, _removing(order)))
        proven = True
    finally:
        if not proven:
            with trio.CancelScope(shield=True):
                await _restore_name(order)
    await trio.Path(_removing(order)).rename(_removed(order))


async def _require_not_locked(repository: str, order: WorkspaceSpec) -> None:
    registration = await worktrees.registration_at(repository, order.directory)
    if registration is not None and registration.locked is not None and not registration.torn:
        raise Rejected(
            "workspace_busy",
            f"The worktree {order.directory!r} is locked: {registration.locked or 'no reason given'}",
            hint=f"git -C {order.source_directory} worktree unlock {order.directory}",
        )


async def _require_same(repository: str, order: WorkspaceSpec, kept: PreservedWork, work: Work) -> None:
    if kept.commit is None:
        if not work.nothing or work.saved.head != kept.head:
            raise _changed(order, "it holds work that is new")
    elif work.saved != await load(repository, kept.commit):
        raise _changed(order, "it differs from the preserved work")


def _changed(order: WorkspaceSpec, what: str) -> Rejected:
    return Rejected(
        "workspace_dirty",
        f"The workspace at {order.directory!r} has changed: {what}",
        hint="Try again: Fleet will preserve its current content first.",
    )


async def _unregister(repository: str, order: WorkspaceSpec, kept: PreservedWork) -> None:
    if order.strategy == "clone":
        return
    registration = await worktrees.registration_at(repository, order.directory)
    if registration is not None:
        await make_directory(str(Path(order.directory).parent))  # git resolves the path of the registration
        if registration.torn:
            await run("worktree", "unlock", "--", order.directory, directory=repository, repository=repository)
        await run("worktree", "remove", "--", order.directory, directory=repository, repository=repository)
    going, tip = await going_branch(repository, order)
    if going is not None and tip is not None:
        await _remove_branch(repository, order, kept, going, tip)
    note = await read_ref(repository, worktrees.note_ref(order.workspace_id))
    if note is not None:
        ref = worktrees.note_ref(order.workspace_id)
        await run("update-ref", "-d", ref, note, directory=repository, repository=repository)


async def _remove_branch(repository: str, order: WorkspaceSpec, kept: PreservedWork, branch: str, tip: str) -> None:
    if any(other.branch == branch for other in await worktrees.registrations(repository)):
        return  # there is new work on it
    own = await own_tips(repository, [tip], branch)
    if own and (kept.commit is None or await _left(repository, kept.commit, own)):
        raise _changed(order, f"the branch {branch!r} has commits that were not preserved")
    # Compares and deletes: a branch that moves at the same time stays.
    await run("update-ref", "-d", f"refs/heads/{branch}", tip, directory=repository, repository=repository)
