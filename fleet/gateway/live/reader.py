"""The path of one live reader through events and signals, for every protocol, and the list of open streams.

A reader gets every logged event once, in order, from its cursor on; signals that are superseded anyway, before the
events that wait with them; and a snapshot of what is in flight at first, and again after signals were dropped. So what
a reader shows never depends on a signal that it missed.
"""

from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple

import msgspec
import trio

from fleet.actors.fleet import Fleet
from fleet.core.session.state import status_of
from fleet.errors import Unavailable
from fleet.events.envelope import Recorded
from fleet.events.feed import FeedReader, Filter
from fleet.limits import HEARTBEAT_S, STREAM_WRITE_S, STREAM_WRITERS_MAX, STREAMS_OPEN_MAX
from fleet.projections.inflight import Reader, Signal

_RETRY_S = 5


class StreamWriter:
    """Gives one open stream its turns to write; made by `Streams.opened`."""

    def __init__(self, streams: "Streams") -> None:
        self._streams = streams
        self._in_line = False
        self._silent = False
        self._released = trio.Event()

    def wake(self) -> None:
        """Ask for a turn, because something may wait. However often this is called, the stream's task runs once."""
        if not self._in_line:
            self._in_line = True
            self._streams._line.append(self)
            self._streams._asked.set()

    async def turn(self) -> bool:
        """Wait for the turn to write; return False where none was asked for in `HEARTBEAT_S`."""
        quiet = self._streams._quiet
        quiet[self] = trio.current_time() + HEARTBEAT_S
        self._streams._waited.set()
        try:
            await self._released.wait()
        finally:
            del quiet[self]
        self._released = trio.Event()
        silent, self._silent = self._silent, False
        return not silent

    def release(self) -> None:
        """Let the stream run: its wait for a turn is over, or its next one is."""
        self._in_line = self._silent = False
        self._released.set()

    def beat(self) -> None:
        """Let the stream show that it lives, unless it runs anyway."""
        if not self._released.is_set():
            self._silent = True
            self._released.set()


class Streams:
    """The open streams of a listener: how many there are, whose turn it is to write, and that they end when it closes.

    Everything runs on one event loop. A thousand readers that all write at one pass of it would delay everything else,
    the log's writer first: so they take turns, a few at a pass, in the order in which they came. Where many wait, the
    next round begins `STREAM_WRITE_S` for each later, and writes all that has come by then. `run` has to run.
    """

    def __init__(self) -> None:
        self.closing = False
        self._writers: dict[StreamWriter, None] = {}
        self._line: deque[StreamWriter] = deque()
        self._asked = trio.Event()
        self._quiet: dict[StreamWriter, float] = {}  # those that wait for a turn, and when each is due for a heartbeat
        self._waited = trio.Event()

    async def run(self) -> None:
        """Let the streams that wait take their turns, without an end."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._beat)
            while True:
                await self._asked.wait()
                await self._round(len(self._line))
                if not self._line:
                    self._asked = trio.Event()

    async def _round(self, count: int) -> None:
        next_s = trio.current_time() + count * STREAM_WRITE_S
        for number in range(1, count + 1):
            self._line.popleft().release()
            if number % STREAM_WRITERS_MAX == 0 or number == count:
                await trio.lowlevel.checkpoint()
        if count > STREAM_WRITERS_MAX:
            await trio.sleep_until(next_s)

    async def _beat(self) -> None:
        """Let those through that have had nothing to write for `HEARTBEAT_S`."""
        while True:
            await self._waited.wait()
            while self._quiet:
                await trio.sleep_until(next(iter(self._quiet.values())))
                now_s = trio.current_time()
                for writer in [each for each, due_s in self._quiet.items() if due_s <= now_s]:
                    writer.beat()
                await trio.lowlevel.checkpoint()
            self._waited = trio.Event()

    def close(self) -> None:
        """Let every stream end, at this moment."""
        self.closing = True
        for writer in self._writers:
            writer.release()

    def check(self) -> None:
        """Raise `Unavailable` overloaded where there can be no further one."""
        if len(self._writers) >= STREAMS_OPEN_MAX:
            raise Unavailable(
                "overloaded",
                f"{STREAMS_OPEN_MAX} event streams are open",
                hint="One WebSocket (/api/ws) can follow many sessions.",
                retry_after_s=_RETRY_S,
            )

    @contextmanager
    def opened(self) -> Generator[StreamWriter]:
        """Count a stream while the block runs, and give it a writer. Raises `Unavailable` stopping or overloaded."""
        if self.closing:
            raise Unavailable("stopping", "Fleet is shutting down", retry_after_s=_RETRY_S)
        self.check()
        writer = StreamWriter(self)
        self._writers[writer] = None
        try:
            yield writer
        finally:
            del self._writers[writer]


class Waiting(NamedTuple):
    """All that waits for a reader. `snapshot` is JSON and comes first; with one, there are no signals."""

    snapshot: bytes | None
    signals: Sequence[Signal]
    events: Sequence[Recorded]


class Reading:
    """An open reader of events and, unless `signals` is None, of signals; made by `reading`."""

    def __init__(
        self, fleet: Fleet, session_ids: frozenset[str] | None, feed: FeedReader, signals: Reader | None
    ) -> None:
        self._fleet = fleet
        self._session_ids = session_ids
        self._signals = signals
        self._snapshot_due = signals is not None
        self.feed = feed

    def take(self) -> Waiting | None:
        """Return all that waits, at most a page of events; None where nothing waits. Ask until it says so."""
        events = self.feed.poll()
        if self._signals is None:
            return None if events is None else Waiting(None, (), events)
        signals = self._signals.take()
        if self._signals.lagging or self._snapshot_due:
            self._signals.lagging = self._snapshot_due = False
            return Waiting(self._snapshot(), (), events or ())
        return Waiting(None, signals, events or ()) if signals or events is not None else None

    @property
    def idle(self) -> bool:
        """Whether there was nothing more to take by now."""
        waiting = 0 if self._signals is None else self._signals.waiting
        return self.feed.caught_up and not self._snapshot_due and not waiting

    def _snapshot(self) -> bytes:
        in_flight = self._fleet.inflight.snapshot(self._session_ids)
        sessions: list[dict[str, Any]] = []
        for session_id, parts in in_flight.items():
            state = self._fleet.views.sessions.get(session_id)
            status = None if state is None else status_of(state)
            sessions.append({"sessionId": session_id, "status": status, "parts": parts})
        return msgspec.json.encode({"position": self._fleet.log.head(), "sessions": sessions})


@asynccontextmanager
async def reading(
    fleet: Fleet, session_ids: frozenset[str] | None, after: int, wake: Callable[[], None], *, signals: bool = True
) -> AsyncGenerator[Reading]:
    """Follow these sessions, or everything, beyond position `after`; `wake()` is called when something may wait.

    Without `signals` there are events alone: neither what is being written, nor snapshots of it.
    """
    only: Filter = None
    if session_ids is not None:
        streams = frozenset(map(fleet.views.sessions.stream, session_ids))
        only = next(iter(streams)) if len(streams) == 1 else lambda event: event.stream in streams
    async with fleet.feed.subscribe(after=after, stream=only, wake=wake) as feed:
        if not signals:
            yield Reading(fleet, session_ids, feed, None)
            return
        with fleet.inflight.read(session_ids, wake) as reader:
            yield Reading(fleet, session_ids, feed, reader)
