"""A fake OpenCode for the simulation: processes, protocol and faults, on trio's clock and one seed.

`FakeOpenCodeWorld` is the machine: it outlives a simulated crash of Fleet, with the processes, the store they share and
the sessions in it. `FakeOpenCodeHost` and `FakeOpenCode` are the two ports into it. Its semantics are those measured of
the real one, and tests/contracts/opencode_contract.py holds both to them. What it says goes through the same `wire`
module as what the real one says. Turns are in opencode_turn.py, the words that script them too.

Everything that checkers ask is counted here: `runs`, `finished_turns`, `model_calls`, `double_runs`, `living()`.
"""

import math
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from random import Random
from typing import Any, Literal

import msgspec
import trio

from fleet.adapters.opencode import event_wire, wire
from fleet.adapters.opencode.binary import release
from fleet.errors import Problem, Unavailable
from fleet.ids import OPENCODE_RANDOM_BITS, OpenCodePrefix, opencode_id
from fleet.limits import (
    EVENT_RECONNECT_S_MAX,
    EVENT_RECONNECT_S_MIN,
    EVENT_SILENCE_S,
    MIB,
    OPENCODE_REQUEST_TIMEOUT_S,
    SPAWN_READY_TIMEOUT_S,
    TERM_GRACE_S,
)
from fleet.ports import (
    Endpoint,
    Exit,
    FoundProcess,
    Message,
    OpenCode,
    OpenCodeEvent,
    OpenCodeSession,
    OpenRequest,
    ProcessIdentity,
    Prompt,
    StopStep,
    StreamLost,
    StreamOpened,
    TurnStatus,
)
from tests.fakes.clock import EPOCH_MS
from tests.fakes.opencode_store import Json, Store, StoredMessage
from tests.fakes.opencode_turn import Turn

SpawnFault = Literal["missing", "not_executable", "downgrade", "exits", "never_ready", "port_taken"]
_AGENTS = (None, "build", "plan")


class FakeOpenCodeWorld:
    """One machine with one OpenCode data directory. `nursery` must outlive every simulated Fleet; cancel it at the end.

    `lost_idle_chance` and `swallowed_term_chance` are the odds of two things that the real one does now and then.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        seed: int = 0,
        *,
        version: str = "1.18.33",
        lost_idle_chance: float = 0.02,
        swallowed_term_chance: float = 0.02,
    ) -> None:
        self.nursery = nursery
        self.random = Random(seed)
        self.version = version
        self.lost_idle_chance = lost_idle_chance
        self.swallowed_term_chance = swallowed_term_chance
        self.store = Store()
        self.boot = 1
        self.processes: list[FakeProcess] = []
        self.orphans: list[FakeTool] = []
        self.spawn_faults: list[SpawnFault] = []
        self.runs: Counter[tuple[str, str]] = Counter()
        self.finished_turns: Counter[str] = Counter()
        self.model_calls: Counter[str] = Counter()
        self.double_runs: list[str] = []
        self._pid = 1000
        self._ids = 0

    def now_ms(self) -> int:
        return EPOCH_MS + int(trio.current_time() * 1000)

    def new_id(self, prefix: OpenCodePrefix) -> str:
        self._ids += 1
        return opencode_id(prefix, self.now_ms(), self._ids % 4096, self.random.getrandbits(OPENCODE_RANDOM_BITS))

    def new_identity(self) -> ProcessIdentity:
        self._pid += 1
        return ProcessIdentity(self._pid, float(self._pid) * 10, f"boot-{self.boot}")

    def by_chance(self, chance: float) -> bool:
        return self.random.random() < chance

    def host(self) -> "FakeOpenCodeHost":
        """Return the host of a Fleet that starts now: what lived before is not its child."""
        return FakeOpenCodeHost(self)

    # ------------------------------------------------------------------------------------------------ for checkers

    def living(self) -> "tuple[FakeProcess, ...]":
        return tuple(process for process in self.processes if process.exit is None)

    def process(self, instance_id: str) -> "FakeProcess":
        """Return the newest process of the instance. Raises `KeyError`."""
        for process in reversed(self.processes):
            if process.instance_id == instance_id:
                return process
        raise KeyError(instance_id)

    # --------------------------------------------------------------------------------------------------- faults

    def fail_next_spawn(self, fault: SpawnFault) -> None:
        self.spawn_faults.append(fault)

    def kill(self, instance_id: str) -> None:
        """SIGKILL the server; the shells of its tools live on."""
        self.process(instance_id).die(Exit(signal=9))

    def hang(self, instance_id: str) -> None:
        """SIGSTOP: it accepts connections and answers none."""
        self.process(instance_id).hang()

    def resume(self, instance_id: str) -> None:
        """SIGCONT."""
        self.process(instance_id).resume()

    def drop_events(self, instance_id: str) -> None:
        """Break every event stream; what happens until the reader is back is lost to it."""
        self.process(instance_id).break_streams()

    def reboot(self) -> None:
        """The machine went down: no process is left, and pids mean nothing any more."""
        for process in self.living():
            process.die(Exit(signal=9))
        self.orphans.clear()
        self.boot += 1

    def answer(self, request_id: str) -> None:
        """Answer a permission or question, as a person does in OpenCode's own interface. Raises `KeyError`."""
        next(process for process in self.living() if request_id in process.requests).answer(request_id)


class FakeTool:
    """A shell that a tool started: in a session of its own, it outlives its server."""

    def __init__(self, instance_id: str, identity: ProcessIdentity) -> None:
        self.instance_id = instance_id
        self.identity = identity


class FakeProcess:
    """One `opencode serve`: what it has in memory and loses when it dies."""

    def __init__(self, world: FakeOpenCodeWorld, instance_id: str, directory: str, fault: SpawnFault | None) -> None:
        self.world = world
        self.instance_id = instance_id
        self.directory = directory
        self.identity = world.new_identity()
        self.port = 20_000 + self.identity.pid
        self.memory_bytes = 320 * MIB
        self.exit: Exit | None = None
        self.exited = trio.Event()
        self.ready = trio.Event()
        self.password_known = True
        self.hung = False
        self.turns: dict[str, Turn] = {}
        self.statuses: dict[str, Json] = {}
        self.requests: dict[str, tuple[str, Json, trio.Event]] = {}
        self._warm: set[str] = set()
        self._resumed = trio.Event()
        self._streams: list[trio.MemorySendChannel[OpenCodeEvent]] = []
        self._scopes: set[trio.CancelScope] = set()
        self.start(self._boot, fault)

    async def _boot(self, fault: SpawnFault | None) -> None:
        await self.pause(self.world.random.uniform(1.1, 2.5))
        if fault == "exits":
            self.die(Exit(code=1))
        elif fault != "never_ready":
            self.ready.set()

    # ------------------------------------------------------------------------------------------------ life and death

    def start(self, work: Any, *arguments: Any) -> None:
        """Run something that ends with the process."""

        async def run() -> None:
            with trio.CancelScope() as scope:
                self._scopes.add(scope)
                try:
                    if self.exit is not None:
                        return
                    await work(*arguments)
                finally:
                    self._scopes.discard(scope)

        self.world.nursery.start_soon(run)

    async def perform(self, work: Any, *arguments: Any) -> None:
        """Run something in the process and wait for it: who waits may go, the work goes on."""
        done = trio.Event()

        async def run() -> None:
            try:
                await work(*arguments)
            finally:
                done.set()

        self.start(run)
        with trio.CancelScope() as waiting:
            self._scopes.add(waiting)
            try:
                await done.wait()
            finally:
                self._scopes.discard(waiting)

    async def pause(self, seconds: float) -> None:
        """Let time pass inside of the process: not at all while it is stopped, and never again once it is dead."""
        await trio.sleep(seconds)
        while self.hung and self.exit is None:
            await self._resumed.wait()
        if self.exit is not None:
            await trio.sleep_forever()

    def die(self, how: Exit) -> None:
        if self.exit is not None:
            return
        self.exit = how
        self.exited.set()
        for scope in list(self._scopes):
            scope.cancel()
        self.turns.clear()
        self.statuses.clear()
        self.requests.clear()
        self.break_streams()
        self._resumed.set()

    def hang(self) -> None:
        self.hung, self._resumed = True, trio.Event()

    def resume(self) -> None:
        self.hung = False
        self._resumed.set()

    async def resumed(self) -> None:
        while self.hung:
            await self._resumed.wait()
            if self.exit is not None:
                return

    @contextmanager
    def tool_process(self) -> Generator[None]:
        """A shell runs; it is gone when the tool ends or is aborted, and is left behind when the server dies."""
        tool = FakeTool(self.instance_id, self.world.new_identity())
        self.world.orphans.append(tool)
        try:
            yield
        finally:
            if self.exit is None and tool in self.world.orphans:
                self.world.orphans.remove(tool)

    # ------------------------------------------------------------------------------------------------------- prompts

    async def accept(self, session_id: str, prompt: Prompt) -> None:
        """What happens after the 204: the prompt is stored a little later, and lost if the process dies before."""
        directory = str(self.world.store.sessions[session_id]["directory"])
        cold = directory not in self._warm
        self._warm.add(directory)
        await self.pause(self.world.random.uniform(0.1, 0.7) if cold else self.world.random.uniform(0.005, 0.02))
        if prompt.agent not in _AGENTS:
            self.show_error(session_id, "UnknownError", f'Agent not found: "{prompt.agent}"')
            self.show_error(session_id, "UnknownError", "stack")
            return
        if session_id not in self.world.store.sessions or not await self._store(session_id, prompt):
            return
        if session_id not in self.turns:
            await self._turn(session_id)

    async def _store(self, session_id: str, prompt: Prompt) -> bool:
        """Store the prompt, again without effect; an id that another session has used is that session's message."""
        stored = self.world.store.messages.get(prompt.message_id)
        if stored is None:
            time = {"created": self.world.now_ms()}
            info = {"id": prompt.message_id, "sessionID": session_id, "role": "user", "time": time}
            stored = self.world.store.add(StoredMessage(info))
            await self.pause(0.003)  # a message can be read, and can survive a crash, without its parts
        sent: dict[str, Any] = msgspec.json.decode(wire.prompt_body(prompt))
        owner = stored.info["sessionID"]
        for part in sent["parts"]:
            stored.parts[part["id"]] = {**part, "sessionID": owner, "messageID": stored.id}
        if owner != session_id:
            self.show_error(session_id, "UnknownError", "No user message found in stream")
            return False
        self.show_message(stored)
        for part in stored.parts.values():
            self.show_part(part)
        return True

    async def _turn(self, session_id: str) -> None:
        if any(session_id in other.turns for other in self.world.living()):
            self.world.double_runs.append(session_id)
        turn = self.turns[session_id] = Turn(self, session_id)
        await turn.run()

    async def abort(self, session_id: str) -> None:
        if (turn := self.turns.get(session_id)) is not None:
            await turn.abort()

    async def ask(self, session_id: str, kind: str) -> None:
        """Ask a person and wait for the answer; an abort leaves the request behind, stale."""
        request_id = f"{kind[:3]}_{self.world.new_id('prt')[4:]}"
        about = (
            {"permission": "bash", "patterns": ["*"]} if kind == "permission" else {"questions": [{"question": "?"}]}
        )
        request: Json = {"id": request_id, "sessionID": session_id, **about}
        answered = trio.Event()
        self.requests[request_id] = (kind, request, answered)
        self._show(f"{kind}.asked", request)
        await answered.wait()
        await self.pause(0.005)

    def answer(self, request_id: str) -> None:
        kind, request, answered = self.requests.pop(request_id)
        answered.set()
        self._show(f"{kind}.replied", {"sessionID": request["sessionID"], "requestID": request_id})

    async def dispose(self, directory: str) -> None:
        for session_id in [key for key in self.turns if self._directory_of(key) == directory]:
            await self.abort(session_id)
        for request_id, (_, request, _) in list(self.requests.items()):
            if self._directory_of(request["sessionID"]) == directory:
                del self.requests[request_id]
        self._warm.discard(directory)

    def _directory_of(self, session_id: str) -> str | None:
        session = self.world.store.sessions.get(session_id)
        return None if session is None else str(session["directory"])

    def statuses_in(self, directory: str) -> Json:
        return {key: status for key, status in self.statuses.items() if self._directory_of(key) == directory}

    def requests_in(self, directory: str, kind: str) -> list[Json]:
        all_requests = [request for asked, request, _ in self.requests.values() if asked == kind]
        return [request for request in all_requests if self._directory_of(request["sessionID"]) == directory]

    # -------------------------------------------------------------------------------------------------------- events

    def set_status(self, session_id: str, status: Json) -> None:
        self.statuses[session_id] = status
        self._show("session.status", {"sessionID": session_id, "status": status})

    def end_turn(self, session_id: str, *, announced: bool) -> None:
        self.turns.pop(session_id, None)
        self.statuses.pop(session_id, None)
        if announced:
            self.show_idle(session_id)

    def show_idle(self, session_id: str) -> None:
        self._show("session.status", {"sessionID": session_id, "status": {"type": "idle"}})
        self._show("session.idle", {"sessionID": session_id})

    def show_error(self, session_id: str, name: str, message: str) -> None:
        self._show("session.error", {"sessionID": session_id, "error": {"name": name, "data": {"message": message}}})

    def show_message(self, message: StoredMessage) -> None:
        self._show("message.updated", {"info": message.info})

    def show_part(self, part: Json) -> None:
        self._show("message.part.updated", {"part": part})

    def show_delta(self, part: Json, delta: str) -> None:
        named = {"sessionID": part["sessionID"], "messageID": part["messageID"], "partID": part["id"]}
        self._show("message.part.delta", {**named, "field": "text", "delta": delta})

    def show_session(self, session: Json, change: str) -> None:
        self._show(f"session.{change}", {"info": session})

    def _show(self, name: str, properties: Json) -> None:
        event = event_wire.event(msgspec.json.encode({"payload": {"type": name, "properties": properties}}))
        assert not isinstance(event, str), name
        if self.exit is None:
            for stream in self._streams:
                stream.send_nowait(event)

    def open_stream(self) -> trio.MemoryReceiveChannel[OpenCodeEvent]:
        sender, receiver = trio.open_memory_channel[OpenCodeEvent](math.inf)
        self._streams.append(sender)
        return receiver

    def break_streams(self) -> None:
        streams, self._streams = self._streams, []
        for stream in streams:
            stream.close()


class FakeOpenCodeHost:
    """`fleet.ports.OpenCodeHost` of one simulated Fleet."""

    def __init__(self, world: FakeOpenCodeWorld) -> None:
        self._world = world
        self._children: list[ProcessIdentity] = []

    async def spawn(self, instance_id: str, directory: str) -> ProcessIdentity:
        await trio.sleep(0.01)
        fault = self._world.spawn_faults.pop(0) if self._world.spawn_faults else None
        if fault in ("missing", "not_executable", "downgrade"):
            raise Unavailable(f"opencode_{fault}", "OpenCode cannot be started.", hint="This is a simulation.")
        if fault == "port_taken":
            await trio.sleep(1)
        process = FakeProcess(self._world, instance_id, directory, fault)
        self._world.processes.append(process)
        self._children.append(process.identity)
        await trio.sleep(0.01)
        return process.identity

    async def wait_ready(self, instance_id: str, identity: ProcessIdentity) -> Endpoint:
        with trio.move_on_after(SPAWN_READY_TIMEOUT_S):
            while True:
                process = self._find(identity)
                if process is None:
                    raise Unavailable("opencode_exited", "OpenCode exited while starting. The end of its log: (empty)")
                if process.ready.is_set() and not process.hung:
                    return Endpoint(process.port, self._world.version)
                await trio.sleep(0.05)
        raise Unavailable("opencode_not_ready", "OpenCode did not become ready in time. The end of its log: (empty)")

    def _find(self, identity: ProcessIdentity) -> FakeProcess | None:
        return next((process for process in self._world.living() if process.identity == identity), None)

    async def wait_exit(self, instance_id: str, identity: ProcessIdentity) -> Exit:
        await trio.lowlevel.checkpoint()
        for process in self._world.processes:
            if process.identity == identity:
                await process.exited.wait()
                return process.exit if process.exit is not None and identity in self._children else Exit()
        return Exit()

    async def stop(self, instance_id: str, identity: ProcessIdentity | None) -> tuple[StopStep, ...]:
        steps: list[StopStep] = []
        for process in self._world.living():
            if process.instance_id == instance_id and identity in (None, process.identity):
                steps += await self._end(process)
        await trio.sleep(0.1)
        left = [process for process in self._world.living() if process.instance_id == instance_id]
        orphans = [tool for tool in self._world.orphans if tool.instance_id == instance_id]
        for process in left:
            process.die(Exit(signal=9))
        for tool in orphans:
            self._world.orphans.remove(tool)
        pids = [process.identity.pid for process in left] + [tool.identity.pid for tool in orphans]
        if swept := tuple(sorted(pids)):
            steps.append(StopStep("sweep", swept))
        for process in self._world.processes:
            process.password_known = process.password_known and process.instance_id != instance_id
        return tuple(steps)

    async def _end(self, process: FakeProcess) -> list[StopStep]:
        steps = [StopStep("term", (process.identity.pid,))]
        if self._world.by_chance(self._world.swallowed_term_chance):
            await trio.sleep(TERM_GRACE_S)
            steps.append(StopStep("term_again", (process.identity.pid,)))
        await trio.sleep(0.05)
        process.die(Exit(signal=15))
        return steps

    async def find(self) -> tuple[FoundProcess, ...]:
        await trio.sleep(0.01)
        servers = [FoundProcess(found.instance_id, found.identity, server=True) for found in self._world.living()]
        tools = [FoundProcess(tool.instance_id, tool.identity, server=False) for tool in self._world.orphans]
        return (*servers, *tools)

    def memory_bytes(self, identity: ProcessIdentity) -> int | None:
        process = self._find(identity)
        return None if process is None else process.memory_bytes

    def connect(self, instance_id: str, endpoint: Endpoint) -> AbstractAsyncContextManager[OpenCode]:
        return self._connect(instance_id, endpoint)

    @asynccontextmanager
    async def _connect(self, instance_id: str, endpoint: Endpoint) -> AsyncGenerator[OpenCode]:
        await trio.lowlevel.checkpoint()
        process = next((found for found in self._world.processes if found.port == endpoint.port), None)
        if process is None or not process.password_known:
            raise Unavailable("opencode_unreachable", f"The password of instance {instance_id} cannot be read.")
        yield FakeOpenCode(process)


class FakeOpenCode:
    """`fleet.ports.OpenCode` of one process."""

    def __init__(self, process: FakeProcess) -> None:
        self._process = process
        self._world = process.world

    @asynccontextmanager
    async def _request(self) -> AsyncGenerator[Store]:
        """One request: it may be carried out and its answer still be lost."""
        await self._travel()
        yield self._world.store
        await self._travel()

    async def _travel(self) -> None:
        await trio.sleep(self._world.random.uniform(0.001, 0.01))
        with trio.move_on_after(OPENCODE_REQUEST_TIMEOUT_S):
            await self._process.resumed()
        if self._process.exit is not None or self._process.hung:
            raise Unavailable("opencode_unreachable", "OpenCode did not answer.", retry_after_s=1)

    def _must_exist(self, session_id: str) -> Json:
        session = self._world.store.sessions.get(session_id)
        if session is None:
            raise Problem("session_gone", f"OpenCode's store has no session {session_id}.")
        return session

    async def health(self) -> str:
        async with self._request():
            return self._world.version

    async def create_session(self, session_id: str, directory: str, title: str) -> OpenCodeSession:
        async with self._request() as store:
            taken = session_id if release(self._world.version) >= (1, 17, 19) else self._world.new_id("ses")
            session = store.sessions.get(taken)
            change = "updated" if session else "created"
            session = session or store.create(taken, directory, title, self._world.now_ms())
            session["title"] = title
            self._process.show_session(session, change)
            return wire.session(msgspec.json.encode(session))

    async def read_session(self, session_id: str) -> OpenCodeSession | None:
        async with self._request() as store:
            return store.read_session(session_id)

    async def statuses(self, directory: str) -> Mapping[str, TurnStatus]:
        async with self._request():
            return wire.statuses(msgspec.json.encode(self._process.statuses_in(directory)))

    async def prompt(self, session_id: str, directory: str, prompt: Prompt) -> None:
        wire.prompt_body(prompt)  # refuses part ids that don't fit
        async with self._request():
            self._must_exist(session_id)
            self._process.start(self._process.accept, session_id, prompt)

    async def read_message(self, session_id: str, message_id: str) -> Message | None:
        async with self._request() as store:
            message = store.messages.get(message_id)
            return message.read() if message is not None and message.info["sessionID"] == session_id else None

    async def read_messages(self, session_id: str, newest: int | None = None) -> tuple[Message, ...]:
        async with self._request() as store:
            self._must_exist(session_id)
            transcript = store.transcript(session_id)
            return tuple(message.read() for message in transcript[-newest if newest else 0 :])

    async def abort(self, session_id: str, directory: str) -> None:
        async with self._request():
            await self._process.perform(self._process.abort, session_id)

    async def open_requests(self, directory: str) -> tuple[OpenRequest, ...]:
        async with self._request():
            permissions = msgspec.json.encode(self._process.requests_in(directory, "permission"))
            questions = msgspec.json.encode(self._process.requests_in(directory, "question"))
            return (*wire.requests("permission", permissions), *wire.requests("question", questions))

    async def dispose(self, directory: str) -> None:
        async with self._request():
            self._process.start(self._process.dispose, directory)

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[OpenCodeEvent]]:
        return self._events()

    @asynccontextmanager
    async def _events(self) -> AsyncGenerator[AsyncIterator[OpenCodeEvent]]:
        await trio.lowlevel.checkpoint()
        yield FakeEventStream(self._process)


class FakeEventStream(AsyncIterator[OpenCodeEvent]):
    """The event stream of one process: no replay, one `StreamOpened` per connection, one `StreamLost` per break."""

    def __init__(self, process: FakeProcess) -> None:
        self._process = process
        self._events: trio.MemoryReceiveChannel[OpenCodeEvent] | None = None
        self._lost = False
        self._backoff_s = 0.0

    async def __anext__(self) -> OpenCodeEvent:
        while True:
            if self._events is None:
                await trio.sleep(self._backoff_s)
                if await self._is_reachable():
                    self._events = self._process.open_stream()
                    self._lost, self._backoff_s = False, 0.0
                    return StreamOpened()
            elif (event := await self._receive(self._events)) is not None:
                return event
            self._events = None
            self._backoff_s = min(max(self._backoff_s * 2, EVENT_RECONNECT_S_MIN), EVENT_RECONNECT_S_MAX)
            if not self._lost:
                self._lost = True
                return StreamLost("OpenCode is silent or gone")

    async def _is_reachable(self) -> bool:
        with trio.move_on_after(OPENCODE_REQUEST_TIMEOUT_S):
            await self._process.resumed()
        await trio.sleep(0.005)
        return self._process.exit is None and not self._process.hung

    async def _receive(self, events: trio.MemoryReceiveChannel[OpenCodeEvent]) -> OpenCodeEvent | None:
        """Return the next event, None when the stream is broken, or silent because the process is stopped."""
        try:
            while True:
                with trio.move_on_after(EVENT_SILENCE_S):
                    return await events.receive()
                if self._process.hung:
                    return None
        except trio.EndOfChannel:
            return None
