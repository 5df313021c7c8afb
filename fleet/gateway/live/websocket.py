"""The route `/api/ws`: one WebSocket for subscriptions and commands. docs/streams.md describes its frames.

Two tasks per connection: one takes the client's frames and never waits for what they ask for, the other writes all that
waits in one go: replies first, then the subscriptions in turn. Commands run beside each other, but those for the same
session in the order in which they came. The connection's handshake says who the client is, for commands too.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog
import trio
from quart import Response, Websocket, websocket
from quart_trio import QuartTrio

from fleet.errors import PROBLEMS, Problem, Rejected, Unavailable
from fleet.gateway.hypercorn.websocket import PING, text_frame
from fleet.gateway.live.dispatch import DispatchedResponse, carry_out
from fleet.gateway.live.reader import Streams, StreamWriter
from fleet.gateway.live.subscriptions import Subscription, Subscriptions
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.responses import WEBSOCKET
from fleet.gateway.server.problems import problem_document
from fleet.gateway.server.requests import invalid
from fleet.limits import (
    SOCKET_CLOSE_GRACE_S,
    SOCKET_COMMANDS_BYTES_MAX,
    SOCKET_COMMANDS_MAX,
    SOCKET_RESPONSES_MAX,
    SOCKET_SUBSCRIPTIONS_MAX,
    SOCKET_WRITE_BYTES,
)
from fleet.wire import sockets as w

_log = structlog.get_logger(__name__)
_GOING_AWAY, _BUG = 1001, 1011
_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[w.ClientFrame] = msgspec.json.Decoder(w.ClientFrame)


class _Named(msgspec.Struct):
    """The `id` of a frame that is wrong elsewhere."""

    id: w.FrameId


class SocketConnection:
    """One client's WebSocket."""

    def __init__(self, app: QuartTrio, streams: Streams, views: Subscriptions, socket: Websocket) -> None:
        self._app = app
        self._streams = streams
        self._views = views
        self._socket = socket
        self._writer: StreamWriter
        self._read = trio.Event()
        self._replies: deque[bytes] = deque()
        self._subscriptions: dict[str, Subscription] = {}
        self._commands = 0
        self._commands_bytes = 0
        self._last: dict[str, trio.Event] = {}

    async def run(self) -> None:
        """Serve the client until it disconnects or the gateway closes."""
        with self._streams.opened() as self._writer:
            await self._socket.accept()
            code, reason = _GOING_AWAY, "Fleet is shutting down"
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._listen, nursery)
                    await self._write()
                    nursery.cancel_scope.cancel()
            except Exception:
                _log.exception("websocket_failed")
                code, reason = _BUG, "an unexpected error occurred in Fleet; the server's log has the details"
            finally:
                for subscription in self._subscriptions.values():
                    await subscription.close()
            await self._socket.close(code, reason)
            await trio.sleep(SOCKET_CLOSE_GRACE_S)  # the client's own close ends this

    # --------------------------------------------------------------------------------------------------- what goes out

    async def _write(self) -> None:
        """Write all that waits, until the gateway closes."""
        while True:
            in_time = await self._writer.turn()
            if self._streams.closing:
                return
            chunk = await self._drain() if in_time else PING
            if chunk:
                await self._socket.send(chunk)

    async def _drain(self) -> bytes:
        chunk = bytearray(b"".join(self._replies))
        self._replies.clear()
        self._read.set()
        ended: list[Subscription] = []
        for frame_id, subscription in list(self._subscriptions.items()):
            if len(chunk) > SOCKET_WRITE_BYTES:
                self._writer.wake()
                break
            frames, goes_on = subscription.drain()
            chunk += frames
            # Who had a turn comes last the next time.
            del self._subscriptions[frame_id]
            if goes_on:
                self._subscriptions[frame_id] = subscription
                if not subscription.idle:
                    self._writer.wake()
            else:
                ended.append(subscription)
        for subscription in ended:
            await subscription.close()
        return bytes(chunk)

    def _send_reply(self, frame: w.Reply | w.Error) -> None:
        self._replies.append(text_frame(_encode(frame)))
        self._writer.wake()

    def _refuse(self, frame_id: str | None, problem: Problem) -> None:
        document = msgspec.Raw(_encode(problem_document(problem)))
        status = PROBLEMS[problem.code].status
        self._send_reply(w.Error(status, problem.code, document, frame_id, problem.retry_after_s))

    # --------------------------------------------------------------------------------------------------- what comes in

    async def _listen(self, nursery: trio.Nursery) -> None:
        while True:
            message: Any = await self._socket.receive()
            while len(self._replies) >= SOCKET_RESPONSES_MAX:
                self._read = trio.Event()
                await self._read.wait()
            frame_id: str | None = None
            try:
                frame = _frame(message)
                frame_id = frame.id
                await self._take(frame, len(message), nursery)
            except Problem as problem:
                self._refuse(frame_id or _id_of(message), problem)

    async def _take(self, frame: w.ClientFrame, size_bytes: int, nursery: trio.Nursery) -> None:
        if isinstance(frame, w.Subscribe):
            await self._subscribe(frame)
        elif isinstance(frame, w.Unsubscribe):
            subscription = self._subscriptions.pop(frame.id, None)
            if subscription is None:
                raise Rejected("subscription_not_found", f"there is no subscription {frame.id}", field="id")
            await subscription.close()
            self._send_reply(w.Reply(frame.id, 204))
        elif isinstance(frame, w.Ping):
            self._send_reply(w.Reply(frame.id, 204))
        else:
            self._begin(frame, size_bytes, nursery)

    async def _subscribe(self, frame: w.Subscribe) -> None:
        if frame.id in self._subscriptions:
            raise Rejected("invalid", f"the subscription {frame.id} exists already", field="id")
        if len(self._subscriptions) >= SOCKET_SUBSCRIPTIONS_MAX:
            detail = f"the limit is {SOCKET_SUBSCRIPTIONS_MAX} subscriptions for each WebSocket"
            raise Rejected("invalid", detail, hint="One subscription can follow many sessions.")
        self._subscriptions[frame.id] = await self._views.open(frame, self._writer.wake)
        self._writer.wake()

    def _begin(self, frame: w.Command, size_bytes: int, nursery: trio.Nursery) -> None:
        if self._commands >= SOCKET_COMMANDS_MAX or self._commands_bytes + size_bytes > SOCKET_COMMANDS_BYTES_MAX:
            detail = f"{self._commands} commands of this WebSocket are being carried out"
            raise Unavailable("overloaded", detail, hint="Wait for a reply first.", retry_after_s=1)
        self._commands += 1
        self._commands_bytes += size_bytes
        before, done = self._last.get(target := _target(frame)), trio.Event()
        if target:
            self._last[target] = done
        nursery.start_soon(self._carry_out, frame, size_bytes, before, done)

    async def _carry_out(self, frame: w.Command, size_bytes: int, before: trio.Event | None, done: trio.Event) -> None:
        try:
            if before is not None:
                await before.wait()
            self._reply(frame.id, await carry_out(self._app, self._socket.scope, frame))
        finally:
            self._commands -= 1
            self._commands_bytes -= size_bytes
            done.set()
            if self._last.get(target := _target(frame)) is done:
                del self._last[target]

    def _reply(self, frame_id: str, response: DispatchedResponse) -> None:
        if response.status < 400:
            body = msgspec.Raw(response.body) if response.body else msgspec.UNSET
            reply = w.Reply(
                frame_id, response.status, response.number("fleet-position"), response.number("x-total-count"), body
            )
            self._send_reply(reply)
        else:
            code = msgspec.json.decode(response.body)["code"]
            problem = msgspec.Raw(response.body)
            self._send_reply(w.Error(response.status, code, problem, frame_id, response.number("retry-after")))


def _frame(message: Any) -> w.ClientFrame:
    """Return the client's frame. Raises `Rejected` bad_json or invalid, with the field."""
    if not isinstance(message, str):
        raise Rejected("invalid", "the frame is binary; it must be a text message")
    try:
        return _decoder.decode(message)
    except msgspec.ValidationError as error:
        raise invalid(error, w.ClientFrame) from error
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise Rejected("bad_json", f"the frame is not JSON: {error}") from error
    except RecursionError as error:
        raise Rejected("bad_json", "the frame is nested too deeply") from error


def _id_of(message: Any) -> str | None:
    try:
        return msgspec.json.decode(message, type=_Named).id
    except (msgspec.MsgspecError, RecursionError, TypeError, UnicodeError):
        return None


def _target(frame: w.Command) -> str:
    """Return what the command changes, as far as its path says: `/api/sessions/ID`; empty if it creates something."""
    steps = frame.path.partition("?")[0].split("/")
    return "/".join(steps[:4]) if len(steps) > 3 else ""


def socket_route(app: QuartTrio, streams: Streams, views: Subscriptions) -> Callable[[], Awaitable[None]]:
    """Return the function that serves a WebSocket at `/api/ws`; `app` carries out commands, `views` can be followed."""

    async def converse() -> None:
        await SocketConnection(app, streams, views, websocket).run()

    return converse


endpoint = Endpoints("/api", "streams")


@endpoint("GET /ws", gives=WEBSOCKET, refuses=("upgrade_required",))
async def open_websocket() -> Response:
    """Follow many sessions and send commands over one WebSocket.

    Frames of the client: `subscribe {id, sessions | "*", after, signals}`, `subscribe {id, view, after}`,
    `unsubscribe {id}`, `command {id, method, path, body, idempotencyKey}`, `ping {id}`. Frames of the server:
    `event`, `signal`, `snapshot` for sessions; `items`, `item`, `gone` for the view `fleet`, `inbox` for the view
    `inbox`; `live`, `lagging`, `reply`, `error`. All are JSON, with their kind as `type`; docs/streams.md describes
    them.
    """
    raise Rejected("upgrade_required", "/api/ws is a WebSocket", hint="Send `Upgrade: websocket`.")
