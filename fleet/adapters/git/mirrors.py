"""The mirrors of a host: bare repositories that follow those of the server, and from which workspaces are made.

A mirror remembers the last offer of the server in a file. A branch or tag that still is what the server gave follows
the server. One that was changed on the host stays, until the server has it as well; so does a branch that a worktree
has checked out. Of the server's configuration only what a clone would get arrives, in a file that the mirror includes.
"""

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec
import structlog
import trio

from fleet.adapters.git import worktrees
from fleet.adapters.git.command import Output, attempt, run
from fleet.adapters.git.files import exists, make_directory, read_file
from fleet.adapters.git.packs import Objects, store
from fleet.adapters.git.preservation_commit import kept_ref
from fleet.adapters.git.repository import read_refs
from fleet.errors import Problem
from fleet.limits import MIRROR_LOCK_S
from fleet.ports import MirrorOffer
from fleet.private_files import write_private

_log = structlog.get_logger(__name__)

OWN: Final = "refs/fleet/"
FOLLOWED: Final = ("refs/heads/", "refs/tags/", "refs/remotes/", "refs/notes/")
"""The refs that a mirror has of a repository."""
_SENT_BACK: Final = ("refs/heads", "refs/tags")
_STASH: Final = "refs/stash"
_OFFER: Final = "fleet-offer"
_CONFIGURATION: Final = "fleet-configuration"
_HEADS: Final = "refs/heads/"
_SORTED: Final = "# pack-refs with: sorted \n"
_MANY_REFS: Final = 100
"""More are stored in one file: git takes 1 ms for the file of each."""


class _Last(msgspec.Struct, frozen=True):
    """What a mirror got last."""

    digest: str
    refs: Mapping[str, str]


async def make(mirror: str, object_format: str) -> None:
    """Make an empty mirror if there is none. Raises `Problem` git_failed."""
    if await exists(f"{mirror}/HEAD"):
        return
    await make_directory(mirror)
    above = str(Path(mirror).parent)
    # An empty template: that of the user may have hooks.
    await run("init", "--quiet", "--bare", "--template=", f"--object-format={object_format}", mirror, directory=above)
    await run("config", "include.path", _CONFIGURATION, directory=mirror, repository=mirror)


async def state(mirror: str, digest: str) -> tuple[bool, tuple[str, ...]]:
    """Return whether the mirror has this offer, and otherwise the objects that its refs name."""
    if not await exists(f"{mirror}/HEAD"):
        return False, ()
    last = await _last(mirror)
    if last.digest == digest:
        return True, ()
    return False, tuple(sorted(set((await _refs(mirror)).values())))


async def receive(mirror: str, offer: MirrorOffer, file: Path | None, stored: Output | None = None) -> bool:
    """Store the objects of an offer and follow its refs. False: it lacks objects. Raises `Problem` git_failed.

    `stored` is how git has stored them, if it already has.
    """
    await make(mirror, offer.object_format)
    await trio.to_thread.run_sync(_remove_stale_locks, Path(mirror))
    await trio.to_thread.run_sync(_note_shallow, Path(mirror, "shallow"), offer.shallow)
    actual = await _refs(mirror)
    wanted = tuple(sorted(offer.objects - set(actual.values())))
    if wanted and not await store(Objects(mirror), file, wanted, None, stored):
        return False
    await _follow(mirror, offer, actual)
    if offer.branch is not None:
        await run("symbolic-ref", "HEAD", f"{_HEADS}{offer.branch}", directory=mirror, repository=mirror)
    await trio.to_thread.run_sync(_note, Path(mirror), offer, msgspec.json.encode(_Last(offer.digest, offer.refs)))
    return True


async def changed(mirror: str, workspace_id: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the refs that the server does not have in this form, and the objects that it gave."""
    last = (await _last(mirror)).refs
    own = (kept_ref(workspace_id), f"refs/fleet/kept-tags/{workspace_id}", worktrees.note_ref(workspace_id))
    there = await read_refs(mirror, *_SENT_BACK, _STASH, *own)
    tip = there.pop(_STASH, None)
    stashed = [] if tip is None else await _stashed(mirror, tip)
    found = {_printable(name): at for name, at in there.items() if name.startswith(OWN) or last.get(name) != at}
    return found | {f"{_STASH}/{commit}": commit for commit in stashed}, tuple(sorted(set(last.values())))


def _printable(name: str) -> str:
    """Return the name of a ref as text: it may have bytes that are not UTF-8."""
    return name if name.isprintable() else os.fsencode(name).decode(errors="backslashreplace").replace("\\", "_")


async def fetch_origin(mirror: str, url: str) -> None:
    """Fetch branches and tags from an address under refs of Fleet. Raises `Problem` git_failed."""
    refs = (f"+refs/{kind}/*:{OWN}origin/{kind}/*" for kind in ("heads", "tags"))
    await run(
        "fetch",
        *("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--", url, *refs),
        directory=mirror,
        repository=mirror,
    )


async def _follow(mirror: str, offer: MirrorOffer, actual: Mapping[str, str]) -> None:
    last = (await _last(mirror)).refs
    offered = {**offer.refs, **offer.also}
    if not actual and len(offered) > _MANY_REFS and not await exists(f"{mirror}/reftable"):
        lines = "".join(f"{at} {name}\n" for name, at in sorted(offered.items(), key=lambda ref: os.fsencode(ref[0])))
        await trio.to_thread.run_sync(_write, Path(mirror, "packed-refs"), os.fsencode(_SORTED + lines))
        return
    listed = await worktrees.registrations(mirror)
    fixed = {f"{_HEADS}{each.branch}" for each in listed if each.branch is not None}
    for name in stayed(actual, last, offered) - fixed:
        if name.startswith(_HEADS) and await is_ancestor(mirror, actual[name], offered[name]):
            last = {**last, name: actual[name]}  # the server has all of its commits
    gone, moved = moves(actual, last, offered, fixed)
    await _apply(mirror, [f"delete {name} {at}" for name, at in gone.items()])
    await _apply(mirror, [f"update {name} {offered[name]} {at}" for name, at in moved.items()])
    if len(moved) > _MANY_REFS:
        await run("pack-refs", "--all", directory=mirror, repository=mirror)


def stayed(actual: Mapping[str, str], last: Mapping[str, str], offered: Mapping[str, str]) -> set[str]:
    """Return the refs that were changed on the host, and that the server offers with another object."""
    return {
        name
        for name, at in offered.items()
        if not name.startswith(OWN) and actual.get(name, at) not in (at, last.get(name))
    }


def moves(
    actual: Mapping[str, str], last: Mapping[str, str], offered: Mapping[str, str], fixed: Iterable[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the refs of a mirror to delete and those to set to what is offered, each with its present object.

    `last` is what was offered before. `fixed` are refs that do not move. A ref that was deleted on the host is made
    again.
    """
    kept = stayed(actual, last, offered) | set(fixed)
    gone = {
        name: at
        for name, at in actual.items()
        if name.startswith(FOLLOWED) and name not in offered and last.get(name) == at and name not in kept
    }
    moved: dict[str, str] = {}
    for name, at in offered.items():
        there = actual.get(name)
        if there == at or (there is not None and name in kept):
            continue
        moved[name] = there or "0" * len(at)
    return gone, moved


async def _apply(mirror: str, lines: list[str]) -> None:
    """Change refs together; if one is in the way of another (`a` and `a/b`), each by itself."""
    if not lines or (await _update(mirror, lines)).code == 0:
        return
    for line in lines:
        done = await _update(mirror, [line])
        if done.code != 0:
            _log.warning("ref_not_mirrored", ref=line.split(" ")[1], why=done.failed().detail)


async def _update(mirror: str, lines: list[str]) -> Output:
    stdin = os.fsencode("".join(f"{line}\n" for line in lines))
    return await attempt("update-ref", "--stdin", directory=mirror, repository=mirror, stdin=stdin)


async def is_ancestor(repository: str, commit: str, other: str) -> bool:
    """Return whether `other` has all commits of `commit`; False for what is not a commit."""
    asked = await attempt("merge-base", "--is-ancestor", commit, other, directory=repository, repository=repository)
    return asked.code == 0


async def _refs(mirror: str) -> dict[str, str]:
    return await read_refs(mirror, "refs")


async def _stashed(mirror: str, tip: str) -> list[str]:
    """Return every stash: only the reflog names the older ones."""
    found = await attempt("rev-list", "--walk-reflogs", _STASH, "--", directory=mirror, repository=mirror)
    return found.stdout.split() if found.code == 0 else [tip]


async def _last(mirror: str) -> _Last:
    try:
        return msgspec.json.decode(await trio.to_thread.run_sync(read_file, f"{mirror}/{_OFFER}"), type=_Last)
    except (OSError, msgspec.MsgspecError):  # there is none, or it is damaged: nothing is known
        return _Last("", {})


def _remove_stale_locks(mirror: Path) -> None:
    """Remove what a git left behind that was ended with its machine or agent: no ref could be changed any more."""
    for lock in (*mirror.glob("*.lock"), *(mirror / "refs").rglob("*.lock")):
        try:
            age_s = time.time() - lock.stat().st_mtime
            if age_s > MIRROR_LOCK_S:
                lock.unlink()
                _log.warning("stale_lock_removed", mirror=mirror.name, lock=lock.name, age_s=round(age_s))
        except OSError:
            continue  # git has removed it


def _note_shallow(path: Path, commits: tuple[str, ...]) -> None:
    if not commits:
        return
    there = path.read_text().split() if path.exists() else []
    lines = "".join(f"{commit}\n" for commit in sorted({*there, *commits}))
    _write(path, lines.encode())


def _note(mirror: Path, offer: MirrorOffer, last: bytes) -> None:
    _write(mirror / _CONFIGURATION, offer.configuration)
    _write(mirror / "info" / "exclude", offer.exclude)
    _write(mirror / _OFFER, last)  # at last: it says that everything else is done


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_private(path, content)
    except OSError as error:
        raise Problem("git_failed", f"Fleet cannot write {str(path)!r}: {error.strerror}") from None
