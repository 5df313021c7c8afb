"""Refuses bad branch names and bases before anything is made from them.

`branch` names the session's branch. If it does not exist, it is created from `base_ref` (default: the source's HEAD).
If it exists and no base is given, work on it continues; with a base it is refused, because resetting it would lose
commits. worktrees.py checks whether it is checked out elsewhere.
"""

import re
from collections.abc import Iterable
from typing import Final

from fleet.adapters.git.command import attempt, run
from fleet.adapters.git.repository import commit_of, read_ref, read_refs
from fleet.errors import Problem, Rejected
from fleet.limits import BRANCH_BYTES_MAX
from fleet.ports import Source

_HEADS: Final = "refs/heads/"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*")
"""Names that git accepts for certain: all its rules are about other characters."""


async def check_name(repository: str, branch: str | None) -> str:
    """Return the branch name, or raise `Rejected` branch_invalid."""
    if branch is None or not await _is_name(repository, branch):
        raise Rejected(
            "branch_invalid",
            f"{branch!r} cannot be the name of a branch",
            field="branch",
            hint="Use letters, digits, dots, dashes and slashes; do not begin with a dash.",
        )
    if branch.startswith("refs/"):  # git would treat it as a name, and create refs/heads/refs/...
        name = branch.removeprefix("refs/heads/")
        raise Rejected(
            "branch_invalid",
            f"{branch!r} is a ref, not the name of a branch",
            field="branch",
            hint=f"Use only the name: {name}." if name != branch else "Use the name of a branch, without refs/.",
        )
    return branch


async def refs_near(repository: str, branch: str, *others: str) -> dict[str, str]:
    """Return the branch, those that may conflict with it, and the refs `others`. Raises `Problem` git_failed."""
    first, _, _ = branch.partition("/")
    return await read_refs(repository, f"{_HEADS}{branch}", f"{_HEADS}{first}", *others)


def check_place(refs: Iterable[str], branch: str) -> None:
    """Raise `Rejected` branch_exists if another branch conflicts: git cannot have both `a` and `a/b`."""
    names = (ref.removeprefix(_HEADS) for ref in refs if ref.startswith(_HEADS))
    in_the_way = [name for name in names if branch.startswith(f"{name}/") or name.startswith(f"{branch}/")]
    if in_the_way:
        raise Rejected(
            "branch_exists",
            f"git cannot have the branches {in_the_way[0]!r} and {branch!r} at the same time",
            field="branch",
            hint="Choose a branch name that is not a path above or below an existing one.",
        )


async def tip(repository: str, branch: str) -> str | None:
    """Return the commit of a local branch, None where it does not exist."""
    return await read_ref(repository, f"{_HEADS}{branch}")


def refuse_existing(branch: str, base_ref: str) -> Rejected:
    """Return the refusal of a base for an existing branch."""
    return Rejected(
        "branch_exists",
        f"the branch {branch!r} already exists, so it cannot begin at {base_ref!r}",
        field="branch",
        hint="Omit baseRef to continue on that branch, or choose another name.",
    )


async def base_commit(source: Source, base_ref: str | None) -> str:
    """Return the start commit of a new branch. Raises `Rejected`: base_ref_unknown, repository_empty."""
    if base_ref is None:
        if source.head is None:
            raise _no_head(source)
        return source.head
    commit, why = None, ""
    if _is_argument(base_ref):
        try:
            commit = await commit_of(source.directory, base_ref, source.git_directory)
        except Problem as problem:  # `main@{upstream}` without an upstream
            why = f": {problem.detail}"
    if commit is None:
        raise Rejected(
            "base_ref_unknown",
            f"{base_ref!r} does not name a commit in {source.directory!r}{why}",
            field="baseRef",
            hint="Name a branch, tag or commit that `git rev-parse` finds there.",
        )
    return commit


async def check_not_empty(source: Source, repository: str) -> None:
    """Raise `Rejected` repository_empty for a repository without any commit."""
    if source.head is None and not await run(
        "for-each-ref", "--count=1", "--format=%(refname)", directory=repository, repository=repository
    ):
        raise _no_head(source)


def _no_head(source: Source) -> Rejected:
    return Rejected(
        "repository_empty",
        f"HEAD of {source.directory!r} has no commit yet",
        field="directory",
        hint="Commit something first, or give a commit as baseRef.",
    )


async def _is_name(repository: str, branch: str) -> bool:
    if not _is_argument(branch) or branch.startswith("-") or branch in ("HEAD", "@"):
        return False
    if len(branch.encode()) > BRANCH_BYTES_MAX:
        return False
    if _PLAIN.fullmatch(branch):
        return True
    checked = await attempt("check-ref-format", f"refs/heads/{branch}", directory=repository, repository=repository)
    return checked.says_yes()


def _is_argument(text: str) -> bool:
    """Return whether the text can be an argument of a process: no NUL, encodable, of limited length."""
    try:
        return "\0" not in text and 0 < len(text.encode()) <= 4 * BRANCH_BYTES_MAX
    except UnicodeEncodeError:
        return False
