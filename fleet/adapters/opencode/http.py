"""HTTP/1.1 with the OpenCode process on a port of this machine, over keep-alive connections.

This code adds to the latency of each prompt, so a request is one write, and no other task runs between the call and
that write (ADR 0003 has the figures).

A connection is reused only if its response was complete and OpenCode has not closed it since; after any other end of a
request, its connection is closed.
"""

from typing import Final

import h11
import msgspec
import trio

from fleet.http1 import BrokenConnectionError, HttpConnection
from fleet.limits import OPENCODE_CONNECTIONS_KEPT_MAX, OPENCODE_REQUEST_TIMEOUT_S, OPENCODE_RESPONSE_BYTES_MAX

_ADDRESS: Final = "127.0.0.1"


class OversizedResponseError(Exception):
    """The response is larger than OPENCODE_RESPONSE_BYTES_MAX."""


FAULTS: Final = (
    BrokenConnectionError,
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    h11.RemoteProtocolError,
)
"""The errors of requests: the process does not listen, ended, closed the connection, or does not send HTTP."""


def what_went_wrong(fault: Exception) -> str:
    """Describe a fault for a person as what OpenCode did; the messages of sockets and HTTP libraries do not help."""
    if isinstance(fault, BrokenConnectionError):
        return str(fault)
    if isinstance(fault, trio.TooSlowError):
        return f"it has sent no response within {OPENCODE_REQUEST_TIMEOUT_S:g} s"
    if isinstance(fault, OSError):
        return "it accepts no connections"
    return "it closed the connection before its response was complete"


class HttpResponse(msgspec.Struct, frozen=True):
    """A complete response; `media_type` is its Content-Type."""

    status: int
    media_type: str
    body: bytes


async def connect(port: int, authorization: str) -> HttpConnection:
    """Open a connection to the process that listens on `port`. Raises OSError."""
    stream = await trio.open_tcp_stream(_ADDRESS, port)
    return HttpConnection(stream, (("Host", f"{_ADDRESS}:{port}"), ("Authorization", authorization)))


def media_type(head: h11.Response) -> str:
    """Return the Content-Type of a response."""
    return dict(head.headers).get(b"content-type", b"").decode("latin1")


class Http:
    """Sends requests to the process on `port`, each on a free connection."""

    def __init__(self, port: int, authorization: str) -> None:
        self._port = port
        self._authorization = authorization
        self._free: list[HttpConnection] = []
        self._busy: set[HttpConnection] = set()
        self._closed = False

    async def ask(self, method: str, target: str, body: bytes = b"") -> HttpResponse:
        """Send a request and return its response. Raises FAULTS and OversizedResponseError; it has no deadline."""
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
        """Close all connections; waiting requests raise a fault."""
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
    head = await connection.ask(method, target, body)
    chunks: list[bytes] = []
    size_bytes = 0
    while chunk := await connection.receive():
        size_bytes += len(chunk)
        if size_bytes > OPENCODE_RESPONSE_BYTES_MAX:
            raise OversizedResponseError
        chunks.append(chunk)
    return HttpResponse(head.status_code, media_type(head), b"".join(chunks))
