"""A WebSocket's client that sends given octets, right or wrong, one by one, and says what came back."""

import struct
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import trio

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_MASK = b"\x37\xfa\x21\x3d"
_HANDSHAKE = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)


class Received(NamedTuple):
    """A frame of the server."""

    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int:
        assert self.opcode == CLOSE
        return int.from_bytes(self.payload[:2], "big")


class RawSocket:
    """An open connection."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._read = b""

    async def head(self) -> str:
        """Return the head of the answer to the handshake."""
        while b"\r\n\r\n" not in self._read:
            received = await self.stream.receive_some()
            assert received, self._read
            self._read += received
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        return head.decode()

    async def send(
        self, opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True, chop: int = 0
    ) -> None:
        """Send a frame, `chop` octets at a time."""
        sent = frame(opcode, payload, fin=fin, rsv=rsv, masked=masked)
        for start in range(0, len(sent), chop or len(sent)):
            await self.stream.send_all(sent[start : start + (chop or len(sent))])

    async def receive(self) -> Received | None:
        """Return the next frame, which must be a good one, or None at the end."""
        try:
            head = await self._exactly(2)
            assert head[0] & 0x70 == 0
            assert head[0] & 0x80, "the server sends no fragments"
            assert head[1] & 0x80 == 0, "a server does not mask"
            size = head[1]
            if size > 125:
                size = int.from_bytes(await self._exactly(2 if size == 126 else 8), "big")
            return Received(head[0] & 0x0F, await self._exactly(size))
        except EOFError:
            return None

    async def _exactly(self, size: int) -> bytes:
        while len(self._read) < size:
            try:
                received = await self.stream.receive_some()
            except trio.BrokenResourceError:
                received = b""
            if not received:
                raise EOFError
            self._read += received
        taken, self._read = self._read[:size], self._read[size:]
        return taken


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """Return a frame's octets (RFC 6455, 5.2)."""
    head = bytes((fin << 7 | rsv << 4 | opcode,))
    bit = masked << 7
    if len(payload) < 126:
        head += bytes((bit | len(payload),))
    elif len(payload) < 65536:
        head += struct.pack("!BH", bit | 126, len(payload))
    else:
        head += struct.pack("!BQ", bit | 127, len(payload))
    if not masked:
        return head + payload
    key = int.from_bytes(_MASK * (len(payload) // 4 + 1), "big") >> 8 * (4 - len(payload) % 4)
    return head + _MASK + (int.from_bytes(payload, "big") ^ key).to_bytes(len(payload), "big")


@asynccontextmanager
async def raw_socket(
    port: int, headers: Sequence[tuple[str, str]] = (), without: str = ""
) -> AsyncGenerator[tuple[RawSocket, str]]:
    """Ask for a WebSocket, and return it with the head of the answer. Headers of the same name replace the usual."""
    own = {name for name, _ in headers}
    sent = [("Host", f"127.0.0.1:{port}"), *_HANDSHAKE]
    lines = [f"{name}: {value}" for name, value in [*(h for h in sent if h[0] not in own), *headers] if name != without]
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        socket = RawSocket(stream)
        await stream.send_all("\r\n".join(["GET /api/ws HTTP/1.1", *lines, "", ""]).encode())
        yield socket, await socket.head()


async def refusal(port: int, headers: Sequence[tuple[str, str]] = (), without: str = "") -> tuple[int, str]:
    """Return the status of a handshake, and what comes with it."""
    async with raw_socket(port, headers, without) as (socket, head):
        status = int(head.split()[1])
        body = "" if status == 101 else (await socket.stream.receive_some()).decode() if not socket._read else ""
        return status, head + body + socket._read.decode()
