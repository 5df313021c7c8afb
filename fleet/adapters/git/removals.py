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


def require_removable(spec: WorkspaceSpec) -> None:
    """Raise `Rejected` unless Fleet has made the directory."""
    if spec.strategy == "existing":
        raise Rejected(
            "invalid",
            f"{spec.source_directory!r} is a person's own directory, which Fleet never removes",
            field="cleanupWorkspace",
            hint="Only worktrees and clones can be removed.",
        )


class GitRemovals:
    """Removes what `workspaces` made, under its locks."""

    def __init__(self, workspaces: GitWorkspaces) -> None:
        self._workspaces = workspaces

    async def keep(self, spec: WorkspaceSpec) -> PreservedWork:
        """Preserve what exists only in the workspace, under `refs/fleet/kept/<workspace id>` (see the port).

        Raises `Rejected`: invalid (strategy `existing`), workspace_dirty (nested repositories, unreadable files),
        `Problem`: directory_missing (the source does not exist), git_failed.
        """
        async with self._hold(spec) as repository:
            if repository is None:
                return PreservedWork(None, None, spec.branch, None)
            await _restore_name(spec)
            work = await _inspect(repository, spec, spec.directory)
            return work if isinstance(work, PreservedWork) else await _keep(repository, spec, work)

    async def preview(self, spec: WorkspaceSpec) -> Preview:
        """Return what `keep` and `remove` would do (see the port); objects are written to a scratch directory.

        Raises the errors of both, except workspace_busy because of processes.
        """
        async with self._hold(spec) as repository:
            if repository is None:
                return Preview(PreservedWork(None, None, spec.branch, None))
            directory = await _current_directory(spec)
            with objects_discarded():
                work = await _inspect(repository, spec, directory)
            await _require_not_locked(repository, spec)
            await restores.require_allowed(repository, spec)
            kept = work if isinstance(work, PreservedWork) else _would_keep(spec, work)
            return Preview(kept, await busy_in(directory) if await exists(directory) else ())

    async def remove(self, spec: WorkspaceSpec, kept: PreservedWork) -> None:
        """Remove a workspace that has not changed since it was preserved (see the port). Idempotent.

        Raises `Rejected`: invalid, workspace_dirty, workspace_busy; `Problem`: directory_missing, git_failed.
        """
        async with self._hold(spec) as repository:
            if repository is None:
                return
            await _require_kept(repository, spec, kept)
            if await exists(spec.directory):
                await restores.require_possible(repository, spec, kept)
            await _prove(repository, spec, kept)
            await remove_tree(_removed(spec))
            await _unregister(repository, spec, kept)
        await remove_if_empty(str(Path(spec.directory).parent))

    async def restore(self, spec: WorkspaceSpec, kept: PreservedWork) -> None:
        """Restore a workspace as it was preserved (see the port), its index included. Idempotent.

        Raises `Rejected`: invalid, branch_exists, branch_checked_out, workspace_dirty (something else is in its place);
        `Problem`: workspace_gone (nothing exists to restore from), directory_missing, git_failed.
        """
        async with self._hold(spec) as repository:
            if repository is None:
                raise Problem(
                    "workspace_gone",
                    f"the repository of {spec.directory!r} is no longer in {spec.source_directory!r}",
                    hint=f"Set its new place: PATCH /api/workspaces/{spec.workspace_id} with sourceDirectory.",
                )
            await _restore_name(spec)
            source = await self._source(spec)
            await restores.restore(repository, _beside(repository, source), spec, kept)
            await _carry(None if source is None else source.top, spec)

    @asynccontextmanager
    async def _hold(self, spec: WorkspaceSpec) -> AsyncGenerator[str | None, None]:
        """Hold the workspace's lock and yield the source repository; None if neither of them exists."""
        require_removable(spec)
        self._workspaces.require_own_place(spec)
        repository = await self._repository(spec)
        key = repository if spec.strategy == "worktree" and repository is not None else spec.directory
        async with self._workspaces.locks.hold(key):
            yield repository

    async def _repository(self, spec: WorkspaceSpec) -> str | None:
        if spec.strategy == "worktree":
            repository = await self._workspaces.repository_of_worktree(spec)
        else:
            repository = await self._workspaces.repository_of_clone(spec)
        if repository is None and any([await exists(path) for path in _places(spec)]):
            raise Problem(
                "directory_missing",
                f"the source repository at {spec.source_directory!r} is missing, so no work can be preserved there",
                hint=f"Restore it, or save what you need from {spec.directory!r} and remove that yourself.",
            )
        return repository

    async def _source(self, spec: WorkspaceSpec) -> Source | None:
        """Return the checkout that the workspace was made from, None if only its repository exists."""
        try:
            return await self._workspaces.inspect(spec.source_directory)
        except Rejected:
            return None


def _beside(repository: str, source: Source | None) -> str:
    """Return the git directory of the source if it is a checkout of the repository, else the repository."""
    if source is None or source.repository != repository:
        return repository
    return source.git_directory or repository


async def _carry(top: str | None, spec: WorkspaceSpec) -> None:
    """Copy the ignored files that a new workspace would get from the checkout at `top`; log those not copied."""
    for lacking in await carry(top, spec.directory):
        _log.warning("workspace_not_complete", workspace=spec.workspace_id, detail=lacking.detail)


def _removing(spec: WorkspaceSpec) -> str:
    return str(Path(spec.directory).parent / ".removing")


def _removed(spec: WorkspaceSpec) -> str:
    return str(Path(spec.directory).parent / ".removed")


def _places(spec: WorkspaceSpec) -> tuple[str, ...]:
    return spec.directory, _removing(spec), _removed(spec)


async def _restore_name(spec: WorkspaceSpec) -> None:
    """Give the checkout its name back after an interrupted removal."""
    if await _current_directory(spec) == _removing(spec):
        await trio.Path(_removing(spec)).rename(spec.directory)


async def _current_directory(spec: WorkspaceSpec) -> str:
    """Return the path of the checkout, if it exists: an interrupted removal has left it under another name."""
    if not await exists(_removing(spec)):
        return spec.directory
    if await exists(spec.directory):
        raise Rejected(
            "workspace_dirty",
            f"{spec.directory!r} was created again while its workspace was being removed",
            hint=f"Save what you need from it and remove it; the workspace is in {_removing(spec)!r}.",
        )
    return _removing(spec)


async def _inspect(repository: str, spec: WorkspaceSpec, directory: str) -> Work | PreservedWork:
    """Return the content of a workspace; without its directory what is left of it, or what was preserved."""
    if await exists(directory):
        return await survey(repository, spec, directory)
    return await _inspect_without_directory(repository, spec)


def _would_keep(spec: WorkspaceSpec, work: Work) -> PreservedWork:
    """Return the result of `_keep` without making a commit."""
    named = work.ignored[:IGNORED_LISTED_MAX]
    ref = None if work.nothing else kept_ref(spec.workspace_id)
    return PreservedWork(ref, None, work.saved.branch, work.saved.head, named, len(work.ignored) - len(named))


async def _keep(repository: str, spec: WorkspaceSpec, work: Work) -> PreservedWork:
    saved, kept = work.saved, _would_keep(spec, work)
    if work.nothing:
        return kept
    for name in work.objects:
        ref = f"refs/fleet/kept-tags/{spec.workspace_id}/{name}"
        await run("update-ref", ref, name, directory=repository, repository=repository)
    parents = [commit for commit in (saved.head, *saved.commits) if commit is not None]
    if saved.staged is not None:
        parents.append(await _index_commit(repository, spec, work))
    commit = await store(repository, spec.workspace_id, saved, parents)
    return replace(kept, commit=commit)


async def _index_commit(repository: str, spec: WorkspaceSpec, work: Work) -> str:
    """Commit the index, so that it stays reachable; that of a clone has to be copied into the source."""
    if work.saved.staged is None or work.git_directory is None:
        raise ValueError("nothing is staged")
    parents = [] if work.saved.head is None else [work.saved.head]
    where = work.git_directory if spec.strategy == "clone" else repository
    commit = await commit_tree(where, work.saved.staged, parents, b"What was staged\n")
    if spec.strategy == "clone":
        await fetch(where, repository, f"{commit}\n")
    return commit


async def _inspect_without_directory(repository: str, spec: WorkspaceSpec) -> Work | PreservedWork:
    found = await find(repository, spec.workspace_id)
    going, tip = await going_branch(repository, spec)
    registration = await worktrees.registration_at(repository, spec.directory)
    head = tip if registration is None else registration.head
    named = await candidates_of(repository, spec, None)
    candidates = [commit for commit in (head, tip, *named.commits) if commit is not None]
    tips = await own_tips(repository, candidates, going)
    if found is not None and not await _left(repository, found[0], tips):
        return PreservedWork(kept_ref(spec.workspace_id), found[0], found[1].branch, found[1].head)
    branch = spec.branch if registration is None else registration.branch
    if not tips:
        return PreservedWork(None, None, branch, head)
    note = await read_ref(repository, worktrees.note_ref(spec.workspace_id))
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


async def _require_kept(repository: str, spec: WorkspaceSpec, kept: PreservedWork) -> None:
    if kept.commit is None:
        return
    now = await read_ref(repository, kept_ref(spec.workspace_id))
    if now is None or await _left(repository, now, [kept.commit] if await is_commit(repository, kept.commit) else []):
        raise _changed(
            spec, f"the preserved work ({kept.commit[:12]}) is no longer under {kept_ref(spec.workspace_id)}"
        )


async def _prove(repository: str, spec: WorkspaceSpec, kept: PreservedWork) -> None:
    """Move the checkout to where it can be deleted, or raise and leave it in its place."""
    if await exists(spec.directory):
        await _require_not_locked(repository, spec)
        await require_not_busy(spec.directory)
        await remove_tree(_removed(spec))
        if not await exists(_removing(spec)):
            await trio.Path(spec.directory).rename(_removing(spec))
    if not await exists(_removing(spec)):
        return
    proven = False
    try:
        await require_not_busy(_removing(spec))
        await _require_same(repository, spec, kept, await survey(repository, spec, _removing(spec)))
        proven = True
    finally:
        if not proven:
            with trio.CancelScope(shield=True):
                await _restore_name(spec)
    await trio.Path(_removing(spec)).rename(_removed(spec))


async def _require_not_locked(repository: str, spec: WorkspaceSpec) -> None:
    registration = await worktrees.registration_at(repository, spec.directory)
    if registration is not None and registration.locked is not None and not registration.torn:
        raise Rejected(
            "workspace_busy",
            f"the worktree {spec.directory!r} is locked: {registration.locked or 'no reason given'}",
            hint=f"Unlock it: `git -C {spec.source_directory} worktree unlock {spec.directory}`.",
        )


async def _require_same(repository: str, spec: WorkspaceSpec, kept: PreservedWork, work: Work) -> None:
    if kept.commit is None:
        if not work.nothing or work.saved.head != kept.head:
            raise _changed(spec, "it holds work that is new")
    elif work.saved != await load(repository, kept.commit):
        raise _changed(spec, "it differs from the preserved work")


def _changed(spec: WorkspaceSpec, what: str) -> Rejected:
    return Rejected(
        "workspace_dirty",
        f"the workspace at {spec.directory!r} has changed: {what}",
        hint="Try again: Fleet will preserve its current content first.",
    )


async def _unregister(repository: str, spec: WorkspaceSpec, kept: PreservedWork) -> None:
    if spec.strategy == "clone":
        return
    registration = await worktrees.registration_at(repository, spec.directory)
    if registration is not None:
        await make_directory(str(Path(spec.directory).parent))  # git resolves the path of the registration
        if registration.torn:
            await run("worktree", "unlock", "--", spec.directory, directory=repository, repository=repository)
        await run("worktree", "remove", "--", spec.directory, directory=repository, repository=repository)
    going, tip = await going_branch(repository, spec)
    if going is not None and tip is not None:
        await _remove_branch(repository, spec, kept, going, tip)
    note = await read_ref(repository, worktrees.note_ref(spec.workspace_id))
    if note is not None:
        ref = worktrees.note_ref(spec.workspace_id)
        await run("update-ref", "-d", ref, note, directory=repository, repository=repository)


async def _remove_branch(repository: str, spec: WorkspaceSpec, kept: PreservedWork, branch: str, tip: str) -> None:
    if any(other.branch == branch for other in await worktrees.registrations(repository)):
        return  # there is new work on it
    own = await own_tips(repository, [tip], branch)
    if own and (kept.commit is None or await _left(repository, kept.commit, own)):
        raise _changed(spec, f"the branch {branch!r} has commits that were not preserved")
    # Compares and deletes: a branch that moves at the same time stays.
    await run("update-ref", "-d", f"refs/heads/{branch}", tip, directory=repository, repository=repository)
