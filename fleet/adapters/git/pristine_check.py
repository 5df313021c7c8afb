"""Verifies that a checkout holds no work (law 9). Without this check it is not removed.

Every file in it must have been written by the checkout of its commit. Ignored files count as work, too.
"""

import tempfile
from pathlib import Path

import trio

from fleet.adapters.git.command import attempt, run
from fleet.adapters.git.files import exists, remove_tree
from fleet.errors import Rejected
from fleet.limits import DIRTY_PATHS_SHOWN_MAX


async def require_untouched(repository: str, directory: str, commit: str | None, *, torn: bool = False) -> None:
    """Raise `Rejected` workspace_dirty if `directory` holds anything that the checkout of `commit` did not write.

    Missing files are accepted: the checkout may have been interrupted. `torn`: it certainly was, so a different file
    was being written. Without a commit every file counts as work.
    """
    found = await _changed(repository, directory, commit, torn) if commit else await _names(directory)
    if found:
        raise dirty(directory, f"holds {_shown(found)}")


async def remove_if_blank(directory: str) -> None:
    """Remove a directory without files. Raises `Rejected` workspace_dirty if it has one."""
    if await exists(directory):
        await require_untouched("", directory, None)
        await remove_tree(directory)


async def require_nothing_staged(directory: str) -> None:
    """Raise `Rejected` workspace_dirty if the index of a finished checkout differs from HEAD."""
    staged = await attempt("diff-index", "--cached", "--quiet", "HEAD", "--", directory=directory)
    if not staged.says_yes():
        raise dirty(directory, "has staged changes")


def dirty(directory: str, what: str) -> Rejected:
    """Return the refusal to remove a directory with work in it."""
    return Rejected(
        "workspace_dirty",
        f"{directory!r} {what}, which Fleet's checkout did not create",
        hint="Save what you need from it, remove the directory, then try again.",
    )


async def _changed(repository: str, directory: str, commit: str, torn: bool) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="fleet-index-") as scratch:
        # A separate index: that of the checkout may be missing, locked or incomplete.
        environment = {"GIT_INDEX_FILE": f"{scratch}/index", "GIT_WORK_TREE": directory}

        async def git(command: str, *arguments: str) -> str:
            return await run(command, *arguments, directory=directory, repository=repository, environment=environment)

        await git("read-tree", commit)
        await attempt(
            "update-index", "-q", "--refresh", directory=directory, repository=repository, environment=environment
        )
        untracked = (await git("ls-files", "--others", "-z")).split("\0")
        kept = "D" if not torn else "DMT"
        fields = (await git("diff-files", "--name-status", "-z")).split("\0")
        changed = [name for status, name in zip(fields[::2], fields[1::2], strict=False) if status[:1] not in kept]
        return changed + [name for name in untracked if name]


async def _names(directory: str) -> list[str]:
    return await trio.to_thread.run_sync(_names_in, directory)


def _names_in(directory: str) -> list[str]:
    """Return the names in a directory; `.git` counts if it is a repository, not for the link of a worktree."""
    return sorted(entry.name for entry in Path(directory).iterdir() if entry.name != ".git" or entry.is_dir())


def _shown(names: list[str]) -> str:
    rest = len(names) - DIRTY_PATHS_SHOWN_MAX
    shown = ", ".join(repr(name) for name in names[:DIRTY_PATHS_SHOWN_MAX])
    return f"{shown} and {rest} more" if rest > 0 else shown
