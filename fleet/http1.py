"""One HTTP/1.1 connection of a client: h11 over a socket of trio's, with or without TLS.

Not httpx, where a request must be one write, a read must be cancelled without losing a byte and give all that waits, or
a reader must be able to leave in the middle: httpx hands a body out through six asynchronous generators inside each
other, which trio can only clean up with a warning.
"""

import math
import select
from collections.abc import Sequence

import h11
import trio

from fleet.limits import HTTP_READ_BYTES

TcpStream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class BrokenConnectionError(Exception):
    """The connection cannot be used any more; the text says what the server ("it") did."""


class HttpConnection:
    """One connection, with one request at a time: `ask`, then `receive` up to the end, or `close`.

    All of it raises BrokenConnectionError, OSError, h11.RemoteProtocolError, or trio's BrokenResourceError and
    ClosedResourceError.
    """

    def __init__(self, stream: TcpStream, fields: Sequence[tuple[str, str]]) -> None:
        self._stream = stream
        self._socket = (stream.transport_stream if isinstance(stream, trio.SSLStream) else stream).socket
        self._fields = fields
        self._http = h11.Connection(h11.CLIENT)
        self._ended = False

    async def ask(
        self, method: str, target: str, body: bytes = b"", fields: Sequence[tuple[str, str]] = ()
    ) -> h11.Response:
        """Send a request, with JSON in its body if it has one, and return the head of the response."""
        http, self._ended = self._http, False
        about_body = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        all_fields = [*self._fields, *fields, *(() if method == "GET" else about_body)]
        pieces = [
            http.send(h11.Request(method=method, target=target, headers=all_fields)),
            http.send(h11.Data(data=body)) if body else b"",
            http.send(h11.EndOfMessage()),
        ]
        await self._stream.send_all(b"".join(piece or b"" for piece in pieces))
        while True:
            event = http.next_event()
            if isinstance(event, h11.Response):
                return event
            if event is h11.NEED_DATA:
                await self._feed()
            elif not isinstance(event, h11.InformationalResponse):
                raise BrokenConnectionError("it closed the connection without a response")

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
                raise BrokenConnectionError("it closed the connection within a response")
        return b"".join(chunks)

    async def _feed(self) -> None:
        self._http.receive_data(bytes(await self._stream.receive_some(HTTP_READ_BYTES)))

    def renew(self) -> bool:
        """Prepare for another request after the end of a response. Return False if the server accepts none."""
        http = self._http
        if http.our_state is not h11.DONE or http.their_state is not h11.DONE or http.trailing_data[0]:
            return False
        http.start_next_cycle()
        return True

    def is_quiet(self) -> bool:
        """Return whether no byte has come since the last response; such a byte means the end of the connection."""
        look = select.poll()
        look.register(self._socket.fileno(), select.POLLIN)
        return not look.poll(0)

    def close(self) -> None:
        """Close it at once; a task that waits for a response gets trio.ClosedResourceError."""
        self._socket.close()
