"""Finds the commits that exist only in a workspace.

Besides the checked-out commit, they come from these refs: in a clone its branches, tags and stash; in both the refs of
a merge, rebase or reset in progress (`ORIG_HEAD` and others) and the reflog of `HEAD`. A clone may have linked
worktrees with their own `HEAD`. A commit on a remaining branch or tag of the source is not unique.
"""

import os
from pathlib import Path
from typing import Final, NamedTuple

import trio

from fleet.adapters.git.command import Output, attempt, run, without_files
from fleet.adapters.git.files import exists, read_file
from fleet.errors import Problem, Rejected
from fleet.limits import PRESERVED_COMMITS_MAX

_PSEUDO: Final = ("HEAD", "ORIG_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD")
_OF_ONE_WORKTREE: Final = ("refs/bisect", "refs/worktree", "refs/rewritten")
_NOT_MADE_HERE: Final = ("refs/remotes/", "refs/fleet/", "refs/prefetch/")


class Candidates(NamedTuple):
    """What may have to be preserved: (name, object) of refs, their commits, and annotated tags."""

    refs: tuple[tuple[str, str], ...]
    commits: tuple[str, ...]
    tags: tuple[str, ...] = ()


async def candidates_in(git_directory: str, *, with_refs: bool) -> Candidates:
    """Return the candidates of a checkout's own git directory. `with_refs`: it shares its refs with no other (a clone).

    Then the commits of its linked worktrees count as well; `Rejected` workspace_dirty if one still exists. Of the refs
    that belong only to a worktree, the commits count. Raises `Problem` git_failed if git fails.
    """
    refs, commits, tags = await _refs(git_directory, *(() if with_refs else _OF_ONE_WORKTREE))
    if not with_refs:
        refs, tags = [], []
    stashed = await _walk(git_directory, "refs/stash") if with_refs else []
    refs += [("refs/stash", commit) for commit in reversed(stashed)]
    commits += stashed
    for checkout in (git_directory, *(await _linked(git_directory) if with_refs else ())):
        commits += await _pseudo(checkout)
        commits += await _walk(checkout, "HEAD")
    return Candidates(tuple(refs), tuple(dict.fromkeys(commits)), tuple(tags))


async def own_tips(repository: str, commits: list[str], going: str | None) -> list[str]:
    """Return the `commits` that no branch or tag of the repository reaches, without ancestors of others.

    `going` is a branch to ignore. Raises `Problem` git_failed, `Rejected` workspace_dirty for too many.
    """
    if not commits:
        return []
    excluded = () if going is None else (f"--exclude={going}",)
    listed = await run(
        "rev-list",
        *("--parents", "--stdin", "--not", *excluded, "--branches", "--tags"),
        directory=repository,
        repository=repository,
        stdin="".join(f"{commit}\n" for commit in commits).encode(),
    )
    lines = [line.split(" ") for line in listed.splitlines()]
    own = {line[0] for line in lines}
    inner = {parent for line in lines for parent in line[1:]}
    tips = [commit for commit in dict.fromkeys(commits) if commit in own and commit not in inner]
    if len(tips) > PRESERVED_COMMITS_MAX:
        raise Rejected(
            "workspace_dirty",
            f"the workspace has {len(tips)} lines of commits of its own, more than Fleet can preserve",
            hint="Push or merge what you need, delete branches that you do not need, then try again.",
        )
    return tips


async def worktree_directory(repository: str, directory: str) -> str | None:
    """Return the git directory that a repository has for a worktree, whose files may be missing or not linked to it."""
    found = await trio.to_thread.run_sync(_registered, Path(repository, "worktrees"))
    return next((own for own, link in found.items() if link == f"{directory}/.git"), None)


async def _linked(git_directory: str) -> list[str]:
    """Return the git directories of linked worktrees whose files do not exist."""
    found = await trio.to_thread.run_sync(_registered, Path(git_directory, "worktrees"))
    for link in found.values():
        if await exists(link):
            raise Rejected(
                "workspace_dirty",
                f"the repository in {git_directory!r} has a worktree of its own at {link!r}",
                hint="Save what you need from it and remove it (git worktree remove), then try again.",
            )
    return list(found)


def _registered(worktrees: Path) -> dict[str, str]:
    """Return the path of `.git`, which may be relative, of each linked worktree."""
    found: dict[str, str] = {}
    for own in sorted(worktrees.iterdir()) if worktrees.is_dir() else ():
        try:
            link = own / os.fsdecode(read_file(own / "gitdir").removesuffix(b"\n"))
        except OSError:  # it cannot be read
            link = own
        found[str(own)] = os.path.normpath(link)
    return found


async def _refs(git_directory: str, *below: str) -> tuple[list[tuple[str, str]], list[str], list[str]]:
    listed = await run(
        "for-each-ref",
        "--format=%(objectname) %(objecttype) %(*objectname) %(*objecttype) %(refname)",
        *below,
        directory=git_directory,
        repository=git_directory,
        environment=without_files(git_directory),
    )
    refs: list[tuple[str, str]] = []
    commits: list[str] = []
    tags: list[str] = []
    for line in listed.splitlines():
        target, kind, peeled, peeled_kind, name = line.split(" ", 4)
        if name.startswith(_NOT_MADE_HERE) or name == "refs/stash":
            continue
        refs.append((name, target))
        if kind == "commit":
            commits.append(target)
        else:
            tags.append(target)
        if peeled_kind == "commit":
            commits.append(peeled)
    return refs, commits, tags


async def _walk(git_directory: str, ref: str) -> list[str]:
    """Return the commits in the reflog of a ref, newest first; none without a reflog.

    Raises `Problem` git_failed for a reflog that neither git nor Fleet can read.
    """
    walked = await _attempt(git_directory, "rev-list", "--walk-reflogs", ref, "--")
    if walked.code == 0:
        return walked.stdout.split()
    try:  # git reads no reflog of a HEAD whose branch has no commit
        lines = await trio.to_thread.run_sync(read_file, Path(git_directory, "logs", ref))
    except FileNotFoundError:
        if (await _attempt(git_directory, "reflog", "exists", ref)).says_yes():  # stored in another format
            raise walked.failed() from None
        return []
    except OSError as error:
        raise Problem(
            "git_failed",
            f"Fleet cannot read the reflog of {ref} in {git_directory!r}: {error.strerror}",
            hint="Make logs/ in that directory readable for Fleet, then try again.",
        ) from None
    ids = [name for line in lines.splitlines() for name in line.decode(errors="replace").split(" ", 2)[:2]]
    return await _commits_among(git_directory, ids[::-1])


async def _attempt(git_directory: str, *arguments: str) -> Output:
    command, *others = arguments
    environment = without_files(git_directory)
    return await attempt(command, *others, directory=git_directory, repository=git_directory, environment=environment)


async def _pseudo(git_directory: str) -> list[str]:
    return await _commits_among(git_directory, [f"{name}^{{commit}}" for name in _PSEUDO])


async def _commits_among(git_directory: str, names: list[str]) -> list[str]:
    """Return the commits of these names that the repository has."""
    listed = await run(
        "cat-file",
        "--batch-check=%(objectname) %(objecttype)",
        directory=git_directory,
        repository=git_directory,
        environment=without_files(git_directory),
        stdin="".join(f"{name}\n" for name in names).encode(),
    )
    return [line.split(" ")[0] for line in listed.splitlines() if line.endswith(" commit")]
