"""Compacts a data directory whose server has stopped: no byte of what was erased is left in its files.

The log, the blobs and the rows of the views are written as new files (fleet/events/rewriting.py); SQLite rebuilds the
search index and the index of streams. Each file is replaced on its own, in an order that a crash cannot disturb: all
of them hold the same entries as before.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from fleet.errors import StartupError
from fleet.events.data_lock import DataLock
from fleet.events.directory_identity import require_home
from fleet.events.rewriting import rewrite

_LMDB_FILES: Final = ("events.mdb", "blobs.mdb", "views/data.mdb")
_SQLITE_FILES: Final = ("views/history.sqlite", "views/index.sqlite")

Progress = Callable[[str, int, int], None]
"""Called with the name of a file, how many of its entries are written, and the number of all of them."""


class CompactedFile(NamedTuple):
    """A file, and its size before and after, in bytes."""

    name: str
    before_bytes: int
    after_bytes: int


def compact(directory: Path, progress: Progress) -> Iterator[CompactedFile]:
    """Compact the files of the data directory one after the other. Raises `StartupError`, also if a server has it."""
    if not (directory / "events.mdb").exists():
        raise StartupError(f"{directory} is not the data directory of a Fleet: it has no events.mdb.")
    with closing(DataLock(directory)):
        require_home(directory)
        for name in _LMDB_FILES:
            if (directory / name).exists():
                yield _compact_tables(directory, name, progress)
        for name in _SQLITE_FILES:
            if (directory / name).exists():
                yield _compact_database(directory, name)


def _compact_tables(directory: Path, name: str, progress: Progress) -> CompactedFile:
    file = directory / name
    before_bytes = file.stat().st_size
    rewrite(file, lambda written, total: progress(name, written, total))
    return CompactedFile(name, before_bytes, file.stat().st_size)


def _compact_database(directory: Path, name: str) -> CompactedFile:
    file = directory / name
    before_bytes = file.stat().st_size
    try:
        _rebuild(file)
    except sqlite3.Error:
        for suffix in ("", "-wal", "-shm"):  # the next start makes it again from the log
            file.with_name(file.name + suffix).unlink(missing_ok=True)
    return CompactedFile(name, before_bytes, file.stat().st_size if file.exists() else 0)


def _rebuild(file: Path) -> None:
    """Merge the search indexes, where deleted words may still be, and write the database as a new one."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        indexes = connection.execute("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%fts5(%'")
        for (index,) in indexes.fetchall():
            connection.execute(f"INSERT INTO {index} ({index}) VALUES ('optimize')")  # noqa: S608 - Fleet's own names
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
