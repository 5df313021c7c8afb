"""The event log on disk: `Log` on LMDB, with group commit.

Keeps: readers, listeners and `head` see a commit at the same instant, after it is durable and before its appenders
continue. lmdb_store.py has the tables, batch.py the rules of an append, writer.py the queue.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import lmdb
import msgspec
import trio

from fleet.errors import StartupError, Unavailable
from fleet.events import codec
from fleet.events.batch import Append, Batch, ErasedUpTo, ErasureBatch, LogEnd, Salts, Written, make_order
from fleet.events.data_lock import DataLock
from fleet.events.disk import Disk
from fleet.events.envelope import Appended, Cause, CommandRecord, Recorded, StateSnapshot
from fleet.events.lmdb_store import LmdbStore, position_key
from fleet.events.log import Listener, LogStatistics, up_to
from fleet.events.registry import EventRegistry
from fleet.events.verify import verify
from fleet.events.writer import Writer
from fleet.limits import ERASE_PAGE_EVENTS, REPLAY_PAGE_EVENTS, SNAPSHOTS_WAITING_MAX, STREAM_HEADS_MAX
from fleet.ports import Clock

if TYPE_CHECKING:
    from fleet.traces import Traces


class LmdbLog:
    """A `Log` in a data directory. Open it with `open`, host `run`, end with `stop` and `close` (or `with`)."""

    def __init__(
        self,
        store: LmdbStore,
        lock: DataLock,
        *,
        registry: EventRegistry,
        clock: Clock,
        disk: Disk,
        salts: Salts,
        traces: "Traces | None",
    ) -> None:
        self._store = store
        self._lock = lock
        self._registry = registry
        self._clock = clock
        self._disk = disk
        self._salts = salts
        self._writer = Writer(self._commit, traces)
        self._thread = trio.CapacityLimiter(1)
        self._listeners: list[Listener] = []
        self._heads: OrderedDict[str, int] = OrderedDict()
        self._snapshots: OrderedDict[str, StateSnapshot] = OrderedDict()
        self._tip = self._read_tip()
        if store.padded:
            self._check_everything()

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
        """Open the log of the data directory `path`, which is made if it is missing.

        `free_bytes` tells the space left on its disk, `reserve_bytes` how much of it is held back for when it is full;
        without `traces` there are no spans. Raises `StartupError`: the directory is in use or cannot be written, the
        log is damaged or of another format.
        """
        lock = DataLock(path)
        try:
            disk = Disk(path, free_bytes, reserve_bytes=reserve_bytes)
            store = LmdbStore(path / "events.mdb")
            try:
                return cls(
                    store,
                    lock,
                    registry=registry,
                    clock=clock,
                    disk=disk,
                    salts=salts,
                    traces=traces,
                )
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
        """Write until `stop` or cancelled; host it in a supervisor. After a crash it may be started again."""
        self._store.renew()
        self._heads.clear()
        self._tip = self._read_tip()
        await self._writer.run(task_status)

    def stop(self) -> None:
        """Take no more appends; `run` returns when those that were accepted are durable."""
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
        return self._tip.position

    def stream_version(self, stream: str) -> int:
        """See `Log`."""
        version = self._heads.get(stream)
        if version is None:
            version = self._store.stream_version(stream)
            self._remember_head(stream, version)
        return version

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

    def replay(self, stream: str, after: int = 0) -> Iterator[tuple[int, int, Any]]:
        """See `Log`."""
        registry, decode = self._registry, codec.decode_event
        while keys := self._store.stream_positions(stream, after, REPLAY_PAGE_EVENTS):
            first, after = (int.from_bytes(key, "big") for key in (keys[0], keys[-1]))
            version = self._store.indexed_version(stream, first) or 0
            page = [decode(record, registry) for record in self._store.records_at(keys)]
            for key, event in zip(keys, page, strict=True):
                yield version, int.from_bytes(key, "big"), event
                version += 1

    def find_command(self, command_id: str) -> CommandRecord | None:
        """See `Log`."""
        return self._store.find_command(command_id)

    def load_snapshot(self, stream: str) -> StateSnapshot | None:
        """See `Log`."""
        return self._snapshots.get(stream) or self._store.load_snapshot(stream)

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
        order = make_order(
            self._registry,
            stream,
            expected_version,
            events,
            cause=cause,
            command_id=command_id,
            command_digest=command_digest,
        )
        return await self._writer.append(order)

    async def erase(self, stream: str) -> None:
        """See `Log`. The pages of LMDB that held it are overwritten when they are used again: see ADR 0011."""
        through, position = self.head(), 0
        while position < through:
            position = (await self._writer.erase(ErasureBatch(stream, position, through))).position

    def listen(self, listener: Listener) -> None:
        """See `Log`."""
        self._listeners.append(listener)

    def save_snapshot(self, stream: str, snapshot: StateSnapshot) -> None:
        """See `Log`."""
        if self.is_erased(stream):
            return
        self._snapshots[stream] = snapshot
        self._snapshots.move_to_end(stream)
        if len(self._snapshots) > SNAPSHOTS_WAITING_MAX:
            self._snapshots.popitem(last=False)

    async def _commit(self, orders: Sequence[Append | ErasureBatch]) -> Sequence[Written]:
        refusal = self._refusal(orders)
        try:
            return await self._write(orders, refusal)
        except Unavailable as full:
            if refusal is not None or not any(order.on_full_disk for order in orders):
                raise
            return await self._write(orders, full)

    def _refusal(self, orders: Sequence[Append | ErasureBatch]) -> Unavailable | None:
        """Return the problem of what is not taken on a full disk, None where the disk is not full."""
        size_bytes = sum(order.size_bytes for order in orders if not order.on_full_disk)
        if size_bytes:
            try:
                self._disk.check(size_bytes, self._store.reusable_bytes)
            except Unavailable as full:
                return full
        return None

    async def _write(self, orders: Sequence[Append | ErasureBatch], refusal: Unavailable | None) -> Sequence[Written]:
        """Make them durable, where there is a `refusal` only what is taken on a full disk. Raises it."""
        salts = self._salts(codec.SALT_BYTES * sum(len(order.events) for order in orders))
        batch = Batch(self._tip, self, self._clock.now_ms(), salts, refusal)
        erased: dict[str, list[bytes]] = {}
        outcomes: list[Written] = [
            batch.add(order) if isinstance(order, Append) else self._find_erased(order, erased) for order in orders
        ]
        if refusal is not None and all(result is refusal for result in outcomes):
            raise refusal
        if batch.records or erased:
            await self._make_durable(batch, erased, on_full_disk=refusal is not None)
        if batch.records:
            self._publish(batch)
        return outcomes

    def _find_erased(self, erasure: ErasureBatch, erased: dict[str, list[bytes]]) -> ErasedUpTo:
        """Add what the erasure is about to `erased`, by stream."""
        found = self._store.stream_positions(erasure.stream, erasure.after, ERASE_PAGE_EVENTS)
        keys = [key for key in found if int.from_bytes(key, "big") <= erasure.through]
        if keys:
            erased.setdefault(erasure.stream, []).extend(keys)
            self._snapshots.pop(erasure.stream, None)
        return ErasedUpTo(int.from_bytes(keys[-1], "big") if len(keys) == ERASE_PAGE_EVENTS else erasure.through)

    async def _make_durable(self, batch: Batch, erased: Mapping[str, list[bytes]], *, on_full_disk: bool) -> None:
        snapshots = {} if on_full_disk else dict(self._snapshots)  # those can wait
        while True:
            try:
                commit = self._store.begin_commit(batch, snapshots, erased)
                await trio.to_thread.run_sync(commit, limiter=self._thread)
            except lmdb.MapFullError:
                self._store.grow()
            except lmdb.Error as error:
                if not self._disk.is_full(error):
                    raise
                if not (on_full_disk and self._disk.give_up_reserve()):
                    raise self._disk.full(str(error)) from error
            else:
                break
        self._store.renew()
        for stream in erased:
            self._snapshots.pop(stream, None)
        for stream, snapshot in snapshots.items():
            if self._snapshots.get(stream) is snapshot:
                del self._snapshots[stream]

    def _publish(self, batch: Batch) -> None:
        self._tip = batch.tip
        for stream, version in batch.heads.items():
            self._remember_head(stream, version)
        for listener in self._listeners:
            listener(batch.recorded)

    def _remember_head(self, stream: str, version: int) -> None:
        self._heads[stream] = version
        self._heads.move_to_end(stream)
        if len(self._heads) > STREAM_HEADS_MAX:
            self._heads.popitem(last=False)

    def _check_everything(self) -> None:
        """Decide whether a file that was too short lacks anything: see `LmdbStore.padded`. Raises `StartupError`."""
        found = verify(self).first_break
        if found is not None:
            raise StartupError(
                f"The event log was cut off, and event {found.position} is damaged ({found.reason}): "
                "restore the data directory from a backup."
            )

    def _read_tip(self) -> LogEnd:
        try:
            last = self._store.last_record()
            if last is None:
                return LogEnd(0, codec.GENESIS_DIGEST)
            record = codec.decode(last)
        except (lmdb.Error, codec.CorruptRecord, msgspec.MsgspecError) as error:
            raise StartupError(
                f"The event log is damaged at its end ({error}): restore the data directory from a backup."
            ) from error
        return LogEnd(record.header.position, record.digest)
