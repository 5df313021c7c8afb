"""The history: all sessions, searchable by what was said in them (`GET /sessions/history`).

SQLite runs in one thread at a time, and the event loop never waits for it. A search includes every command that has
been answered; if the model has not caught up after `HISTORY_CATCH_UP_S`, the search uses the model as it is. The model
is disposable: it is rebuilt from the log, so its errors never stop anything else.

history_store.py has the model, history_search.py searches it. history_vocabulary.py has the parts of words,
history_query.py the query, history_text.py the searched texts, and history_page.py the result.
"""

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import structlog
import trio

from fleet.errors import Unavailable
from fleet.events.envelope import Recorded
from fleet.events.feed import Feed, FeedReader
from fleet.events.log import Log
from fleet.limits import HISTORY_CATCH_UP_S, HISTORY_LAG_S, RESTART_BACKOFF_FIRST_S, RESTART_BACKOFF_MAX_S
from fleet.projections.file_seals import FileSeal
from fleet.projections.history_page import HistoryPage
from fleet.projections.history_query import HistorySearch
from fleet.projections.history_store import HistoryStore

_logger = structlog.get_logger(__name__)

T = TypeVar("T")


class RunSync(Protocol):
    """Runs `work` and returns its result: in a thread, or inline in simulations."""

    async def __call__(self, work: Callable[[], T], /) -> T:
        """Run."""
        ...


class InThread:
    """Runs work in a thread, one at a time."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(1)

    async def __call__(self, work: Callable[[], T], /) -> T:
        """Run."""
        return await trio.to_thread.run_sync(work, limiter=self._limiter)


async def inline(work: Callable[[], T], /) -> T:
    """Run work in the calling task: a `RunSync` for simulations."""
    await trio.lowlevel.checkpoint()
    return work()


class History:
    """The history of a log, in `file` (None: in memory). `run` fits a `ChildSpec`; `search` from any task."""

    def __init__(
        self, log: Log, feed: Feed, file: Path | None, *, run_sync: RunSync | None = None, seal: FileSeal | None = None
    ) -> None:
        self._log = log
        self._feed = feed
        self._store = HistoryStore(file, seal)
        self._seal = seal
        self._run_sync: RunSync = run_sync or InThread()
        self._position = -1
        self._advanced = trio.Event()
        self._wanted = trio.Event()
        self._following = trio.CancelScope()
        self._damage: sqlite3.Error | None = None

    @property
    def position(self) -> int:
        """The log position that the model has reached, -1 before it is open."""
        return self._position

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow the log until `stopping`; errors of SQLite are logged, and the work is tried again."""
        task_status.started()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_when, stopping, nursery.cancel_scope)
                while True:
                    try:
                        await self._follow()
                    except (sqlite3.Error, OSError) as error:
                        await self._recover(error)
        finally:
            self._position = -1
            with trio.CancelScope(shield=True):
                await self._close()

    async def _close(self) -> None:
        end = None if self._seal is None else self._seal.now()
        try:
            await self._run_sync(partial(self._store.close, end))
        except (sqlite3.Error, OSError) as error:
            _logger.warning("history_not_sealed", error=str(error))

    async def search(self, query: HistorySearch) -> HistoryPage:
        """Return the sessions that `query` finds, newest first.

        Raises `Rejected` invalid for a query beyond the limits, `Unavailable` timed_out while the model is rebuilt.
        """
        query.check()
        head = self._log.head()
        with trio.move_on_after(HISTORY_CATCH_UP_S):
            while self._position < head:
                self._wanted.set()
                await self._advanced.wait()
        try:
            return await self._run_sync(partial(self._store.search, query))
        except sqlite3.Error as error:
            _logger.warning("history_not_searched", error=str(error))
            if _is_damage(error):
                self._damage = error
                self._following.cancel()
            raise Unavailable(
                "timed_out", "the history cannot be searched now: it is being rebuilt", retry_after_s=2
            ) from error

    async def _follow(self) -> None:
        """Open the model and apply events to it until a search finds it damaged."""
        with trio.CancelScope() as self._following:
            self._advance(await self._run_sync(partial(self._store.open, self._log.head())))
            async with self._feed.subscribe(after=self._position) as reader:
                behind = True
                async for read in reader:
                    # An event on a quiet log waits for those that follow it: many together cost little more than one,
                    # and a prompt that was just accepted goes out before its words are indexed.
                    batch = read if behind else [*read, *(await self._later(reader))]
                    own = [recorded for recorded in batch if recorded.stream.startswith("session-")]
                    if own:
                        await self._run_sync(partial(self._store.apply, own, own[-1].position))
                    if self._store.is_flush_due(caught_up=reader.caught_up):
                        end = self._seal.now() if self._seal is not None and reader.caught_up else None
                        await self._run_sync(partial(self._store.flush, end))
                    self._advance(max(self._position, reader.cursor))
                    behind = not reader.caught_up
                    self._wanted = trio.Event()
        if self._damage is not None:
            damage, self._damage = self._damage, None
            raise damage

    async def _later(self, reader: FeedReader) -> list[Recorded]:
        """Wait until the events that were read are late or a search wants them; return those that came meanwhile."""
        with trio.move_on_after(HISTORY_LAG_S):
            await self._wanted.wait()
        return reader.poll() or []

    def _advance(self, position: int) -> None:
        self._position = position
        self._advanced.set()
        self._advanced = trio.Event()

    async def _recover(self, error: Exception) -> None:
        """Rebuild the model when it is damaged; wait before a retry after other errors, such as a full disk."""
        _logger.warning("history_failed", error=str(error), kind=type(error).__name__)
        self._position = -1
        try:
            await self._run_sync(self._store.remove if _is_damage(error) else self._store.close)
        except OSError as second:
            _logger.warning("history_not_removed", error=str(second))
        await trio.sleep(RESTART_BACKOFF_FIRST_S if _is_damage(error) else RESTART_BACKOFF_MAX_S)


def _is_damage(error: Exception) -> bool:
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)


async def _cancel_when(stopping: trio.Event, scope: trio.CancelScope) -> None:
    await stopping.wait()
    scope.cancel()
