"""Opens, reads, writes and grows the tables of the log in LMDB.

    records    position -> record (codec.py)            commands   see command_table.py
    index      stream NUL position -> version           meta       format, heads (head_table.py)
    snapshots, past                                     see snapshot_tables.py

Three rules make LMDB safe without its lock file. One process opens it at a time (data_lock.py). Everything except the
commit itself runs on the event-loop thread. The only read transaction is renewed between commits, so it never sees a
partial commit and never blocks a resize.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import lmdb
import msgspec

from fleet.errors import StartupError
from fleet.events import codec
from fleet.events.batch import Commit, LogEnd
from fleet.events.codec import CorruptRecord, unreadable_page
from fleet.events.command_table import CommandTable
from fleet.events.disk import damaged_end, free_bytes_of, remedy, unreadable_log
from fleet.events.envelope import CommandRecord, StateSnapshot
from fleet.events.head_table import HeadTable
from fleet.events.heads import Heads
from fleet.events.lmdb_keys import STREAM_KEY_TAIL_BYTES, position_key, stream_prefix
from fleet.events.payload_removal import PayloadRemoval
from fleet.events.signing import SigningKey
from fleet.events.snapshot_tables import SnapshotTables
from fleet.events.surplus import Search, Tables, TableSizes, find_surplus, sizes_of
from fleet.limits import MAP_BYTES_INITIAL, STREAM_HEADS_MAX
from fleet.private_files import sync_directory
from fleet.wire.audit import SignedHead

if TYPE_CHECKING:
    from lmdb import _Database

LOG_FILE: Final = "events.mdb"  # in the data directory
FORMAT: Final = 3  # the first had no compressed payloads, the second no replaced ones; both are read as they are
"""Version of the tables and records. A change that older code cannot read takes the next number."""

_TABLES: Final = (b"records", b"index", b"commands", b"meta")
_FORMAT_KEY: Final = b"format"
_RECORDS_AT_ONCE: Final = 64  # one call costs half as much as single reads


class CutOff(Exception):  # noqa: N818 - it says what the file is
    """The file is shorter than the pages in use, and it is only read: a copy of `needed_bytes` can be read."""

    def __init__(self, needed_bytes: int) -> None:
        super().__init__(needed_bytes)
        self.needed_bytes = needed_bytes


class LmdbStore:
    """An open environment. Only the function that `begin_commit` returns may run outside the event-loop thread.

    `padded`: the file was shorter than the pages in use and was lengthened, because reading beyond its end would kill
    the process with SIGBUS. LMDB does not write pages at the end that one transaction took and freed, so a short file
    is not always damaged. The caller then reads all of it to find out.

    With `read_only` nothing is written: a missing table is an error, and a short file raises `CutOff`. Without a `key`
    heads are compared with the `public` key, and no snapshot is loaded, because `sealer` is None.

    `tip` is the end of the log for readers, as of the last `finish_commit` or `reload`.
    """

    def __init__(self, file: Path, key: SigningKey | None = None, *, read_only: bool = False, public: str = "") -> None:
        existed = file.exists()
        self._read_only = read_only
        self.padded = False
        self._file = file
        self.sealer = None if key is None else key.sealer
        self._versions: OrderedDict[str, int] = OrderedDict()
        self._map_bytes = max(MAP_BYTES_INITIAL, 2 * file.stat().st_size if existed else 0)
        try:
            self._environment = lmdb.open(
                str(file),
                subdir=False,
                lock=False,
                max_dbs=8,
                map_size=self._map_bytes,
                mode=0o600,
                readonly=read_only,
                create=not read_only,
            )
        except (lmdb.InvalidError, lmdb.CorruptedError, lmdb.VersionMismatchError) as error:
            raise unreadable_log(file, error) from error
        except lmdb.Error as error:
            advice = remedy(error, "make it readable and writable for this user.")
            raise StartupError(f"{file} cannot be opened ({error}): {advice}") from error
        try:
            if existed:
                self._pad()
                self._check_format()
            self._open_tables()
            if not existed:
                sync_directory(file.parent)
            self._read: lmdb.Transaction[bytes] = self._environment.begin()
            self.tip = self._read_tip()
            self._head = HeadTable(self._meta, key, public)
            self._head.read(self._read)
        except lmdb.Error as error:
            self._environment.close()
            self.unpad()
            raise unreadable_log(file, error) from error
        except BaseException:
            self._environment.close()
            self.unpad()
            raise

    def _pad(self) -> None:
        self._size_bytes = self._file.stat().st_size
        needed_bytes = (self._environment.info()["last_pgno"] + 1) * self._environment.stat()["psize"]
        if self._size_bytes < needed_bytes:
            if self._read_only:
                raise CutOff(needed_bytes)
            self.padded = True
            os.truncate(self._file, needed_bytes)

    def unpad(self) -> None:
        """Cut the closed file to its original length, so that the next start finds the same damage."""
        if self.padded:
            os.truncate(self._file, self._size_bytes)

    def _check_format(self) -> None:
        with self._environment.begin() as transaction:
            try:
                meta = self._environment.open_db(b"meta", txn=transaction, create=False)
            except lmdb.NotFoundError:
                if transaction.stat(self._environment.open_db(None, txn=transaction))["entries"]:
                    raise unreadable_log(self._file, "it has no format number") from None
                return  # a first start was killed before its first commit
            found = int.from_bytes(transaction.get(_FORMAT_KEY, b"", db=meta), "big")
        if not 1 <= found <= FORMAT:
            raise StartupError(
                f"{self._file} has format {found}, this version of Fleet reads formats 1 to {FORMAT}: "
                "use the version of Fleet that wrote it, or another --data-dir."
            )

    def _open_tables(self) -> None:
        if self._read_only:
            self._take(*(self._environment.open_db(name, create=False) for name in _TABLES))
            self._snapshots = SnapshotTables(self._environment, None, self._records, self.sealer)
            return
        with self._environment.begin(write=True) as transaction:
            self._take(*(self._environment.open_db(name, txn=transaction) for name in _TABLES))
            self._snapshots = SnapshotTables(self._environment, transaction, self._records, self.sealer)
            if transaction.get(_FORMAT_KEY, db=self._meta) != (newest := FORMAT.to_bytes(4, "big")):
                transaction.put(_FORMAT_KEY, newest, db=self._meta)

    def _take(self, *tables: "_Database") -> None:
        self._records, self._index, commands, self._meta = tables
        self._commands = CommandTable(commands)

    def close(self) -> None:
        """Close the file. No commit may be under way."""
        self._read.abort()
        self._environment.close()

    # ------------------------------------------------------------------------------------------------------- reading

    def _read_tip(self) -> LogEnd:
        try:
            cursor = self._read.cursor(self._records)
            if not cursor.last():
                return LogEnd(0, codec.GENESIS_DIGEST)
            key, record = bytes(cursor.key()), codec.decode(cursor.value())
        except (lmdb.Error, CorruptRecord, msgspec.MsgspecError) as error:
            raise damaged_end(error) from error
        if key != position_key(record.header.position):
            raise damaged_end(f"behind event {record.header.position} it has a record of no position")
        return LogEnd(record.header.position, record.digest)

    @property
    def heads(self) -> Heads:
        """The signed heads, as of the same moment as `tip`."""
        return self._head.heads

    def sign(self, position: int, now_ms: int) -> SignedHead | None:
        """Return a head at this position, signed now; None without a key. Raises `CorruptRecord`."""
        record = self.record(position)
        return None if record is None else self._head.sign(LogEnd(position, codec.decode(record).digest), now_ms)

    def sign_if_unsigned(self, now_ms: Callable[[], int]) -> SignedHead | None:
        """Sign a log that has no head yet; return a stored head that does not belong to the end of this log."""
        found = self._head.put_first(partial(self._environment.begin, write=True), self.tip, now_ms)
        self._renew()
        return found

    def records(self, after: int, limit: int | None) -> Iterator[bytes]:
        """Yield records beyond position `after`. Consume them before any other call."""
        cursor = self._read.cursor(self._records)
        if not cursor.set_range(position_key(after + 1)):
            return iter(())
        return islice(cursor.iternext(keys=False, values=True), limit)

    def streams(self, beginning: str, after: str) -> Iterator[str]:
        """See `RecordStore`. Consume the names before any other call."""
        wanted = beginning.encode()
        cursor = self._read.cursor(self._index)
        found = cursor.set_range(max(wanted, after.encode() + b"\1"))
        while found and cursor.key().startswith(wanted):
            name = cursor.key()[:-STREAM_KEY_TAIL_BYTES]
            yield name.decode()
            found = cursor.set_range(name + b"\1")  # beyond the keys of this stream, which continue with NUL

    def stream_positions(self, stream: str, after: int, limit: int | None, last: bytes | None = None) -> list[bytes]:
        """Return the keys in `records` of the stream's events beyond position `after`, up to the key `last`."""
        prefix = stream_prefix(stream)
        cursor = self._read.cursor(self._index)
        if not cursor.set_range(prefix + position_key(after + 1)):
            return []
        start = len(prefix)
        found: list[bytes] = []
        for key in islice(cursor.iternext(keys=True, values=False), limit):
            if key[:start] != prefix or (last is not None and key[start:] > last):
                break
            found.append(key[start:])
        return found

    def stream_positions_down(self, stream: str, before: int, limit: int) -> list[bytes]:
        """Return the keys in `records` of the stream's events before position `before`, last one first."""
        prefix = stream_prefix(stream)
        cursor = self._read.cursor(self._index)
        if not (cursor.prev() if cursor.set_range(prefix + position_key(before)) else cursor.last()):
            return []
        start = len(prefix)
        keys = islice(cursor.iterprev(keys=True, values=False), limit)
        return [key[start:] for key in takewhile(lambda key: key[:start] == prefix, keys)]

    def records_at(self, keys: list[bytes]) -> Iterator[bytes | None]:
        """See `RecordStore`."""
        cursor = self._read.cursor(self._records)
        for start in range(0, len(keys), _RECORDS_AT_ONCE):
            wanted = keys[start : start + _RECORDS_AT_ONCE]
            yield from map(dict(cursor.getmulti(wanted)).get, wanted)

    def record(self, position: int) -> bytes | None:
        """Return one record. Raises `CorruptRecord`."""
        # A read by key is safe on damaged pages; a cursor that moves to one makes LMDB abort the process.
        try:
            return self._read.get(position.to_bytes(8, "big"), None, self._records)
        except lmdb.Error as error:
            raise unreadable_page(error) from error

    def indexed_version(self, stream: str, position: int) -> int | None:
        """Return the stream's version at exactly this position from the index."""
        key = b"%b\0%b" % (stream.encode(), position.to_bytes(8, "big"))
        try:
            found = self._read.get(key, None, self._index)
        except lmdb.Error as error:
            raise unreadable_page(error) from error
        return None if found is None else int.from_bytes(found, "big")

    def stream_version(self, stream: str) -> int:
        """Return the version of the stream's last event, 0 where there is none."""
        version = self._versions.get(stream)
        if version is None:
            version = self._read_version(stream)
            self._remember_version(stream, version)
        return version

    def _remember_version(self, stream: str, version: int) -> None:
        self._versions[stream] = version
        self._versions.move_to_end(stream)
        if len(self._versions) > STREAM_HEADS_MAX:
            self._versions.popitem(last=False)

    def _read_version(self, stream: str) -> int:
        prefix = stream_prefix(stream)
        cursor = self._read.cursor(self._index)
        before = cursor.prev() if cursor.set_range(prefix + b"\xff") else cursor.last()
        if not before or not cursor.key().startswith(prefix):
            return 0
        return int.from_bytes(cursor.value(), "big")

    def find_command(self, command_id: str) -> CommandRecord | None:
        """Return the record of a command id, None for one that is new."""
        return self._commands.find(self._read, command_id)

    def load_snapshot(self, stream: str, at: int | None = None) -> StateSnapshot | None:
        """Return the newest snapshot of the stream, or the newest that is not beyond position `at`."""
        return self._snapshots.load(self._read, stream, at)

    def snapshots_of(self, stream: str) -> list[tuple[StateSnapshot, bool]]:
        """Return the stored snapshots of the stream, each with whether its seal is right."""
        return self._snapshots.all_of(self._read, stream)

    def table_sizes(self) -> TableSizes:
        """Return the sizes of the tables."""
        return sizes_of(self._read, self._tables)

    def find_surplus(self) -> Search:
        """See `RecordStore`."""
        return find_surplus(lambda: self._read, self._tables)

    @property
    def _tables(self) -> Tables:
        return Tables(self._records, self._index, self._commands.table)

    def reusable_bytes(self) -> int:
        """Return the size of the free pages in the file, which commits use before the file grows."""
        return free_bytes_of(self._environment, (*self._tables, *self._snapshots.tables))

    # ------------------------------------------------------------------------------------------------------- writing

    def save_snapshot(self, stream: str, snapshot: StateSnapshot) -> None:
        """Write it with the next commit."""
        self._snapshots.save(self._read, stream, snapshot)

    def keep_snapshot(self, stream: str, snapshot: StateSnapshot) -> None:
        """Write it with the next commit and keep it for good."""
        self._snapshots.keep(stream, snapshot)

    def begin_commit(self, batch: Commit, erased: Mapping[str, list[bytes]], *, snapshots: bool) -> Callable[[], None]:
        """Write everything and return the function that signs it and makes it durable with one fsync.

        Call that function in a thread. `erased` holds the keys in `records` of the events to erase, by stream;
        `snapshots`: also write the waiting snapshots. Both functions may raise `lmdb.MapFullError`; call `grow` then
        and try again. After the commit, call `finish_commit`.
        """
        transaction = self._environment.begin(write=True)
        try:
            first = batch.tip.position - len(batch.records) + 1
            keys = [position_key(first + n) for n in range(len(batch.records))]
            transaction.cursor(self._records).putmulti(zip(keys, batch.records, strict=True), append=True)
            index = [
                (stream_prefix(event.stream) + key, event.version.to_bytes(8, "big"))
                for key, event in zip(keys, batch.recorded, strict=True)
            ]
            transaction.cursor(self._index).putmulti(index)
            self._commands.put(transaction, batch.commands)
            self._snapshots.put(transaction, {*erased, *batch.rewritten}, waiting=snapshots)
            removal = PayloadRemoval(transaction, self._records, self._commands)
            for key in chain.from_iterable(erased.values()):
                removal.erase(key)
            for position, (order, payload) in batch.replaced.items():
                removal.replace(position_key(position), order, payload, batch.rewritten)
        except BaseException:
            transaction.abort()
            raise
        return partial(self._commit, transaction, batch)

    def _commit(self, transaction: "lmdb.Transaction[bytes]", batch: Commit) -> None:
        try:
            self._head.put(transaction, batch.tip, batch.now_ms)
        except BaseException:
            transaction.abort()
            raise
        transaction.commit()

    def finish_commit(self, batch: Commit, erased: Iterable[str]) -> None:
        """Make the commit visible to all reads at once."""
        self._renew()
        self.tip = batch.tip
        self._head.show()
        for stream, version in batch.versions.items():
            self._remember_version(stream, version)
        self._snapshots.finish({*erased, *batch.rewritten})

    def reload(self) -> None:
        """Make reads see what is on disk after a commit with an unknown result. Raises `StartupError`."""
        self._renew()
        self._versions.clear()
        self.tip = self._read_tip()
        self._head.read(self._read)

    def _renew(self) -> None:
        self._read.abort()
        self._read = self._environment.begin()

    def grow(self) -> None:
        """Double the size of LMDB's map."""
        self._read.abort()
        self._map_bytes *= 2
        self._environment.set_mapsize(self._map_bytes)
        self._read = self._environment.begin()
