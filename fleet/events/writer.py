"""The only writer of the log: it puts all waiting appends and erasures of its queue into one commit.

The queue is bounded, every append gets a result, and accepted appends are written before an orderly stop ends. Readers
and listeners see a commit at the same instant: after it is durable, and before its appenders continue. batch.py has the
rules of an append, lmdb_store.py the tables.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final

import lmdb
import outcome
import trio

from fleet.errors import Problem, Unavailable
from fleet.events.batch import Append, Batch, ErasedUpTo, ErasureBatch, Salts, Written
from fleet.events.codec import SALT_BYTES
from fleet.events.disk import Disk
from fleet.events.envelope import Appended
from fleet.events.lmdb_store import LmdbStore
from fleet.events.log import Listener, LogStatistics, OutcomeUnknown
from fleet.limits import (
    APPEND_QUEUE_BYTES_MAX,
    APPEND_QUEUE_MAX,
    BATCH_BYTES_MAX,
    BATCH_EVENTS_MAX,
    ERASE_PAGE_EVENTS,
    TRACE_LINKS_MAX,
)
from fleet.ports import Clock

if TYPE_CHECKING:
    from fleet.traces import Traces

_NOT_RUNNING: Final = "The event log's writer is not running."
_STOPPING: Final = "Fleet is shutting down: the event log accepts no more events."


class _Waiting:
    """An append in the queue, and the task that waits for it; None after that task was cancelled."""

    __slots__ = ("task", "write")

    def __init__(self, write: Append | ErasureBatch, task: trio.lowlevel.Task) -> None:
        self.write = write
        self.task: trio.lowlevel.Task | None = task

    def abandon(self, _: Callable[[], object]) -> trio.lowlevel.Abort:
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def resume(self, result: outcome.Outcome[Appended | ErasedUpTo]) -> None:
        if self.task is not None:
            trio.lowlevel.reschedule(self.task, result)
            self.task = None


class Writer:
    """The queue and its task. Any task may call `append`; a supervisor runs `run`; `stop` ends it in order."""

    def __init__(self, store: LmdbStore, disk: Disk, clock: Clock, *, salts: Salts, traces: "Traces | None") -> None:
        self._store = store
        self._disk = disk
        self._clock = clock
        self._salts = salts
        self._traces = traces
        self._thread = trio.CapacityLimiter(1)
        self._listeners: list[Listener] = []
        self._queue: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._wake = trio.Event()
        self._refusal: tuple[str, str] | None = ("log_unavailable", _NOT_RUNNING)
        self._stopping = False
        self._finds_disk_full = False  # as of the last append that needs space
        self._commits = 0
        self._appends = 0

    async def append(self, write: Append) -> Appended:
        """Wait until the append is durable. Raises as `Log.append` does."""
        appended: Appended = await self._submit(write)
        return appended

    async def erase(self, erasure: ErasureBatch) -> ErasedUpTo:
        """Wait until a page of a stream is erased durably. Raises as `Log.erase` does."""
        erased: ErasedUpTo = await self._submit(erasure)
        return erased

    async def _submit(self, write: Append | ErasureBatch) -> Any:
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._refusal is not None:
            raise Unavailable(*self._refusal, retry_after_s=1)
        if len(self._queue) >= APPEND_QUEUE_MAX or self._waiting_bytes + write.size_bytes > APPEND_QUEUE_BYTES_MAX:
            raise Unavailable(
                "overloaded", f"{len(self._queue)} appends already wait for the event log", retry_after_s=1
            )
        waiting = _Waiting(write, trio.lowlevel.current_task())
        self._queue.append(waiting)
        self._waiting_bytes += write.size_bytes
        self._wake.set()
        return await trio.lowlevel.wait_task_rescheduled(waiting.abandon)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until `stop` or cancellation, accepted appends first. Raises the error of a failed commit."""
        self._store.reload()
        self._stopping = False
        self._refusal = None
        task_status.started()
        try:
            while not self._stopping:
                await self._drain()
                self._wake = trio.Event()
                if not self._stopping:
                    await self._wake.wait()
        finally:
            self._refusal = self._refusal or ("stopping", _STOPPING)
            await self._drain()

    def stop(self) -> None:
        """Accept no more appends; `run` returns when the accepted ones are durable."""
        self._refusal = ("stopping", _STOPPING)
        self._stopping = True
        self._wake.set()

    def listen(self, listener: Listener) -> None:
        """Call the listener with each commit from now on."""
        self._listeners.append(listener)

    def statistics(self) -> LogStatistics:
        """Return the load."""
        waiting, shortage = len(self._queue), self._disk.shortage()
        return LogStatistics(
            waiting, self._waiting_bytes, self._commits, self._appends, shortage, refuses=self._finds_disk_full
        )

    async def _drain(self) -> None:
        # Shielded: a commit in a thread cannot be cancelled, and accepted appends must be written.
        with trio.CancelScope(shield=True):
            while self._queue:
                await self._write(self._take())

    def _take(self) -> list[_Waiting]:
        """Take waiting appends, at least one, up to the limits of a commit."""
        taken: list[_Waiting] = []
        events = size_bytes = 0
        while self._queue:
            write = self._queue[0].write
            events += len(write.events)
            size_bytes += write.size_bytes
            if taken and (events > BATCH_EVENTS_MAX or size_bytes > BATCH_BYTES_MAX):
                break
            taken.append(self._queue.popleft())
            self._waiting_bytes -= write.size_bytes
        return taken

    async def _write(self, batch: list[_Waiting]) -> None:
        try:
            with nullcontext() if self._traces is None else _span(self._traces, batch):
                results = await self._commit([waiting.write for waiting in batch])
        except Problem as problem:
            for waiting in batch:
                waiting.resume(outcome.Error(_copy(problem)))
        except BaseException as error:
            self._break(batch, error)
            raise
        else:
            self._commits += 1
            self._appends += len(batch)
            for waiting, result in zip(batch, results, strict=True):
                waiting.resume(_outcome(result))

    # -------------------------------------------------------------------------------------------------------- commits

    async def _commit(self, writes: Sequence[Append | ErasureBatch]) -> Sequence[Written]:
        """Make all of them durable in one commit; return the result of each. Raises `Problem` when none is durable."""
        refusal = self._find_refusal(writes)
        try:
            return await self._commit_unless(refusal, writes)
        except Unavailable as full:
            self._finds_disk_full = full.code == "disk_full"
            if refusal is not None or not any(write.on_full_disk for write in writes):
                raise
            return await self._commit_unless(full, writes)

    def _find_refusal(self, writes: Sequence[Append | ErasureBatch]) -> Unavailable | None:
        """Return the problem for appends that a full disk does not accept, None where the disk is not full."""
        size_bytes = sum(write.size_bytes for write in writes if not write.on_full_disk)
        if size_bytes:
            try:
                self._disk.check(size_bytes, self._store.reusable_bytes)
            except Unavailable as full:
                self._finds_disk_full = True
                return full
            self._finds_disk_full = False
        return None

    async def _commit_unless(
        self, refusal: Unavailable | None, writes: Sequence[Append | ErasureBatch]
    ) -> Sequence[Written]:
        """Make appends durable; with a `refusal`, which it may raise, only those that a full disk accepts."""
        salts = self._salts(SALT_BYTES * sum(len(write.events) for write in writes))
        batch = Batch(self._store, self._clock.now_ms(), salts, refusal)
        erased: dict[str, list[bytes]] = {}
        results: list[Written] = [
            batch.add(write) if isinstance(write, Append) else self._find_erased(write, erased) for write in writes
        ]
        if refusal is not None and all(result is refusal for result in results):
            raise refusal
        if batch.records or erased:
            await self._make_durable(batch, erased, on_full_disk=refusal is not None)
        if batch.records:
            for listener in self._listeners:
                listener(batch.recorded)
        return results

    def _find_erased(self, erasure: ErasureBatch, erased: dict[str, list[bytes]]) -> ErasedUpTo:
        """Add the keys of the events to erase to `erased`, by stream."""
        found = self._store.stream_positions(erasure.stream, erasure.after, ERASE_PAGE_EVENTS)
        keys = [key for key in found if int.from_bytes(key, "big") <= erasure.through]
        if keys:
            erased.setdefault(erasure.stream, []).extend(keys)
        return ErasedUpTo(int.from_bytes(keys[-1], "big") if len(keys) == ERASE_PAGE_EVENTS else erasure.through)

    async def _make_durable(self, batch: Batch, erased: Mapping[str, list[bytes]], *, on_full_disk: bool) -> None:
        while True:
            try:
                commit = self._store.begin_commit(batch, erased, snapshots=not on_full_disk)  # snapshots can wait
                await trio.to_thread.run_sync(commit, limiter=self._thread)
            except lmdb.MapFullError:
                self._store.grow()
            except lmdb.Error as error:
                if not self._disk.is_full(error):
                    raise
                if not (on_full_disk and self._disk.give_up_reserve()):
                    raise self._disk.full(str(error)) from error
            else:
                return self._store.finish_commit(batch, erased)

    def _break(self, batch: list[_Waiting], error: BaseException) -> None:
        """Resume all waiting tasks after the writer failed: the batch may be on disk, the rest is not."""
        self._refusal = ("log_unavailable", _NOT_RUNNING)
        for waiting in batch:
            unknown = OutcomeUnknown("the event log's writer failed during the commit")
            unknown.__cause__ = error
            waiting.resume(outcome.Error(unknown))
        while self._queue:
            self._queue.popleft().resume(outcome.Error(Unavailable(*self._refusal, retry_after_s=1)))
        self._waiting_bytes = 0


def _span(traces: "Traces", batch: list[_Waiting]) -> AbstractContextManager[object]:
    """Return the span of a commit, linked to the spans of its appends."""
    from fleet.traces import NOWHERE, span_of_task

    attributes = {
        "fleet.appends": len(batch),
        "fleet.events": sum(len(waiting.write.events) for waiting in batch),
        "fleet.bytes": sum(waiting.write.size_bytes for waiting in batch),
    }
    links = [span_of_task(waiting.task) for waiting in batch[:TRACE_LINKS_MAX] if waiting.task is not None]
    return traces.span("log commit", NOWHERE, attributes, links=links)


def _outcome(result: Written) -> outcome.Outcome[Appended | ErasedUpTo]:
    if isinstance(result, Problem):
        return outcome.Error(_copy(result))
    return outcome.Error(result) if isinstance(result, Exception) else outcome.Value(result)


def _copy(problem: Problem) -> Problem:
    """Return a copy of the problem: an exception that several tasks raise would collect the tracebacks of all."""
    return type(problem)(
        problem.code,
        problem.detail,
        field=problem.field,
        hint=problem.hint,
        retry_after_s=problem.retry_after_s,
        extra=problem.extra,
    )
