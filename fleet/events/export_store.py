"""Reads the lines of an export (export.py) as records: a `RecordStore` without the tables that a log has beside them.

An index of positions and streams is kept in memory, some 30 bytes for each event. The lines stay in the file.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import islice
from typing import IO

import msgspec

from fleet.errors import StartupError
from fleet.events import codec
from fleet.events.batch import LogEnd
from fleet.events.envelope import CommandRecord, StateSnapshot
from fleet.events.export import read_record
from fleet.events.heads import Heads
from fleet.events.lmdb_keys import position_key
from fleet.events.surplus import Search, TableSizes
from fleet.wire.audit import SignedHead


class _Place(msgspec.Struct):
    position: int
    stream: str
    version: int
    erased: bool = False
    redacted: str | None = None


class _Stream:
    def __init__(self) -> None:
        self.positions = array("Q")
        self.versions = array("Q")


class ExportStore:
    """An open export. `heads` has the signed head in it; other lines that are not events are left out.

    `partial` are the streams of which the data of an event is not in it: they cannot be folded.

    Raises `StartupError` when the file is not an export.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self._positions = array("Q")
        self._offsets = array("Q")
        self._streams: dict[str, _Stream] = {}
        self.partial: set[str] = set()
        self.tip = LogEnd(0, codec.GENESIS_DIGEST)
        self.heads = Heads("")
        self._index()

    def _index(self) -> None:
        offset, decode = 0, msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode
        for line in self._file:
            try:
                fields = decode(line)
                if fields and "signature" in fields:
                    head = msgspec.json.decode(line, type=SignedHead)
                    self.heads = Heads(head.key, head)
                elif fields and "position" in fields:
                    self._place(msgspec.convert(msgspec.json.decode(line), _Place), offset)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise StartupError(f"{self._name} is not an export of a log: {error}.") from error
            offset += len(line)
        if self._positions:
            last = self.record(self._positions[-1]) or b""
            self.tip = LogEnd(self._positions[-1], codec.decode(last).digest)

    def _place(self, place: _Place, offset: int) -> None:
        if self._positions and place.position <= self._positions[-1]:
            raise StartupError(f"{self._name}: event {place.position} follows event {self._positions[-1]}.")
        self._positions.append(place.position)
        self._offsets.append(offset)
        stream = self._streams.setdefault(place.stream, _Stream())
        stream.positions.append(place.position)
        stream.versions.append(place.version)
        if place.erased or place.redacted is not None:
            self.partial.add(place.stream)

    def lines(self, after: int) -> Iterator[bytes]:
        """Yield the lines of the events beyond position `after`, as they are. Raises `CorruptRecord`."""
        for index in range(bisect_right(self._positions, after), len(self._positions)):
            line = self._line(index)
            read_record(line)
            yield line

    def _line(self, index: int) -> bytes:
        self._file.seek(self._offsets[index])
        return self._file.readline()

    def _read(self, index: int) -> bytes:
        return read_record(self._line(index))

    def records(self, after: int, limit: int | None) -> Iterator[bytes]:
        """See `RecordStore`."""
        start = bisect_right(self._positions, after)
        return map(self._read, islice(range(start, len(self._positions)), limit))

    def records_at(self, keys: list[bytes]) -> Iterator[bytes | None]:
        """See `RecordStore`."""
        return (self.record(int.from_bytes(key, "big")) for key in keys)

    def record(self, position: int) -> bytes | None:
        """See `RecordStore`."""
        index = bisect_left(self._positions, position)
        known = index < len(self._positions) and self._positions[index] == position
        return self._read(index) if known else None

    def streams(self, beginning: str, after: str) -> Iterator[str]:
        """See `RecordStore`."""
        return iter(sorted(name for name in self._streams if name.startswith(beginning) and name > after))

    def stream_positions(self, stream: str, after: int, limit: int | None, last: bytes | None = None) -> list[bytes]:
        """See `RecordStore`."""
        positions = self._of(stream).positions
        start = bisect_right(positions, after)
        keys = [position_key(each) for each in positions[start : None if limit is None else start + limit]]
        return keys if last is None else [key for key in keys if key <= last]

    def stream_positions_down(self, stream: str, before: int, limit: int) -> list[bytes]:
        """See `RecordStore`."""
        positions = self._of(stream).positions
        stop = bisect_left(positions, before)
        return [position_key(each) for each in reversed(positions[max(0, stop - limit) : stop])]

    def stream_version(self, stream: str) -> int:
        """See `RecordStore`."""
        versions = self._of(stream).versions
        return versions[-1] if versions else 0

    def indexed_version(self, stream: str, position: int) -> int | None:
        """See `RecordStore`."""
        found = self._of(stream)
        index = bisect_left(found.positions, position)
        known = index < len(found.positions) and found.positions[index] == position
        return found.versions[index] if known else None

    def find_command(self, command_id: str) -> CommandRecord | None:  # noqa: ARG002 - the protocol's
        """See `RecordStore`. An export has no table of commands."""
        return None

    def load_snapshot(self, stream: str, at: int | None = None) -> StateSnapshot | None:  # noqa: ARG002 - the protocol's
        """See `RecordStore`. An export has no snapshots."""
        return None

    def snapshots_of(self, stream: str) -> list[tuple[StateSnapshot, bool]]:  # noqa: ARG002 - the protocol's
        """See `RecordStore`. An export has no snapshots."""
        return []

    def table_sizes(self) -> TableSizes | None:
        """See `RecordStore`. An export has no tables."""
        return None

    def find_surplus(self) -> Search:
        """See `RecordStore`. An export has no tables."""
        return iter(())

    def _of(self, stream: str) -> _Stream:
        return self._streams.get(stream) or _Stream()
