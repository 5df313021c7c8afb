"""The data of a Fleet as a backup reads it, part by part: raw records, erased streams, contents, files.

The log grows only at its end, and a content never changes, so a backup asks for what is new. Only an erasure changes
what was there: `erased` names the streams. Each part is bounded, so that a server can answer other requests between
two.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from fleet.events import codec
from fleet.events.blobs import Blobs
from fleet.events.directory_files import list_files, read_file
from fleet.events.directory_identity import read_identity
from fleet.events.log import LogReader
from fleet.limits import BACKUP_ROWS_MAX, EXPORT_PAGE_BYTES, EXPORT_PAGE_EVENTS
from fleet.private_files import write_private
from fleet.wire.backup import Contents, ErasedStreams, FileChunk, FileList, Origin, Owners, Records

_STREAMS_PAGE: Final = 256
_LEADING: Final = 2


LAST_BACKUP: Final = "last-backup.json"


class LastBackup(msgspec.Struct, frozen=True):
    """The content of this file in the data directory: where the newest backup ends, and when it was made."""

    position: int
    made_at_ms: int


def read_last_backup(directory: Path) -> LastBackup | None:
    """Return when the newest backup of the data directory was finished; None if that is not known."""
    try:
        return msgspec.json.decode((directory / LAST_BACKUP).read_bytes(), type=LastBackup)
    except (OSError, msgspec.MsgspecError):
        return None


class BackupSource:
    """The parts of a backup. `directory` is the data directory, None for one in memory."""

    def __init__(self, log: LogReader, blobs: Blobs, directory: Path | None) -> None:
        self._log = log
        self._blobs = blobs
        self._directory = directory

    def origin(self) -> Origin:
        """Return what is backed up."""
        identity = None if self._directory is None else read_identity(self._directory)
        directory_id, place = ("", "") if identity is None else (identity.id, identity.place)
        return Origin(directory_id, place, self._log.head(), self._blobs.statistics().blobs)

    def records(self, after: int, through: int) -> Records:
        """Return records beyond position `after`, at least one if there is one. Raises `CorruptRecord`."""
        found: list[tuple[bytes, bytes | None]] = []
        size_bytes = 0
        through = min(through, self._log.head())
        while after < through and len(found) < EXPORT_PAGE_EVENTS * 4 and size_bytes < EXPORT_PAGE_BYTES:
            after += 1
            raw = self._log.read_record(after)
            if raw is None:
                raise codec.CorruptRecord(f"event {after} is missing")
            found.append((raw, self._command_digest(raw)))
            size_bytes += len(raw)
        return Records(found)

    def _command_digest(self, raw: bytes) -> bytes | None:
        command_id = codec.decode_header(raw).command_id
        command = None if command_id is None else self._log.find_command(command_id)
        return None if command is None else command.digest

    def erased(self, after: str) -> ErasedStreams:
        """Return erased streams whose names come after this one. Most pages name few of the streams that they read."""
        names = list(islice(self._log.streams(after=after), _STREAMS_PAGE))
        found = [(name, self._erased_through(name)) for name in names if self._log.is_erased(name)]
        return ErasedStreams(found, names[-1] if len(names) == _STREAMS_PAGE else None)

    def _erased_through(self, stream: str) -> int:
        """Return the position of the stream's last erased event. The warrant that ends the stream may have stayed."""
        end = self._log.head() + 1
        positions = self._log.stream_positions(stream, 0, end, _LEADING, newest_first=True)
        erased = (position for position in positions if self._is_erased(position))
        return next(erased, positions[-1])  # an erasure that is under way reaches the others soon

    def _is_erased(self, position: int) -> bool:
        raw = self._log.read_record(position)
        return raw is not None and codec.decode(raw).erased

    def owners(self, after: str, digest: str) -> Owners:
        """Return who owns which content, beyond this pair."""
        found = self._blobs.owners_after(after, digest, BACKUP_ROWS_MAX)
        return Owners([(owner, bytes.fromhex(name)) for owner, name in found], len(found) == BACKUP_ROWS_MAX)

    def contents(self, digests: Sequence[str]) -> Contents:
        """Return stored contents: of the first of these digests, up to about `EXPORT_PAGE_BYTES`."""
        found: list[tuple[bytes, bytes]] = []
        size_bytes = 0
        done = 0
        while done < len(digests) and size_bytes < EXPORT_PAGE_BYTES:
            stored = self._blobs.stored(digests[done])
            if stored is not None:
                found.append((bytes.fromhex(digests[done]), stored))
                size_bytes += len(stored)
            done += 1
        return Contents(found, done)

    def record(self, position: int, now_ms: int) -> None:
        """Record that a backup up to this position was finished. Call it in a thread. Raises `OSError`."""
        if self._directory is not None:
            write_private(self._directory / LAST_BACKUP, msgspec.json.encode(LastBackup(position, now_ms)))

    def files(self, after: str) -> FileList:
        """Return a page of files. Call it in a thread."""
        return FileList([], more=False) if self._directory is None else list_files(self._directory, after)

    def file(self, path: str, offset: int) -> FileChunk:
        """Return bytes of a file. Raises `Rejected` file_not_found. Call it in a thread."""
        return read_file(self._directory or Path("/nonexistent"), path, offset)
