"""Reads the events of a store of records: the log on disk (lmdb_store.py), or an export (export_store.py)."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any, Protocol

from fleet.events import codec
from fleet.events.batch import LogEnd
from fleet.events.envelope import Cause, CommandRecord, Damaged, Recorded, StateSnapshot
from fleet.events.heads import Heads
from fleet.events.lmdb_keys import position_key, positions_of
from fleet.events.log import up_to
from fleet.events.registry import EventRegistry
from fleet.events.replacements import proof_in
from fleet.events.surplus import Search, TableSizes
from fleet.limits import REPLAY_PAGE_EVENTS
from fleet.wire.audit import SignedHead


class RecordStore(Protocol):
    """Raw records (codec.py) by position, with an index of streams. Keys are positions, as `position_key` has them."""

    @property
    def tip(self) -> LogEnd:
        """Where the records end."""
        ...

    @property
    def heads(self) -> Heads:
        """The signed heads."""
        ...

    def records(self, after: int, limit: int | None) -> Iterator[bytes]:
        """Yield records beyond position `after`. Consume them before any other call."""
        ...

    def records_at(self, keys: list[bytes]) -> Iterator[bytes | None]:
        """Yield the records with these keys, None where there is none.

        Consume or close the iterator before any other call.
        """
        ...

    def record(self, position: int) -> bytes | None:
        """Return one record."""
        ...

    def streams(self, beginning: str, after: str) -> Iterator[str]:
        """Yield the names of the streams that begin like this and come after another name, in order."""
        ...

    def stream_positions(self, stream: str, after: int, limit: int | None, last: bytes | None = None) -> list[bytes]:
        """Return the keys of the stream's events beyond position `after`, up to the key `last`."""
        ...

    def stream_positions_down(self, stream: str, before: int, limit: int) -> list[bytes]:
        """Return the keys of the stream's events before position `before`, last one first."""
        ...

    def stream_version(self, stream: str) -> int:
        """Return the version of the stream's last event, 0 where there is none."""
        ...

    def indexed_version(self, stream: str, position: int) -> int | None:
        """Return the stream's version at exactly this position from the index."""
        ...

    def find_command(self, command_id: str) -> CommandRecord | None:
        """Return the record of a command id, None for one that is not known."""
        ...

    def load_snapshot(self, stream: str, at: int | None = None) -> StateSnapshot | None:
        """Return the newest snapshot of the stream, or the newest that is not beyond position `at`."""
        ...

    def snapshots_of(self, stream: str) -> list[tuple[StateSnapshot, bool]]:
        """Return the stored snapshots of the stream, each with whether its seal is right, for verification."""
        ...

    def table_sizes(self) -> TableSizes | None:
        """Return the sizes of its tables, for verification; None where there are no such tables."""
        ...

    def find_surplus(self) -> Search:
        """Find an entry of them that belongs to no event, for verification, in steps."""
        ...


class StoredLog:
    """The events of a store: a `LogReader`."""

    def __init__(self, store: RecordStore, registry: EventRegistry) -> None:
        self._store = store
        self._registry = registry

    def head(self) -> int:
        """See `LogReader`."""
        return self._store.tip.position

    def heads(self) -> Heads:
        """See `LogReader`."""
        return self._store.heads

    def sign(self, position: int) -> SignedHead | None:
        """See `LogReader`. Nothing is signed here."""
        last = self.heads().last
        return last if last is not None and last.position == position else None

    def stream_version(self, stream: str) -> int:
        """See `LogReader`."""
        return self._store.stream_version(stream)

    def streams(self, beginning: str = "", after: str = "") -> Iterator[str]:
        """See `LogReader`."""
        return self._store.streams(beginning, after)

    def read_stream(
        self, stream: str, after: int = 0, limit: int | None = None, bytes_max: int | None = None
    ) -> list[Recorded]:
        """See `LogReader`."""
        keys = self._store.stream_positions(stream, after, limit)
        return up_to(bytes_max, self._decoded(positions_of(keys), self._store.records_at(keys), stream))

    def read_all(self, after: int = 0, limit: int | None = None, bytes_max: int | None = None) -> list[Recorded]:
        """See `LogReader`."""
        return up_to(bytes_max, self._decoded(count(after + 1), self._store.records(after, limit)))

    def read_events(self, positions: Sequence[int], bytes_max: int | None = None) -> list[Recorded]:
        """See `LogReader`."""
        records = self._store.records_at([position_key(position) for position in positions])
        return up_to(bytes_max, self._decoded(positions, records))

    def _decoded(
        self, positions: Iterable[int], records: Iterable[bytes | None], stream: str | None = None
    ) -> Iterator[Recorded]:
        """Yield the events of these records; one that is damaged is `Damaged`, so that all others can be read.

        All have to be events of the `stream`; without one, missing records are left out.
        """
        registry, decode, prove = self._registry, codec.decode_recorded, proof_in(self._store.record)
        for position, record in zip(positions, records, strict=False):
            if record is None and stream is None:
                continue
            try:
                found = decode(record or b"", registry, prove)
            except codec.CorruptRecord as error:
                yield self._damaged(position, error.detail, stream)
            else:
                misplaced = stream is not None and (found.stream != stream or found.position != position)
                yield self._damaged(position, codec.MISPLACED, stream) if misplaced else found

    def _damaged(self, position: int, reason: str, of: str | None) -> Recorded:
        """Return the event of a record that cannot be read: the index still knows its stream."""
        for stream in list(self._store.streams("", "")) if of is None else (of,):
            version = self._store.indexed_version(stream, position)
            if version is not None:
                return Recorded(position, stream, version, "", 0, 0, Cause(), b"{}", Damaged(reason))
        return Recorded(position, "", 0, "", 0, 0, Cause(), b"{}", Damaged(reason))

    def read_headers(self, positions: Sequence[int]) -> list[codec.Header]:
        """See `LogReader`."""
        keys = [position_key(position) for position in positions]
        return [codec.decode_header(record) for record in self._store.records_at(keys) if record is not None]

    def stream_positions(self, stream: str, after: int, before: int, limit: int, *, newest_first: bool) -> list[int]:
        """See `LogReader`."""
        keys = (
            self._store.stream_positions_down(stream, before, limit)
            if newest_first
            else self._store.stream_positions(stream, after, limit)
        )
        found = (int.from_bytes(key, "big") for key in keys)
        return [position for position in found if after < position < before]

    def read_record(self, position: int) -> bytes | None:
        """Return a raw record, for verify.py."""
        return self._store.record(position)

    def indexed_version(self, stream: str, position: int) -> int | None:
        """Return the version that the index holds for this event, for verify.py."""
        return self._store.indexed_version(stream, position)

    def replay(self, stream: str, after: int = 0, through: int | None = None) -> Iterator[tuple[int, int, Any]]:
        """See `LogReader`."""
        registry, decode = self._registry, codec.decode_event
        last = None if through is None else position_key(through)
        while keys := self._store.stream_positions(stream, after, REPLAY_PAGE_EVENTS, last):
            positions = positions_of(keys)
            after = positions[-1]
            first = self._store.indexed_version(stream, positions[0]) or 0
            versions = range(first, first + len(keys))
            records, prove = self._store.records_at(keys), proof_in(self._store.record)
            page = [
                decode(record or b"", registry, stream, version, position, prove=prove)
                for record, version, position in zip(records, versions, positions, strict=True)
            ]
            yield from zip(versions, positions, page, strict=True)

    def find_command(self, command_id: str) -> CommandRecord | None:
        """See `LogReader`."""
        return self._store.find_command(command_id)

    def load_snapshot(self, stream: str, at: int | None = None) -> StateSnapshot | None:
        """See `LogReader`."""
        return self._store.load_snapshot(stream, at)

    def is_erased(self, stream: str) -> bool:
        """See `LogReader`."""
        record = next(self._store.records_at(self._store.stream_positions(stream, 0, 1)), None)
        return record is not None and codec.decode(record).erased

    def snapshots_of(self, stream: str) -> list[tuple[StateSnapshot, bool]]:
        """See `LogReader`."""
        return self._store.snapshots_of(stream)

    def table_sizes(self) -> TableSizes | None:
        """See `LogReader`."""
        return self._store.table_sizes()

    def find_surplus(self) -> Search:
        """See `LogReader`."""
        return self._store.find_surplus()
