"""Live streams over Server-Sent Events: one session's, or the whole fleet's.

A logged event has its position as `id`; `Last-Event-ID` or `?after=` resumes behind it without gap and without repeat.
A signal has none, may be lost, and is superseded by the part that is logged in the end. The first frame is a snapshot
of what is in flight, and after a reader has fallen behind it gets another one. Each event is encoded once for all
readers, and all that waits goes out in one write.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self

import msgspec
import trio
from quart import Blueprint, Response, request
from quart.wrappers.response import ResponseBody

from fleet.actors.tree import Tree
from fleet.core.session.notifications import tells
from fleet.errors import Rejected
from fleet.events.envelope import Erased, Recorded
from fleet.events.feed import FeedReader, Filter
from fleet.gateway import wire
from fleet.gateway.document import about, asks, gives_stream
from fleet.gateway.requests import read_query
from fleet.limits import FRAMES_CACHED, HEARTBEAT_S
from fleet.projections.inflight import Reader

_HEARTBEAT = b": heartbeat\n\n"


class EventFrame(msgspec.Struct, frozen=True, rename="camel"):
    """A logged event, as live readers get it."""

    position: int
    stream: str
    version: int
    type: str
    at: str
    actor: str
    data: msgspec.Raw


class Frames:
    """Encoded events, so that many readers of one event cost one encoding."""

    def __init__(self) -> None:
        self._frames: OrderedDict[int, bytes] = OrderedDict()

    def of(self, recorded: Recorded) -> bytes:
        """Return the event as an SSE frame."""
        if isinstance(recorded.event, Erased):  # what it was before may have been encoded
            self._frames.pop(recorded.position, None)
            return _event_frame(recorded)
        frame = self._frames.get(recorded.position)
        if frame is None:
            frame = self._frames[recorded.position] = _event_frame(recorded)
            if len(self._frames) > FRAMES_CACHED:
                self._frames.popitem(last=False)
        return frame


def _event_frame(recorded: Recorded) -> bytes:
    body = msgspec.json.encode(
        EventFrame(
            recorded.position,
            recorded.stream,
            recorded.version,
            recorded.type,
            wire.rfc3339(recorded.recorded_at_ms),
            recorded.cause.actor,
            msgspec.Raw(recorded.payload),
        )
    )
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (recorded.position, recorded.type.encode(), body)


class Closing:
    """Tells the open streams that the door closes, at that moment."""

    def __init__(self) -> None:
        self.begun = False
        self._wakes: dict[Callable[[], None], None] = {}

    def begin(self) -> None:
        """Let every stream end."""
        self.begun = True
        for wake in self._wakes:
            wake()

    @contextmanager
    def heeded(self, wake: Callable[[], None]) -> Generator[None]:
        """Call `wake()` when it begins while the block runs."""
        self._wakes[wake] = None
        try:
            yield
        finally:
            del self._wakes[wake]


class LogStream(ResponseBody):
    """The body of a stream: subscribes when the response begins, and never buffers more than its bounds.

    It is an iterator and no generator: the subscription has to end when the client goes, at that moment. `frame` makes
    bytes of an event, `only` says which events there are.
    """

    def __init__(
        self, tree: Tree, closing: Closing, after: int, *, only: Filter, frame: Callable[[Recorded], bytes]
    ) -> None:
        self._tree = tree
        self._closing = closing
        self._after = after
        self._only = only
        self._frame = frame
        self._wake = trio.Event()
        self._stack = AsyncExitStack()
        self._feed: FeedReader

    async def __aenter__(self) -> Self:
        subscription = self._tree.feed.subscribe(after=self._after, stream=self._only, wake=self._awake)
        self._feed = await self._stack.enter_async_context(subscription)
        self._stack.enter_context(self._closing.heeded(self._awake))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def _awake(self) -> None:
        self._wake.set()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._closing.begun:
            self._wake = trio.Event()
            if chunk := self._drain():
                return chunk
            with trio.move_on_after(HEARTBEAT_S) as waited:
                await self._wake.wait()
            if waited.cancelled_caught:
                return _HEARTBEAT
        raise StopAsyncIteration

    def _drain(self) -> bytes:
        """Return all that waits."""
        events = self._feed.poll()
        if events is not None:
            self._wake.set()  # there may be another page
        return b"".join(self._frame(event) for event in events or ())


class EventStream(LogStream):
    """All events of a session, or of the fleet, with the signals in between and a snapshot before them."""

    def __init__(self, tree: Tree, frames: Frames, closing: Closing, session_id: str | None, after: int) -> None:
        only = None if session_id is None else tree.views.sessions.stream(session_id)
        super().__init__(tree, closing, after, only=only, frame=frames.of)
        self._session_id = session_id
        self._signals: Reader
        self._snapshot_due = True

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._signals = self._stack.enter_context(self._tree.inflight.read(self._session_id, self._awake))
        return self

    def _drain(self) -> bytes:
        """Return all that waits: the snapshot if one is due, then events, then signals."""
        events = super()._drain()
        signals = self._signals.take()
        if self._signals.lagging:
            self._signals.lagging = False
            self._snapshot_due = True
        if self._snapshot_due:
            self._snapshot_due = False
            return self._snapshot() + events
        return events + b"".join(b"event: %s\ndata: %s\n\n" % (each.type.encode(), each.body) for each in signals)

    def _snapshot(self) -> bytes:
        in_flight = self._tree.inflight.snapshot(self._session_id)
        sessions: list[dict[str, Any]] = []
        for session_id, parts in in_flight.items():
            state = self._tree.views.sessions.get(session_id)
            status = None if state is None else state.phase
            sessions.append({"sessionId": session_id, "status": status, "parts": parts})
        body = msgspec.json.encode({"position": self._tree.log.head(), "sessions": sessions})
        return b"event: snapshot\ndata: %s\n\n" % body


def _notification_frame(tree: Tree, recorded: Recorded) -> bytes:
    """Return the notification that the event is as a frame; its number is how many the session has had by then."""
    session_id = recorded.stream.partition("-")[2]
    told = [tells(each.event) for each in tree.log.read_stream(recorded.stream) if each.position <= recorded.position]
    kind, text = tells(recorded.event) or ("finished", "")
    number = sum(tell is not None for tell in told)
    at = wire.rfc3339(recorded.recorded_at_ms)
    item = wire.NotificationItem(f"{session_id}:{number}", session_id, kind, text, at, False)
    return b"id: %d\nevent: notification\ndata: %s\n\n" % (recorded.position, msgspec.json.encode(item))


def stream_routes(tree: Tree, closing: Closing) -> Blueprint:
    """Return the routes over one Fleet; the streams end when `closing` begins."""
    routes = Blueprint("streams", __name__, url_prefix="/api")
    frames = Frames()

    @routes.get("/events")
    @about("streams")
    @asks(wire.StreamQuery)
    @gives_stream
    async def follow_fleet() -> Response:
        """Follow everything, live."""
        return _stream(tree, frames, closing, None)

    @routes.get("/sessions/<session_id>/events")
    @about("streams")
    @asks(wire.StreamQuery)
    @gives_stream
    async def follow_session(session_id: str) -> Response:
        """Follow one session, live."""
        return _stream(tree, frames, closing, session_id)

    @routes.get("/notifications/stream")
    @about("inbox")
    @asks(wire.StreamQuery)
    @gives_stream
    async def follow_notifications() -> Response:
        """Follow the notifications of all sessions, live."""
        after = _cursor(tree, read_query(wire.StreamQuery))
        frame = partial(_notification_frame, tree)
        return _live(LogStream(tree, closing, after, only=lambda each: tells(each.event) is not None, frame=frame))

    return routes


def _stream(tree: Tree, frames: Frames, closing: Closing, any_id: str | None) -> Response:
    query = read_query(wire.StreamQuery)
    session_id = None if any_id is None else tree.orders.session(any_id, query.instance_id).id
    return _live(EventStream(tree, frames, closing, session_id, _cursor(tree, query)))


def _live(body: LogStream) -> Response:
    response = Response(body, content_type="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    response.timeout = None
    return response


def _cursor(tree: Tree, query: wire.StreamQuery) -> int:
    """Return the position to go on from; without one the stream begins with what happens from now on."""
    given = request.headers.get("Last-Event-ID")
    if given is None:
        after = tree.log.head() if query.after is None else query.after
    elif given.isascii() and given.isdecimal() and len(given) < 20:
        after = int(given)
    else:
        raise Rejected("invalid", "Last-Event-ID is no log position", field="Last-Event-ID")
    if after > tree.log.head():
        raise Rejected("invalid", f"the log ends at {tree.log.head()}: {after} is ahead of it", field="after")
    return after
