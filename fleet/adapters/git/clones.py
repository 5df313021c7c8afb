"""Creates and removes clones.

A clone is made in `.making` beside its place and renamed when it is complete. So the workspace's directory is always
complete, and `.making` belongs to no workspace. Decisions:

- Objects are hard-linked: git never changes an object, so the copies are independent and take no time. From another
  file system git copies them. A source that borrows objects is copied completely (`--dissociate`), without alternates,
  so a change of the source does no harm.
- `origin` is the source's own origin, so that pushes go where its owner expects, or the source if it has none.
  Identity, other remotes, upstreams and the promisor of a partial clone are copied (clone_config.py).
- Remote-tracking branches of `origin` are the source's branches until the first fetch. Submodules are not initialised.
"""

from pathlib import Path

import trio

from fleet.adapters.git import branches
from fleet.adapters.git.clone_config import carry_configuration, require_whole
from fleet.adapters.git.command import LOCAL_ALLOWED, run
from fleet.adapters.git.files import make_directory, remove_tree
from fleet.adapters.git.pristine_check import dirty, remove_if_blank, require_nothing_staged, require_untouched
from fleet.adapters.git.repository import read_ref, read_source
from fleet.adapters.git.sparse import carry_cone
from fleet.adapters.git.worktrees import note_ref
from fleet.ports import Source, WorkspaceSpec


async def make(source: Source, repository: str, spec: WorkspaceSpec, branch: str) -> None:
    """Make the clone, or finish one that a crash left incomplete.

    Raises `Rejected`: branch_exists, base_ref_unknown, repository_empty, workspace_dirty; `Problem` git_failed.
    """
    if await _is_finished(spec.directory):
        return
    await remove_tree(making_place(spec))
    await remove_if_blank(spec.directory)
    commit = await _start(source, repository, spec, branch)
    making = await copy(repository, source.git_directory or repository, spec)
    await run("update-ref", note_ref(spec.workspace_id), commit, directory=making)
    await run("update-ref", f"refs/heads/{branch}", commit, directory=making)
    await run("symbolic-ref", "HEAD", f"refs/heads/{branch}", directory=making)
    await run("reset", "--quiet", "--hard", "--no-recurse-submodules", directory=making)
    await require_whole(making)
    await trio.Path(making).rename(spec.directory)


async def copy(repository: str, beside: str, spec: WorkspaceSpec) -> str:
    """Clone the repository beside the workspace's directory without a checkout; return the path. Raises `Problem`.

    `beside` is the git directory of the checkout whose settings the clone gets.
    """
    making = making_place(spec)
    await remove_tree(making)
    await make_directory(str(Path(spec.directory).parent))
    await run(
        "clone",
        *("--quiet", "--no-checkout", "--dissociate", "--origin", "origin"),
        *("--", repository, making),
        directory=str(Path(spec.directory).parent),
        environment=LOCAL_ALLOWED,
    )
    await carry_configuration(repository, beside, making)
    await carry_cone(beside, making)
    return making


async def discard(spec: WorkspaceSpec) -> None:
    """Remove an untouched clone. Raises `Rejected` workspace_dirty, `Problem` git_failed."""
    await remove_tree(making_place(spec))
    if not await _is_finished(spec.directory):
        await remove_if_blank(spec.directory)
        return
    repository = f"{spec.directory}/.git"
    await _require_no_commits(spec.directory)
    await require_nothing_staged(spec.directory)
    await require_untouched(repository, spec.directory, await read_ref(repository, note_ref(spec.workspace_id)))
    await remove_tree(spec.directory)


def making_place(spec: WorkspaceSpec) -> str:
    """Return the path in which a clone is made."""
    return str(Path(spec.directory).parent / ".making")


async def _is_finished(directory: str) -> bool:
    return await trio.Path(directory).is_dir() and (await read_source(directory)).top == directory


async def _start(source: Source, repository: str, spec: WorkspaceSpec, branch: str) -> str:
    refs = await branches.refs_near(repository, branch)
    existing = refs.get(f"refs/heads/{branch}")
    if existing is None:
        branches.check_place(refs, branch)
        return await branches.base_commit(source, spec.base_ref)
    if spec.base_ref is not None:
        raise branches.refuse_existing(branch, spec.base_ref)
    return existing


async def _require_no_commits(directory: str) -> None:
    new = await run(
        "rev-list",
        *("--max-count=1", "HEAD", "--branches", "--tags", "--glob=refs/stash"),
        *("--not", "--remotes", "--glob=refs/fleet/workspaces"),
        directory=directory,
    )
    if new:
        raise dirty(directory, f"has commits of its own ({new[:12]})")
