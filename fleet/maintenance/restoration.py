"""Restores a data directory: a copy, a moved directory or a backup becomes a Fleet of its own.

The OpenCode processes that its log names belong to the original, so they are recorded as lost, and none is touched: no
signal is sent, and no file outside of the directory changes. The new id is written last, so that a restore that was cut
off leaves a directory that does not start, and can be repeated. fleet/cli/commands/restore.py is the command.
"""

import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import trio
from msgspec.structs import replace

from fleet.adapters.clock import SystemClock
from fleet.adapters.git.snapshot_repository import make_directories
from fleet.adapters.ids import SystemIds
from fleet.core.instance.commands import InstanceCommand, ReportInstanceStopped, ReportLost, ReportStartFailed
from fleet.core.instance.decide import INSTANCE
from fleet.core.instance.state import LIVE, State
from fleet.core.paths import is_inside
from fleet.core.workspace import state as workspace_state
from fleet.core.workspace.commands import RelocateWorkspace, ReportFault
from fleet.core.workspace.decide import WORKSPACE
from fleet.errors import StartupError
from fleet.events.backup_directory import BLOB_FILE, read_manifest, require_empty
from fleet.events.catalog import make_registry
from fleet.events.directory_files import paths_of
from fleet.events.directory_identity import FILE as IDENTITY
from fleet.events.directory_identity import DirectoryIdentity, is_home, read_identity, write_identity
from fleet.events.envelope import Cause
from fleet.events.lmdb_log import LmdbLog
from fleet.events.lmdb_store import LOG_FILE
from fleet.events.read_only import reading_directory
from fleet.events.verify import verify
from fleet.ports import LOCAL, Exit
from fleet.private_files import LOCAL_TOKEN, make_private_directory
from fleet.projections.lives import lives

Moves = Sequence[tuple[str, str]]
"""Directories that were moved: the old and the new absolute path."""


class MissingWorkspace(NamedTuple):
    """A workspace that the log calls ready, whose directory is not on this machine."""

    id: str
    strategy: str
    directory: str


class Restored(msgspec.Struct, frozen=True):
    """A restored directory: its new id, its origin, and how many processes were lost and workspaces relocated.

    `missing` are the workspaces without their directory, as worktrees and clones after a restore from a backup.
    """

    directory: str
    id: str
    origin: str
    lost: int
    relocated: int
    missing: tuple[MissingWorkspace, ...] = ()


async def restore_in_place(directory: Path, moved: Moves = ()) -> Restored:
    """Make a copied or moved directory a Fleet of its own, as `restore_backup` does. Raises `StartupError`."""
    if not (directory / LOG_FILE).is_file():
        raise StartupError(f"{directory} is not the data directory of a Fleet: it has no {LOG_FILE}.")
    identity = read_identity(directory)
    if identity is None:
        raise StartupError(
            f"{directory} has no identity.json, so it is not a copy of a Fleet: start it with "
            f"`fleet serve --data-dir {directory}`."
        )
    if is_home(directory, identity):
        raise StartupError(f"{directory} is where its Fleet lives: there is nothing to restore. Start it.")
    _require_own_files(directory)
    return await _found(directory, identity, moved)


def _require_own_files(directory: Path) -> None:
    """Raise `StartupError` where the directory has links: what is written through them changes the original."""
    for entry in directory.iterdir():
        status = entry.lstat()
        if stat.S_ISLNK(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink > 1):
            raise StartupError(
                f"{entry} is a link, so the original may have the same file: copy the directory "
                f"without links (cp -rL {directory} NEW), and restore that copy."
            )


async def restore_backup(backup: Path, directory: Path, moved: Moves = ()) -> Restored:
    """Verify a backup, and make a data directory of it in an empty place. Raises `StartupError`.

    `moved` are directories of workspaces and repositories that are elsewhere now, as (old, new).
    """
    manifest = read_manifest(backup)
    if manifest is None or not manifest.made_at_ms:
        raise StartupError(f"{backup} is no complete backup: name the directory that `fleet backup` has written.")
    require_empty(directory, "and a backup is restored into an empty place.")
    with reading_directory(backup, make_registry()) as log:
        found = verify(log).first_break
        if found is not None:
            raise StartupError(f"The backup {backup} is damaged at position {found.position}: {found.reason}.")
        _copy(backup, directory)
    origin = read_identity(directory) or DirectoryIdentity(manifest.id, manifest.place, 0)
    return await _found(directory, origin, moved)


def _copy(backup: Path, directory: Path) -> None:
    """Copy a backup, with its identity first: until it gets one of its own, no Fleet starts in the directory."""
    make_private_directory(directory)
    names = [name for name in (IDENTITY, LOG_FILE, BLOB_FILE) if (backup / name).exists()]
    for name in (*names, *paths_of(backup)):
        make_private_directory((directory / name).parent)
        shutil.copyfile(backup / name, directory / name)
        (directory / name).chmod(0o600)
    for store in (directory / "trees").glob("*"):
        make_directories(store)


async def _found(directory: Path, identity: DirectoryIdentity, moved: Moves) -> Restored:
    """Record lost processes and moved workspaces, forget passwords of processes, and write a new identity."""
    clock = SystemClock()
    own = _own_workspaces(directory, identity)
    with LmdbLog.open(directory, make_registry(), clock) as log:
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            evidence = f"the data directory was restored from a copy of {identity.place}"
            lost = await _record_lost(log, clock.now_ms(), evidence)
            relocated = await _relocate(log, clock.now_ms(), (*moved, own))
            missing = await _record_missing(log, clock.now_ms())
            log.stop()
        for instance in (directory / "instances").glob("*"):
            shutil.rmtree(instance)
        (directory / LOCAL_TOKEN).unlink(missing_ok=True)
        os.sync()  # the directory starts from now on, so what was copied into it has to survive a power loss
        new = write_identity(directory, SystemIds(clock).uuid7())
    return Restored(new.place, new.id, identity.place, lost, relocated, missing)


def _own_workspaces(directory: Path, identity: DirectoryIdentity) -> tuple[str, str]:
    """Return where the original had the worktrees and clones that Fleet made, and where this directory has them."""
    return f"{identity.place}/workspaces", f"{os.path.realpath(directory)}/workspaces"


async def _record_lost(log: LmdbLog, now_ms: int, evidence: str) -> int:
    lost = 0
    for life in lives(log):
        lost += await _end(log, life.state, now_ms, evidence)
    return lost


async def _relocate(log: LmdbLog, now_ms: int, moved: Moves) -> int:
    """Record workspaces whose place or source was moved; return how many. The first move that fits counts."""
    relocated = 0
    for stream in list(log.streams("workspace-")):
        state = _workspace(log, stream)
        if state.spec is None:
            continue
        spec = replace(
            state.spec,
            directory=_moved(state.spec.directory, moved),
            source_directory=_moved(state.spec.source_directory, moved),
        )
        made = state.prepared
        prepared = made and replace(
            made, directory=_moved(made.directory, moved), repository=made.repository and _moved(made.repository, moved)
        )
        events = WORKSPACE.decide(RelocateWorkspace(spec=spec, prepared=prepared, at_ms=now_ms), state)
        if events:
            await log.append(stream, log.stream_version(stream), events, Cause())
            relocated += 1
    return relocated


async def _record_missing(log: LmdbLog, now_ms: int) -> tuple[MissingWorkspace, ...]:
    """Record and return the workspaces on this machine that should have a directory and have none.

    A server checks only those of sessions that have not ended.
    """
    found: list[MissingWorkspace] = []
    for stream in list(log.streams("workspace-")):
        state = _workspace(log, stream)
        made = state.prepared
        if state.phase != "ready" or state.spec is None or made is None or state.spec.host != LOCAL:
            continue
        if not await trio.Path(made.directory).exists():
            events = WORKSPACE.decide(ReportFault(fault="missing", at_ms=now_ms), state)
            if events:
                await log.append(stream, log.stream_version(stream), events, Cause())
            found.append(MissingWorkspace(state.id, state.spec.strategy, made.directory))
    return tuple(found)


def _workspace(log: LmdbLog, stream: str) -> workspace_state.State:
    state = workspace_state.initial(stream.removeprefix("workspace-"))
    if not log.is_erased(stream):
        for _, _, event in log.replay(stream):
            state = WORKSPACE.evolve(state, event)
    return state


def _moved(path: str, moved: Moves) -> str:
    for old, new in moved:
        if is_inside(path, (old,)):
            return new + path.removeprefix(old)
    return path


async def _end(log: LmdbLog, state: State, now_ms: int, evidence: str) -> bool:
    """Append the end of an instance whose process cannot be here; return whether it had one."""
    stream = f"instance-{state.id}"
    ended = False
    while state.keeps_processes:
        events = INSTANCE.decide(_end_of(state, now_ms, evidence), state)
        await log.append(stream, log.stream_version(stream), events, Cause())
        for event in events:
            state = INSTANCE.evolve(state, event)
        ended = True
    return ended


def _end_of(state: State, now_ms: int, evidence: str) -> InstanceCommand:
    if state.phase == "starting":
        return ReportStartFailed(code="opencode_exited", detail=evidence, at_ms=now_ms)
    if state.phase in LIVE:
        return ReportLost(exit=Exit(), evidence=evidence, at_ms=now_ms)
    return ReportInstanceStopped(steps=(), at_ms=now_ms)
