"""Keeps the index of sessions' streams up to date with the log (index_store.py).

A read indexes the events that its stream has got since, in pages with a checkpoint after each. `Indexing` does the same
for streams that have got many, so that a read finds only a few to index, however long the stream is. An index that
cannot be read or written is discarded, and made again in memory until the next start.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import structlog
import trio

from fleet.events.codec import CorruptRecord
from fleet.events.envelope import Recorded
from fleet.events.log import Log, undamaged
from fleet.events.times import LogTimes
from fleet.limits import FEED_PAGE_BYTES, FEED_PAGE_EVENTS, INDEX_FLUSH_EVENTS, INDEX_LAG_EVENTS
from fleet.projections.file_seals import FileSeal, remove
from fleet.projections.folds import Pages
from fleet.projections.history import InThread, RunSync
from fleet.projections.index_queries import IndexedStream, MarkKind
from fleet.projections.index_store import IndexStore

_logger = structlog.get_logger(__name__)
_PREFIX = "session-"

Found = TypeVar("Found")


class Indexed(NamedTuple):
    """One stream in the index, up to date. Use it before the next checkpoint."""

    store: IndexStore
    stream: IndexedStream

    def marks(self, kind: MarkKind, after: int, limit: int) -> list[int]:
        """Return the positions of the next events of a kind."""
        return self.store.marks(self.stream, kind, after, limit)


class Indexes:
    """The index over one log, in `file` (None: in memory). Any task may read.

    With a `seal` a file that is not of this log is not used.
    """

    def __init__(self, log: Log, file: Path | None = None, seal: FileSeal | None = None) -> None:
        self._log = log
        self._file = file
        self._seal = seal
        self._is_sealed = False
        self._index: IndexStore | None = None

    async def read(self, stream: str, query: Callable[[Indexed], Found]) -> Found | None:
        """Return what `query` finds for a stream, with all events that the log has; None for an erased stream.

        Raises `CorruptRecord` for a stream with a damaged event that is not indexed yet.
        """
        try:
            return await self._read(stream, query)
        except sqlite3.Error as error:
            self._discard(error)
            return await self._read(stream, query)

    async def _read(self, stream: str, query: Callable[[Indexed], Found]) -> Found | None:
        await self._catch_up(stream)
        if self._log.is_erased(stream):
            self.forget(stream)
            return None
        index = self._opened()
        return query(Indexed(index, index.stream(stream)))

    async def _catch_up(self, stream: str) -> None:
        """Index the new events of a stream. Two tasks may do so with the same stream at the same time."""
        while True:
            index = self._opened()
            page = self._log.read_stream(stream, index.stream(stream).position, FEED_PAGE_EVENTS, FEED_PAGE_BYTES)
            if not page:
                break
            index.apply(stream, undamaged(page))
            await trio.lowlevel.checkpoint()

    def connection(self) -> sqlite3.Connection | None:
        """Return the connection to the index, to compare its rows (replay_index.py); None before the first read."""
        return None if self._index is None else self._index.connection

    def forget(self, stream: str) -> None:
        """Remove an erased stream."""
        try:
            self._opened().forget(stream)
        except sqlite3.Error as error:
            self._discard(error)

    async def forget_erased(self) -> None:
        """Remove the streams that were erased after the file was sealed: a crash may have left an older file."""
        try:
            names = self._opened().names()
        except sqlite3.Error as error:
            self._discard(error)
            return
        for name in names:
            with suppress(CorruptRecord):  # a damaged stream stays: its readers get that
                if self._log.is_erased(name):
                    self.forget(name)
            await trio.lowlevel.checkpoint()

    def check(self) -> None:
        """Delete a file that is not of this log. It reads all of it, so it runs in a thread, before any read."""
        if self._seal is not None:
            try:
                self._is_sealed |= self._seal.require()  # only the first call says so
            except OSError as error:
                _logger.warning("index_not_checked", error=str(error))
                self._file = self._seal = None

    def _opened(self) -> IndexStore:
        if self._index is None:
            self.check()
            self._index = IndexStore(self._file, self._log.head(), self._seal)
        return self._index

    def _discard(self, why: sqlite3.Error | OSError) -> None:
        """Continue with an empty index in memory."""
        _logger.warning("index_discarded", error=str(why), kind=type(why).__name__)
        if self._index is not None:
            self._index.close()
            self._index = None
        try:
            remove(self._file)
        except OSError as error:
            _logger.warning("index_not_removed", error=str(error))
        self._file = self._seal = None

    def load_times(self) -> Sequence[tuple[int, int]]:
        """Return the times of the log's blocks. Fits `KeptTimes`."""
        try:
            return self._opened().times()
        except sqlite3.Error as error:
            self._discard(error)
            return ()

    def save_times(self, first: int, times: Sequence[tuple[int, int]]) -> None:
        """Store times of the log's blocks. Fits `KeptTimes`."""
        try:
            self._opened().save_times(first, times)
        except sqlite3.Error as error:
            self._discard(error)

    def flush(self) -> Callable[[], None] | None:
        """Return what flushes the index's journal: due after enough events, and for a file that has no seal."""
        try:
            index = self._opened()
        except (sqlite3.Error, OSError) as error:
            self._discard(error)
            return None
        if index.writes < INDEX_FLUSH_EVENTS and (self._seal is None or self._is_sealed):
            return None
        index.writes = 0
        self._is_sealed = True
        return partial(index.flush, None if self._seal is None else self._seal.now())

    def close(self) -> Callable[[], None] | None:
        """Close the file; the next read opens it again. Return what seals it."""
        if self._index is None:
            return None
        self._index.close()
        self._index = None
        return None if self._seal is None else partial(self._seal.put, self._seal.now())


class Indexing:
    """Indexes streams that have got many events, and the times of the log.

    `run` fits a `ChildSpec`; `run_sync` None flushes in a thread.
    """

    def __init__(self, indexes: Indexes, times: LogTimes, log: Log, run_sync: RunSync | None = None) -> None:
        self._indexes = indexes
        self._times = times
        self._run_sync: RunSync = run_sync or InThread()
        self._waiting: dict[str, int] = {}
        self._wanted = trio.Event()
        log.listen(self._on_commit)

    def _on_commit(self, commit: Sequence[Recorded]) -> None:
        for recorded in commit:
            if recorded.stream.startswith(_PREFIX):
                waiting = self._waiting[recorded.stream] = self._waiting.get(recorded.stream, 0) + 1
                if waiting >= INDEX_LAG_EVENTS:
                    self._wanted.set()

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Index until `stopping`, then close the file."""
        await self._run_sync(self._indexes.check)
        task_status.started()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_when, stopping, nursery.cancel_scope)
                await self._indexes.forget_erased()
                await self._flush()  # from now on a kill leaves a file with a seal
                while True:
                    await self._wanted.wait()
                    self._wanted = trio.Event()
                    for stream in [each for each, count in self._waiting.items() if count >= INDEX_LAG_EVENTS]:
                        del self._waiting[stream]
                        with suppress(CorruptRecord):  # its readers get that
                            await self._indexes.read(stream, lambda _: None)
                    await self._times.extend()
                    await self._flush()
        finally:
            seal = self._indexes.close()
            if seal is not None:
                with trio.CancelScope(shield=True):
                    await self._sealed(seal)

    async def _flush(self) -> None:
        flush = self._indexes.flush()
        if flush is not None:
            await self._sealed(flush)

    async def _sealed(self, work: Callable[[], None]) -> None:
        try:
            await self._run_sync(work)
        except (sqlite3.Error, OSError) as error:
            _logger.warning("index_not_flushed", error=str(error))


def marked_pages(log: Log, indexes: Indexes, kind: MarkKind) -> Pages:
    """Return what reads the events of a kind for a fold."""

    async def read(stream: str, after: int) -> Sequence[Recorded]:
        positions = await indexes.read(stream, lambda found: found.marks(kind, after, FEED_PAGE_EVENTS))
        return undamaged(log.read_events(positions or (), FEED_PAGE_BYTES))

    return read


async def _cancel_when(stopping: trio.Event, scope: trio.CancelScope) -> None:
    await stopping.wait()
    scope.cancel()
