"""What a page hears of a session: the frames of one WebSocket, and what REST says at their end, as lines of JSON.

Everything is on virtual time and drawn from one seed, so that the same Fleet writes the same lines again. A line holds
one of these, and `at`, the milliseconds since the beginning:

    about    what the history shows, and the session's id
    sent     a frame of the client
    frame    a frame of the server
    lost     the connection is gone: what comes behind it comes over another one
    rest     a path of REST, with the `status` and `body` of its answer when nothing happened any more
"""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio

from fleet.gateway.hypercorn.websocket import PING
from tests.fakes.opencode import FakeOpenCodeWorld
from tests.gateway.machine import PLAIN, Api, Machine

Json = dict[str, Any]

QUIET_S = 5.0
"""After so long, everything that waits for its turn has been sent."""
PATHS = (
    "",
    "/messages?limit=200",
    "/turns",
    "/conversations",
    "/requests",
    "/queue",
    "/todos",
    "/diffs?contents=false",
)
"""What a page reads of a session."""


class Recorder:
    """A machine whose Fleet is watched by one page."""

    def __init__(self, nursery: trio.Nursery, about: str) -> None:
        self.machine = Machine(FakeOpenCodeWorld(nursery, lost_idle_chance=0, swallowed_term_chance=0))
        self.lines: list[Json] = []
        self._about = about
        self._heard = trio.Event()
        self._cursors: dict[str, int] = {}
        self._began_s = trio.current_time()

    @asynccontextmanager
    async def fleet(self, *, killed: bool = False) -> AsyncGenerator[Api]:
        """Run a Fleet, which at its end is shut down in order, or `killed`."""
        async with self.machine.fleet(killed=killed) as api, trio.open_nursery() as nursery:
            nursery.start_soon(api.streams.run)
            nursery.start_soon(api.app.live_views.run)
            yield api
            nursery.cancel_scope.cancel()

    @asynccontextmanager
    async def page(self, api: Api, *, lost: bool = False) -> AsyncGenerator["Page"]:
        """Connect the page; `lost`: it is not over when the connection is."""
        async with api.app.test_client().websocket("/api/ws") as socket, trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, socket)
            yield Page(self, api, socket)
            nursery.cancel_scope.cancel()
        if lost:
            self.write("lost", True)

    def begin(self, session_id: str) -> None:
        """Say what this is about."""
        self.write("about", self._about, session=session_id)

    def write(self, kind: str, what: Any, **more: Any) -> None:
        """Write a line."""
        self.lines.append({"at": round((trio.current_time() - self._began_s) * 1000), kind: what, **more})

    async def heard(self, wanted: Callable[[Json], bool]) -> Json:
        """Return the newest frame like this, once there is one."""
        while True:
            for line in reversed(self.lines):
                if "frame" in line and wanted(line["frame"]):
                    frame: Json = line["frame"]
                    return frame
            self._heard = trio.Event()
            await self._heard.wait()

    def cursor(self, frame_id: str) -> int | None:
        """Return where a subscription has come to, None for one that has not begun."""
        return self._cursors.get(frame_id)

    async def _listen(self, socket: Any) -> None:
        while True:
            for frame in frames_of(await socket.receive()):
                self.write("frame", frame)
                if "position" in frame and frame["type"] != "reply":
                    self._cursors[frame["id"]] = frame["position"]
            self._heard.set()


class Page:
    """The page, as long as it is connected to this Fleet."""

    def __init__(self, recorder: Recorder, api: Api, socket: Any) -> None:
        self.api = api
        self._recorder = recorder
        self._socket = socket

    async def send(self, kind: str, frame_id: str, **fields: Any) -> None:
        """Send a frame."""
        frame = {"type": kind, "id": frame_id, **fields}
        self._recorder.write("sent", frame)
        await self._socket.send(msgspec.json.encode(frame).decode())

    async def follow(self, session_id: str) -> None:
        """Follow the fleet, the inbox and the session, from where the page has come to."""
        fleet, session = self._recorder.cursor("f"), self._recorder.cursor("s")
        await self.send("subscribe", "f", view="fleet", **({} if fleet is None else {"after": fleet}))
        await self.send("subscribe", "i", view="inbox")
        await self.send("subscribe", "s", sessions=[session_id], after=session or 0)

    async def command(self, frame_id: str, method: str, path: str, body: Any = None) -> Json:
        """Send a command, and return its reply."""
        await self.send("command", frame_id, method=method, path=path, **({} if body is None else {"body": body}))
        reply = await self._recorder.heard(
            lambda frame: frame["type"] in ("reply", "error") and frame["id"] == frame_id
        )
        assert reply["type"] == "reply", reply
        return reply

    async def signal(self, wanted: Callable[[Json], bool]) -> None:
        """Wait for a signal like this."""
        await self._recorder.heard(lambda frame: frame["type"] == "signal" and wanted(frame["signal"]))

    async def waits(self, session_id: str) -> str:
        """Wait until the session has an open request, and return its id."""
        state = await self.api.fleet.views.sessions.wait(session_id, lambda s: bool(s.requests))
        return state.requests[0].id

    async def prompt(self, session_id: str, text: str, frame_id: str = "prompt") -> None:
        """Send a prompt."""
        await self.command(frame_id, "POST", f"/api/sessions/{session_id}/prompt", {"text": text})

    async def session(self, **fields: Any) -> str:
        """Create a session, which the page then follows, and return its id."""
        session_id: str = (await self.api.session(PLAIN, **fields))["id"]
        self._recorder.begin(session_id)
        await self.follow(session_id)
        return session_id

    async def end(self, session_id: str) -> None:
        """Wait until nothing happens any more, and write what REST says then."""
        state = self.api.fleet.views.sessions.get(session_id)
        if state is not None and not state.requests:
            await self.api.settled(session_id)
        await trio.sleep(QUIET_S)
        own = f"/api/sessions/{session_id}"
        answers = [await self._rest(own + path) for path in PATHS]
        conversations = answers[PATHS.index("/conversations")]
        found = msgspec.convert(conversations, list[Json]) if state is not None else []
        for conversation in found[1:]:
            await self._rest(f"{own}/messages?limit=200&conversation={conversation['id']}")
        for path in ("/api/sessions", "/api/inbox", "/api/notifications"):
            await self._rest(path)

    async def _rest(self, path: str) -> Any:
        answer = await self.api.send("GET", path)
        self._recorder.write("rest", path, status=answer.status, body=answer.json)
        return answer.json


def frames_of(chunk: bytes) -> Generator[Json]:
    """Yield the frames of a write: complete and unmasked, as `hypercorn/websocket.py` makes them. Pings are skipped."""
    while chunk:
        assert chunk[:1] in (b"\x81", PING[:1])
        size, begin = chunk[1], 2
        if size == 126:
            size, begin = int.from_bytes(chunk[2:4], "big"), 4
        elif size == 127:
            size, begin = int.from_bytes(chunk[2:10], "big"), 10
        if chunk[:1] == b"\x81":
            yield msgspec.json.decode(chunk[begin : begin + size])
        chunk = chunk[begin + size :]
