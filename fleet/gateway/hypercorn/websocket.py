"""WebSocket frames on Hypercorn's own connection: how they are written and read.

A frame from a server is the same for each of its readers, so the application sends bytes that are whole frames, made by
`text_frame`, as many as wait in one write. No message is compressed: that would need work and 300 KB of memory for each
reader. A client that breaks the protocol, or sends a message that is too large, gets a close code with the reason, and
is not read any more. RFC 6455 is the protocol; tests/gateway/test_conformance.py holds the server to it.
"""

import struct
from typing import TYPE_CHECKING, Any, cast

import trio
from hypercorn.protocol import h11
from hypercorn.protocol.events import Body, Data, Event, Request, StreamClosed
from hypercorn.protocol.ws_stream import ASGIWebsocketState, FrameTooLargeError, WSStream
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Message, Ping
from wsproto.frame_protocol import CloseReason

from fleet.limits import SOCKET_CLOSE_GRACE_S

if TYPE_CHECKING:
    from hypercorn.typing import ASGISendEvent, WebsocketAcceptEvent

PING = b"\x89\x00"
"""A whole ping frame without content: a living client replies to it, and the kernel notices one that is gone."""


def text_frame(*pieces: bytes) -> bytes:
    """Return one unmasked text frame, ready for the wire, whose payload are the pieces (RFC 6455, 5.2)."""
    size = sum(map(len, pieces))
    if size < 126:
        head = struct.pack("!BB", 0x81, size)
    elif size < 65536:
        head = struct.pack("!BBH", 0x81, 126, size)
    else:
        head = struct.pack("!BBQ", 0x81, 127, size)
    return b"".join((head, *pieces))


class FramedStream(WSStream):
    """Hypercorn's WebSocket, sending ready frames and failing connections as the RFC says."""

    _failed = False
    _gone: trio.Event | None = None

    async def handle(self, event: Event) -> None:
        """Take what the client sends, and nothing more once the connection has failed."""
        if isinstance(event, StreamClosed) and self._gone is not None:
            self._gone.set()
        early = not isinstance(event, Request) and not self.handshake.accepted
        if (
            isinstance(event, Body | Data) and early
        ):  # Hypercorn's refusal would collide with the application's response
            await self.send(StreamClosed(stream_id=self.stream_id))
        elif not (self._failed and isinstance(event, Body | Data)):
            await super().handle(event)

    async def app_send(self, message: "ASGISendEvent | None") -> None:
        """Send for the application: bytes are frames. Before a close, the client gets time to read the reason."""
        if message is None and self._failed and not self.closed:
            self._gone = trio.Event()
            with trio.move_on_after(SOCKET_CLOSE_GRACE_S):
                await self._gone.wait()
        frames: Any = None if message is None or message["type"] != "websocket.send" else message.get("bytes")
        if frames is None:
            await super().app_send(message)
        elif not self.closed and self._is_open():
            await self.send(Data(stream_id=self.stream_id, data=frames))

    def _is_open(self) -> bool:
        return self.state is ASGIWebsocketState.CONNECTED and self.connection.state is ConnectionState.OPEN

    async def _send_error_response(self, status_code: int) -> None:
        await super()._send_error_response(status_code)
        await self.send(StreamClosed(stream_id=self.stream_id))  # the connection would stay open

    async def _accept(self, message: "WebsocketAcceptEvent") -> None:
        self.handshake.extensions = None
        await super()._accept(message)

    async def _handle_events(self) -> None:
        for event in self.connection.events():
            if isinstance(event, Message):
                try:
                    self.buffer.extend(event)
                except FrameTooLargeError:
                    reason = f"a message has at most {self.buffer.max_length} bytes"
                    await self._fail(CloseReason.MESSAGE_TOO_BIG, reason)
                    return
                if event.message_finished:
                    await self._put(cast("dict[str, Any]", self.buffer.to_message()))
                    self.buffer.clear()
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, CloseConnection):
                if self.connection.state is ConnectionState.OPEN:  # it says what the client did wrong
                    await self._fail(CloseReason(event.code), event.reason or "")
                    return
                if self.connection.state is ConnectionState.REMOTE_CLOSING:
                    await self._send_wsproto_event(event.response())
                await self.send(StreamClosed(stream_id=self.stream_id))

    async def _fail(self, code: CloseReason, reason: str) -> None:
        """Close with `code`, and have the application end."""
        self._failed = True
        self.buffer.clear()
        await self._send_wsproto_event(CloseConnection(code=code, reason=reason))
        await self._put({"type": "websocket.disconnect", "code": int(code)})

    async def _put(self, message: dict[str, Any]) -> None:
        if self.app_put is not None:
            await self.app_put(message)


def install() -> None:
    """Have Hypercorn use it; it has no setting for that."""
    cast("Any", h11).WSStream = FramedStream
