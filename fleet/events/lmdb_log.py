"""The event log on disk: `Log` on LMDB, with group commit.

Keeps: readers, listeners and `head` see a commit at the same instant, after it is durable and before its appenders go
on.
lmdb_store.py has the tables, batch.py the rules of an append, writer.py the queue.
"""

import errno
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import lmdb
import msgspec
import trio

from fleet.errors import StartupError, Unavailable
from fleet.events import codec
from fleet.events.batch import Batch, Order, Outcome, Salts, Tip, make_order
from fleet.events.data_lock import DataLock
from fleet.events.envelope import Appended, Cause, CommandRecord, Recorded, Snapshot
from fleet.events.lmdb_store import LmdbStore
from fleet.events.log import Listener
from fleet.events.registry import EventRegistry
from fleet.events.verify import verify
from fleet.events.writer import Writer, WriterStatistics
from fleet.limits import DISK_FREE_BYTES_MIN, REPLAY_PAGE_EVENTS, SNAPSHOTS_WAITING_MAX, STREAM_HEADS_MAX
from fleet.ports import Clock

_FULL: Final = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_IO_ERROR: Final = os.strerror(errno.EIO)


class LmdbLog:
    """A `Log` in a data directory. Open it with `open`, host `run`, end with `stop` and `close` (or `with`)."""

    def __init__(
        self,
        store: LmdbStore,
        lock: DataLock,
        *,
        registry: EventRegistry,
        clock: Clock,
        free_bytes: Callable[[], int],
        salts: Salts,
    ) -> None:
        self._store = store
        self._lock = lock
        self._registry = registry
        self._clock = clock
        self._free_bytes = free_bytes
        self._salts = salts
        self._writer = Writer(self._commit)
        self._thread = trio.CapacityLimiter(1)
        self._listeners: list[Listener] = []
        self._heads: OrderedDict[str, int] = OrderedDict()
        self._snapshots: OrderedDict[str, Snapshot] = OrderedDict()
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
        salts: Salts = os.urandom,
    ) -> "LmdbLog":
        """Open the log of the data directory `path`, which is made if it is missing.

        `free_bytes` tells the space left on its disk. Raises `StartupError`: the directory is in use or cannot be
        written, the log is damaged or of another format.
        """
        lock = DataLock(path)
        try:
            store = LmdbStore(path / "events.mdb")
            try:
                return cls(
                    store,
                    lock,
                    registry=registry,
                    clock=clock,
                    free_bytes=free_bytes or (lambda: _free_bytes(path)),
                    salts=salts,
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

    def statistics(self) -> WriterStatistics:
        """Return the writer's load."""
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

    def read_stream(self, stream: str, after: int = 0, limit: int | None = None) -> list[Recorded]:
        """See `Log`."""
        registry, decode = self._registry, codec.decode_recorded
        keys = self._store.stream_positions(stream, after, limit)
        return [decode(record, registry) for record in self._store.records_at(keys)]

    def read_all(self, after: int = 0, limit: int | None = None) -> list[Recorded]:
        """See `Log`."""
        registry, decode = self._registry, codec.decode_recorded
        return [decode(record, registry) for record in self._store.records(after, limit)]

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

    def load_snapshot(self, stream: str) -> Snapshot | None:
        """See `Log`."""
        return self._snapshots.get(stream) or self._store.load_snapshot(stream)

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

    def listen(self, listener: Listener) -> None:
        """See `Log`."""
        self._listeners.append(listener)

    def save_snapshot(self, stream: str, snapshot: Snapshot) -> None:
        """See `Log`."""
        self._snapshots[stream] = snapshot
        self._snapshots.move_to_end(stream)
        if len(self._snapshots) > SNAPSHOTS_WAITING_MAX:
            self._snapshots.popitem(last=False)

    async def _commit(self, orders: Sequence[Order]) -> Sequence[Outcome]:
        salts = self._salts(codec.SALT_BYTES * sum(len(order.events) for order in orders))
        batch = Batch(self._tip, self, self._clock.now_ms(), salts)
        outcomes = [batch.add(order) for order in orders]
        if batch.records:
            self._check_space(sum(order.size_bytes for order in orders))
            await self._make_durable(batch)
            self._publish(batch)
        return outcomes

    def _check_space(self, size_bytes: int) -> None:
        free_bytes = self._free_bytes()
        if free_bytes < DISK_FREE_BYTES_MIN + size_bytes:
            raise _disk_full(f"{free_bytes} bytes are free, Fleet keeps {DISK_FREE_BYTES_MIN} in reserve")

    def _is_full(self, error: lmdb.Error) -> bool:
        # LMDB calls a write that went half-way an I/O error: the space left tells which it was.
        text = str(error)
        return text.endswith(_FULL) or (text.endswith(_IO_ERROR) and self._free_bytes() < DISK_FREE_BYTES_MIN)

    async def _make_durable(self, batch: Batch) -> None:
        snapshots = dict(self._snapshots)
        while True:
            try:
                commit = self._store.begin_commit(batch, snapshots)
                await trio.to_thread.run_sync(commit, limiter=self._thread)
            except lmdb.MapFullError:
                self._store.grow()
            except lmdb.Error as error:
                if not self._is_full(error):
                    raise
                raise _disk_full(str(error)) from error
            else:
                break
        self._store.renew()
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

    def _read_tip(self) -> Tip:
        try:
            last = self._store.last_record()
            if last is None:
                return Tip(0, codec.GENESIS_DIGEST)
            record = codec.decode(last)
        except (lmdb.Error, codec.CorruptRecord, msgspec.MsgspecError) as error:
            raise StartupError(
                f"The event log is damaged at its end ({error}): restore the data directory from a backup."
            ) from error
        return Tip(record.header.position, record.digest)


def _free_bytes(path: Path) -> int:
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def _disk_full(why: str) -> Unavailable:
    return Unavailable(
        "disk_full",
        f"The disk of the event log is full: {why}.",
        hint="Free space on the disk of the data directory; nothing was lost, and Fleet goes on by itself.",
        retry_after_s=10,
    )
