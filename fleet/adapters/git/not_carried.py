"""Lists what a new worktree or clone lacks compared with its source: programs, LFS contents, submodules.

Each is a sentence that says what to do. clone_config.py copies the rest.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import trio

from fleet.adapters.git.clone_config import Entry, entries_of
from fleet.adapters.git.command import run
from fleet.adapters.git.files import read_file
from fleet.limits import NOT_CARRIED_LISTED_MAX
from fleet.ports import NotCarried, Source, WorkspaceSpec
from fleet.side_by_side import both

_GITLINK: Final = "160000 "
_POINTER: Final = b"version https://git-lfs.github.com/spec/"
_FILTER: Final = re.compile(r"filter\.(.+)\.(smudge|clean|process)")
# Settings that a clone has of its own, or that name no program and matter only to one repository.
_OF_NO_MATTER: Final = re.compile(
    r"core\.(repositoryformatversion|bare|filemode|logallrefupdates|ignorecase|precomposeunicode|symlinks|worktree"
    r"|sparsecheckout.*|hookspath|splitindex|untrackedcache|fsmonitor|compression)"
    r"|(extensions|gc|maintenance|pack|index|feature|submodule|filter|include|includeif|lfs|branch|advice|color)\..*"
)


async def configured(source: Source) -> tuple[Entry, ...]:
    """Return the configuration of the source's checkout. Raises `Problem` git_failed."""
    return await entries_of(source.git_directory or source.repository or source.directory)


async def lacking(source: Source, entries: tuple[Entry, ...], spec: WorkspaceSpec) -> tuple[NotCarried, ...]:
    """Return what the finished checkout of `spec` lacks. Raises `Problem` git_failed.

    `entries` are the result of `configured`.
    """
    lfs, submodules = await both(_lfs(spec.directory), _submodules(spec.directory))
    found = [filters_left(entries), lfs, submodules]
    if spec.strategy == "clone":
        hooks = await trio.to_thread.run_sync(hooks_in, Path(source.repository or "", "hooks"))
        left = {entry.key for entry in entries if entry.is_own and not entry.is_carried}
        found += [_hooks(entries, hooks), settings_left(left, "in the clone")]
    return tuple(each for each in found if each is not None)


def filters_left(entries: tuple[Entry, ...]) -> NotCarried | None:
    """Return which filters did not run."""
    users = {entry.key for entry in entries if not entry.is_own}
    matches = (_FILTER.fullmatch(entry.key) for entry in entries if entry.is_own and entry.key not in users)
    names = sorted({match[1] for match in matches if match})
    if not names:
        return None
    return NotCarried(
        "filters",
        f"Filters of the repository's own configuration did not run, so their files are as they are stored: "
        f"{named(names)}. Fleet runs the filters of your own ~/.gitconfig.",
    )


def _hooks(entries: tuple[Entry, ...], hooks: list[str]) -> NotCarried | None:
    paths = [entry.value for entry in entries if entry.is_own and entry.key == "core.hookspath" and entry.value]
    if paths:
        return NotCarried(
            "hooks", f"Hooks in {paths[-1]!r} (core.hooksPath) do not run in the clone until you set it there."
        )
    if not hooks:
        return None
    return NotCarried(
        "hooks",
        f"Hooks of the repository are not in the clone: {named(hooks)}. Copy them into its .git/hooks to use them.",
    )


def hooks_in(directory: Path) -> list[str]:
    """Return the names of the hooks in a directory."""
    try:
        found = sorted(
            each.name for each in directory.iterdir() if each.suffix != ".sample" and os.access(each, os.X_OK)
        )
    except OSError:  # there are none
        return []
    return found


def settings_left(left: Iterable[str], where: str) -> NotCarried | None:
    """Return which of the settings that are `left` matter; they are not there, `where` the workspace is."""
    names = sorted(key for key in left if not _OF_NO_MATTER.fullmatch(key))
    if not names:
        return None
    return NotCarried(
        "config", f"Settings of the repository are not {where}: {named(names)}. Set the ones that you need there."
    )


async def _lfs(directory: str) -> NotCarried | None:
    if not await run("ls-files", "-z", "--", ".gitattributes", "**/.gitattributes", directory=directory):
        return None
    names = (await run("ls-files", "-z", "--", ":(attr:filter=lfs)", directory=directory)).split("\0")
    pointers = await trio.to_thread.run_sync(_pointers, directory, [name for name in names if name])
    if not pointers:
        return None
    return NotCarried(
        "lfs",
        f"Contents of LFS are missing, only pointers exist: {named(pointers)}. Run `git lfs pull` in the workspace.",
    )


def _pointers(directory: str, names: list[str]) -> list[str]:
    return [name for name in names if _is_pointer(f"{directory}/{name}")]


def _is_pointer(path: str) -> bool:
    try:
        return read_file(path, follow=False, head_bytes=len(_POINTER)) == _POINTER
    except OSError:  # not in the sparse cone, or a symlink
        return False


async def _submodules(directory: str) -> NotCarried | None:
    if not await trio.Path(directory, ".gitmodules").is_file():
        return None
    staged = (await run("ls-files", "--stage", "-z", directory=directory)).split("\0")
    names = [line.partition("\t")[2] for line in staged if line.startswith(_GITLINK)]
    if not names:
        return None
    return NotCarried(
        "submodules",
        f"Submodules are empty: {named(names)}. To fill them, run `git submodule update --init` in the workspace; "
        "`submodules = true` in .fleet.toml does it for each new one.",
    )


def named(names: list[str]) -> str:
    """Return the first names and the number of the others; bytes that are not UTF-8 are escaped."""
    shown = ", ".join(os.fsencode(name).decode(errors="backslashreplace") for name in names[:NOT_CARRIED_LISTED_MAX])
    rest = len(names) - NOT_CARRIED_LISTED_MAX
    return f"{shown} and {rest} more" if rest > 0 else shown
