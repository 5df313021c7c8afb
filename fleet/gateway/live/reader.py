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
from fleet.limits import STREAM_WRITERS_MAX, STREAMS_OPEN_MAX
from fleet.projections.inflight import Reader, Signal

_RETRY_S = 5


class Streams:
    """The open streams of a door: how many there are, whose turn it is to write, and that they end when it closes.

    Everything runs on one event loop. A thousand readers that all write at one pass of it would delay everything else,
    the log's writer first: so they take turns, a few at a pass, in the order in which they came. `run` has to run.
    """

    def __init__(self) -> None:
        self.closing = False
        self._wakes: dict[Callable[[], None], None] = {}
        self._line: deque[trio.Event] = deque()
        self._somebody = trio.Event()

    async def run(self) -> None:
        """Let the streams that wait take their turns, without an end."""
        while True:
            await self._somebody.wait()
            while self._line:
                for _ in range(min(len(self._line), STREAM_WRITERS_MAX)):
                    self._line.popleft().set()
                await trio.lowlevel.checkpoint()
            self._somebody = trio.Event()

    async def turn(self) -> None:
        """Wait for the turn to write."""
        mine = trio.Event()
        self._line.append(mine)
        self._somebody.set()
        await mine.wait()

    def close(self) -> None:
        """Let every stream end, at this moment."""
        self.closing = True
        for wake in self._wakes:
            wake()

    def check(self) -> None:
        """Raise `Unavailable` overloaded where there can be no further one."""
        if len(self._wakes) >= STREAMS_OPEN_MAX:
            raise Unavailable(
                "overloaded",
                f"{STREAMS_OPEN_MAX} event streams are open",
                hint="one WebSocket (/api/ws) can follow many sessions",
                retry_after_s=_RETRY_S,
            )

    @contextmanager
    def opened(self, wake: Callable[[], None]) -> Generator[None]:
        """Count a stream while the block runs; `wake()` is called when the gateway closes.

        Raises `Unavailable` stopping or overloaded.
        """
        if self.closing:
            raise Unavailable("stopping", "Fleet is shutting down", retry_after_s=_RETRY_S)
        self.check()
        self._wakes[wake] = None
        try:
            yield
        finally:
            del self._wakes[wake]


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
