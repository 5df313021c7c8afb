"""The event log in memory, for tests and simulation: it follows the same rules, is deterministic and can inject faults.

`MemoryDisk` is the part that survives a crash; a new `MemoryLog` can be opened on it.
"""

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import trio
from msgspec.structs import replace

from fleet.errors import Unavailable
from fleet.events import codec
from fleet.events.batch import Batch, LogEnd, Salts, encode_append
from fleet.events.envelope import (
    ERASED_DIGEST,
    NO_OWN_CAUSES,
    Appended,
    Cause,
    CommandRecord,
    OwnCauses,
    Recorded,
    StateSnapshot,
)
from fleet.events.erasures import ordering_stream
from fleet.events.heads import Heads
from fleet.events.log import Listener, LogStatistics, up_to
from fleet.events.registry import EventRegistry
from fleet.events.replacements import proof_in
from fleet.events.signing import SigningKey
from fleet.events.surplus import Search, Surplus, TableSizes
from fleet.limits import ERASE_PAGE_EVENTS, PAST_SNAPSHOT_EVENTS
from fleet.ports import Clock
from fleet.wire.audit import SignedHead

KEY = SigningKey(bytes(range(32)))


class MemoryDisk:
    """The durable data. Tests may change `records`.

    With `low`, appends are refused as on a full disk; with `full`, the reserve is used up as well. `blobs` and `owned`
    (the digests of each owner) belong to `MemoryBlobs`.
    """

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.commands: dict[str, CommandRecord] = {}
        self.snapshots: dict[str, StateSnapshot] = {}
        self.head: SignedHead | None = None
        self.contradicted: SignedHead | None = None
        self.past: dict[str, dict[int, StateSnapshot]] = {}
        self.blobs: dict[str, bytes] = {}
        self.owned: dict[str, dict[str, None]] = {}
        self.full = False
        self.low = False


class MemoryLog:
    """A `Log` on a `MemoryDisk`. A commit has a checkpoint before and one after the instant at which it is durable.

    So a cancelled append may or may not be durable, and other tasks run before or after it. There is no writer to run.
    With the same `salts` two logs have the same bytes. After `crash` this log accepts nothing more.
    """

    def __init__(self, disk: MemoryDisk, registry: EventRegistry, clock: Clock, *, salts: Salts = os.urandom) -> None:
        self._disk = disk
        self._registry = registry
        self._clock = clock
        self._salts = salts
        self._listeners: list[Listener] = []
        self._positions: dict[str, list[int]] = {}
        self._snapshots: dict[str, StateSnapshot] = {}
        self._past: dict[str, dict[int, StateSnapshot]] = {}
        self._crashed = False
        self._commits = 0
        self.tip = LogEnd(0, codec.GENESIS_DIGEST)
        for record in disk.records:
            self._index(codec.decode(record))

    def crash(self) -> None:
        """Simulate that the process is killed: running appends never become durable."""
        self._crashed = True

    # ------------------------------------------------------------------------------------------------------- reading

    def head(self) -> int:
        """See `Log`."""
        return self.tip.position

    def heads(self) -> Heads:
        """See `Log`."""
        return Heads(KEY.public, self._disk.head, self._disk.contradicted)

    def sign(self, position: int) -> SignedHead | None:
        """See `Log`."""
        return KEY.sign(position, codec.decode(self._disk.records[position - 1]).digest, self._clock.now_ms())

    def stream_version(self, stream: str) -> int:
        """See `Log`."""
        return len(self._positions.get(stream, ()))

    def streams(self, beginning: str = "", after: str = "") -> Iterator[str]:
        """See `LogReader`."""
        return iter(sorted(name for name in self._positions if name.startswith(beginning) and name > after))

    def read_stream(
        self, stream: str, after: int = 0, limit: int | None = None, bytes_max: int | None = None
    ) -> list[Recorded]:
        """See `Log`."""
        positions = self._positions.get(stream, [])
        start = bisect_right(positions, after)
        stop = len(positions) if limit is None else start + limit
        return self._decoded((self._disk.records[at - 1] for at in positions[start:stop]), bytes_max)

    def read_all(self, after: int = 0, limit: int | None = None, bytes_max: int | None = None) -> list[Recorded]:
        """See `Log`."""
        stop = self.head() if limit is None else after + limit
        return self._decoded(self._disk.records[after:stop], bytes_max)

    def _decoded(self, records: Iterable[bytes], bytes_max: int | None) -> list[Recorded]:
        prove = proof_in(self.read_record)
        return up_to(bytes_max, (codec.decode_recorded(record, self._registry, prove) for record in records))

    def read_events(self, positions: Sequence[int], bytes_max: int | None = None) -> list[Recorded]:
        """See `Log`."""
        return self._decoded((self._disk.records[position - 1] for position in positions), bytes_max)

    def read_headers(self, positions: Sequence[int]) -> list[codec.Header]:
        """See `Log`."""
        return [codec.decode_header(self._disk.records[position - 1]) for position in positions]

    def stream_positions(self, stream: str, after: int, before: int, limit: int, *, newest_first: bool) -> list[int]:
        """See `Log`."""
        found = [position for position in self._positions.get(stream, ()) if after < position < before]
        return found[::-1][:limit] if newest_first else found[:limit]

    def read_record(self, position: int) -> bytes | None:
        """Return a raw record, for verify.py."""
        return self._disk.records[position - 1] if position <= len(self._disk.records) else None

    def indexed_version(self, stream: str, position: int) -> int | None:
        """Return the version that the index holds for this event, for verify.py."""
        positions = self._positions.get(stream, [])
        version = bisect_right(positions, position)
        return version if version and positions[version - 1] == position else None

    def replay(self, stream: str, after: int = 0, through: int | None = None) -> Iterator[tuple[int, int, Any]]:
        """See `Log`."""
        last = self.head() if through is None else through
        for version, position in enumerate(self._positions.get(stream, ()), 1):
            if after < position <= last:
                record, prove = self._disk.records[position - 1], proof_in(self.read_record)
                yield version, position, codec.decode_recorded(record, self._registry, prove).event

    def find_command(self, command_id: str) -> CommandRecord | None:
        """See `Log`."""
        return self._disk.commands.get(command_id)

    def load_snapshot(self, stream: str, at: int | None = None) -> StateSnapshot | None:
        """See `Log`."""
        newest = self._snapshots.get(stream) or self._disk.snapshots.get(stream)
        if at is None or (newest is not None and newest.position <= at):
            return newest
        kept = {**self._disk.past.get(stream, {}), **self._past.get(stream, {})}
        return max((each for each in kept.values() if each.position <= at), key=lambda e: e.position, default=None)

    def snapshots_of(self, stream: str) -> list[tuple[StateSnapshot, bool]]:
        """See `Log`. There are no seals."""
        found = {each.position: each for of, each in self._stored_snapshots() if of == stream}
        return [(each, True) for each in found.values()]

    def _stored_snapshots(self) -> Iterator[tuple[str, StateSnapshot]]:
        yield from self._disk.snapshots.items()
        yield from self._snapshots.items()

    def table_sizes(self) -> TableSizes | None:
        """See `Log`."""
        return TableSizes(len(self._disk.records), sum(map(len, self._positions.values())), len(self._disk.commands))

    def find_surplus(self) -> Search:
        """See `Log`."""
        known = {codec.decode(record).header.command_id for record in self._disk.records}
        found = [each for command_id, each in self._disk.commands.items() if command_id not in known]
        return iter([Surplus(found[0].position, "a command has a record without an event")] if found else [])

    def is_erased(self, stream: str) -> bool:
        """See `Log`."""
        positions = self._positions.get(stream)
        return positions is not None and codec.decode(self._disk.records[positions[0] - 1]).erased

    # ------------------------------------------------------------------------------------------------------- writing

    async def append(
        self,
        stream: str,
        expected_version: int,
        events: Sequence[Any],
        cause: Cause,
        *,
        own_causes: OwnCauses = NO_OWN_CAUSES,
        command_id: str | None = None,
        command_digest: bytes = b"",
    ) -> Appended:
        """See `Log`. Never overloaded."""
        encoded = encode_append(
            self._registry,
            stream,
            expected_version,
            events,
            cause=cause,
            command_id=command_id,
            command_digest=command_digest,
            own_causes=own_causes,
        )
        await trio.lowlevel.checkpoint()
        if self._crashed:
            raise Unavailable("log_unavailable", "the process of this log was killed")
        salts = self._salts(codec.SALT_BYTES * len(events))
        batch = Batch(self, self._clock.now_ms(), salts, _full() if self._disk.low else None)
        outcome = batch.add(encoded)
        if batch.records:
            self._make_durable(batch)
        await trio.lowlevel.checkpoint()
        if not isinstance(outcome, Appended):
            raise outcome
        return outcome

    async def erase(self, stream: str) -> None:
        """See `Log`. Works on a full disk."""
        positions = self._positions.get(stream, [])
        for start in range(0, len(positions), ERASE_PAGE_EVENTS):
            await trio.lowlevel.checkpoint()
            if self._crashed:
                raise Unavailable("log_unavailable", "the process of this log was killed")
            self._erase_page(stream, positions[start : start + ERASE_PAGE_EVENTS])
        await trio.lowlevel.checkpoint()

    def _erase_page(self, stream: str, positions: Sequence[int]) -> None:
        disk = self._disk
        self._drop_snapshots(stream)
        for position in positions:
            self._erase_command(codec.decode(disk.records[position - 1]).header.command_id)
            disk.records[position - 1] = codec.erase(disk.records[position - 1])

    def _drop_snapshots(self, stream: str) -> None:
        for kept in (self._snapshots, self._disk.snapshots, self._past, self._disk.past):
            kept.pop(stream, None)

    def _erase_command(self, command_id: str | None) -> None:
        if command_id is not None:
            self._disk.commands[command_id] = replace(self._disk.commands[command_id], digest=ERASED_DIGEST)

    def _replace(self, position: int, order: int, payload: bytes, ordering: set[str]) -> None:
        record = self._disk.records[position - 1]
        found = codec.decode(record)
        if not found.erased and ordering_stream(found.header.stream) in ordering:
            self._disk.records[position - 1] = codec.replace_payload(record, order, payload)
            self._erase_command(found.header.command_id)

    def statistics(self) -> LogStatistics:
        """See `Log`. No append waits, and each one is a commit."""
        shortage = "the disk is full" if self._disk.low or self._disk.full else None
        return LogStatistics(0, 0, self._commits, self._commits, shortage, refuses=shortage is not None)

    def listen(self, listener: Listener) -> None:
        """See `Log`."""
        self._listeners.append(listener)

    def save_snapshot(self, stream: str, snapshot: StateSnapshot) -> None:
        """See `Log`."""
        if not self.is_erased(stream):
            before = self.load_snapshot(stream)
            last = 0 if before is None else before.version
            if last // PAST_SNAPSHOT_EVENTS < snapshot.version // PAST_SNAPSHOT_EVENTS:
                self.keep_snapshot(stream, snapshot)
            self._snapshots[stream] = snapshot

    def keep_snapshot(self, stream: str, snapshot: StateSnapshot) -> None:
        """See `Log`."""
        if not self.is_erased(stream):
            self._past.setdefault(stream, {})[snapshot.position] = snapshot

    def _make_durable(self, batch: Batch) -> None:
        if self._disk.full:
            raise _full()
        self._commits += 1
        self._disk.records += batch.records
        self._disk.commands |= batch.commands
        for stream in batch.rewritten:
            self._drop_snapshots(stream)
        for position, (order, payload) in batch.replaced.items():
            self._replace(position, order, payload, batch.rewritten)
        self._disk.snapshots |= self._snapshots
        self._snapshots.clear()
        for stream, kept in self._past.items():
            self._disk.past.setdefault(stream, {}).update(kept)
        self._past.clear()
        for record in batch.records:
            self._index(codec.decode(record))
        self._disk.head = KEY.sign(*self.tip, batch.now_ms)
        for listener in self._listeners:
            listener(batch.recorded)

    def _index(self, record: codec.Record) -> None:
        header = record.header
        self.tip = LogEnd(header.position, record.digest)
        self._positions.setdefault(header.stream, []).append(header.position)


def _full() -> Unavailable:
    return Unavailable("disk_full", "the disk of the event log is full", retry_after_s=10)
