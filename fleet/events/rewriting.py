"""Writes the entries of an LMDB file into a new one that replaces it, so that nothing but its present entries is in it.

LMDB puts the pages of an old version on a free list, and leaves deleted bytes in the gaps of its pages, which its own
compacting copy takes along. The new file gets the entries alone. It is complete on the disk before it replaces the old
one, so a crash leaves one of the two, and perhaps an unfinished copy beside it, which the next run removes.

Reading beyond the end of a file that is shorter than its pages would kill the process. Such a file is copied, and the
copy lengthened: the next start has to see that the file itself is short, because it may be damaged.
"""

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import lmdb

from fleet.errors import StartupError
from fleet.events.disk import remedy
from fleet.limits import MAP_BYTES_INITIAL, REWRITE_BATCH_BYTES
from fleet.private_files import sync_directory

if TYPE_CHECKING:
    from lmdb import _Database

_TABLES_MAX: Final = 64

Progress = Callable[[int, int], None]
"""Called with the number of entries that are written, and of all entries."""

Entry = tuple[bytes, bytes]


def rewrite(file: Path, progress: Progress) -> None:
    """Replace the LMDB file by one with the same entries. No process may have it open. Raises `StartupError`."""
    new = file.with_name(f"{file.name}.compact")
    new.unlink(missing_ok=True)  # left by a crash
    try:
        with _whole(file) as source:
            _copy(source, new, progress)
        new.replace(file)
    except (OSError, lmdb.Error) as error:
        new.unlink(missing_ok=True)
        advice = remedy(error, "the file is as it was; verify the log, or restore it from a backup.")
        raise StartupError(f"{file} cannot be compacted ({error}): {advice}") from error
    sync_directory(file.parent)


def _copy(file: Path, new: Path, progress: Progress) -> None:
    map_bytes = max(MAP_BYTES_INITIAL, 2 * file.stat().st_size)
    with (
        closing(_open(file, map_bytes, read_only=True)) as source,
        closing(_open(new, map_bytes, read_only=False)) as target,
    ):
        with source.begin() as reading:
            names = [bytes(name) for name, _ in reading.cursor()]
            tables = {name: source.open_db(name, txn=reading, create=False) for name in names}
            total = sum(reading.stat(table)["entries"] for table in tables.values())
            written = 0
            for name, table in tables.items():
                into = target.open_db(name)
                for batch in _batches(reading, table):
                    with target.begin(write=True) as transaction:
                        transaction.cursor(into).putmulti(batch, append=True)
                    written += len(batch)
                    progress(written, total)
        target.sync(True)


def _open(file: Path, map_bytes: int, *, read_only: bool) -> lmdb.Environment:
    return lmdb.open(
        str(file),
        subdir=False,
        lock=False,
        readonly=read_only,
        max_dbs=_TABLES_MAX,
        map_size=map_bytes,
        mode=0o600,
        sync=False,  # once, at the end
    )


@contextmanager
def _whole(file: Path) -> Generator[Path]:
    """Yield the file, or a lengthened copy of one that is shorter than its pages."""
    with closing(_open(file, MAP_BYTES_INITIAL, read_only=True)) as environment:
        needed_bytes = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    if file.stat().st_size >= needed_bytes:
        yield file
        return
    copy = file.with_name(f"{file.name}.whole")
    try:
        shutil.copyfile(file, copy)
        os.truncate(copy, needed_bytes)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _batches(transaction: "lmdb.Transaction[bytes]", table: "_Database") -> Iterator[list[Entry]]:
    """Yield all entries of a table in order, in lists of about `REWRITE_BATCH_BYTES`."""
    batch: list[Entry] = []
    size_bytes = 0
    for key, value in transaction.cursor(table):
        batch.append((bytes(key), bytes(value)))
        size_bytes += len(key) + len(value)
        if size_bytes >= REWRITE_BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch
