"""The fleet view: the items of all sessions that a page lists, encoded once for all readers, resumable by position.

A session that has changed is released to the readers at once, and again after `FLEET_ITEM_INTERVAL_S` at the earliest.
States in between are skipped; the newest state is always sent. A reader keeps the newest item of each session that it
has not written yet, so its memory is bounded by the number of sessions.

A reader may resume from the position of any frame: everything up to it has been sent. While a view begins, and as long
as an older change waits, that position is older than the change in the frame.
"""

from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from heapq import heappop, heappush

import msgspec
import trio

from fleet.actors.fleet import Fleet
from fleet.core.session.state import State
from fleet.gateway.items.session import SessionItems
from fleet.limits import FLEET_ENDED_S, FLEET_ITEM_INTERVAL_S, FLEET_PAGE_ITEMS, FLEET_WAITING_MAX, SOCKET_WRITE_BYTES

_encode = msgspec.json.Encoder().encode


class FleetView:
    """Watches all sessions and releases those that have changed. `run` has to run."""

    def __init__(self, fleet: Fleet, items: SessionItems) -> None:
        self._fleet = fleet
        self._items = items
        self._readers: dict[FleetReader, None] = {}
        self._waiting: dict[str, int] = {}  # sessions that are not released yet, by their first change
        self._due: list[tuple[float, str]] = []  # a heap of the same sessions
        self._released_s: dict[str, float] = {}
        self._work = trio.Event()

    async def run(self) -> None:
        """Release what has changed, until it is cancelled."""
        with self._fleet.touched.follow(self):
            while True:
                self._release()
                with trio.move_on_at(self._due[0][0] if self._due else float("inf")):
                    await self._work.wait()
                self._work = trio.Event()

    @contextmanager
    def read(self, after: int | None, wake: Callable[[], None]) -> Generator["FleetReader"]:
        """Read the view, with `after` only what has changed since; `wake()` is called when something waits."""
        reader = FleetReader(self, self._fleet, self._items, after, wake)
        self._readers[reader] = None
        try:
            yield reader
        finally:
            del self._readers[reader]

    @property
    def readers(self) -> int:
        """How many readers there are."""
        return len(self._readers)

    @property
    def through(self) -> int:
        """Everything up to this position is released."""
        return next(iter(self._waiting.values())) - 1 if self._waiting else self._fleet.log.head()

    def is_shown(self, state: State) -> bool:
        """Return whether the view has the session: it has not ended, or not long ago."""
        ended_at_ms = state.ended_at_ms
        return ended_at_ms is None or ended_at_ms > self._fleet.context.clock.now_ms() - FLEET_ENDED_S * 1000

    # ---------------------------------------------------------------------------------------------------- a `Follower`

    def touched(self, session_id: str, position: int) -> None:
        """A session has changed: it is released as soon as it may be."""
        if self._fleet.views.sessions.get(session_id) is None:
            self._items.forget(session_id)
        if not self._readers or session_id in self._waiting:
            return
        self._waiting[session_id] = position
        due_s = max(trio.current_time(), self._released_s.get(session_id, 0.0) + FLEET_ITEM_INTERVAL_S)
        heappush(self._due, (due_s, session_id))
        self._work.set()

    def others(self) -> None:
        """The view shows sessions alone."""

    def _release(self) -> None:
        now_s = trio.current_time()
        while self._due and self._due[0][0] <= now_s:
            session_id = heappop(self._due)[1]
            del self._waiting[session_id]
            self._released_s.pop(session_id, None)
            self._released_s[session_id] = now_s
            self._give(session_id)
        while self._released_s and next(iter(self._released_s.values())) <= now_s - FLEET_ITEM_INTERVAL_S:
            del self._released_s[next(iter(self._released_s))]

    def _give(self, session_id: str) -> None:
        state = self._fleet.views.sessions.get(session_id)
        if state is not None and not self.is_shown(state):
            return
        body = None if state is None else self._items.encoded(state)
        for reader in self._readers:
            reader.put(session_id, body)


class FleetReader:
    """One reader of the view. Its frames are `items`, `item`, `gone` and, once, `live`; `drain` gives them."""

    def __init__(
        self, view: FleetView, fleet: Fleet, items: SessionItems, after: int | None, wake: Callable[[], None]
    ) -> None:
        self._view = view
        self._fleet = fleet
        self._items = items
        self._wake = wake
        since = None if after is None else fleet.touched.since(after)
        self._reset = since is None
        self.position = 0 if after is None or since is None else after
        self._began = fleet.log.head()
        changed = list(fleet.views.sessions) if since is None else map(fleet.views.sessions.get, since.changed)
        shown = [state.id for state in changed if state is not None and view.is_shown(state)]
        self._first: deque[str] | None = deque(sorted(shown, reverse=True))
        self._waiting: dict[str, bytes | None] = {} if since is None else dict.fromkeys(since.erased)
        self._live = False
        self._is_full = False

    def put(self, session_id: str, body: bytes | None) -> None:
        """Take a session that was released, None where it was erased; or fall behind."""
        if len(self._waiting) >= FLEET_WAITING_MAX and session_id not in self._waiting:
            self._waiting.clear()
            self._is_full = True
        if not self._is_full:
            self._waiting[session_id] = body
        self._wake()

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        return self._live and not self._waiting and not self._is_full

    @property
    def lags(self) -> int | None:
        """Where to resume from, once too much has waited: nothing comes any more. None as long as it keeps up."""
        return self.position if self._is_full else None

    def drain(self, named: bytes) -> list[bytes]:
        """Return the next frames, a page at most; `named` is the subscription's id as JSON."""
        if self._first is not None:
            return [self._page(named, self._first)]
        frames = self._changes(named)
        if not self._live and not self._waiting:
            self._live = True
            self._told()
            frames.append(b'{"type":"live","id":%s,"position":%d}' % (named, self.position))
        return frames

    def _page(self, named: bytes, first: deque[str]) -> bytes:
        ids = [first.popleft() for _ in range(min(FLEET_PAGE_ITEMS, len(first)))]
        states = map(self._fleet.views.sessions.get, ids)
        bodies = [self._items.encoded(state) for state in states if state is not None]
        if not first:
            self._first = None
            self._told()
        head = b'{"type":"items","id":%s,"position":%d,"sessions":[' % (named, self.position)
        tail = b'],"more":%s,"reset":%s}' % (_encode(bool(first)), _encode(self._reset))
        self._reset = False
        return head + b",".join(bodies) + tail

    def _changes(self, named: bytes) -> list[bytes]:
        frames: list[bytes] = []
        size_bytes = 0
        while self._waiting and size_bytes < SOCKET_WRITE_BYTES:
            session_id = next(iter(self._waiting))
            body = self._waiting.pop(session_id)
            self._told()
            frames.append(self._frame(named, session_id, body))
            size_bytes += len(frames[-1])
        return frames

    def _told(self) -> None:
        """Move the position on, where nothing waits any more that is older."""
        if self._first is None and not self._waiting:
            self.position = max(self.position, self._began, self._view.through)

    def _frame(self, named: bytes, session_id: str, body: bytes | None) -> bytes:
        if body is None:
            gone = b'{"type":"gone","id":%s,"position":%d,"sessionId":%s}'
            return gone % (named, self.position, _encode(session_id))
        return b'{"type":"item","id":%s,"position":%d,"session":%s}' % (named, self.position, body)
