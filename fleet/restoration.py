"""Restores a data directory: a copy, a moved directory or a backup becomes a Fleet of its own.

The OpenCode processes that its log names belong to the original, so they are recorded as lost, and none is touched: no
signal is sent, and no file outside of the directory changes. The new id is written last, so that a restore that was cut
off leaves a directory that does not start, and can be repeated. fleet/cli/commands/restore.py is the command.
"""

import shutil
from pathlib import Path

import msgspec
import trio

from fleet.adapters.clock import SystemClock
from fleet.adapters.ids import SystemIds
from fleet.core.instance.commands import InstanceCommand, ReportInstanceStopped, ReportLost, ReportStartFailed
from fleet.core.instance.decide import INSTANCE
from fleet.core.instance.state import LIVE, State
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
from fleet.ports import Clock, Exit
from fleet.private_files import LOCAL_TOKEN, make_private_directory
from fleet.projections.lives import lives


class Restored(msgspec.Struct, frozen=True):
    """A restored directory: its new id, where it came from, and how many processes were recorded as lost."""

    directory: str
    id: str
    origin: str
    lost: int


async def restore_in_place(directory: Path) -> Restored:
    """Make a copied or moved directory a Fleet of its own. Raises `StartupError`."""
    identity = read_identity(directory)
    if identity is None:
        raise StartupError(
            f"{directory} has no identity.json, so it is not a copy of a Fleet: start it with "
            f"`fleet serve --data-dir {directory}`."
        )
    if is_home(directory, identity):
        raise StartupError(f"{directory} is where its Fleet lives: there is nothing to restore. Start it.")
    return await found_again(directory, identity)


async def restore_backup(backup: Path, directory: Path) -> Restored:
    """Verify a backup, and make a data directory of it in an empty place. Raises `StartupError`."""
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
    return await found_again(directory, origin)


def _copy(backup: Path, directory: Path) -> None:
    """Copy a backup, with its identity first: until it gets one of its own, no Fleet starts in the directory."""
    make_private_directory(directory)
    names = [name for name in (IDENTITY, LOG_FILE, BLOB_FILE) if (backup / name).exists()]
    for name in (*names, *paths_of(backup)):
        make_private_directory((directory / name).parent)
        shutil.copyfile(backup / name, directory / name)
        (directory / name).chmod(0o600)


async def found_again(directory: Path, identity: DirectoryIdentity) -> Restored:
    """Record the processes of the original as lost, forget its secrets of processes, and write a new identity."""
    clock = SystemClock()
    with LmdbLog.open(directory, make_registry(), clock) as log:
        lost = await _record_lost(log, clock, f"the data directory was restored from a copy of {identity.place}")
        for instance in (directory / "instances").glob("*"):
            shutil.rmtree(instance)
        (directory / LOCAL_TOKEN).unlink(missing_ok=True)
        new = write_identity(directory, SystemIds(clock).uuid7())
    return Restored(new.place, new.id, identity.place, lost)


async def _record_lost(log: LmdbLog, clock: Clock, evidence: str) -> int:
    lost = 0
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        for life in lives(log):
            lost += await _end(log, life.state, clock.now_ms(), evidence)
        log.stop()
    return lost


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
