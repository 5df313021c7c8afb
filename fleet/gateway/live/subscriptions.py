"""The subscriptions of a WebSocket: the events of sessions, the fleet view, and the inbox view.

A connection drains its subscriptions when it has room for frames; each says whether more waits.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Protocol

import msgspec
import trio

from fleet.actors.fleet import Fleet
from fleet.errors import Rejected
from fleet.gateway.hypercorn.websocket import text_frame
from fleet.gateway.items.session import SessionItems
from fleet.gateway.live.fleet_view import FleetView
from fleet.gateway.live.frames import Frames
from fleet.gateway.live.inbox_view import InboxView
from fleet.gateway.live.reader import Reading, reading
from fleet.gateway.server.requests import check_cursor
from fleet.wire import sockets as w

_encode = msgspec.json.Encoder().encode


class Subscription(Protocol):
    """One subscription of a connection."""

    def drain(self) -> tuple[bytes, bool]:
        """Return all that waits, a page at most, and whether it continues: one that lags has ended."""
        ...

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        ...

    async def close(self) -> None:
        """Follow no longer."""
        ...


class LiveViews:
    """The views that the server folds for all readers. `run` has to run."""

    def __init__(self, fleet: Fleet, items: SessionItems) -> None:
        self.fleet = FleetView(fleet, items)
        self.inbox = InboxView(fleet)

    async def run(self) -> None:
        """Notify their readers of changes until it is cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.fleet.run)
            nursery.start_soon(self.inbox.run)


class Subscriptions:
    """Opens subscriptions, over one Fleet."""

    def __init__(self, fleet: Fleet, frames: Frames, live: LiveViews) -> None:
        self._fleet = fleet
        self._frames = frames
        self._live = live

    async def open(self, frame: w.Subscribe, wake: Callable[[], None]) -> Subscription:
        """Follow what the frame names; `wake()` is called when something waits.

        Raises `Rejected` invalid and session_not_found.
        """
        if (frame.view is msgspec.UNSET) == (frame.sessions is msgspec.UNSET):
            raise Rejected("invalid", "give either sessions or a view", field="sessions")
        stack = AsyncExitStack()
        if frame.view == "fleet":
            return ViewSubscription(frame.id, stack.enter_context(self._live.fleet.read(frame.after, wake)), stack)
        if frame.view == "inbox":
            return ViewSubscription(frame.id, stack.enter_context(self._live.inbox.read(wake)), stack)
        after = self._fleet.log.head() if frame.after is None else check_cursor(self._fleet, frame.after)
        sessions = None
        if isinstance(frame.sessions, list):
            sessions = frozenset(self._fleet.sessions.session(each).id for each in frame.sessions)
        follow = await stack.enter_async_context(
            reading(self._fleet, sessions, after, wake, signals=frame.signals == "all")
        )
        return EventSubscription(frame.id, follow, self._frames, stack)


class EventSubscription:
    """The events and signals of sessions."""

    def __init__(self, frame_id: str, follow: Reading, frames: Frames, stack: AsyncExitStack) -> None:
        self._id = frame_id
        self._reading = follow
        self._frames = frames
        self._stack = stack
        self._live = False
        named = _encode(frame_id)
        self._event = b'{"type":"event","id":%s,' % named
        self._signal = b'{"type":"signal","id":%s,"signal":' % named
        self._snapshot = b'{"type":"snapshot","id":%s,"snapshot":' % named

    def drain(self) -> tuple[bytes, bool]:
        """Return all that waits, a page at most, and whether it continues: one that lags has ended."""
        feed = self._reading.feed
        if feed.saturated:
            return text_frame(_encode(w.Lagging(self._id, feed.cursor))), False
        pieces: list[bytes] = []
        waiting = self._reading.take()
        if waiting is not None:
            if waiting.snapshot is not None:
                pieces.append(text_frame(self._snapshot, waiting.snapshot, b"}"))
            pieces += [text_frame(self._signal, signal.body, b"}") for signal in waiting.signals]
            pieces += [text_frame(self._event, self._frames.of(event).socket) for event in waiting.events]
        if not self._live and feed.caught_up:
            self._live = True
            pieces.append(text_frame(_encode(w.Live(self._id, feed.cursor))))
        return b"".join(pieces), True

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        return self._reading.idle

    async def close(self) -> None:
        """Follow no longer."""
        await self._stack.aclose()


class ViewReader(Protocol):
    """A reader of a view."""

    @property
    def lags(self) -> int | None:
        """Where to resume from, None as long as the reader keeps up."""
        ...

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        ...

    def drain(self, named: bytes) -> list[bytes]:
        """Return the frames that wait, a page at most; `named` is the subscription's id as JSON."""
        ...


class ViewSubscription:
    """A subscription to the fleet view or the inbox view."""

    def __init__(self, frame_id: str, reader: ViewReader, stack: AsyncExitStack) -> None:
        self._id = frame_id
        self._named = _encode(frame_id)
        self._reader = reader
        self._stack = stack

    def drain(self) -> tuple[bytes, bool]:
        """See `Subscription`."""
        if self._reader.lags is not None:
            return text_frame(_encode(w.Lagging(self._id, self._reader.lags))), False
        return b"".join(map(text_frame, self._reader.drain(self._named))), True

    @property
    def idle(self) -> bool:
        """See `Subscription`."""
        return self._reader.idle

    async def close(self) -> None:
        """See `Subscription`."""
        await self._stack.aclose()
