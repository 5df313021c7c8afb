"""The fake OpenCode's protocol: requests that take time and may be lost, and the event stream, to one process."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Literal

import msgspec
import trio

from fleet.adapters.opencode import offer_wire, wire
from fleet.adapters.opencode.binary import release
from fleet.adapters.opencode.copies import restoration
from fleet.errors import Problem, Unavailable
from fleet.limits import EVENT_RECONNECT_S_MAX, EVENT_RECONNECT_S_MIN, EVENT_SILENCE_S, OPENCODE_REQUEST_TIMEOUT_S
from fleet.ports import (
    Agent,
    McpServers,
    Message,
    OfferedModel,
    OpenCodeEvent,
    OpenCodeSession,
    OpenRequest,
    Prompt,
    RecordedMessage,
    SlashCommand,
    StreamLost,
    StreamOpened,
    TurnStatus,
)
from tests.fakes.opencode_process import FakeProcess
from tests.fakes.opencode_store import UNNAMED, Json, Store, StoredMessage

REPLAYED_MAX = 6
"""Messages that `add_messages` takes, so that tests come upon both ways to restore a conversation."""

# As the real one says it, without what is never read.
AGENTS: list[Json] = [
    {"name": "build", "description": "The default agent.", "mode": "primary", "native": True, "permission": []},
    {"name": "general", "description": "Researches.", "mode": "subagent", "native": True, "permission": []},
    {"name": "title", "mode": "primary", "native": True, "hidden": True, "permission": []},
]
COMMANDS: list[Json] = [
    {"name": "init", "description": "create AGENTS.md", "source": "command", "template": "Look…"},
    {"name": "review", "description": "review changes", "source": "command", "template": "Review…"},
]
PROVIDERS: Json = {
    "providers": [
        {
            "id": "scripted",
            "name": "Scripted",
            "models": {"one": {"id": "one", "name": "One", "limit": {"context": 200_000, "output": 32_000}}},
        }
    ],
    "default": {"scripted": "one"},
}


class FakeOpenCode:
    """`fleet.ports.OpenCode` of one process."""

    def __init__(self, process: FakeProcess) -> None:
        self._process = process
        self._world = process.world

    @asynccontextmanager
    async def _request(self) -> AsyncGenerator[Store]:
        """One request: it may be carried out and its answer still be lost."""
        await self._travel()
        if self._world.refusals > 0:
            self._world.refusals -= 1
            raise Problem("opencode_refused", "OpenCode refused the request: it responded with 500: database is locked")
        yield self._world.store
        await self._travel()

    async def _travel(self) -> None:
        await trio.sleep(self._world.random.uniform(0.001, 0.01))
        if self._process.is_silent:
            with trio.move_on_after(OPENCODE_REQUEST_TIMEOUT_S):
                await self._process.heard()
        if self._process.exit is not None or self._process.is_silent:
            raise Unavailable("opencode_unreachable", "OpenCode did not answer", retry_after_s=1)

    def _must_exist(self, session_id: str) -> Json:
        session = self._world.store.sessions.get(session_id)
        if session is None:
            raise Problem("session_gone", f"OpenCode's store has no session {session_id}")
        return session

    async def health(self) -> str:
        async with self._request():
            return self._world.version

    async def create_session(self, session_id: str, directory: str) -> str:
        self._world.loaded.append((self._process.instance_id, directory))
        await trio.sleep(self._world.create_takes_s)
        async with self._request() as store:
            taken = session_id if self._accepts_ids else self._world.new_id("ses")
            if taken not in store.sessions:
                session = store.create(taken, directory, UNNAMED, self._world.now_ms())
                self._process.show_session(session, "created")
            return taken

    async def name_session(self, session_id: str, title: str) -> OpenCodeSession:
        async with self._request():
            session = self._must_exist(session_id)
            await trio.sleep(0.05)  # it loads the directory
            session["title"] = title
            self._process.show_session(session, "updated")
            return wire.session(msgspec.json.encode(session))

    async def add_messages(self, messages: tuple[RecordedMessage, ...], session: OpenCodeSession) -> bool:
        if self._world.import_faults or len(messages) > REPLAYED_MAX:
            return False
        async with self._request() as store:
            for each in msgspec.json.decode(restoration(messages, session))["messages"]:
                if each["info"]["id"] not in store.messages:
                    store.add(StoredMessage(each["info"], {part["id"]: part for part in each["parts"]}))
            return True

    async def create_ahead(self, session_id: str, directory: str) -> None:
        if self._accepts_ids:
            with suppress(Problem):
                await self.create_session(session_id, directory)
        else:
            await self.load(directory)

    async def load(self, directory: str) -> None:
        self._world.loaded.append((self._process.instance_id, directory))
        await trio.sleep(0.05)

    @property
    def _accepts_ids(self) -> bool:
        return release(self._world.version) >= (1, 17, 19)

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

    async def compact(self, session_id: str, directory: str, provider_id: str, model_id: str) -> None:
        async with self._request():
            self._must_exist(session_id)
            self._process.start(self._process.compact, session_id)

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

    async def delete_session(self, session_id: str) -> None:
        async with self._request() as store:
            if self._world.delete_fault:
                raise Problem("opencode_refused", "OpenCode answered with 500")
            if session_id in store.sessions:
                self._world.delete_session(session_id)

    async def replace_part(self, session_id: str, message_id: str, part_id: str, body: bytes) -> None:
        async with self._request() as store:
            if self._world.delete_fault:
                raise Problem("opencode_refused", "OpenCode answered with 500")
            message = store.messages.get(message_id)
            if message is not None and message.info["sessionID"] == session_id and part_id in message.parts:
                message.parts[part_id] = msgspec.json.decode(body)

    async def open_requests(self, directory: str) -> tuple[OpenRequest, ...]:
        async with self._request():
            permissions = msgspec.json.encode(self._process.requests_in(directory, "permission"))
            questions = msgspec.json.encode(self._process.requests_in(directory, "question"))
            return (*wire.requests("permission", permissions), *wire.requests("question", questions))

    async def reply_permission(
        self, request_id: str, directory: str, reply: Literal["once", "always", "reject"], message: str | None
    ) -> None:
        await self._reply(request_id, reply)

    async def reply_question(
        self, request_id: str, directory: str, answers: tuple[tuple[str, ...], ...] | None
    ) -> None:
        await self._reply(request_id, "reject" if answers is None else repr(answers))

    async def _reply(self, request_id: str, reply: str) -> None:
        async with self._request():
            if request_id not in self._process.requests:
                raise Problem("request_not_found", f"OpenCode no longer has an open request {request_id}")
            self._process.answer(request_id)
            self._world.replies.append((request_id, reply))

    async def children(self, session_id: str) -> tuple[OpenCodeSession, ...]:
        async with self._request() as store:
            started = [each for each in store.sessions.values() if each.get("parentID") == session_id]
            return tuple(wire.session(msgspec.json.encode(session)) for session in started)

    async def agents(self, directory: str) -> tuple[Agent, ...]:
        self._world.asked_about.add(directory)
        async with self._request():
            return offer_wire.agents(msgspec.json.encode(self._world.agents_in.get(directory, AGENTS)))

    async def commands(self, directory: str) -> tuple[SlashCommand, ...]:
        self._world.asked_about.add(directory)
        async with self._request():
            return offer_wire.commands(msgspec.json.encode(COMMANDS))

    async def models(self, directory: str) -> tuple[OfferedModel, ...]:
        self._world.asked_about.add(directory)
        async with self._request():
            return offer_wire.models(msgspec.json.encode(PROVIDERS))

    async def mcp_servers(self, directory: str) -> McpServers:
        async with self._request():
            return McpServers(self._world.mcp_servers, are_starting=self._process.waits_for_mcp)

    async def find_files(self, directory: str, query: str, limit: int) -> tuple[str, ...]:
        async with self._request():
            names = sorted(self._world.disk.contents.get(directory, {}))
            return tuple(name for name in names if query.casefold() in name.casefold())[:limit]

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
            await self._process.heard()
        await trio.sleep(0.005)
        return self._process.exit is None and not self._process.is_silent

    async def _receive(self, events: trio.MemoryReceiveChannel[OpenCodeEvent]) -> OpenCodeEvent | None:
        """Return the next event, None when the stream is broken, or silent: the process is stopped, or not reached."""
        try:
            while True:
                with trio.move_on_after(EVENT_SILENCE_S):
                    event = await events.receive()
                    await self._process.world.wait_online()
                    return event
                if self._process.is_silent:
                    return None
        except trio.EndOfChannel:
            with trio.move_on_after(EVENT_SILENCE_S):
                await self._process.world.wait_online()
            return None
