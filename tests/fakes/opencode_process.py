"""The fake OpenCode's processes: what one `opencode serve` has in memory, does with prompts, and shows as events.

The machine is opencode.py's, turns are opencode_turn.py's, what outlives a process is opencode_store.py's.
"""

import math
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import trio

from fleet.adapters.opencode import event_wire, wire
from fleet.limits import MIB
from fleet.ports import Exit, OpenCodeEvent, ProcessIdentity, Prompt
from tests.fakes.opencode_store import UNNAMED, Json, StoredMessage
from tests.fakes.opencode_turn import Turn, Worked

if TYPE_CHECKING:
    from tests.fakes.opencode import FakeOpenCodeWorld

SpawnFault = Literal["missing", "not_executable", "downgrade", "exits", "never_ready", "port_taken", "no_space", "bug"]
_AGENTS = (None, "build", "plan")


class FakeTool:
    """A shell that a tool started: in a session of its own, it outlives its server. `directory` is where it works."""

    def __init__(self, instance_id: str, identity: ProcessIdentity, directory: str = "") -> None:
        self.instance_id = instance_id
        self.identity = identity
        self.directory = directory


class FakeProcess:
    """One `opencode serve`: what it has in memory and loses when it dies."""

    def __init__(self, world: "FakeOpenCodeWorld", instance_id: str, directory: str, fault: SpawnFault | None) -> None:
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
        self.start_s = trio.current_time()
        self.end_s: float | None = None
        self.turns: dict[str, Turn] = {}
        self.statuses: dict[str, Json] = {}
        self.requests: dict[str, tuple[str, Json, trio.Event]] = {}
        self.waiting: set[str] = set()
        self.waits_for_mcp = False
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
        """Run something in the process and wait for it: who waits may go, the work continues."""
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
        self.end_s = trio.current_time()
        self.exited.set()
        self.ready.set()  # who waits for it shall look
        for scope in list(self._scopes):
            scope.cancel()
        self.turns.clear()
        self.statuses.clear()
        self.requests.clear()
        self.waiting.clear()
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

    @property
    def is_silent(self) -> bool:
        """Whether no answer of it reaches the head."""
        return self.hung or not self.world.online

    async def heard(self) -> None:
        """Wait until it can be heard; one that has ended says so as soon as its machine is reached."""
        await self.world.wait_online()
        await self.resumed()

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
        if session_id not in self.world.store.sessions:
            return
        session = self.world.store.sessions[session_id]
        if session["title"] == UNNAMED:
            self.world.named_by_model.append(session_id)
        directory = str(session["directory"])
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
            self.world.store.sessions[session_id]["time"]["updated"] = self.world.now_ms()
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

    async def compact(self, session_id: str) -> None:
        """Sum the conversation up: a message without words asks for that, and a turn answers."""
        ids = {"sessionID": session_id, "messageID": self.world.new_id("msg")}
        info = {
            "id": ids["messageID"],
            "sessionID": session_id,
            "role": "user",
            "time": {"created": self.world.now_ms()},
        }
        asked = self.world.store.add(StoredMessage(info))
        part: Json = {"id": self.world.new_id("prt"), **ids, "type": "compaction", "auto": False}
        asked.parts[part["id"]] = part
        self.show_message(asked)
        self.show_part(part)
        if session_id not in self.turns:
            await self._turn(session_id)

    async def _turn(self, session_id: str) -> None:
        if any(session_id in other.turns for other in self.world.living()):
            self.world.double_runs.append(session_id)
        turn = self.turns[session_id] = Turn(self, session_id)
        worked = Worked(self.instance_id, session_id, trio.current_time())
        self.world.worked.append(worked)
        try:
            await turn.run()
        finally:
            worked.end_s = trio.current_time()

    def open_subagent(self, parent_id: str) -> str:
        """Make a session for a sub-agent and return its id."""
        parent = self.world.store.sessions[parent_id]
        child = self.world.store.create(self.world.new_id("ses"), parent["directory"], "task", self.world.now_ms())
        child["parentID"] = parent_id
        self.show_session(child, "created")
        return str(child["id"])

    async def run_subagent(self, child_id: str, text: str) -> None:
        """Run a prompt in a sub-agent's session, as a tool of the parent's turn; it goes with that turn."""
        prompt = Prompt(self.world.new_id("msg"), (self.world.new_id("prt"),), text)
        try:
            await self._store(child_id, prompt)
            await self._turn(child_id)
        finally:
            if self.exit is None and child_id in self.turns:
                self.end_turn(child_id, announced=True)

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
        self.waiting.add(request_id)
        try:
            await answered.wait()
        finally:
            self.waiting.discard(request_id)
        await self.pause(0.005)

    def answer(self, request_id: str) -> None:
        kind, request, answered = self.requests.pop(request_id)
        answered.set()
        self._show(f"{kind}.replied", {"sessionID": request["sessionID"], "requestID": request_id})

    async def dispose(self, directory: str) -> None:
        await self.pause(self.world.random.uniform(0.1, 2.5))  # it was said to be done at once
        self.world.disposed.append((self.instance_id, directory))
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
