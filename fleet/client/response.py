"""A long response, read from its socket as it arrives.

httpx would hand it out through six asynchronous generators inside each other, which trio can only clean up with a
warning when a reader leaves early; a reader of a stream always does.
"""

import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import h11
import httpx
import trio

from fleet.limits import CLIENT_CONNECT_S, STREAM_READ_BYTES

LOST = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError, h11.RemoteProtocolError)
"""How a connection fails."""


class LongResponse:
    """An answer whose head has come. `chunk()` returns b"" at its end, and raises one of `LOST`."""

    def __init__(self, connection: "trio.SocketStream | trio.SSLStream[trio.SocketStream]") -> None:
        self._connection = connection
        self._http = h11.Connection(h11.CLIENT)
        self.status = 0
        self._headers: list[tuple[bytes, bytes]] = []

    @classmethod
    async def open(cls, url: httpx.URL, headers: Mapping[str, str]) -> Self:
        """Send a GET and read the head of its answer. Raises one of `LOST`."""
        with trio.fail_after(CLIENT_CONNECT_S):
            response = cls(await connect(url))
            try:
                await response._ask(url, headers)
            except BaseException:
                await response.aclose()
                raise
        return response

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection, at once."""
        await trio.aclose_forcefully(self._connection)

    async def _ask(self, url: httpx.URL, headers: Mapping[str, str]) -> None:
        sent = [("Host", url.netloc.decode("ascii")), *headers.items()]
        request = self._http.send(h11.Request(method="GET", target=url.raw_path, headers=sent)) or b""
        await self._connection.send_all(request + (self._http.send(h11.EndOfMessage()) or b""))
        while not isinstance(head := await self._event(), h11.Response):
            pass  # an informational one
        self.status, self._headers = head.status_code, list(head.headers)

    async def chunk(self) -> bytes:
        """Return what comes next, b"" at the end."""
        event = await self._event()
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    async def whole(self) -> httpx.Response:
        """Return the answer as one of httpx."""
        content = b""
        with trio.fail_after(CLIENT_CONNECT_S):
            while chunk := await self.chunk():
                content += chunk
        return httpx.Response(self.status, headers=self._headers, content=content)

    async def _event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(bytes(await self._connection.receive_some(STREAM_READ_BYTES)))
        return event


async def connect(url: httpx.URL) -> "trio.SocketStream | trio.SSLStream[trio.SocketStream]":
    """Open a connection to the host of an address. Raises one of `LOST`."""
    secure = url.scheme == "https"
    connection = await trio.open_tcp_stream(url.host, url.port or (443 if secure else 80))
    if not secure:
        return connection
    return trio.SSLStream(connection, ssl.create_default_context(), server_hostname=url.host, https_compatible=True)
