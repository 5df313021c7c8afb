"""Restores removed workspaces.

It creates the branches and the note, lets git check out `HEAD` as for a new workspace, writes the changed files over it
as they were on disk, and sets the index. During this, a worktree has a mark `.restoring` beside it: a marked directory
belongs to no workspace, and the next call starts again. A clone is made under another name. A merge or rebase in
progress is not continued: its commits are preserved, but not its state.
"""

import os
from contextlib import suppress
from pathlib import Path

import trio

from fleet.adapters.git import branches, clones, worktrees
from fleet.adapters.git.checkout_location import Place
from fleet.adapters.git.checkout_trees import scratch_store, tree_of
from fleet.adapters.git.command import attempt, require_disarmed, run
from fleet.adapters.git.files import exists, make_directory, remove_tree
from fleet.adapters.git.inventory import fetch
from fleet.adapters.git.preservation_commit import Saved, load
from fleet.adapters.git.pristine_check import remove_if_blank
from fleet.adapters.git.repository import is_commit, read_ref
from fleet.errors import Problem, Rejected
from fleet.ports import PreservedWork, WorkspaceSpec


async def restore(repository: str, beside: str, spec: WorkspaceSpec, kept: PreservedWork) -> None:
    """Restore the workspace unless it exists, under its lock. Raises as `GitRemovals.restore`.

    `beside` is the git directory of the checkout that it was made from, if that still exists.
    """
    mark = Path(spec.directory).parent / ".restoring"
    if await exists(spec.directory) and not await exists(str(mark)):
        if await exists(f"{spec.directory}/.git"):
            return
        await remove_if_blank(spec.directory)
    saved, start = await _beginning(repository, spec, kept)
    if spec.strategy == "clone":
        await _clone(repository, spec, saved, start, beside=beside, kept=kept.commit or start)
        return
    await _check_branches(repository, spec, saved)
    await make_directory(str(mark.parent))
    await trio.Path(mark).touch()
    await remove_tree(spec.directory)
    await _worktree(repository, beside, spec, saved, start)
    await trio.Path(mark).unlink(missing_ok=True)


async def require_possible(repository: str, spec: WorkspaceSpec, kept: PreservedWork) -> None:
    """Raise the `Problem` that would prevent a restore; called before anything is removed."""
    await _beginning(repository, spec, kept)
    await require_allowed(repository, spec)


async def require_allowed(repository: str, spec: WorkspaceSpec) -> None:
    """Raise the `Problem` that prevents a checkout of the workspace here."""
    if spec.strategy == "worktree":
        await require_disarmed("worktree", "add", repository=repository)


async def _beginning(repository: str, spec: WorkspaceSpec, kept: PreservedWork) -> tuple[Saved, str]:
    """Return the preserved content and the first commit of a restore. Raises `Problem`: workspace_gone, git_failed."""
    saved = await _saved(repository, spec, kept)
    start = saved.head or kept.commit
    if start is None or not await is_commit(repository, start):
        detail = f"the commit that {spec.directory!r} had checked out does not exist"
        raise Problem("workspace_gone", detail, hint="Fetch it again.")
    return saved, start


async def _saved(repository: str, spec: WorkspaceSpec, kept: PreservedWork) -> Saved:
    if kept.commit is not None:
        return await load(repository, kept.commit)
    note = kept.head
    if spec.strategy == "worktree" and spec.branch is not None:
        # Nothing was preserved, so a missing branch was Fleet's own and will be again.
        note = kept.head if await branches.tip(repository, spec.branch) is None else None
    tree = await tree_of(repository, kept.head) if kept.head and await is_commit(repository, kept.head) else ""
    return Saved(tree, kept.head, kept.branch, note, None)


def refuse_moved(branch: str, there: str, wanted: str) -> Rejected:
    """Return the refusal of a restore because a branch is at another commit now."""
    return Rejected(
        "branch_exists",
        f"the branch {branch!r} is at {there[:12]} now; the workspace had it at {wanted[:12]}",
        field="branch",
        hint=f"Rename it (git branch -m {branch} other), then restore again.",
    )


def wanted_branches(saved: Saved) -> dict[str, str]:
    """Return the branches that a restored worktree needs, with their commits."""
    wanted = {name.removeprefix("refs/heads/"): at for name, at in saved.refs if name.startswith("refs/heads/")}
    if saved.branch is not None and saved.head is not None:
        wanted[saved.branch] = saved.head
    return wanted


async def _check_branches(repository: str, spec: WorkspaceSpec, saved: Saved) -> None:
    for branch, wanted in wanted_branches(saved).items():
        refs = await branches.refs_near(repository, branch)
        there = refs.get(f"refs/heads/{branch}")
        if there is None:
            branches.check_place(refs, branch)
        elif there != wanted:
            raise refuse_moved(branch, there, wanted)
    if saved.branch is not None:
        listed = await worktrees.registrations(repository)
        worktrees.check_not_checked_out(listed, saved.branch, spec.directory)


async def _worktree(repository: str, beside: str, spec: WorkspaceSpec, saved: Saved, start: str) -> None:
    registration = await worktrees.registration_at(repository, spec.directory)
    if registration is not None:
        if registration.locked is not None:
            await run("worktree", "unlock", "--", spec.directory, directory=repository, repository=repository)
        await run("worktree", "remove", "--", spec.directory, directory=repository, repository=repository)
    note = worktrees.note_ref(spec.workspace_id)
    if saved.note is not None and await read_ref(repository, note) is None:
        await worktrees.create_refs(repository, saved.note, note)
    for branch, commit in wanted_branches(saved).items():
        if await branches.tip(repository, branch) is None:
            await worktrees.create_refs(repository, commit, f"refs/heads/{branch}")
    on_branch = saved.branch is not None and saved.head is not None
    chosen = ("--", spec.directory, saved.branch or "") if on_branch else ("--detach", "--", spec.directory, start)
    await run("worktree", "add", *chosen, directory=repository, repository=beside)
    await _fill(repository, spec.directory, saved, start)


async def _clone(repository: str, spec: WorkspaceSpec, saved: Saved, start: str, *, beside: str, kept: str) -> None:
    making = await clones.copy(repository, beside, spec)
    wanted = dict.fromkeys((start, kept, *(at for _, at in saved.refs)))
    await fetch(repository, f"{making}/.git", "".join(f"{name}\n" for name in wanted))
    for name, at in saved.refs:
        await run("update-ref", "--create-reflog", "-m", "restored by Fleet", name, at, directory=making)
    if saved.note is not None:
        await run("update-ref", worktrees.note_ref(spec.workspace_id), saved.note, directory=making)
    if saved.branch is not None and saved.head is not None:
        await run("update-ref", f"refs/heads/{saved.branch}", saved.head, directory=making)
        await run("symbolic-ref", "HEAD", f"refs/heads/{saved.branch}", directory=making)
    else:
        await run("update-ref", "--no-deref", "HEAD", start, directory=making)
    await run("reset", "--quiet", "--hard", "--no-recurse-submodules", directory=making)
    await _fill(repository, making, saved, start)
    await trio.Path(making).rename(spec.directory)


async def _fill(repository: str, directory: str, saved: Saved, start: str) -> None:
    """Turn a new checkout of `start` into the preserved workspace."""
    await _write_changed(repository, directory, await tree_of(repository, start), saved.tree)
    if saved.head is None and saved.branch is not None:
        await run("symbolic-ref", "HEAD", f"refs/heads/{saved.branch}", directory=directory)
    if saved.staged is not None:
        await run("read-tree", saved.staged, directory=directory)
    elif saved.head is None:
        await run("read-tree", "--empty", directory=directory)
    # Only makes the next `git status` faster; it fails if files differ, which is expected.
    await attempt("update-index", "-q", "--refresh", directory=directory)


async def _write_changed(repository: str, directory: str, before: str, after: str) -> None:
    """Write the differences between two trees into a checkout of the first, byte for byte."""
    arguments = ("-r", "-z", "--name-status", "--no-renames", before, after)
    fields = (await run("diff-tree", *arguments, directory=repository, repository=repository)).split("\0")
    changed = list(zip(fields[::2], fields[1::2], strict=False))
    gone = [name for status, name in changed if status == "D"]
    written = [name for status, name in changed if status != "D"]
    await trio.to_thread.run_sync(_delete, directory, gone)
    if not written:
        return
    object_format = await run("rev-parse", "--show-object-format", directory=repository, repository=repository)
    async with scratch_store(f"{repository}/objects", Place(directory, object_format=object_format)) as store:
        await store.run("read-tree", after)
        listed = os.fsencode("\0".join((*written, "")))
        await store.run("checkout-index", "--force", "-z", "--stdin", top=directory, stdin=listed)


def _delete(directory: str, names: list[str]) -> None:
    for name in names:
        path = Path(directory, name)
        with suppress(OSError):  # a submodule that was never filled is a directory
            path.unlink()
        for above in (path, *path.parents):
            if str(above) == directory:
                break
            try:
                above.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                break
