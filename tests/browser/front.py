"""What a browser sees as one origin: a page, and behind it whichever Fleet runs just now.

Bytes go through as they are, so that Fleet speaks with the browser itself; connections are cut at random.
"""

from collections.abc import Callable
from contextlib import suppress
from random import Random
from urllib.parse import urlsplit

import h11
import trio

Report = Callable[[bytes], None]


class Front:
    """Serves `page` at `/`, gives `report` what is posted to `/report`, and leads everything else to `url()`."""

    def __init__(self, page: bytes, report: Report, url: Callable[[], str | None], random: Random) -> None:
        self._page = page
        self._report = report
        self._url = url
        self._random = random

    async def serve(self, connection: trio.SocketStream) -> None:
        """Serve one connection."""
        with trio.CancelScope() as scope:
            async with connection:
                with suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                    await self._serve(connection, scope)

    async def _serve(self, connection: trio.SocketStream, scope: trio.CancelScope) -> None:
        received = bytearray()
        while b"\r\n\r\n" not in received:
            chunk = await connection.receive_some()
            if not chunk:
                return
            received += chunk
        where = self._url()
        if not received.split(b" ", 2)[1].startswith(b"/api/"):
            await self._answer(connection, bytes(received))
        elif where is not None:
            address = urlsplit(where)
            scope.deadline = trio.current_time() + 1 + self._random.expovariate(0.3)
            async with await trio.open_tcp_stream(address.hostname or "", address.port or 0) as fleet:
                await fleet.send_all(received)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_pipe, connection, fleet, nursery.cancel_scope)
                    nursery.start_soon(_pipe, fleet, connection, nursery.cancel_scope)

    async def _answer(self, connection: trio.SocketStream, received: bytes) -> None:
        http = h11.Connection(h11.SERVER)
        http.receive_data(received)
        body = b""
        while not isinstance(event := http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                http.receive_data(await connection.receive_some())
            elif isinstance(event, h11.Data):
                body += event.data
        if body:
            self._report(body)
        page = b"" if body else self._page
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(
            page
        )
        await connection.send_all(head + page)


async def _pipe(one: trio.SocketStream, other: trio.SocketStream, scope: trio.CancelScope) -> None:
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        async for chunk in one:
            await other.send_all(chunk)
    scope.cancel()
