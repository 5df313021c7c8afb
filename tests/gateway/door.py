"""A whole Fleet on fakes behind its HTTP door: what the tests of the gateway knock at.

`Machine` is what a restart leaves: the log's disk, the repositories, OpenCode's processes. `Door` is one running Fleet;
`knock` goes through the framework's test client, `listen` serves on a real port for streams. Time is virtual.
"""

import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx
import msgspec
import trio
from quart_trio import QuartTrio

from fleet.actors.context import Ports
from fleet.actors.tree import Tree
from fleet.events.catalog import make_registry
from fleet.events.memory_log import MemoryDisk, MemoryLog
from fleet.gateway.app import Gateway, make_app
from fleet.projections.store import MemoryStore
from tests.fakes.clock import FakeClock, FakeIds
from tests.fakes.opencode import FakeOpenCodeWorld
from tests.fakes.workspaces import FakeDisk, FakeWorkspaces

REPOSITORY = "/home/user/project"
PLAIN = "/home/user/plain"
NOWHERE = "0198c0de-0000-7000-8000-000000000000"


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    def problem(self, status: int, code: str) -> dict[str, Any]:
        """Return the problem document, and insist that it is a whole one of this status and code."""
        assert self.headers["content-type"] == "application/problem+json", self
        document: dict[str, Any] = self.json
        assert (self.status, document["code"]) == (status, code), document
        assert document["status"] == status
        assert {"type", "title", "detail"} <= document.keys()
        assert all(sign not in self.body for sign in (b"<html", b"<!doctype", b"Traceback", b'.py"'))
        return document


class Frame(NamedTuple):
    """One frame of an event stream."""

    event: str
    id: int | None
    data: Any


class Stream:
    """An open event stream, read frame by frame."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()
        self.heartbeats = 0

    async def frame(self) -> Frame:
        """Return the next frame. Raises `StopAsyncIteration` at the end of the stream."""
        fields: dict[str, str] = {}
        while True:
            line = await anext(self._lines)
            if line.startswith(":"):
                self.heartbeats += 1
            elif line:
                name, _, value = line.partition(": ")
                assert name not in fields, "a frame has each field once"
                fields[name] = value
            elif fields:
                number = int(fields["id"]) if "id" in fields else None
                return Frame(fields["event"], number, msgspec.json.decode(fields["data"]))

    async def until(self, event: str) -> list[Frame]:
        """Return the frames up to the first of this kind, that one included."""
        frames = [await self.frame()]
        while frames[-1].event != event:
            frames.append(await self.frame())
        return frames


class Door:
    """One running Fleet."""

    def __init__(self, tree: Tree, app: QuartTrio, closing: trio.Event) -> None:
        self.tree = tree
        self.app = app
        self.closing = closing

    async def knock(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str
    ) -> Answer:
        """Send a request; `body` goes as JSON, `raw` as it is, and `Content_Type="…"` is a header."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            raw = msgspec.json.encode(body)
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")
        response = await self.app.test_client().open(path, method=method, data=raw, headers=sent)
        content = await response.get_data(as_text=False)
        assert isinstance(content, bytes)
        return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, content)

    async def session(self, directory: str = PLAIN, **fields: Any) -> dict[str, Any]:
        """Create a session and return its item."""
        answer = await self.knock("POST", "/api/sessions", {"directory": directory, **fields})
        assert answer.status == 200, answer
        item: dict[str, Any] = answer.json["session"]
        return item

    async def settled(self, session_id: str) -> dict[str, Any]:
        """Wait until the session neither works nor has a prompt waiting, and return its item."""
        await self.tree.views.sessions.wait(session_id, lambda s: s.turn is None and not s.queue)
        item: dict[str, Any] = (await self.knock("GET", f"/api/sessions/{session_id}")).json
        return item

    async def prompt(self, session_id: str, text: str) -> dict[str, Any]:
        """Send a prompt, wait for its turn to end, and return the session's item."""
        answer = await self.knock("POST", f"/api/sessions/{session_id}/prompt", {"text": text})
        assert answer.status == 204, answer
        return await self.settled(session_id)

    @asynccontextmanager
    async def listen(self) -> AsyncGenerator[httpx.AsyncClient]:
        """Serve on a port of the kernel's choice; the client's base is that."""
        with socket.create_server(("127.0.0.1", 0)) as door:
            base = f"http://127.0.0.1:{door.getsockname()[1]}"
            async with trio.open_nursery() as nursery:
                await nursery.start(Gateway(door, self.tree).run, self.closing)
                async with httpx.AsyncClient(base_url=base, timeout=None, trust_env=False) as client:  # noqa: S113 - virtual time
                    yield client
                self.closing.set()

    @asynccontextmanager
    async def follow(self, client: httpx.AsyncClient, path: str, **headers: str) -> AsyncIterator[Stream]:
        """Open an event stream."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with client.stream("GET", path, headers=sent) as response:
            assert response.status_code == 200, await response.aread()
            yield Stream(response)


class Machine:
    """What outlives a Fleet."""

    def __init__(self, world: FakeOpenCodeWorld) -> None:
        self.world = world
        self.clock = FakeClock()
        self.files = FakeDisk(directories={PLAIN})
        self.files.add_repository(REPOSITORY)
        self.disk = MemoryDisk()
        self._ids = FakeIds(self.clock)

    @asynccontextmanager
    async def fleet(self) -> AsyncGenerator[Door]:
        """Run a Fleet; it is shut down in order at the end."""
        log = MemoryLog(self.disk, make_registry(), self.clock)
        ports = Ports(self.clock, self._ids, self.world.host(), FakeWorkspaces(self.files))
        tree = Tree(ports, log, MemoryStore(), write=_write)
        stopping, closing = trio.Event(), trio.Event()
        async with trio.open_nursery() as nursery:
            await nursery.start(tree.run, stopping)
            yield Door(tree, make_app(tree, closing), closing)
            closing.set()
            stopping.set()


async def _write(write: Callable[[], None]) -> None:
    """Write at once: a thread would let virtual time run away."""
    await trio.lowlevel.checkpoint()
    write()
