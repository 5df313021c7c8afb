"""A server that writes what a test tells it to."""

from collections.abc import Awaitable, Callable
from typing import Self

import trio

Serve = Callable[[trio.SocketStream], Awaitable[None]]


def chunk(data: bytes) -> bytes:
    """Return a chunk of a body whose transfer encoding is `chunked`."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def whole(status: str, body: bytes = b"", media_type: str = "application/json") -> bytes:
    """Return an answer with a body of known length."""
    return b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        status.encode(),
        media_type.encode(),
        len(body),
        body,
    )


class Server:
    """Answers each connection with the next of its `answers`, then closes it; without any left it refuses."""

    def __init__(self, listener: trio.SocketListener) -> None:
        self.port: int = listener.socket.getsockname()[1]
        self.answers: list[Serve] = []
        self.requests: list[bytes] = []

    @classmethod
    async def start(cls, nursery: trio.Nursery) -> Self:
        """Listen on a free port."""
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        server = cls(listener)
        nursery.start_soon(trio.serve_listeners, server._serve, [listener])
        return server

    async def _serve(self, stream: trio.SocketStream) -> None:
        self.requests.append(await stream.receive_some(10_000))
        if self.answers:
            await self.answers.pop(0)(stream)
        await stream.aclose()

    def say(self, *pieces: bytes, forever: bool = True) -> None:
        """Answer the next connection with these pieces, each written on its own."""

        async def serve(stream: trio.SocketStream) -> None:
            for piece in pieces:
                await stream.send_all(piece)
                await trio.sleep(0.01)
            if forever:
                await trio.sleep_forever()

        self.answers.append(serve)
