"""Lists the branches of a repository, newest first. branches.py refuses bad names.

git reads only names and dates; Python compares the query, which is never part of a command.
"""

from collections.abc import Iterator
from typing import Final

from fleet.adapters.git.command import run
from fleet.limits import BRANCHES_READ_MAX, OPENCODE_TIME_MS_MAX
from fleet.ports import Branch, BranchKind

_FIELDS: Final = ("refname", "objectname", "committerdate:unix", "HEAD", "symref", "worktreepath")
_FORMAT: Final = "".join(f"%({field})%00" for field in _FIELDS)
_KINDS: Final[dict[str, BranchKind]] = {"refs/heads/": "local", "refs/remotes/": "remote"}


async def list_branches(directory: str, git_directory: str | None, query: str) -> tuple[Branch, ...]:
    """Return the branches whose names contain `query`, seen from a directory in a repository. Raises `Problem`.

    Only the newest `BRANCHES_READ_MAX` are searched.
    """
    listed = await run(
        "for-each-ref",
        *("--sort=-committerdate", f"--count={BRANCHES_READ_MAX}", f"--format={_FORMAT}", *_KINDS),
        directory=directory,
        repository=git_directory,
    )
    wanted = query.casefold()
    return tuple(branch for branch in _parse(listed) if wanted in branch.name.casefold())


def _parse(listed: str) -> Iterator[Branch]:
    """Yield the branches that git has printed. A path may contain a newline, so fields end with NUL."""
    fields = listed.split("\0")
    for begin in range(0, len(fields) - 1, len(_FIELDS)):
        ref, commit, committed_s, is_current, leads_to, worktree = fields[begin : begin + len(_FIELDS)]
        branch = _branch(ref.lstrip("\n"), commit, committed_s, is_current == "*", worktree)
        if branch is not None and not leads_to:  # `origin/HEAD` is another name of a listed branch
            yield branch


def _branch(ref: str, commit: str, committed_s: str, is_current: bool, worktree: str) -> Branch | None:
    """Return the branch; None if it is not a commit, or its name is not valid UTF-8."""
    prefix = next(prefix for prefix in _KINDS if ref.startswith(prefix))
    if not committed_s or not ref.isprintable():
        return None
    committed_ms = min(int(committed_s) * 1000, OPENCODE_TIME_MS_MAX)
    shown = worktree.encode(errors="surrogateescape").decode(errors="replace")
    return Branch(ref.removeprefix(prefix), _KINDS[prefix], commit, committed_ms, is_current, shown or None)
