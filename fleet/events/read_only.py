"""Opens a log to read it: that of a data directory without a server, or an export. Nothing is written there."""

import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

import msgspec

from fleet.errors import StartupError
from fleet.events.data_lock import shared_lock
from fleet.events.export_store import ExportStore
from fleet.events.lmdb_store import LOG_FILE, CutOff, LmdbStore
from fleet.events.registry import EventRegistry
from fleet.events.signing import read_key, read_public_key
from fleet.events.stored_log import StoredLog
from fleet.events.unchanged_log import UnchangedLog
from fleet.events.verify import verify

EVENTS_FILE: Final = "events.jsonl"
"""The events in a directory of `fleet log export`."""
MANIFEST_FILE: Final = "export.json"


class ExportManifest(msgspec.Struct, frozen=True):
    """What a directory of `fleet log export` has: its lines with events, and whether it has the contents."""

    events: int
    contents: bool


@contextmanager
def reading_directory(directory: Path, registry: EventRegistry) -> Generator[UnchangedLog]:
    """Open the log of a data directory whose server has stopped, or of a copy; no server can start meanwhile.

    Raises `StartupError` when a server has the directory, when there is no log, or when it is damaged.
    """
    file = directory / LOG_FILE
    if not file.is_file():
        raise StartupError(f"There is no event log in {directory}: name a Fleet's data directory with --data-dir.")
    key, public = read_key(directory), read_public_key(directory) or ""
    with shared_lock(directory), ExitStack() as cleanup:
        try:
            store, padded = LmdbStore(file, key, read_only=True, public=public), False
        except CutOff as cut_off:
            copy = cleanup.enter_context(_padded(file, cut_off.needed_bytes))
            store, padded = LmdbStore(copy, key, read_only=True, public=public), True
        cleanup.callback(store.close)
        log = UnchangedLog(store, registry, store.sealer)
        if padded:
            _check_everything(log)
        yield log


@contextmanager
def _padded(file: Path, size_bytes: int) -> Generator[Path]:
    """Yield a copy of this size (see `LmdbStore`): reading beyond the end of the file would kill the process."""
    with tempfile.TemporaryDirectory(prefix="fleet-log-") as scratch:
        copy = Path(scratch) / LOG_FILE
        shutil.copyfile(file, copy)
        os.truncate(copy, size_bytes)
        yield copy


def _check_everything(log: StoredLog) -> None:
    found = verify(log).first_break
    if found is not None:
        raise StartupError(
            f"The event log was cut off, and event {found.position} is damaged ({found.reason}): "
            "take another copy or a backup."
        )


def read_manifest(directory: Path) -> ExportManifest | None:
    """Return the manifest of an export, None where there is none, as in one of an older version."""
    try:
        return msgspec.json.decode((directory / MANIFEST_FILE).read_bytes(), type=ExportManifest)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def export_file(name: str) -> Path:
    """Return the file of an export: itself, or the events in a directory of `fleet log export`."""
    return Path(name) / EVENTS_FILE if Path(name).is_dir() else Path(name)


class ExportedLog(StoredLog):
    """The log of an export."""

    def __init__(self, store: ExportStore, registry: EventRegistry) -> None:
        super().__init__(store, registry)
        self._partial = store.partial
        self.lines = store.lines

    def is_erased(self, stream: str) -> bool:
        """Return whether the stream cannot be folded, because data of it was erased or taken out of the export."""
        return stream in self._partial


@contextmanager
def reading_export(name: str, registry: EventRegistry) -> Generator[StoredLog]:
    """Open an export; `-` reads it from standard input. Raises `StartupError` when it cannot be read."""
    with ExitStack() as cleanup:
        file: IO[bytes]
        try:
            if name == "-":
                file = cleanup.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(sys.stdin.buffer, file)
                file.seek(0)
            else:
                file = cleanup.enter_context(export_file(name).open("rb"))
            store = ExportStore(file, name)
        except OSError as error:
            raise StartupError(f"{export_file(name)} cannot be read: {error.strerror}.") from error
        yield ExportedLog(store, registry)
