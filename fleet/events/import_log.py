"""Writes records that were exported into a new log: byte for byte, so that all digests stay the same.

The record of a command gets the mark of an erased one, because its header holds only a salted digest: a repeated
command id is still known, with any request.

The log gets its name when all records are on the disk, because a part of a log is a whole log that ends earlier.
"""

from collections.abc import Iterable, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path

import lmdb

from fleet.events import codec
from fleet.events.batch import Commit, LogEnd
from fleet.events.envelope import ERASED_DIGEST, CommandRecord
from fleet.events.lmdb_store import LOG_FILE, LmdbStore
from fleet.events.replacements import REPLACING, ordered_in
from fleet.events.signing import open_key
from fleet.limits import EXPORT_PAGE_EVENTS
from fleet.private_files import sync_directory


class ImportBatch:
    """A `Commit` of records (batch.py). They begin where the log ends. `digests` are those of commands, if known."""

    def __init__(self, records: Iterable[bytes], now_ms: int, digests: Mapping[str, bytes] = {}) -> None:
        self.now_ms = now_ms
        self._digests = digests
        self.records = list(records)
        self.recorded: list[codec.Header] = []
        self.commands: dict[str, CommandRecord] = {}
        self.versions: dict[str, int] = {}
        self.replaced: dict[int, tuple[int, bytes]] = {}
        self.rewritten: set[str] = set()
        self.tip = LogEnd(0, codec.GENESIS_DIGEST)
        for record in map(codec.decode, self.records):
            self._add(record)

    def _add(self, record: codec.Record) -> None:
        header = record.header
        self.tip = LogEnd(header.position, record.digest)
        self.recorded.append(header)
        self.versions[header.stream] = header.version
        if header.type == REPLACING and record.payload:
            order = header.position
            self.replaced |= {at: (order, payload) for at, payload in ordered_in(record.payload).items()}
            self.rewritten.add(header.stream)
        if header.command_id is not None:
            self.commands[header.command_id] = CommandRecord(
                header.stream, header.position, header.version, self._digests.get(header.command_id, ERASED_DIGEST)
            )


def import_records(directory: Path, records: Iterable[bytes], now_ms: int) -> LogEnd:
    """Write the records, which begin with position 1, into a new log in the directory; return where it ends.

    The directory gets a key of its own, which signs the end.
    """
    new = directory / f"{LOG_FILE}.import"
    new.unlink(missing_ok=True)  # left by a crash
    with closing(LmdbStore(new, open_key(directory))) as store:
        rest = iter(records)
        while page := list(islice(rest, EXPORT_PAGE_EVENTS)):
            write_batch(store, ImportBatch(page, now_ms))
        end = store.tip
    new.replace(directory / LOG_FILE)
    sync_directory(directory)
    return end


def write_batch(store: LmdbStore, batch: Commit, erased: Mapping[str, list[bytes]] = {}) -> None:
    """Make the batch durable, and the erasure of records with these keys, by stream."""
    while True:
        try:
            store.begin_commit(batch, erased, snapshots=False)()
        except lmdb.MapFullError:
            store.grow()
        else:
            store.finish_commit(batch, erased)
            return
