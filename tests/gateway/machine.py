"""A whole Fleet on fakes behind its gateway, for tests that send it requests.

`Machine` is what a restart leaves: the log's disk, the repositories, OpenCode's processes. `Api` is one running Fleet;
`send` sends a request through the framework's test client and holds the response to openapi.json, `listen` serves on a
real port for streams. Time is virtual.
"""

import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any, NamedTuple, cast

import h11
import msgspec
import trio

from fleet.actors.context import Policy, Ports
from fleet.actors.fleet import Fleet
from fleet.actors.supervision import Supervision
from fleet.actors.upkeep.server_records import ServerFacts
from fleet.adapters.files import LocalFiles
from fleet.adapters.local_hosts import LocalHosts
from fleet.events.catalog import make_registry
from fleet.gateway.app import FleetApp, Gateway, make_app
from fleet.gateway.live.reader import Streams
from fleet.gateway.server.guard import Guard
from fleet.gateway.server.metrics import Metrics
from fleet.gateway.server.middleware import Middleware
from fleet.gateway.server.page_files import Build
from fleet.ports import LOCAL, HostPorts, Hosts
from fleet.projections.projections import Stores
from fleet.traces import Traces
from tests.fakes.clock import FakeClock, FakeIds
from tests.fakes.cluster import FakeCluster
from tests.fakes.hosts import FakeHosts
from tests.fakes.memory_blobs import MemoryBlobs
from tests.fakes.memory_log import MemoryDisk, MemoryLog
from tests.fakes.memory_store import MemoryStore
from tests.fakes.opencode import FakeOpenCodeWorld
from tests.fakes.removals import FakeRemovals
from tests.fakes.scripts import FakeScripts, FakeScriptsWorld
from tests.fakes.shells import FakeShells
from tests.fakes.trees import FakeTrees
from tests.fakes.webhooks import FakeSender, MemoryWebhookSecrets
from tests.fakes.workspaces import FakeDisk, FakeWorkspaces
from tests.gateway.documented import check_documented

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
    """An open event stream on a connection of its own, read frame by frame."""

    def __init__(self, connection: trio.SocketStream) -> None:
        self.headers: Mapping[str, str] = {}
        self.heartbeats = 0
        self._connection = connection
        self._http = h11.Connection(h11.CLIENT)
        self._text = ""

    async def ask(self, path: str, headers: Mapping[str, str]) -> None:
        """Send the request and read the head of its answer, which must be a good one."""
        sent = [("Host", "localhost"), *((name.replace("_", "-"), value) for name, value in headers.items())]
        request = self._http.send(h11.Request(method="GET", target=path, headers=sent))
        end = self._http.send(h11.EndOfMessage())
        await self._connection.send_all((request or b"") + (end or b""))
        response = await self._event()
        assert isinstance(response, h11.Response)
        assert response.status_code == 200
        self.headers = {name.decode(): value.decode() for name, value in response.headers}

    async def frame(self) -> Frame:
        """Return the next frame. Raises `EOFError` at the end of the stream."""
        while True:
            block, end, rest = self._text.partition("\n\n")
            if not end:
                await self._read()
                continue
            self._text = rest
            if block != ": heartbeat":
                return _frame(block)
            self.heartbeats += 1
            assert self.heartbeats < 100, "nothing comes any more"

    async def until(self, event: str) -> list[Frame]:
        """Return the frames up to the first of this kind, that one included."""
        frames = [await self.frame()]
        while frames[-1].event != event:
            frames.append(await self.frame())
        return frames

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Return the body as it comes, until it ends."""
        while isinstance(event := await self._event(), h11.Data):
            yield bytes(event.data)
        assert isinstance(event, h11.EndOfMessage)

    async def _read(self) -> None:
        event = await self._event()
        if isinstance(event, h11.EndOfMessage):
            raise EOFError  # noqa: TRY004 - the stream has ended, as it may
        assert isinstance(event, h11.Data)
        self._text += event.data.decode()

    async def _event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._connection.receive_some(65536))
        return event


def _frame(block: str) -> Frame:
    """Return the frame of these lines: each field stands there once."""
    fields = dict(line.split(": ", 1) for line in block.splitlines())
    assert len(fields) == len(block.splitlines())
    assert fields.keys() <= {"id", "event", "data"}
    return Frame(fields["event"], int(fields["id"]) if "id" in fields else None, msgspec.json.decode(fields["data"]))


class Api:
    """One running Fleet."""

    def __init__(self, fleet: Fleet, guard: Guard | None = None, build: Build | None = None) -> None:
        self.fleet = fleet
        self.guard = Guard(fleet.context.clock) if guard is None else guard
        self.build = Build() if build is None else build
        self.closing = trio.Event()
        self.streams = Streams()

    @cached_property
    def app(self) -> FleetApp:
        """The application that `send` calls; `listen` makes one of its own."""
        return make_app(self.fleet, self.streams, Middleware(self.guard), Metrics(self.fleet), self.build)

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request; `body` goes as JSON, bytes as they are, and `Content_Type="…"` is a header."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        raw: bytes | None = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")
        send = cast("Any", self.app.test_client().open)  # its type asks for arguments that have defaults
        response = await send(path, method=method, data=raw, headers=sent)
        content = await response.get_data(as_text=False)
        assert isinstance(content, bytes)
        answer = Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, content)
        await check_documented(self.app, method, path, answer)
        return answer

    async def session(self, directory: str = PLAIN, **fields: Any) -> dict[str, Any]:
        """Create a session and return its item."""
        answer = await self.send("POST", "/api/sessions", {"directory": directory, **fields})
        assert answer.status == 200, answer
        item: dict[str, Any] = answer.json["session"]
        return item

    async def settled(self, session_id: str) -> dict[str, Any]:
        """Wait until the session neither works nor has a prompt waiting, and return its item."""
        await self.fleet.views.sessions.wait(session_id, lambda s: s.turn is None and not s.queue.prompts)
        item: dict[str, Any] = (await self.send("GET", f"/api/sessions/{session_id}")).json
        return item

    async def prompt(self, session_id: str, text: str) -> dict[str, Any]:
        """Send a prompt, wait for its turn to end, and return the session's item."""
        answer = await self.send("POST", f"/api/sessions/{session_id}/prompt", {"text": text})
        assert answer.status == 204, answer
        return await self.settled(session_id)

    @asynccontextmanager
    async def listen(self) -> AsyncGenerator[int]:
        """Serve on a port of the kernel's choice, which is returned, until the end or until `closing` is set."""
        self.closing = trio.Event()
        with socket.create_server(("127.0.0.1", 0)) as api:
            async with trio.open_nursery() as nursery:
                await nursery.start(Gateway(api, self.fleet, self.guard, self.build).run, self.closing)
                yield api.getsockname()[1]
                self.closing.set()

    @asynccontextmanager
    async def follow(self, port: int, path: str, **headers: str) -> AsyncGenerator[Stream]:
        """Open an event stream."""
        async with await trio.open_tcp_stream("127.0.0.1", port) as connection:
            stream = Stream(connection)
            await stream.ask(path, headers)
            yield stream


class Machine:
    """What outlives a Fleet."""

    def __init__(self, world: FakeOpenCodeWorld) -> None:
        self.world = world
        self.clock = FakeClock()
        self.files = FakeDisk(directories={PLAIN})
        self.files.add_repository(REPOSITORY)
        self.disk = MemoryDisk()
        self.webhook_secrets = MemoryWebhookSecrets()
        self.sender = FakeSender()
        self.scripts = FakeScriptsWorld()
        self.shells = FakeShells()
        self.views = MemoryStore()
        self.policy = Policy()
        self.traces: Traces | None = None
        self.facts: ServerFacts | None = None
        self.cluster: FakeCluster | None = None
        self._ids = FakeIds(self.clock)

    def hosts(self) -> Hosts:
        """Return the hosts of a Fleet: the server's machine, and those of the cluster if there is one."""
        local = HostPorts(
            name=LOCAL,
            opencode=self.world.host(),
            workspaces=FakeWorkspaces(self.files),
            trees=FakeTrees(self.files),
            removals=FakeRemovals(self.files),
            files=LocalFiles(),
            scripts=FakeScripts(self.scripts),
            shells=self.shells,
        )
        return LocalHosts(local) if self.cluster is None else FakeHosts(self.cluster, {LOCAL: local})

    def supervision(self, stores: Stores | None = None) -> Supervision:
        """Return a Fleet that has not started, on these stores; by default on the disk in memory."""
        log = MemoryLog(self.disk, make_registry(), self.clock)
        ports = Ports(self.clock, self._ids, self.hosts(), self.webhook_secrets, self.sender)
        stores = stores or Stores(log, MemoryBlobs(self.disk), self.views)
        return Supervision(ports, stores, policy=self.policy, threads=False, traces=self.traces, facts=self.facts)

    @asynccontextmanager
    async def fleet(self, *, killed: bool = False) -> AsyncGenerator[Api]:
        """Run a Fleet; at the end it is shut down in order, or `killed`."""
        supervision, stopping = self.supervision(), trio.Event()
        async with trio.open_nursery() as nursery:
            await nursery.start(supervision.run, stopping)
            yield Api(supervision.fleet)
            if killed:
                log = supervision.fleet.log
                assert isinstance(log, MemoryLog)
                log.crash()
                nursery.cancel_scope.cancel()
            stopping.set()
