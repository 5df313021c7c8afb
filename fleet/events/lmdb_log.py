"""The event log on disk: `Log` on LMDB. It reads through lmdb_store.py; writer.py carries out each append."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import lmdb
import structlog
import trio

from fleet.errors import StartupError
from fleet.events import codec
from fleet.events.batch import ErasureBatch, Salts, encode_append
from fleet.events.data_lock import DataLock
from fleet.events.disk import Disk
from fleet.events.envelope import Appended, Cause, CommandRecord, Recorded, StateSnapshot
from fleet.events.heads import Heads
from fleet.events.keys import position_key
from fleet.events.lmdb_store import LmdbStore
from fleet.events.log import Listener, LogStatistics, up_to
from fleet.events.registry import EventRegistry
from fleet.events.signing import open_key
from fleet.events.verify import verify
from fleet.events.writer import Writer
from fleet.limits import REPLAY_PAGE_EVENTS
from fleet.ports import Clock
from fleet.wire.audit import SignedHead

if TYPE_CHECKING:
    from fleet.traces import Traces

_logger = structlog.get_logger(__name__)


class LmdbLog:
    """A `Log` in a data directory. Open it with `open`, supervise `run`, end it with `stop` and `close` (or `with`)."""

    def __init__(self, store: LmdbStore, lock: DataLock, registry: EventRegistry, writer: Writer, clock: Clock) -> None:
        self._store = store
        self._lock = lock
        self._registry = registry
        self._writer = writer
        self._clock = clock
        if store.padded:
            self._check_everything()
        self._check_head()

    @classmethod
    def open(
        cls,
        path: Path,
        registry: EventRegistry,
        clock: Clock,
        *,
        free_bytes: Callable[[], int] | None = None,
        reserve_bytes: int = 0,
        salts: Salts = os.urandom,
        traces: "Traces | None" = None,
    ) -> "LmdbLog":
        """Open the log of the data directory `path`, and create it if it is missing.

        `free_bytes` returns the free space of its disk, `reserve_bytes` is the size of the reserve for a full disk;
        without `traces` there are no spans. Raises `StartupError` when the directory is in use or cannot be written, or
        the log is damaged or has another format.
        """
        lock = DataLock(path)
        try:
            disk = Disk(path, free_bytes, reserve_bytes=reserve_bytes)
            store = LmdbStore(path / "events.mdb", open_key(path))
            try:
                return cls(store, lock, registry, Writer(store, disk, clock, salts=salts, traces=traces), clock)
            except BaseException:
                store.close()
                store.unpad()
                raise
        except BaseException:
            lock.close()
            raise

    def __enter__(self) -> "LmdbLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until `stop` or cancellation; a supervisor runs it. After a crash it may be started again."""
        await self._writer.run(task_status)

    def stop(self) -> None:
        """Accept no more appends; `run` returns when the accepted ones are durable."""
        self._writer.stop()

    def close(self) -> None:
        """Close the files, when `run` has ended."""
        self._store.close()
        self._lock.close()

    def statistics(self) -> LogStatistics:
        """See `Log`."""
        return self._writer.statistics()

    # ------------------------------------------------------------------------------------------------------- reading

    def head(self) -> int:
        """See `Log`."""
        return self._store.tip.position

    def heads(self) -> Heads:
        """See `Log`."""
        return self._store.heads

    def sign(self, position: int) -> SignedHead | None:
        """See `Log`."""
        return self._store.sign(position, self._clock.now_ms())

    def stream_version(self, stream: str) -> int:
        """See `Log`."""
        return self._store.stream_version(stream)

    def read_stream(
        self, stream: str, after: int = 0, limit: int | None = None, bytes_max: int | None = None
    ) -> list[Recorded]:
        """See `Log`."""
        registry, decode = self._registry, codec.decode_recorded
        keys = self._store.stream_positions(stream, after, limit)
        return up_to(bytes_max, (decode(record, registry) for record in self._store.records_at(keys)))

    def read_all(self, after: int = 0, limit: int | None = None, bytes_max: int | None = None) -> list[Recorded]:
        """See `Log`."""
        registry, decode = self._registry, codec.decode_recorded
        return up_to(bytes_max, (decode(record, registry) for record in self._store.records(after, limit)))

    def read_headers(self, positions: Sequence[int]) -> list[codec.Header]:
        """See `Log`."""
        keys = [position_key(position) for position in positions]
        return [codec.decode_header(record) for record in self._store.records_at(keys)]

    def stream_positions(self, stream: str, after: int, before: int, limit: int, *, newest_first: bool) -> list[int]:
        """See `Log`."""
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
        """See `Log`."""
        registry, decode = self._registry, codec.decode_event
        last = None if through is None else position_key(through)
        while keys := self._store.stream_positions(stream, after, REPLAY_PAGE_EVENTS, last):
            first, after = (int.from_bytes(key, "big") for key in (keys[0], keys[-1]))
            version = self._store.indexed_version(stream, first) or 0
            page = [decode(record, registry) for record in self._store.records_at(keys)]
            for key, event in zip(keys, page, strict=True):
                yield version, int.from_bytes(key, "big"), event
                version += 1

    def find_command(self, command_id: str) -> CommandRecord | None:
        """See `Log`."""
        return self._store.find_command(command_id)

    def load_snapshot(self, stream: str, at: int | None = None) -> StateSnapshot | None:
        """See `Log`."""
        return self._store.load_snapshot(stream, at)

    def is_erased(self, stream: str) -> bool:
        """See `Log`."""
        record = next(self._store.records_at(self._store.stream_positions(stream, 0, 1)), None)
        return record is not None and codec.decode(record).erased

    # ------------------------------------------------------------------------------------------------------- writing

    async def append(
        self,
        stream: str,
        expected_version: int,
        events: Sequence[Any],
        cause: Cause,
        *,
        command_id: str | None = None,
        command_digest: bytes = b"",
    ) -> Appended:
        """See `Log`."""
        encoded = encode_append(
            self._registry,
            stream,
            expected_version,
            events,
            cause=cause,
            command_id=command_id,
            command_digest=command_digest,
        )
        return await self._writer.append(encoded)

    async def erase(self, stream: str) -> None:
        """See `Log`. LMDB overwrites the freed pages when it uses them again: see ADR 0011."""
        through, position = self.head(), 0
        while position < through:
            position = (await self._writer.erase(ErasureBatch(stream, position, through))).position

    def listen(self, listener: Listener) -> None:
        """See `Log`."""
        self._writer.listen(listener)

    def save_snapshot(self, stream: str, snapshot: StateSnapshot) -> None:
        """See `Log`."""
        if not self.is_erased(stream):
            self._store.save_snapshot(stream, snapshot)

    def keep_snapshot(self, stream: str, snapshot: StateSnapshot) -> None:
        """See `Log`."""
        if not self.is_erased(stream):
            self._store.keep_snapshot(stream, snapshot)

    def _check_head(self) -> None:
        """Compare the end of the log with its signed head; it was changed without Fleet where they differ."""
        try:
            contradicted = self._store.sign_if_unsigned(self._clock.now_ms)
        except lmdb.Error as error:  # a full disk: the next commit signs
            _logger.warning("log_not_signed", error=str(error))
            return
        if contradicted is not None:
            _logger.error(
                "log_changed_outside_fleet",
                head=self._store.tip.position,
                signed_head=contradicted.position,
                hint="Verify the log: the end that Fleet signed is not the end that it found.",
            )

    def _check_everything(self) -> None:
        """Read the whole log when its file was too short (see `LmdbStore.padded`). Raises `StartupError` for damage."""
        found = verify(self).first_break
        if found is not None:
            raise StartupError(
                f"The event log was cut off, and event {found.position} is damaged ({found.reason}): "
                "restore the data directory from a backup."
            )
