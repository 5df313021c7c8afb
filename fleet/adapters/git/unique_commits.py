"""Finds the commits that exist only in a workspace.

Beside what is checked out these are: in a clone its branches, tags and stash; in both what git remembers of a merge,
rebase or reset in progress (`ORIG_HEAD` and the like) and the commits that `HEAD` stood at once. A clone may have
linked worktrees with a `HEAD` of their own. A commit on a branch or tag of the source that stays is not unique.
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
    """What may have to be kept: (name, object) of refs, the commits they lead to, and tags that are objects."""

    refs: tuple[tuple[str, str], ...]
    commits: tuple[str, ...]
    tags: tuple[str, ...] = ()


async def candidates_in(git_directory: str, *, with_refs: bool) -> Candidates:
    """Return what a checkout's own git directory names. `with_refs`: it shares its refs with no other (a clone).

    Then what its linked worktrees stood at counts as well; `Rejected` workspace_dirty where one is still there. Of the
    refs that git has for a worktree alone the commits count. Raises `Problem` git_failed where git cannot tell.
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
    """Return those of `commits` that no branch or tag of the repository reaches, without ancestors of others.

    `going` is a branch that does not count. Raises `Problem` git_failed, `Rejected` workspace_dirty for too many.
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
            f"The workspace has {len(tips)} lines of commits of its own, which is more than Fleet keeps in one",
            hint="Push or merge what you need, delete branches that you don't, then try again.",
        )
    return tips


async def worktree_directory(repository: str, directory: str) -> str | None:
    """Return the git directory that a repository has for a worktree, whose files may be gone or know nothing of it."""
    found = await trio.to_thread.run_sync(_registered, Path(repository, "worktrees"))
    return next((own for own, link in found.items() if link == f"{directory}/.git"), None)


async def _linked(git_directory: str) -> list[str]:
    """Return the git directories of linked worktrees whose files are gone."""
    found = await trio.to_thread.run_sync(_registered, Path(git_directory, "worktrees"))
    for link in found.values():
        if await exists(link):
            raise Rejected(
                "workspace_dirty",
                f"The repository in {git_directory!r} has a worktree of its own at {link!r}",
                hint="Take what you need from it and remove it (git worktree remove), then try again.",
            )
    return list(found)


def _registered(worktrees: Path) -> dict[str, str]:
    """Return what stands for each linked worktree: the path of its `.git`, which may be relative."""
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
    """Return the commits that a ref stood at, newest first; none where git kept no record.

    Raises `Problem` git_failed where there is a record, and neither git nor Fleet can read it.
    """
    walked = await _ask(git_directory, "rev-list", "--walk-reflogs", ref, "--")
    if walked.code == 0:
        return walked.stdout.split()
    try:  # git walks no record of a HEAD whose branch has no commit
        lines = await trio.to_thread.run_sync(read_file, Path(git_directory, "logs", ref))
    except FileNotFoundError:
        if (await _ask(git_directory, "reflog", "exists", ref)).says_yes():  # kept in another format
            raise walked.failed() from None
        return []
    except OSError as error:
        raise Problem(
            "git_failed",
            f"Fleet cannot read what {ref} of {git_directory!r} stood at: {error.strerror}",
            hint="Make logs/ in that directory readable for Fleet, then try again.",
        ) from None
    ids = [name for line in lines.splitlines() for name in line.decode(errors="replace").split(" ", 2)[:2]]
    return await _commits_among(git_directory, ids[::-1])


async def _ask(git_directory: str, *arguments: str) -> Output:
    command, *others = arguments
    environment = without_files(git_directory)
    return await attempt(command, *others, directory=git_directory, repository=git_directory, environment=environment)


async def _pseudo(git_directory: str) -> list[str]:
    return await _commits_among(git_directory, [f"{name}^{{commit}}" for name in _PSEUDO])


async def _commits_among(git_directory: str, names: list[str]) -> list[str]:
    """Return the commits that these names lead to, without those that the repository does not have."""
    listed = await run(
        "cat-file",
        "--batch-check=%(objectname) %(objecttype)",
        directory=git_directory,
        repository=git_directory,
        environment=without_files(git_directory),
        stdin="".join(f"{name}\n" for name in names).encode(),
    )
    return [line.split(" ")[0] for line in listed.splitlines() if line.endswith(" commit")]
