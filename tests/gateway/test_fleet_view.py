"""The fleet view of the WebSocket: what a reader puts together of it is what `GET /api/sessions` lists."""

from typing import Any

import trio

from tests.gateway.door import REPOSITORY, Door
from tests.gateway.sockets import Client, connected


class Reader:
    """A reader of the view, as a page is one: it replaces what it holds, and never folds anything."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}
        self.position: int | None = None
        self.resets = 0

    def take(self, frame: dict[str, Any]) -> None:
        """Apply a frame."""
        kind = frame["type"]
        if kind == "items":
            if frame["reset"]:
                self.held.clear()
                self.resets += 1
            self.held |= {item["id"]: item for item in frame["sessions"]}
        elif kind == "item":
            self.held[frame["session"]["id"]] = frame["session"]
        elif kind == "gone":
            self.held.pop(frame["sessionId"], None)
        if self.position is None or frame["type"] == "live":
            self.position = frame["position"]
        assert frame["position"] >= self.position or kind == "items", "a position never goes back"
        self.position = max(self.position, frame["position"])

    async def begin(self, client: Client) -> None:
        """Subscribe, from where it was, and read up to `live`."""
        fields = {} if self.position is None else {"after": self.position}
        await client.send("subscribe", "f", view="fleet", **fields)
        for frame in await client.until("live", "f"):
            self.take(frame)

    async def catch_up(self, client: Client, position: int) -> None:
        """Read until everything up to `position` has been told."""
        with trio.fail_after(60):
            while self.position is None or self.position < position:
                self.take(await client.frame())

    async def read_for(self, client: Client, seconds: float) -> list[dict[str, Any]]:
        """Read what comes within this time."""
        frames: list[dict[str, Any]] = []
        with trio.move_on_after(seconds):
            while True:
                frames.append(await client.frame())
                self.take(frames[-1])
        return frames


async def listed(door: Door) -> dict[str, Any]:
    """Return what REST lists."""
    return {item["id"]: item for item in (await door.knock("GET", "/api/sessions?limit=200")).json}


async def test_a_view_begins_with_everything_and_goes_on_with_what_changes(door: Door) -> None:
    one = await door.session(title="One")
    reader = Reader()
    async with door.listen() as port, connected(port) as client:
        await client.send("subscribe", "f", view="fleet")
        frames = await client.until("live", "f")
        head = door.tree.log.head()
        assert frames == [
            {
                "type": "items",
                "id": "f",
                "position": head,
                "sessions": list((await listed(door)).values()),
                "more": False,
                "reset": True,
            },
            {"type": "live", "id": "f", "position": head},
        ]
        reader.take(frames[0])
        two = await door.session(directory=REPOSITORY, isolationStrategy="worktree")
        await door.prompt(one["id"], "turn:2")
        await reader.read_for(client, 1)
        assert reader.held == await listed(door)
        assert set(reader.held) == {one["id"], two["id"]}
        await door.knock("DELETE", f"/api/sessions/{one['id']}?permanent=true")
        frames = await reader.read_for(client, 1)
        assert {"type": "gone", "id": "f", "position": frames[-1]["position"], "sessionId": one["id"]} in frames
        assert reader.held == await listed(door)
    assert reader.position == door.tree.log.head()
