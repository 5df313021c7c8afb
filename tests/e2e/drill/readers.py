"""Readers of the fleet's streams that lose their connection at random and come back with their cursor, without end.

One reads SSE by httpx, one by `curl -N`, one the WebSocket by trio-websocket, one by Fleet's own client. That one
would come back by itself, were the server not at another address each time.
"""

import subprocess
from collections.abc import AsyncIterable, AsyncIterator, Callable
from random import Random
from urllib.parse import urlsplit

import httpx
import msgspec
import trio
import trio_websocket

from fleet.client import FleetClient, FleetError
from fleet.wire.frames import Event, Snapshot
from tests.e2e.drill.screen import Screen

Url = Callable[[], str | None]
_GONE = (
    FleetError,
    httpx.HTTPError,
    OSError,
    trio_websocket.ConnectionClosed,
    trio_websocket.HandshakeError,
    trio.BrokenResourceError,
)


class Frame(msgspec.Struct):
    """A frame of the WebSocket."""

    type: str
    event: msgspec.Raw = msgspec.Raw(b"")
    signal: msgspec.Raw = msgspec.Raw(b"")
    snapshot: msgspec.Raw = msgspec.Raw(b"")
    position: int = 0
    after: int = -1

    def show(self, screen: Screen) -> None:
        """Give it to a screen."""
        if self.type == "event":
            screen.event(bytes(self.event))
            assert self.position == screen.cursor
        elif self.type == "snapshot":
            screen.snapshot(bytes(self.snapshot))
        elif self.type == "signal":
            screen.signal(bytes(self.signal))
        elif self.type == "lagging":
            assert self.after == screen.cursor
        else:
            assert self.type == "live", self
            assert self.position >= screen.cursor


def take_sse(screen: Screen, block: bytes) -> None:
    """Give a screen one SSE frame."""
    fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if line and not line.startswith(b":"))
    if b"id" in fields:
        screen.event(fields[b"data"])
        assert int(fields[b"id"]) == screen.cursor
    elif fields.get(b"event") == b"snapshot":
        screen.snapshot(fields[b"data"])
    elif fields:
        screen.signal(fields[b"data"])


async def _blocks(chunks: AsyncIterable[bytes | bytearray]) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + bytes(chunk)).split(b"\n\n")
        for block in whole:
            yield block


async def _sse(url: str, screen: Screen) -> None:
    headers = {"Last-Event-ID": str(screen.cursor)}
    async with (
        httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as http,
        http.stream("GET", f"{url}/api/events", headers=headers) as answer,
    ):
        answer.raise_for_status()
        async for block in _blocks(answer.aiter_bytes()):
            take_sse(screen, block)


async def _curl(url: str, screen: Screen) -> None:
    command = ["curl", "--silent", "--fail", "--no-buffer", f"{url}/api/events?after={screen.cursor}"]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        async for block in _blocks(process.stdout):
            take_sse(screen, block)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            if process.stdout is not None:
                await process.stdout.aclose()


async def _socket(url: str, screen: Screen) -> None:
    where = urlsplit(url)
    # Opened here, because trio-websocket leaves a connection open whose handshake fails.
    async with (
        await trio.open_tcp_stream(where.hostname or "", where.port or 0) as stream,
        trio.open_nursery() as nursery,
    ):
        socket = await trio_websocket.wrap_client_stream(
            nursery, stream, where.netloc, "/api/ws", max_message_size=2**26
        )
        await _follow(socket, screen)
        nursery.cancel_scope.cancel()


async def _follow(socket: trio_websocket.WebSocketConnection, screen: Screen) -> None:
    subscribe = {"type": "subscribe", "id": "all", "sessions": "*", "after": screen.cursor}
    await socket.send_message(msgspec.json.encode(subscribe).decode())
    while True:
        frame = msgspec.json.decode(await socket.get_message(), type=Frame)
        frame.show(screen)
        if frame.type == "lagging":
            return


async def _client(url: str, screen: Screen) -> None:
    async with FleetClient(url, retry_for_s=0) as fleet, fleet.socket() as socket:
        async for frame in socket.events(after=screen.cursor):
            if isinstance(frame, Event):
                screen.event(msgspec.json.encode(frame))
            elif isinstance(frame, Snapshot):
                screen.snapshot(msgspec.json.encode(frame))
            else:
                screen.signal(msgspec.json.encode({"type": frame.type, **msgspec.to_builtins(frame)}))


READERS = {"sse": _sse, "curl": _curl, "socket": _socket, "client": _client}


async def read(kind: str, screen: Screen, url: Url, random: Random) -> None:
    """Read until cancelled, however often the connection is lost."""
    while True:
        where = url()
        if where is None:
            await trio.sleep(0.02)
            continue
        with trio.move_on_after(random.expovariate(1.0)):
            screen.connections += 1
            try:
                await READERS[kind](where, screen)
            except* _GONE:
                await trio.sleep(0.05)
