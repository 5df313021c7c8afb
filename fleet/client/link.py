"""One WebSocket connection to the server, from handshake to end, which passes frames to their streams.

trio-websocket implements the protocol. It hands every message over before it looks for the next one, so what is done
with a frame here never waits: a follower that is slow is its own concern.
"""

import math
from collections.abc import Generator
from contextlib import contextmanager
from copy import copy
from typing import Final, Protocol, cast

import h11
import msgspec
import trio
import wsproto.utilities as wsproto
from trio_websocket import ConnectionClosed, ConnectionRejected, HandshakeError, WebSocketConnection, wrap_client_stream

from fleet.client.connection import Connection
from fleet.client.errors import FleetError, error_of, problem_of, unreachable, unreadable
from fleet.client.response import LOST
from fleet.client.stream import RawFrame
from fleet.http1 import TcpStream
from fleet.http_pool import HttpResponse
from fleet.limits import CLIENT_CONNECT_S, CLIENT_FRAME_BYTES_MAX, CLIENT_SILENCE_S, CLIENT_SOCKET_READ_BYTES
from fleet.wire.sockets import Subscribe, Unsubscribe

_TOO_LARGE: Final = 1009
_ENDS: Final = (FleetError, ConnectionClosed, HandshakeError, *LOST, h11.ProtocolError, wsproto.ProtocolError)


class LinkFollower(Protocol):
    """The receiver of a subscription's frames. None of its methods may wait."""

    def arrived(self, raw: RawFrame) -> None:
        """Receive a frame."""

    def told(self, position: int) -> None:
        """Everything up to this position of the log has arrived."""

    def ended(self, failure: FleetError | None) -> None:
        """No frame will follow; without a failure, a new subscription can be made at once."""


class _Kind(msgspec.Struct):
    type: str


class _Frame(msgspec.Struct, rename="camel"):
    """A frame of the server; its `type` determines which of these fields it has."""

    type: str
    id: str | None = None
    position: int = 0
    after: int = 0
    status: int = 0
    retry_after_s: float | None = None
    event: msgspec.Raw = msgspec.Raw()
    signal: msgspec.Raw = msgspec.Raw()
    snapshot: msgspec.Raw = msgspec.Raw()
    problem: msgspec.Raw = msgspec.Raw()


class _Line(trio.abc.Stream):
    """The connection underneath: however it is lost, that is an `OSError`, and so is a long silence.

    trio-websocket would end quietly where it is lost during the handshake, and leave who waits for that waiting.
    """

    def __init__(self, connection: TcpStream) -> None:
        self._connection = connection

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        with _lost(), trio.fail_after(CLIENT_SILENCE_S):
            data = bytes(await self._connection.receive_some(max_bytes))
        if not data:
            raise ConnectionResetError("the connection was lost")
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with _lost():
            await self._connection.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._connection.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await trio.aclose_forcefully(self._connection)


@contextmanager
def _lost() -> Generator[None]:
    try:
        yield
    except OSError:
        raise
    except LOST as error:
        raise ConnectionResetError("the connection was lost") from error


class Link:
    """A WebSocket. `run` is a task; it ends with the connection, and notifies all followers."""

    def __init__(self, connection: Connection) -> None:
        self.over = False
        self._connection = connection
        self._settled = trio.Event()  # the handshake
        self._failure: FleetError | None = None
        self._followers: dict[str, LinkFollower] = {}
        self._names = 0
        # Without a bound of its own: each subscription orders twice, small frames, and then waits for the server.
        self._orders, self._outgoing = trio.open_memory_channel[bytes](math.inf)

    async def opened(self) -> None:
        """Wait for the handshake. Raises `FleetError`, or `trio.ClosedResourceError` where it was closed."""
        await self._settled.wait()
        if self.over:
            raise trio.ClosedResourceError if self._failure is None else copy(self._failure)  # several wait for it

    def follow(self, follower: LinkFollower, sessions: list[str] | None, after: int) -> str:
        """Subscribe to sessions, or to all, and return the name of the subscription."""
        self._names += 1
        name = str(self._names)
        self._followers[name] = follower
        self._orders.send_nowait(msgspec.json.encode(Subscribe(name, "*" if sessions is None else sessions, after)))
        return name

    def forget(self, name: str) -> None:
        """End a subscription, if it has not ended."""
        if self._followers.pop(name, None) is not None:
            self._orders.send_nowait(msgspec.json.encode(Unsubscribe(name)))

    # ------------------------------------------------------------------------------------------------------- its task

    async def run(self) -> None:
        """Connect, and pass frames to their followers, until the connection ends."""
        try:
            self._failure = await self._converse()
        finally:
            self.over = True
            self._settled.set()
            followers, self._followers = self._followers, {}
            for follower in followers.values():
                follower.ended(None if self._failure is None else copy(self._failure))

    async def _converse(self) -> FleetError:
        """Return the reason why it ended."""
        ends: list[Exception] = []
        try:
            with trio.fail_after(CLIENT_CONNECT_S):
                connection = await self._connection.address.connect()
            async with _Line(connection) as line, trio.open_nursery() as nursery:
                await self._speak(line, nursery)
        except* _ENDS as group:
            ends += group.exceptions
        return _failure(self._connection.url, ends[0])

    async def _speak(self, line: _Line, nursery: trio.Nursery) -> None:
        address = self._connection.address
        with trio.fail_after(CLIENT_CONNECT_S):
            socket = await wrap_client_stream(
                nursery,
                cast("trio.SocketStream", line),  # what it needs of one
                address.authority,
                address.target("/ws"),
                extra_headers=[(name.encode(), value.encode()) for name, value in self._connection.headers.items()],
                max_message_size=CLIENT_FRAME_BYTES_MAX,
                receive_buffer_size=CLIENT_SOCKET_READ_BYTES,
            )
        self._settled.set()
        nursery.start_soon(self._order, socket)
        while True:
            message = await socket.get_message()
            try:
                self._take(msgspec.json.decode(message, type=_Frame))
            except (msgspec.MsgspecError, UnicodeDecodeError, KeyError) as error:
                raise unreadable(self._connection.url, 200, error) from error

    async def _order(self, socket: WebSocketConnection) -> None:
        async for order in self._outgoing:
            await socket.send_message(order.decode())

    def _take(self, frame: _Frame) -> None:
        if frame.type == "error" and frame.id is None:
            raise problem_of(frame.status, frame.problem, frame.retry_after_s)
        follower = self._followers.get(frame.id or "")
        if follower is None:
            return  # a reply, or a frame of a subscription that has ended here
        if frame.type == "event":
            follower.arrived(RawFrame("", frame.position, bytes(frame.event)))
        elif frame.type == "signal":
            kind = msgspec.json.decode(frame.signal, type=_Kind).type
            follower.arrived(RawFrame(kind, None, bytes(frame.signal)))
        elif frame.type == "snapshot":
            follower.arrived(RawFrame("snapshot", None, bytes(frame.snapshot)))
        elif frame.type == "live":
            follower.told(frame.position)
        elif frame.type == "lagging":
            follower.told(frame.after)
            self._followers.pop(frame.id or "").ended(None)
        elif frame.type == "error":
            failure = problem_of(frame.status, frame.problem, frame.retry_after_s)
            self._followers.pop(frame.id or "").ended(failure)


def _failure(url: str, end: Exception) -> FleetError:
    """Return what the end of a connection is to its followers."""
    if isinstance(end, FleetError):
        return end
    if isinstance(end, ConnectionRejected):
        return error_of(
            HttpResponse(end.status_code, {name.lower(): value for name, value in end.headers}, end.body or b"")
        )
    if isinstance(end, ConnectionClosed) and end.reason is not None and end.reason.code == _TOO_LARGE:
        return unreadable(url, 200, ValueError(f"a frame is larger than the limit of {CLIENT_FRAME_BYTES_MAX} bytes"))
    return unreachable(url, end)
