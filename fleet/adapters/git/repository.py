"""Reads facts about directories and repositories, and changes nothing.

Every path from a person passes through `resolve` before Fleet uses it. branches.py checks branches and bases.
"""

import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import trio

from fleet.adapters.git.command import Output, attempt, run, without_files
from fleet.core.paths import is_inside
from fleet.errors import Problem, Rejected
from fleet.ports import Condition, Source

_NO_REPOSITORY = ("not a git repository", "invalid gitfile format", "not a gitdir", "must be run in a work tree")
_ONLY_NAMED = "safe.bareRepository"  # git's message if the user allows only explicitly named bare repositories
_PLACES = ("--is-inside-work-tree", "--absolute-git-dir", "--git-common-dir")
_AT_ONCE = (*_PLACES, "--show-toplevel", "HEAD^{commit}", "--symbolic-full-name", "HEAD")
_BRANCH, _DETACHED = "# branch.head ", "(detached)"
_STATUS_BYTES = 16 * 1024  # enough for the branch, which comes first, and the first changed file
_FOREIGN_OWNER = ("dubious ownership", "unsafe repository")


async def resolve(directory: str, allowed_roots: Iterable[str]) -> str:
    """Return the real path of a readable directory inside the allowed roots.

    Raises `Rejected`: directory_missing, not_a_directory, directory_outside_roots, directory_unreadable.
    """
    if not Path(directory).is_absolute():
        raise Rejected(
            "directory_missing",
            f"{directory!r} is not an absolute path",
            field="directory",
            hint="Use an absolute path.",
        )
    real = await trio.to_thread.run_sync(_refusing, os.path.realpath, directory)
    # Checked first, so that no error describes a path outside of the roots.
    if not is_inside(real, allowed_roots):
        raise Rejected(
            "directory_outside_roots",
            f"{directory!r} is outside of the allowed roots",
            field="directory",
            hint="Choose a directory inside the allowed roots, or add a root to the configuration.",
        )
    await trio.to_thread.run_sync(_refusing, _read_directory, real, directory)
    return real


async def read_source(directory: str) -> Source:
    """Return the facts that git knows about a real directory.

    A broken `.git` counts as "outside of git". Raises `Rejected` directory_unreadable if git does not trust the owner
    of the repository, `Problem` git_failed for other failures.
    """
    at_once = await _rev_parse(directory, None, _AT_ONCE)
    lines = at_once.line.split("\n")
    if at_once.code == 0 and len(lines) == len(_AT_ONCE) - 1 and lines[-1].startswith(("HEAD", "refs/")):
        inside, own, repository, top, head, ref = lines
        branch = None if ref == "HEAD" else ref.removeprefix("refs/heads/")
        common = str(await trio.Path(repository).resolve())
        return Source(directory, common, top if inside == "true" else None, branch, head, own)
    return await _read_by_steps(directory)


async def _read_by_steps(directory: str) -> Source:
    """Read a repository that `read_source` cannot read in one call: a bare, broken or empty one, or an unusual path."""
    found = await _rev_parse(directory, None)
    if found.code != 0 and _ONLY_NAMED in found.stderr:  # a person named the directory, so it may be a bare repository
        found = await _rev_parse(directory, directory)
    if found.code != 0:
        return _outside(directory, found)
    lines = found.line.split("\n")
    if len(lines) != len(_PLACES):  # a newline in a path
        lines = [await run("rev-parse", "--path-format=absolute", flag, directory=directory) for flag in _PLACES]
    inside, own, repository = lines
    top = await run("rev-parse", "--show-toplevel", directory=directory) if inside == "true" else None
    head_ref = await attempt("symbolic-ref", "--quiet", "HEAD", directory=directory, repository=own)
    branch = head_ref.line.removeprefix("refs/heads/") if head_ref.says_yes() else None
    common = str(await trio.Path(repository).resolve())
    return Source(directory, common, top, branch, await commit_of(directory, "HEAD", own), own)


async def _rev_parse(directory: str, repository: str | None, asked: tuple[str, ...] = _PLACES) -> Output:
    return await attempt("rev-parse", "--path-format=absolute", *asked, directory=directory, repository=repository)


async def condition(directory: str) -> Condition | None:
    """Return the condition of a checkout, None outside of one; submodules count only by their commit.

    Raises `Problem` git_failed if git cannot read it.
    """
    listed = await attempt(
        "status",
        *("--porcelain=v2", "--branch", "-z", "--untracked-files=normal", "--ignore-submodules=dirty", "--", "."),
        directory=directory,
        head_bytes=_STATUS_BYTES,
    )
    if listed.code != 0:
        if any(words in listed.stderr for words in _NO_REPOSITORY):
            return None
        raise listed.failed()
    entries = listed.stdout.split("\0")
    branch = next((entry.removeprefix(_BRANCH) for entry in entries if entry.startswith(_BRANCH)), _DETACHED)
    return Condition(None if branch == _DETACHED else branch, any(e and not e.startswith("# ") for e in entries))


async def why_no_repository(directory: str) -> str:
    """Return git's message for a directory without a repository."""
    return (await attempt("rev-parse", "--git-dir", directory=directory)).stderr.strip()


async def commit_of(directory: str, revision: str, repository: str | None) -> str | None:
    """Return the commit that a revision names, seen from `directory`; None where it names none.

    `repository` is the checkout's own git directory, None to let git find one. Raises `Problem` git_failed if git
    cannot read it.
    """
    found = await attempt(
        "rev-parse",
        *("--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"),
        directory=directory,
        repository=repository,
    )
    return found.line if found.says_yes() else None


async def read_ref(repository: str, ref: str) -> str | None:
    """Return the object that a full ref name points to, None where there is no such ref. Raises as `read_refs`."""
    return (await read_refs(repository, ref)).get(ref)


async def read_refs(repository: str, *refs: str) -> dict[str, str]:
    """Return the objects of the refs with these full names and of refs below them: `a` includes `a/b`.

    Raises `Problem` git_failed if git fails or a named ref is damaged.
    """
    found = await attempt(
        "for-each-ref", "--format=%(objectname) %(refname)", *refs, directory=repository, repository=repository
    )
    if found.code != 0 or any(f"broken ref {ref}\n" in found.stderr for ref in refs):
        raise found.failed()
    named = (line.split(" ", 1) for line in found.stdout.splitlines())
    return {name: target for target, name in named}


async def kind_of(repository: str, name: str) -> str | None:
    """Return whether an object is a commit, tree, blob or tag; None where the repository does not have it.

    Raises `Problem` git_failed if git fails.
    """
    asked = f"{name}\n".encode()
    printed = await run(
        "cat-file", "--batch-check=%(objecttype)", directory=repository, repository=repository, stdin=asked
    )
    return None if printed == f"{name} missing" else printed


async def is_commit(repository: str, commit: str) -> bool:
    """Return whether the repository has a commit. Raises `Problem` git_failed if git fails."""
    return await kind_of(repository, commit) == "commit"


async def head_of(git_directory: str) -> tuple[str | None, str | None]:
    """Return the commit and the branch of HEAD in a checkout's own git directory.

    The commit is None if the branch has none yet, the branch is None for a detached HEAD. Raises `Problem` git_failed
    if HEAD names something that git cannot read.
    """
    environment = without_files(git_directory)
    named = await attempt(
        "symbolic-ref", "--quiet", "HEAD", directory=git_directory, repository=git_directory, environment=environment
    )
    ref = named.line if named.says_yes() else None
    found = await attempt(
        "rev-parse",
        *("--verify", "--quiet", "HEAD^{commit}"),
        directory=git_directory,
        repository=git_directory,
        environment=environment,
    )
    branch = None if ref is None else ref.removeprefix("refs/heads/")
    if found.says_yes():
        return found.line, branch
    if ref is None or await read_ref(git_directory, ref) is not None:
        raise Problem(
            "git_failed",
            f"HEAD of {git_directory!r} names a commit that does not exist",
            hint="Restore that commit, or switch to another branch there, then try again.",
        )
    return None, branch


def _outside(directory: str, found: Output) -> Source:
    if any(words in found.stderr for words in _FOREIGN_OWNER):
        raise Rejected(
            "directory_unreadable",
            f"git refuses the repository at {directory!r}, because it belongs to another user",
            field="directory",
            hint=f"If you trust it: `git config --global --add safe.directory {directory}`.",
        )
    if not any(words in found.stderr for words in _NO_REPOSITORY):
        raise found.failed()
    return Source(directory=directory, repository=None, top=None, branch=None, head=None)


def _refusing(action: Callable[[str], str], path: str, named: str | None = None) -> str:
    """Run `action`; convert an error of the system to a refusal of the directory under its given name."""
    named = path if named is None else named
    try:
        result = action(path)
        result.encode()  # strictly, because the path is logged
    except UnicodeEncodeError:
        raise Rejected(
            "directory_unreadable", f"the path of {named!r} is not UTF-8", field="directory", hint="Rename it."
        ) from None
    except ValueError:
        raise Rejected("directory_missing", f"{named!r} is not a path", field="directory") from None
    except NotADirectoryError:
        raise Rejected(
            "not_a_directory", f"{named!r} is not a directory", field="directory", hint="Name a directory."
        ) from None
    except PermissionError:
        raise Rejected(
            "directory_unreadable",
            f"Fleet may not read {named!r}",
            field="directory",
            hint="Give Fleet's user permission to read and enter it.",
        ) from None
    except OSError as error:
        why = "is a loop of symlinks" if error.errno == errno.ELOOP else "does not exist"
        raise Rejected(
            "directory_missing", f"{named!r} {why}", field="directory", hint="Check the spelling, or create it."
        ) from None
    return result


def _read_directory(path: str) -> str:
    with os.scandir(path) as entries:
        for entry in entries:
            entry.stat(follow_symlinks=False)
            break
    return path
