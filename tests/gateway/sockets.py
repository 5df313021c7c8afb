"""A client of `/api/ws` for tests: it sends frames and reads frames, by trio-websocket."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio_websocket
from trio_websocket import WebSocketConnection


class Client:
    """An open WebSocket."""

    def __init__(self, socket: WebSocketConnection) -> None:
        self.socket = socket

    async def send(self, kind: str, frame_id: str, **fields: Any) -> None:
        """Send a frame; fields go in camelCase as they are."""
        await self.raw(msgspec.json.encode({"type": kind, "id": frame_id, **fields}).decode())

    async def raw(self, message: str | bytes) -> None:
        """Send a message as it is."""
        await self.socket.send_message(message)

    async def frame(self) -> dict[str, Any]:
        """Return the next frame. Raises `trio_websocket.ConnectionClosed`."""
        frame: dict[str, Any] = msgspec.json.decode(await self.socket.get_message())
        return frame

    async def until(self, kind: str, frame_id: str | None = None, event: str | None = None) -> list[dict[str, Any]]:
        """Return the frames up to the first of this kind, for this id, and of this type of event."""
        frames: list[dict[str, Any]] = []
        while True:
            frame = await self.frame()
            frames.append(frame)
            right_id = frame_id is None or frame.get("id") == frame_id
            if frame["type"] == kind and right_id and (event is None or frame["event"]["type"] == event):
                return frames

    async def ask(self, kind: str, frame_id: str, **fields: Any) -> dict[str, Any]:
        """Send a frame and return what answers it, a reply or an error."""
        await self.send(kind, frame_id, **fields)
        while True:
            frame = await self.frame()
            if frame["type"] in ("reply", "error") and frame.get("id") == frame_id:
                return frame

    async def command(self, method: str, path: str, body: Any = None, **fields: Any) -> dict[str, Any]:
        """Send a command and return what answers it."""
        if body is not None:
            fields["body"] = body
        return await self.ask("command", "command", method=method, path=path, **fields)


@asynccontextmanager
async def connected(port: int, headers: list[tuple[bytes, bytes]] | None = None) -> AsyncGenerator[Client]:
    """Open a WebSocket."""
    url = f"ws://127.0.0.1:{port}/api/ws"
    async with trio_websocket.open_websocket_url(url, extra_headers=headers, max_message_size=2**26) as socket:
        yield Client(socket)
