"""Stores snapshots in two tables of the log: the newest one of each stream, and those that are kept along it.

    snapshots  stream -> its newest snapshot
    past       stream NUL position -> a kept snapshot

A stored snapshot has a seal (seals.py) that binds it to its stream and to the log at its position; one without it is
not loaded. Snapshots wait in memory and are written with the next commit. They are disposable: when too many wait, the
oldest are dropped. One in `PAST_SNAPSHOT_EVENTS` versions of a stream is kept, so that an earlier state is folded from
near it.
"""

from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import lmdb
import msgspec
import structlog

from fleet.events.codec import CorruptRecord, digest_of
from fleet.events.envelope import StateSnapshot
from fleet.events.lmdb_keys import position_key, stream_prefix
from fleet.events.seals import Sealer
from fleet.limits import PAST_SNAPSHOT_EVENTS, SNAPSHOTS_WAITING_MAX

if TYPE_CHECKING:
    from lmdb import _Database

_encode: Final = msgspec.msgpack.Encoder().encode
_logger = structlog.get_logger(__name__)


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    version: int
    position: int
    schema: str
    state: bytes
    seal: bytes = b""


_decode: Final = msgspec.msgpack.Decoder(_Stored).decode


class SnapshotTables:
    """The snapshots in an open environment. Erased streams lose theirs.

    Without a `transaction` nothing is written, and a file of an older server has no kept snapshots. `records` is the
    table of the log's records. Without a `sealer` nothing is loaded.
    """

    def __init__(
        self,
        environment: lmdb.Environment,
        transaction: "lmdb.Transaction[bytes] | None",
        records: "_Database",
        sealer: Sealer | None,
    ) -> None:
        self._records = records
        self._sealer = sealer
        self._refused: set[tuple[str, int]] = set()
        create = transaction is not None
        self._newest = environment.open_db(b"snapshots", txn=transaction, create=create)
        self._past: _Database | None = None
        with suppress(lmdb.NotFoundError):
            self._past = environment.open_db(b"past", txn=transaction, create=create)
        self._waiting: OrderedDict[str, StateSnapshot] = OrderedDict()
        self._waiting_past: OrderedDict[tuple[str, int], StateSnapshot] = OrderedDict()
        self._written: dict[str, StateSnapshot] = {}
        self._written_past: list[tuple[str, int]] = []

    @property
    def tables(self) -> "tuple[_Database, ...]":
        """The tables."""
        return (self._newest,) if self._past is None else (self._newest, self._past)

    def load(self, transaction: "lmdb.Transaction[bytes]", stream: str, at: int | None = None) -> StateSnapshot | None:
        """Return the newest snapshot of the stream, or the newest that is not beyond position `at`."""
        newest = self._waiting.get(stream) or self._load_newest(transaction, stream)
        if at is None or (newest is not None and newest.position <= at):
            return newest
        found = [each for (of, position), each in self._waiting_past.items() if of == stream and position <= at]
        if (stored := self._load_past(transaction, stream, at)) is not None:
            found.append(stored)
        return max(found, key=lambda each: each.position, default=None)

    def _load_newest(self, transaction: "lmdb.Transaction[bytes]", stream: str) -> StateSnapshot | None:
        try:
            found = transaction.get(stream.encode(), db=self._newest)
        except lmdb.Error as error:
            raise CorruptRecord(f"a page cannot be read: {error}") from error
        return None if found is None else self._opened(transaction, stream, found)

    def _load_past(self, transaction: "lmdb.Transaction[bytes]", stream: str, at: int) -> StateSnapshot | None:
        if self._past is None:
            return None
        cursor, prefix = transaction.cursor(self._past), stream_prefix(stream)
        found = cursor.prev() if cursor.set_range(prefix + position_key(at + 1)) else cursor.last()
        known = found and cursor.key().startswith(prefix)
        return self._opened(transaction, stream, cursor.value()) if known else None

    def all_of(self, transaction: "lmdb.Transaction[bytes]", stream: str) -> list[tuple[StateSnapshot, bool]]:
        """Return the stored snapshots of the stream, each with whether its seal is right, for verification.

        Without the key, as in a copy for an auditor, no seal can be wrong: the states are compared all the same.
        """
        found, prefix = list[tuple[StateSnapshot, bool]](), stream_prefix(stream)
        if (newest := transaction.get(stream.encode(), db=self._newest)) is not None:
            found.append(self._read_one(transaction, stream, newest))
        if self._past is not None:
            cursor = transaction.cursor(self._past)
            known = cursor.set_range(prefix)
            while known and cursor.key().startswith(prefix):
                found.append(self._read_one(transaction, stream, cursor.value()))
                known = cursor.next()
        return [(each, sealed or self._sealer is None) for each, sealed in found]

    def _opened(self, transaction: "lmdb.Transaction[bytes]", stream: str, stored: bytes) -> StateSnapshot | None:
        """Return a stored snapshot, None for one that is not of this log."""
        snapshot, sealed = self._read_one(transaction, stream, stored)
        if sealed:
            return snapshot
        key = (stream, snapshot.position)
        if key not in self._refused and len(self._refused) < SNAPSHOTS_WAITING_MAX:
            self._refused.add(key)
            _logger.warning("snapshot_not_of_this_log", stream=stream, position=snapshot.position)
        return None

    def _read_one(
        self, transaction: "lmdb.Transaction[bytes]", stream: str, stored: bytes
    ) -> tuple[StateSnapshot, bool]:
        try:
            found = _decode(stored)
        except msgspec.MsgspecError:
            found = _Stored(0, 0, "", b"")
        snapshot = StateSnapshot(found.version, found.position, found.schema, found.state)
        return snapshot, bool(found.seal) and self._seal(transaction, stream, snapshot) == found.seal

    def _seal(self, transaction: "lmdb.Transaction[bytes]", stream: str, snapshot: StateSnapshot) -> bytes:
        record = transaction.get(position_key(snapshot.position), db=self._records)
        if self._sealer is None or record is None:
            return b""
        return self._sealer.seal(
            stream.encode(),
            snapshot.version.to_bytes(8, "big"),
            digest_of(record),
            snapshot.schema.encode(),
            snapshot.state,
        )

    def _encoded(self, transaction: "lmdb.Transaction[bytes]", stream: str, snapshot: StateSnapshot) -> bytes:
        seal = self._seal(transaction, stream, snapshot)
        return _encode((snapshot.version, snapshot.position, snapshot.schema, snapshot.state, seal))

    def save(self, transaction: "lmdb.Transaction[bytes]", stream: str, snapshot: StateSnapshot) -> None:
        """Make it the newest of its stream with the next commit, and keep it if that is due; reads see it at once."""
        before = self.load(transaction, stream)
        last = 0 if before is None else before.version
        if last // PAST_SNAPSHOT_EVENTS < snapshot.version // PAST_SNAPSHOT_EVENTS:
            self.keep(stream, snapshot)
        self._waiting[stream] = snapshot
        self._waiting.move_to_end(stream)
        if len(self._waiting) > SNAPSHOTS_WAITING_MAX:
            self._waiting.popitem(last=False)

    def keep(self, stream: str, snapshot: StateSnapshot) -> None:
        """Keep a snapshot for readers of the past; likewise."""
        self._waiting_past[stream, snapshot.position] = snapshot
        if len(self._waiting_past) > SNAPSHOTS_WAITING_MAX:
            self._waiting_past.popitem(last=False)

    def put(self, transaction: "lmdb.Transaction[bytes]", erased: Iterable[str], *, waiting: bool) -> None:
        """Delete those of the `erased` streams and write, if `waiting`, those that wait."""
        gone = set(erased)
        self.drop(gone)
        self._written = dict(self._waiting) if waiting else {}
        self._written_past = list(self._waiting_past) if waiting else []
        for stream, snapshot in self._written.items():
            transaction.put(stream.encode(), self._encoded(transaction, stream, snapshot), db=self._newest)
        for stream, position in self._written_past:
            key = stream_prefix(stream) + position_key(position)
            stored = self._encoded(transaction, stream, self._waiting_past[stream, position])
            transaction.put(key, stored, db=self._past)
        for stream in gone:
            transaction.delete(stream.encode(), db=self._newest)
            cursor, prefix = transaction.cursor(self._past), stream_prefix(stream)
            while cursor.set_range(prefix) and cursor.key().startswith(prefix):
                cursor.delete()

    def finish(self, erased: Iterable[str]) -> None:
        """Forget what the finished commit has written, and what came for erased streams meanwhile."""
        self.drop(erased)
        for stream, snapshot in self._written.items():
            if self._waiting.get(stream) is snapshot:
                del self._waiting[stream]
        for key in self._written_past:
            self._waiting_past.pop(key, None)

    def drop(self, erased: Iterable[str]) -> None:
        """Drop the waiting snapshots of these streams."""
        gone = set(erased)
        for stream in gone:
            self._waiting.pop(stream, None)
        for key in [key for key in self._waiting_past if key[0] in gone]:
            del self._waiting_past[key]
