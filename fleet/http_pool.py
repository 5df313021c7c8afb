"""The connections of a client to one server: each request uses a free one, and they are kept open between requests.

A connection is used again only if its response was complete and the server has not closed it since; after any other end
of a request, its connection is closed.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import h11
import msgspec
import trio

from fleet.http1 import BrokenConnectionError, HttpConnection

FAULTS: Final = (
    BrokenConnectionError,
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    h11.RemoteProtocolError,
)
"""The errors of requests: the server does not listen, closed the connection, or does not send HTTP."""


class OversizedResponseError(Exception):
    """The response is larger than the client's limit."""


class HttpResponse(msgspec.Struct, frozen=True):
    """A complete response; the names of its header fields are in lower case."""

    status: int
    fields: dict[bytes, bytes]
    body: bytes

    def field(self, name: str) -> str | None:
        """Return the value of a header field, None where there is none of this name (in lower case)."""
        value = self.fields.get(name.encode())
        return None if value is None else value.decode("latin1")


class HttpPool:
    """Sends requests over connections that `connect` opens. It keeps `kept_max` of them open while they are free."""

    def __init__(
        self, connect: Callable[[], Awaitable[HttpConnection]], *, kept_max: int, response_bytes_max: int
    ) -> None:
        self._connect = connect
        self._kept_max = kept_max
        self._response_bytes_max = response_bytes_max
        self._free: list[HttpConnection] = []
        self._busy: set[HttpConnection] = set()
        self._closed = False

    async def ask(
        self, method: str, target: str, body: bytes = b"", fields: Sequence[tuple[str, str]] = ()
    ) -> HttpResponse:
        """Send a request and return its response. Raises FAULTS and OversizedResponseError; it has no deadline."""
        connection = self._take() or await self._connect()
        self._busy.add(connection)
        if self._closed:
            connection.close()
        try:
            response = await self._exchange(connection, method, target, body, fields)
            if not self._closed and len(self._free) < self._kept_max and connection.renew():
                self._free.append(connection)
            else:
                connection.close()
        except BaseException:
            connection.close()
            raise
        finally:
            self._busy.discard(connection)
        return response

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

    async def _exchange(
        self, connection: HttpConnection, method: str, target: str, body: bytes, fields: Sequence[tuple[str, str]]
    ) -> HttpResponse:
        head = await connection.ask(method, target, body, fields)
        chunks: list[bytes] = []
        size_bytes = 0
        while chunk := await connection.receive():
            size_bytes += len(chunk)
            if size_bytes > self._response_bytes_max:
                raise OversizedResponseError(f"the response is larger than {self._response_bytes_max} bytes")
            chunks.append(chunk)
        return HttpResponse(head.status_code, dict(head.headers), b"".join(chunks))
