"""A reader of the fleet view for tests: it does what a page does with the frames."""

from typing import Any

import trio

from fleet.limits import FLEET_ITEM_INTERVAL_S
from tests.gateway.machine import Api
from tests.gateway.sockets import Client


class Reader:
    """A reader of the view, as a page is one: it replaces what it holds, and never folds anything."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}
        self.position: int | None = None
        self.resets = 0
        self.frames: list[dict[str, Any]] = []
        self.is_live = False

    def take(self, frame: dict[str, Any]) -> None:
        """Apply a frame."""
        self.frames.append(frame)
        if frame["type"] == "items":
            if frame["reset"]:
                self.held.clear()
                self.position = None
                self.resets += 1
            self.held |= {item["id"]: item for item in frame["sessions"]}
        elif frame["type"] == "item":
            self.held[frame["session"]["id"]] = frame["session"]
        elif frame["type"] == "gone":
            self.held.pop(frame["sessionId"], None)
        self.is_live |= frame["type"] == "live"
        assert frame["position"] >= (self.position or 0), "a position never goes back"
        self.position = frame["position"]

    async def begin(self, client: Client, frames: int = 10**6) -> None:
        """Subscribe, from where it was, and read up to `live`, or so many frames."""
        self.frames, self.is_live = [], False
        fields = {} if self.position is None else {"after": self.position}
        await client.send("subscribe", "f", view="fleet", **fields)
        while not self.is_live and frames > len(self.frames):
            self.take(await client.frame())

    async def catch_up(self, client: Client) -> list[dict[str, Any]]:
        """Read all that there is to be told; return the frames."""
        before = len(self.frames)
        await trio.sleep(2 * FLEET_ITEM_INTERVAL_S)
        await client.send("ping", "p")
        for frame in await client.until("reply", "p"):
            if frame["type"] != "reply":
                self.take(frame)
        return self.frames[before:]


async def listed(api: Api) -> dict[str, Any]:
    """Return what REST lists."""
    return {item["id"]: item for item in (await api.send("GET", "/api/sessions?limit=200")).json}
