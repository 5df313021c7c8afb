"""Creates and removes git worktrees.

A worktree is made in this order, and the next call recognizes the state after a crash at any point: the base is noted
as `refs/fleet/workspaces/<workspace id>`, the branch is created there, `git worktree add` checks it out. The note says
that Fleet created the branch, and where it began. git locks a worktree with the reason "initializing" while it makes
it, which distinguishes an incomplete one from one that an agent has used. workspaces.py holds the repository's lock.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import structlog
import trio

from fleet.adapters.git import branches
from fleet.adapters.git.command import attempt, list_configuration, run
from fleet.adapters.git.files import exists, make_directory, remove_tree
from fleet.adapters.git.pristine_check import dirty, require_nothing_staged, require_untouched
from fleet.adapters.git.repository import read_refs, read_source
from fleet.errors import Problem, Rejected
from fleet.ports import Source, WorkspaceSpec
from fleet.side_by_side import both

_log = structlog.get_logger(__name__)

_TORN: Final = "initializing"


class Registration(NamedTuple):
    """A worktree as its repository lists it. `locked` is the reason, None when it is not locked."""

    path: str
    head: str | None
    branch: str | None
    locked: str | None

    @property
    def torn(self) -> bool:
        """Whether `git worktree add` was interrupted."""
        return self.locked == _TORN


def note_ref(workspace_id: str) -> str:
    """Return the ref that stores where a workspace's own branch began."""
    return f"refs/fleet/workspaces/{workspace_id}"


async def registrations(repository: str) -> tuple[Registration, ...]:
    """Return the worktrees of a repository, the main one included."""
    listed = await run("worktree", "list", "--porcelain", directory=repository, repository=repository)
    return tuple(_parse(block) for block in listed.split("\n\n") if block.strip())


def check_not_checked_out(listed: Iterable[Registration], branch: str, directory: str) -> None:
    """Raise `Rejected` branch_checked_out if a worktree other than `directory` has the branch."""
    for registration in listed:
        if registration.branch == branch and registration.path != directory:
            raise Rejected(
                "branch_checked_out",
                f"the branch {branch!r} is checked out at {registration.path!r}",
                field="branch",
                hint="Choose another branch, or work in that directory with the strategy `existing`.",
                extra={"checkedOutAt": registration.path},
            )


async def make(
    source: Source, repository: str, spec: WorkspaceSpec, branch: str, checked: Mapping[str, str] | None = None
) -> str | None:
    """Make the worktree, or finish one that a crash left incomplete. Return its commit, None if it was there before.

    `checked` are the refs near the branch if a check has just found that a new worktree can be made. Then it is made
    without another look; if that fails, the repository may have changed since, and its present state decides. Raises
    `Rejected`: branch_exists, branch_checked_out, base_ref_unknown, repository_empty, workspace_dirty; `Problem`
    git_failed.
    """
    if checked is not None and not await exists(spec.directory):
        try:
            return await _add(source, repository, spec, branch, checked)
        except Problem as problem:
            _log.info("worktree_not_made_at_once", workspace=spec.workspace_id, detail=problem.detail)
    listed, refs = await both(
        registrations(repository), branches.refs_near(repository, branch, note_ref(spec.workspace_id))
    )
    registration = next((each for each in listed if each.path == spec.directory), None)
    if registration is None and await _bind_to_new_place(repository, spec, branch, listed):
        listed = await registrations(repository)
        registration = next((each for each in listed if each.path == spec.directory), None)
    if registration is not None and not registration.torn and not await exists(f"{spec.directory}/.git"):
        await _write_again(repository, spec.directory)
        own = await run("rev-parse", "--absolute-git-dir", directory=spec.directory)
        if await exists(f"{own}/index"):  # enough: _clear would lose commits that only its HEAD and reflog name
            return None
    if registration is not None and await _is_finished(repository, registration):
        return None
    await _clear(repository, spec, branch, registration, refs)
    check_not_checked_out(listed, branch, spec.directory)
    return await _add(source, repository, spec, branch, refs)


async def _add(source: Source, repository: str, spec: WorkspaceSpec, branch: str, refs: Mapping[str, str]) -> str:
    """Create the branch if it does not exist, check it out in a new worktree, and return its commit."""
    beside = source.git_directory or repository  # git copies its sparse cone and configuration
    commit, configuration = await both(
        _ensure_branch(source, repository, spec, branch, refs), list_configuration(repository, beside)
    )
    await make_directory(str(Path(spec.directory).parent))
    await run(
        *("worktree", "add", "--", spec.directory, branch),
        directory=repository,
        repository=beside,
        configuration=configuration,
    )
    return commit


async def _bind_to_new_place(repository: str, spec: WorkspaceSpec, branch: str, listed: Iterable[Registration]) -> bool:
    """Register the workspace's worktree at its new place, if the data directory has moved and the old place is gone.

    So its HEAD, index and reflog stay, and git does not take its branch for checked out. The workspace's id in the path
    says that the worktree is its own. Return whether it was registered elsewhere.
    """
    for former in listed:
        if former.branch != branch or former.locked is not None or spec.workspace_id not in Path(former.path).parts:
            continue
        if not await exists(former.path):
            return await trio.to_thread.run_sync(_rebind, Path(repository), former.path, spec.directory)
    return False


def _rebind(repository: Path, old: str, new: str) -> bool:
    """Write the new place into the administrative directory of the worktree that was at the old one."""
    for entry in repository.glob("worktrees/*/gitdir"):
        if entry.read_text().rstrip("\n") == f"{old}/.git":
            entry.write_text(f"{new}/.git\n")
            return True
    return False


async def _write_again(repository: str, directory: str) -> None:
    """Write the files of a deleted worktree again. Existing files, its HEAD and its index stay unchanged."""
    await make_directory(directory)
    await run("worktree", "repair", directory=repository, repository=repository)
    await attempt("checkout-index", "--all", "--quiet", directory=directory)  # fails for existing files


async def discard(repository: str, spec: WorkspaceSpec, branch: str) -> None:
    """Remove an untouched worktree, and its branch if Fleet created it and it has not moved.

    Raises `Rejected` workspace_dirty, `Problem` git_failed.
    """
    registration = await registration_at(repository, spec.directory)
    if registration is not None and await _is_finished(repository, registration):
        await require_nothing_staged(spec.directory)
    note = note_ref(spec.workspace_id)
    refs = await read_refs(repository, f"refs/heads/{branch}", note)
    await _clear(repository, spec, branch, registration, refs)
    begun = refs.get(note)
    if begun is None:
        return
    if all(other.branch != branch for other in await registrations(repository)):
        # Compares and deletes: a branch that has moved stays.
        await attempt("update-ref", "-d", f"refs/heads/{branch}", begun, directory=repository, repository=repository)
    await run("update-ref", "-d", note, begun, directory=repository, repository=repository)


async def _clear(
    repository: str, spec: WorkspaceSpec, branch: str, registration: Registration | None, refs: Mapping[str, str]
) -> None:
    """Remove the workspace's directory if it is pristine. Never uses force."""
    commit = refs.get(f"refs/heads/{branch}") or refs.get(note_ref(spec.workspace_id))
    torn = registration is not None and registration.torn
    if registration is not None and not torn and registration.branch != branch and registration.head != commit:
        raise dirty(spec.directory, "is at another commit")
    if await exists(spec.directory):
        await require_untouched(repository, spec.directory, commit, torn=torn)
        await remove_tree(spec.directory)
    if registration is None:
        return
    await make_directory(str(Path(spec.directory).parent))  # git resolves the path of the registration
    if torn:
        await run("worktree", "unlock", "--", spec.directory, directory=repository, repository=repository)
    await run("worktree", "remove", "--", spec.directory, directory=repository, repository=repository)


async def _ensure_branch(
    source: Source, repository: str, spec: WorkspaceSpec, branch: str, refs: Mapping[str, str]
) -> str:
    """Create the branch if it does not exist, and return its commit."""
    note, name = note_ref(spec.workspace_id), f"refs/heads/{branch}"
    begun, existing = refs.get(note), refs.get(name)
    if existing is not None:
        if spec.base_ref is not None and begun is None:  # with a note it is Fleet's, and may have new commits
            raise branches.refuse_existing(branch, spec.base_ref)
        return existing
    branches.check_place(refs, branch)
    if begun is None:
        begun = await branches.base_commit(source, spec.base_ref)
        await create_refs(repository, begun, note, name)
    else:
        await create_refs(repository, begun, name)
    return begun


async def create_refs(repository: str, commit: str, *refs: str) -> None:
    """Create all refs, or none if one exists: `Problem` git_failed. A crash may leave the first ones."""
    lines = "".join(f"create {ref} {commit}\n" for ref in refs)
    await run("update-ref", "--stdin", directory=repository, repository=repository, stdin=os.fsencode(lines))


async def registration_at(repository: str, directory: str) -> Registration | None:
    """Return the worktree that the repository has registered at a directory, even if it does not exist."""
    listed = await registrations(repository)
    return next((registration for registration in listed if registration.path == directory), None)


async def may_have(repository: str, directory: str) -> bool:
    """Return whether the worktree at `directory` may belong to this repository, which may have been moved."""
    if not await trio.Path(directory, ".git").exists():
        return True
    own = (await read_source(directory)).repository
    if own is not None:
        return own == repository
    # After a move, no relative path leads to its worktree.
    listed = await registrations(repository)
    return any([each.path == directory or not await trio.Path(each.path).exists() for each in listed])


async def _is_finished(repository: str, registration: Registration) -> bool:
    if registration.torn or not await trio.Path(registration.path).is_dir():
        return False
    seen = await read_source(registration.path)
    if seen.top != registration.path or seen.repository != repository:
        return False
    own = seen.git_directory
    return await exists(f"{own}/index") and not await exists(f"{own}/index.lock")


def _parse(block: str) -> Registration:
    lines = (line.partition(" ") for line in block.strip("\n").split("\n"))
    fields = {name: value for name, _, value in lines}
    branch, head = fields.get("branch"), fields.get("HEAD", "")
    return Registration(
        path=fields["worktree"],
        head=head if head.strip("0") else None,  # zeros: the branch has no commit
        branch=None if branch is None else branch.removeprefix("refs/heads/"),
        locked=fields.get("locked"),
    )
