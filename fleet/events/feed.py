"""The feed follows the log from any cursor without gaps, first from disk and then from new commits.

The log is read in bounded pages with a checkpoint after each. Commits are pushed only to the readers that they concern,
and a slow reader costs no more than its buffer. core/subscription.py decides which event is delivered when.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec
import trio

from fleet.core.subscription import LogSubscription, SubscriptionPhase
from fleet.events.envelope import Recorded
from fleet.events.log import Log
from fleet.limits import FEED_BUFFER_BYTES_MAX, FEED_BUFFER_EVENTS_MAX, FEED_PAGE_BYTES, FEED_PAGE_EVENTS

Filter = str | Callable[[Recorded], bool] | None
"""One stream by name (found by index), the events that a predicate accepts, or all."""


class ReaderStatistics(msgspec.Struct, frozen=True):
    """A reader's progress: its phase, cursor, buffered events, positions behind, and how often it was too slow."""

    phase: str
    cursor: int
    waiting: int
    behind: int
    saturations: int


class FeedReader:
    """An open subscription. Iterate it in one task to get lists of all waiting events.

    The list that brings the reader up to date may be empty; `caught_up` then says that the next events are live. Raises
    `UnreadableEvent` when the log holds an event of a newer Fleet.
    """

    def __init__(self, log: Log, after: int, only: Filter, buffer: int, wake: Callable[[], None] | None) -> None:
        self._log = log
        self._on_push = wake
        self._only = only
        self._machine: LogSubscription[Recorded] = LogSubscription(after, log.head(), buffer, FEED_BUFFER_BYTES_MAX)
        self._wake = trio.Event()
        self._saturations = 0

    @property
    def caught_up(self) -> bool:
        """Whether the reader has received everything that is durable now."""
        return self._machine.caught_up

    @property
    def saturated(self) -> bool:
        """Whether the reader was too slow: its waiting events were dropped, and the next `poll` reads the log again."""
        return self._machine.phase is SubscriptionPhase.SATURATED

    @property
    def cursor(self) -> int:
        """The position to resume from: all events up to it were delivered or do not concern the reader."""
        return self._machine.cursor

    def statistics(self) -> ReaderStatistics:
        """Return the reader's progress."""
        machine = self._machine
        behind = max(0, self._log.head() - machine.cursor)
        return ReaderStatistics(machine.phase.value, machine.cursor, machine.waiting, behind, self._saturations)

    def __aiter__(self) -> AsyncIterator[list[Recorded]]:
        return self

    async def __anext__(self) -> list[Recorded]:
        while True:
            await trio.lowlevel.checkpoint()
            batch = self.poll()
            if batch is None:
                self._wake = trio.Event()
                await self._wake.wait()
            elif batch or self._machine.caught_up:
                return batch

    def poll(self) -> list[Recorded] | None:
        """Return at most a page of the next events without waiting; None where there are none now.

        After an empty list, poll again. For a task that also waits for other things and passed `wake` to `subscribe`.
        """
        if self._machine.needs_page:
            return self._read_page()
        return self._machine.take() or None

    def _read_page(self) -> list[Recorded]:
        only, after = self._only, self._machine.cursor
        if isinstance(only, str):
            page = self._log.read_stream(only, after, FEED_PAGE_EVENTS, FEED_PAGE_BYTES)
        else:
            page = self._log.read_all(after, FEED_PAGE_EVENTS, FEED_PAGE_BYTES)
        cut = len(page) == FEED_PAGE_EVENTS or sum(event.size_bytes for event in page) >= FEED_PAGE_BYTES
        through = page[-1].position if cut else self._log.head()
        return self._machine.page(through, self._filter(page))

    def _filter(self, events: Sequence[Recorded]) -> Sequence[Recorded]:
        return [event for event in events if self._only(event)] if callable(self._only) else events

    def _push(self, before: int, through: int, events: Sequence[Recorded]) -> None:
        was = self._machine.phase
        self._machine.push(before, through, self._filter(events))
        if was is not SubscriptionPhase.SATURATED and self._machine.phase is SubscriptionPhase.SATURATED:
            self._saturations += 1
        self._wake.set()
        if self._on_push is not None:
            self._on_push()

    def _push_stream(self, before: int, through: int, events: Sequence[Recorded]) -> None:
        # Commits that do not concern the stream were not pushed.
        self._machine.skip(before)
        self._push(before, through, events)


class Feed:
    """Delivers each commit of a log to its readers."""

    def __init__(self, log: Log) -> None:
        self._log = log
        # Dicts as ordered sets: a simulation wakes readers in the same order every time.
        self._readers: dict[FeedReader, None] = {}
        self._by_stream: dict[str, dict[FeedReader, None]] = {}
        self._saturations_before = 0
        log.listen(self._on_commit)

    @asynccontextmanager
    async def subscribe(
        self,
        *,
        after: int,
        stream: Filter = None,
        buffer: int = FEED_BUFFER_EVENTS_MAX,
        wake: Callable[[], None] | None = None,
    ) -> AsyncGenerator[FeedReader, None]:
        """Follow the log beyond position `after`; `stream` restricts the events; `buffer` is in events.

        The subscription misses nothing from this call on, even if it is iterated later. `wake()` is called when there
        may be something to `poll`.
        """
        reader = FeedReader(self._log, after, stream, buffer, wake)
        if isinstance(stream, str):
            self._by_stream.setdefault(stream, {})[reader] = None
        else:
            self._readers[reader] = None
        try:
            yield reader
        finally:
            self._forget(reader, stream)

    def statistics(self) -> list[ReaderStatistics]:
        """Return the progress of each reader."""
        readers = [*self._readers, *(reader for group in self._by_stream.values() for reader in group)]
        return [reader.statistics() for reader in readers]

    @property
    def saturations(self) -> int:
        """How often readers were too slow, including those that have closed."""
        return self._saturations_before + sum(reader.saturations for reader in self.statistics())

    def _forget(self, reader: FeedReader, stream: Filter) -> None:
        self._saturations_before += reader.statistics().saturations
        if not isinstance(stream, str):
            del self._readers[reader]
            return
        group = self._by_stream[stream]
        del group[reader]
        if not group:
            del self._by_stream[stream]

    def _on_commit(self, events: Sequence[Recorded]) -> None:
        before, through = events[0].position - 1, events[-1].position
        for reader in self._readers:
            reader._push(before, through, events)
        if not self._by_stream:
            return
        concerned: dict[str, list[Recorded]] = {}
        for event in events:
            if event.stream in self._by_stream:
                concerned.setdefault(event.stream, []).append(event)
        for stream, own in concerned.items():
            for reader in self._by_stream[stream]:
                reader._push_stream(before, through, own)
