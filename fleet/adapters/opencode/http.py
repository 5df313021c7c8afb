"""HTTP/1.1 with the OpenCode process on a port of this machine: h11 over trio's sockets.

Not httpx, for two reasons. A prompt waits for what is done here: a request is one write, and no other task runs between
the call and that write (ADR 0003 has the figures). And a read can be cancelled without losing a byte and gives all that
waits, which the event stream needs.

Rules kept here: a connection carries one request at a time; it is used again only where its answer ended in order and
OpenCode has not closed it since; after every other end of a request, its connection is closed.
"""

import math
import select
from collections.abc import Sequence
from typing import Final

import h11
import msgspec
import trio

from fleet.limits import (
    OPENCODE_CONNECTIONS_KEPT_MAX,
    OPENCODE_READ_BYTES,
    OPENCODE_REQUEST_TIMEOUT_S,
    OPENCODE_RESPONSE_BYTES_MAX,
)

_ADDRESS: Final = "127.0.0.1"
_JSON: Final = (("Content-Type", "application/json"),)


class BrokenConnectionError(Exception):
    """The connection is of no more use; the text says what OpenCode ("it") did."""


class OversizedAnswerError(Exception):
    """The answer has more than OPENCODE_RESPONSE_BYTES_MAX."""


FAULTS: Final = (
    BrokenConnectionError,
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    h11.RemoteProtocolError,
)
"""What requests raise: the process does not listen, went away, closed the connection or speaks no HTTP."""


def what_went_wrong(fault: Exception) -> str:
    """Return a fault as what OpenCode did, for a person: the words of sockets and of HTTP libraries help nobody."""
    if isinstance(fault, BrokenConnectionError):
        return str(fault)
    if isinstance(fault, trio.TooSlowError):
        return f"it has sent no answer within {OPENCODE_REQUEST_TIMEOUT_S:g} s"
    if isinstance(fault, OSError):
        return "it takes no connections"
    return "it closed the connection before its answer was whole"


class HttpResponse(msgspec.Struct, frozen=True):
    """A whole answer; `media_type` is its Content-Type."""

    status: int
    media_type: str
    body: bytes


class HttpConnection:
    """One connection; `connect` opens it. `ask` and then `receive` up to the end, or `close`."""

    def __init__(self, stream: trio.SocketStream, fields: Sequence[tuple[str, str]]) -> None:
        self._stream = stream
        self._fields = fields
        self._http = h11.Connection(h11.CLIENT)
        self._ended = False

    async def ask(self, method: str, target: str, body: bytes = b"") -> tuple[int, str]:
        """Send a request, with JSON in its body if it has one, and return status and media type of the answer.

        Raises FAULTS, as `receive` does.
        """
        http, self._ended = self._http, False
        about_body = () if method == "GET" else (*_JSON, ("Content-Length", str(len(body))))
        pieces = [
            http.send(h11.Request(method=method, target=target, headers=[*self._fields, *about_body])),
            http.send(h11.Data(data=body)) if body else b"",
            http.send(h11.EndOfMessage()),
        ]
        await self._stream.send_all(b"".join(piece or b"" for piece in pieces))
        while True:
            event = http.next_event()
            if isinstance(event, h11.Response):
                return event.status_code, dict(event.headers).get(b"content-type", b"").decode("latin1")
            if event is h11.NEED_DATA:
                await self._feed()
            elif not isinstance(event, h11.InformationalResponse):
                raise BrokenConnectionError("it closed the connection without an answer")

    async def receive(self, patience_s: float = math.inf) -> bytes:
        """Return all of the body that has arrived, waiting for the first byte; b"" at its end.

        Raises BrokenConnectionError where nothing has come for `patience_s`.
        """
        chunks: list[bytes] = []
        while not self._ended:
            event = self._http.next_event()
            if isinstance(event, h11.Data):
                chunks.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                self._ended = True
            elif chunks:
                break
            elif event is h11.NEED_DATA:
                with trio.move_on_after(patience_s) as waited:
                    await self._feed()
                if waited.cancelled_caught:
                    raise BrokenConnectionError(f"it has sent nothing for {patience_s:g} s")
            else:
                raise BrokenConnectionError("it closed the connection within an answer")
        return b"".join(chunks)

    async def _feed(self) -> None:
        self._http.receive_data(await self._stream.receive_some(OPENCODE_READ_BYTES))

    def renew(self) -> bool:
        """Make it ready for another request after the end of an answer; False where it takes none."""
        http = self._http
        if http.our_state is not h11.DONE or http.their_state is not h11.DONE or http.trailing_data[0]:
            return False
        http.start_next_cycle()
        return True

    def is_quiet(self) -> bool:
        """Say whether nothing has come since the last answer; what comes unasked is the end of the connection."""
        look = select.poll()
        look.register(self._stream.socket.fileno(), select.POLLIN)
        return not look.poll(0)

    def close(self) -> None:
        """Close it; whoever waits for an answer gets trio.ClosedResourceError."""
        self._stream.socket.close()


async def connect(port: int, authorization: str) -> HttpConnection:
    """Open a connection to the process that listens on `port`. Raises OSError."""
    stream = await trio.open_tcp_stream(_ADDRESS, port)
    return HttpConnection(stream, (("Host", f"{_ADDRESS}:{port}"), ("Authorization", authorization)))


class Http:
    """Sends requests to the process behind `port`, each on a connection that is free."""

    def __init__(self, port: int, authorization: str) -> None:
        self._port = port
        self._authorization = authorization
        self._free: list[HttpConnection] = []
        self._busy: set[HttpConnection] = set()
        self._closed = False

    async def ask(self, method: str, target: str, body: bytes = b"") -> HttpResponse:
        """Send a request and return its answer. Raises FAULTS and OversizedAnswerError; it has no deadline."""
        connection = self._take() or await connect(self._port, self._authorization)
        self._busy.add(connection)
        if self._closed:
            connection.close()
        try:
            answer = await _exchange(connection, method, target, body)
            if not self._closed and len(self._free) < OPENCODE_CONNECTIONS_KEPT_MAX and connection.renew():
                self._free.append(connection)
            else:
                connection.close()
        except BaseException:
            connection.close()
            raise
        finally:
            self._busy.discard(connection)
        return answer

    def close(self) -> None:
        """Close all connections; who waits for an answer gets a fault."""
        self._closed = True
        for connection in (*self._free, *self._busy):
            connection.close()
        self._free.clear()

    def _take(self) -> HttpConnection | None:
        while self._free:
            connection = self._free.pop()
            if connection.is_quiet():
                return connection
            connection.close()
        return None


async def _exchange(connection: HttpConnection, method: str, target: str, body: bytes) -> HttpResponse:
    status, media_type = await connection.ask(method, target, body)
    chunks: list[bytes] = []
    size_bytes = 0
    while chunk := await connection.receive():
        size_bytes += len(chunk)
        if size_bytes > OPENCODE_RESPONSE_BYTES_MAX:
            raise OversizedAnswerError
        chunks.append(chunk)
    return HttpResponse(status, media_type, b"".join(chunks))
