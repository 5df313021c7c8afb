"""Binds the databases of views in SQLite to the log: a seal beside the file, over its bytes and the log at a position.

SQLite writes changes into its journal; they come into the file only when the store flushes it. So the file has a seal
from one flush to the next, and after a crash it is used as of the last one, without its journal: the log has the rest.
A file without its seal is made again from the log.
"""

import hashlib
import shutil
from pathlib import Path
from typing import Final

import msgspec
import structlog

from fleet.events.batch import LogEnd
from fleet.events.log import LogReader
from fleet.events.seals import Sealer
from fleet.private_files import write_private
from fleet.projections.runner import digest_at

_logger = structlog.get_logger(__name__)

SEAL: Final = ".seal"
JOURNALS: Final = ("-wal", "-shm", "-journal")


class _Stored(msgspec.Struct, frozen=True):
    """The position of the log at which the file was sealed, and the seal in hex."""

    position: int
    seal: str


class FileSeal:
    """The seal of one file. Create it, and call `now`, on the event loop; the rest may run in any thread."""

    def __init__(self, file: Path, sealer: Sealer, log: LogReader) -> None:
        self._file = file
        self._sealer = sealer
        self._log = log
        self._stored = _read(_seal_file(file))
        self._required = False
        self._digest = None if self._stored is None else digest_at(log, self._stored.position)

    def now(self) -> LogEnd:
        """Return the end of the log, at which the file will be sealed."""
        head = self._log.head()
        return LogEnd(head, digest_at(self._log, head) or b"")

    def require(self) -> bool:
        """Delete the file unless its seal is right, and its journal, which has no seal. Raises `OSError`.

        Return whether there is a file with its seal. Later calls do nothing: then this process has written the file.
        """
        if self._required:
            return False
        self._required = True
        if not self._file.exists():
            return False
        if self._stored is None or self._digest is None or self._stored.seal != self._seal(self._digest):
            _logger.warning("view_not_of_this_log", view=self._file.name, hint="It is made again from the log.")
            remove(self._file)
            return False
        for suffix in JOURNALS:
            self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
        return True

    def drop(self) -> None:
        """Delete the seal, before the file changes."""
        _seal_file(self._file).unlink(missing_ok=True)

    def put(self, end: LogEnd) -> None:
        """Seal the file as it is now. Raises `OSError`."""
        stored = _Stored(end.position, self._seal(end.digest))
        write_private(_seal_file(self._file), msgspec.json.encode(stored))

    def _seal(self, digest: bytes) -> str:
        with self._file.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
        return self._sealer.seal(b"file", self._file.name.encode(), digest, content).hex()


def remove(file: Path | None) -> None:
    """Delete a database, its journal and its seal; it can be made again. Raises `OSError`."""
    if file is not None:
        for suffix in (SEAL, "", *JOURNALS):
            file.with_name(file.name + suffix).unlink(missing_ok=True)


def copy_database(file: Path, directory: Path) -> Path | None:
    """Copy a database to read it, because SQLite changes its journal then; None where there is none."""
    if not file.exists():
        return None
    for suffix in ("", "-wal"):
        stored = file.with_name(file.name + suffix)
        if stored.exists():
            shutil.copyfile(stored, directory / stored.name)
    return directory / file.name


def _seal_file(file: Path) -> Path:
    return file.with_name(file.name + SEAL)


def _read(file: Path) -> _Stored | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Stored)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
