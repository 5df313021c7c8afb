"""The routes for Server-Sent Events: one session, the whole fleet, and notifications.

A logged event has its position as `id`; `Last-Event-ID` or `?after=` resumes behind it without gap and without repeat.
A signal has none, may be lost, and is superseded by the part that is logged in the end. The first frame is a snapshot
of what is in flight, and after a reader has fallen behind it gets another one (reader.py). All that waits goes out in
one write.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import msgspec
import trio
from quart import Response
from quart.wrappers.response import ResponseBody

from fleet.actors.fleet import Fleet
from fleet.core.session.notifications import notification_for
from fleet.core.session.state import State as Session
from fleet.core.times import rfc3339
from fleet.errors import Rejected, Unavailable
from fleet.events.envelope import Recorded
from fleet.events.feed import FeedReader
from fleet.gateway.live.frames import EventFrame, Frames
from fleet.gateway.live.reader import Reading, Streams, StreamWriter, reading
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.refusals import STREAM
from fleet.gateway.openapi.responses import events
from fleet.gateway.server.requests import check_cursor
from fleet.wire.bodies import StreamQuery
from fleet.wire.inbox import NotificationItem

_HEARTBEAT = b": heartbeat\n\n"


class EventSource(ResponseBody):
    """The body of a stream: subscribes when the response begins, and never buffers more than its bounds.

    It is an iterator and no generator: the subscription has to end when the client goes, at that moment.
    """

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._writer: StreamWriter
        self._ended = False
        self._stack = AsyncExitStack()

    async def _subscribe(self, stack: AsyncExitStack) -> None:
        """Begin to follow; `self._writer.wake` is to be called when something may wait."""
        raise NotImplementedError

    async def _drain(self) -> bytes:
        """Return what waits, up to a bound; asked again at the next turn, until `_idle`."""
        raise NotImplementedError

    @property
    def _idle(self) -> bool:
        """Whether nothing more waits by now."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        try:
            self._writer = self._stack.enter_context(self._streams.opened())
        except Unavailable:  # the gateway closes, or the last place was taken: the client reconnects
            self._ended = True  # an `EventSource` does after an end, and never after a 503
        else:
            await self._subscribe(self._stack)
            self._writer.wake()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._ended:
            in_time = await self._writer.turn()
            if self._streams.closing:
                break
            if not in_time:
                return _HEARTBEAT
            chunk = await self._drain()
            if not self._idle:
                self._writer.wake()
            if chunk:
                return chunk
        raise StopAsyncIteration


class EventStream(EventSource):
    """All events of a session, or of the fleet, with the signals in between and a snapshot before them."""

    def __init__(self, fleet: Fleet, streams: Streams, frames: Frames, session_id: str | None, after: int) -> None:
        super().__init__(streams)
        self._fleet = fleet
        self._frames = frames
        self._session_ids = None if session_id is None else frozenset((session_id,))
        self._after = after
        self._reading: Reading

    async def _subscribe(self, stack: AsyncExitStack) -> None:
        following = reading(self._fleet, self._session_ids, self._after, self._writer.wake)
        self._reading = await stack.enter_async_context(following)

    async def _drain(self) -> bytes:
        waiting = self._reading.take()
        if waiting is None:
            return b""
        pieces = [] if waiting.snapshot is None else [b"event: snapshot\ndata: %s\n\n" % waiting.snapshot]
        pieces += [b"event: %s\ndata: %s\n\n" % (signal.type.encode(), signal.body) for signal in waiting.signals]
        pieces += [self._frames.of(event).sse for event in waiting.events]
        return b"".join(pieces)

    @property
    def _idle(self) -> bool:
        return self._reading.idle


class NotificationStream(EventSource):
    """The notifications of all sessions."""

    def __init__(self, fleet: Fleet, streams: Streams, after: int) -> None:
        super().__init__(streams)
        self._fleet = fleet
        self._after = after
        self._feed: FeedReader
        self._numbers: dict[str, int] = {}

    async def _subscribe(self, stack: AsyncExitStack) -> None:
        subscription = self._fleet.feed.subscribe(after=self._after, stream=_notifies, wake=self._writer.wake)
        self._feed = await stack.enter_async_context(subscription)

    async def _drain(self) -> bytes:
        return b"".join([await self._frame(event) for event in self._feed.poll() or ()])

    @property
    def _idle(self) -> bool:
        return self._feed.caught_up

    async def _frame(self, recorded: Recorded) -> bytes:
        session_id = recorded.stream.partition("-")[2]
        kind, text = notification_for(recorded.event) or ("finished", "")
        number = f"{session_id}:{await self._number(recorded)}"
        item = NotificationItem(
            id=number, session_id=session_id, kind=kind, text=text, at=rfc3339(recorded.recorded_at_ms), read=False
        )
        return b"id: %d\nevent: notification\ndata: %s\n\n" % (recorded.position, msgspec.json.encode(item))

    async def _number(self, recorded: Recorded) -> int:
        """Return how many notifications the session has had by then; this reader gets each of them, in order."""
        known = self._numbers.get(recorded.stream)
        if known is None:
            known = 0
            for _, position, event in self._fleet.log.replay(recorded.stream):
                if position >= recorded.position:
                    break
                known += notification_for(event) is not None
                await trio.lowlevel.checkpoint()
        self._numbers[recorded.stream] = known + 1
        return known + 1


def _notifies(recorded: Recorded) -> bool:
    return notification_for(recorded.event) is not None


endpoint = Endpoints("/api", "streams")


@endpoint("GET /events", gives=events("session.created", EventFrame), refuses=STREAM)
async def follow_fleet(
    fleet: Fleet, streams: Streams, frames: Frames, query: StreamQuery, last_event_id: str | None
) -> Response:
    """Follow everything, live.

    One connection for all sessions; the frames are those of a session's own stream. The first one is a snapshot of
    what is in flight.
    """
    return _live(streams, EventStream(fleet, streams, frames, None, _cursor(fleet, query, last_event_id)))


@endpoint("GET /sessions/<session_id>/events", gives=events("session.created", EventFrame), refuses=STREAM)
async def follow_session(
    fleet: Fleet, streams: Streams, frames: Frames, session: Session, *, query: StreamQuery, last_event_id: str | None
) -> Response:
    """Follow one session, live.

    What happens to it, and what is being written right now. The first frame is a snapshot of what is in flight.
    """
    return _live(streams, EventStream(fleet, streams, frames, session.id, _cursor(fleet, query, last_event_id)))


@endpoint("GET /notifications/stream", gives=events("notification", NotificationItem), tag="inbox", refuses=STREAM)
async def follow_notifications(
    fleet: Fleet, streams: Streams, query: StreamQuery, last_event_id: str | None
) -> Response:
    """Follow the notifications of all sessions, live.

    Each frame is of the kind `notification`, with its log position as `id`.
    """
    return _live(streams, NotificationStream(fleet, streams, _cursor(fleet, query, last_event_id)))


def _live(streams: Streams, body: EventSource) -> Response:
    streams.check()
    response = Response(body, content_type="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    response.timeout = None
    return response


def _cursor(fleet: Fleet, query: StreamQuery, given: str | None) -> int:
    """Return the position to continue from; without one the stream begins with what happens from now on."""
    if given is None:
        return check_cursor(fleet, fleet.log.head() if query.after is None else query.after)
    if given.isascii() and given.isdecimal() and len(given) < 20:
        return check_cursor(fleet, int(given))
    raise Rejected("invalid", "Last-Event-ID is not a log position", field="Last-Event-ID")
