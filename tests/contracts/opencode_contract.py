"""What every implementation of the ports `OpenCodeHost` and `OpenCode` does: the fake and the real thing alike.

A test module inherits `OpenCodeContract` and supplies two fixtures: `side` (an `OpenCodeSide`) and `clock`, a MockClock
or None for real time (pytest-trio takes a clock from the arguments of the test itself alone). Times are generous
bounds, never expectations: the suite waits for what it wants to see.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import pytest
import trio
from trio.abc import Clock

from fleet.errors import Problem, Unavailable
from fleet.ids import OpenCodePrefix
from fleet.ports import (
    Endpoint,
    Exit,
    FoundProcess,
    Message,
    OpenCode,
    OpenCodeEvent,
    OpenCodeHost,
    OpenRequest,
    PartChanged,
    PartDelta,
    ProcessIdentity,
    Prompt,
    RequestOpened,
    StatusChanged,
    StreamLost,
    StreamOpened,
    TurnErrored,
)
from tests.patience import PATIENCE_S

E = TypeVar("E")
T = TypeVar("T")


class Script(Protocol):
    """Prompts that make the model behave as a test needs it."""

    def text(self, said: str) -> str:
        """One step; `said` is part of the answer."""
        ...

    def steps(self, count: int) -> str:
        """`count` model calls, all but the last with a tool."""
        ...

    def shell(self, seconds: int) -> str:
        """A shell command that runs so long."""
        ...

    def ask(self) -> str:
        """Something for which a permission is asked."""
        ...

    def question(self) -> str:
        """A question to the user."""
        ...

    def task(self) -> str:
        """A sub-agent that takes one step."""
        ...

    def hang(self) -> str:
        """No answer, ever."""
        ...

    def fail(self) -> str:
        """An error that is not retried."""
        ...


@dataclass
class OpenCodeSide:
    """One implementation with a ready process and two directories; `next_host` is the host of a restarted Fleet."""

    host: OpenCodeHost
    next_host: Callable[[], OpenCodeHost]
    instance_id: str
    identity: ProcessIdentity
    endpoint: Endpoint
    directory: str
    other_directory: str
    script: Script
    new_id: Callable[[OpenCodePrefix], str]
    kill: Callable[[str, ProcessIdentity], None]

    def connect(self) -> AbstractAsyncContextManager[OpenCode]:
        return self.host.connect(self.instance_id, self.endpoint)

    def prompt(self, text: str) -> Prompt:
        return Prompt(message_id=self.new_id("msg"), part_ids=(self.new_id("prt"),), text=text)

    async def session(self, opencode: OpenCode, directory: str | None = None) -> str:
        return await opencode.create_session(self.new_id("ses"), directory or self.directory)


class Follower:
    """The events of a stream, collected in the background, to be waited for."""

    def __init__(self) -> None:
        self.events: list[OpenCodeEvent] = []
        self._more = trio.Event()

    async def follow(self, stream: AsyncIterator[OpenCodeEvent]) -> None:
        async for event in stream:
            self.events.append(event)
            self._more.set()
            self._more = trio.Event()

    def seen(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def wait_for(self, kind: type[E], matches: Callable[[E], bool] = lambda _: True) -> E:
        with trio.fail_after(PATIENCE_S):
            while True:
                more = self._more
                for event in self.seen(kind):
                    if matches(event):
                        return event
                await more.wait()


@asynccontextmanager
async def following(opencode: OpenCode) -> AsyncGenerator[Follower]:
    """Follow the events of a process, from the moment that nothing is missed any more."""
    follower = Follower()
    async with opencode.events() as stream, trio.open_nursery() as nursery:
        nursery.start_soon(follower.follow, stream)
        await follower.wait_for(StreamOpened)
        yield follower
        nursery.cancel_scope.cancel()


async def until(condition: Callable[[], Awaitable[T]]) -> T:
    """Ask again and again until there is an answer that is true, and return it."""
    with trio.fail_after(PATIENCE_S):
        while not (answer := await condition()):  # noqa: ASYNC110 - the store sends no notification
            await trio.sleep(0.05)
    return answer


async def delivered(opencode: OpenCode, session_id: str, prompt: Prompt) -> Message:
    """Wait until the prompt can be read back: a message is stored a moment before its parts."""

    async def complete() -> Message | None:
        message = await opencode.read_message(session_id, prompt.message_id)
        return message if message is not None and len(message.parts) == len(prompt.part_ids) else None

    message = await until(complete)
    assert message is not None
    return message


async def is_busy(opencode: OpenCode, session_id: str, directory: str) -> bool:
    return session_id in await opencode.statuses(directory)


async def is_idle(opencode: OpenCode, session_id: str, directory: str) -> bool:
    return not await is_busy(opencode, session_id, directory)


async def answers_to(opencode: OpenCode, session_id: str, prompt: Prompt) -> list[Message]:
    messages = await opencode.read_messages(session_id)
    return [message for message in messages if message.info.parent_id == prompt.message_id]


async def finished(opencode: OpenCode, session_id: str, directory: str, prompt: Prompt) -> list[Message]:
    """Wait for the end of the turn as Fleet derives it, and return the prompt's answers."""

    async def ended() -> list[Message]:
        if await is_busy(opencode, session_id, directory):
            return []
        answers = await answers_to(opencode, session_id, prompt)
        return answers if answers and answers[-1].info.completed_ms is not None else []

    return await until(ended)


async def requested(opencode: OpenCode, session_id: str, directory: str) -> list[OpenRequest]:
    return [request for request in await opencode.open_requests(directory) if request.session_id == session_id]


async def none_requested(opencode: OpenCode, session_id: str, directory: str) -> bool:
    return not await requested(opencode, session_id, directory)


async def tools_of(host: OpenCodeHost, instance_id: str) -> list[FoundProcess]:
    return [found for found in await host.find() if found.instance_id == instance_id and not found.server]


def text_of(message: Message) -> str:
    return "".join(part.text or "" for part in message.parts if part.type == "text")


class OpenCodeContract:
    """The suite. Inherit it and supply the fixture `side`."""

    async def test_says_its_version(self, side: OpenCodeSide, clock: Clock | None) -> None:
        async with side.connect() as opencode:
            assert await opencode.health() == side.endpoint.version

    async def test_creates_a_session_once(self, side: OpenCodeSide, clock: Clock | None) -> None:
        async with side.connect() as opencode:
            own_id = side.new_id("ses")
            await opencode.create_ahead(own_id, side.directory)
            assert [await opencode.create_session(own_id, side.directory) for _ in range(2)] == [own_id, own_id]
            named = await opencode.name_session(own_id, "First")
            assert named == await opencode.read_session(own_id)
            assert (named.id, named.directory, named.title) == (own_id, side.directory, "First")
            assert await opencode.read_messages(own_id) == ()

    async def test_knows_nothing_of_an_unknown_session(self, side: OpenCodeSide, clock: Clock | None) -> None:
        async with side.connect() as opencode:
            nobody = side.new_id("ses")
            assert await opencode.read_session(nobody) is None
            assert await opencode.read_message(nobody, side.new_id("msg")) is None
            await opencode.abort(nobody, side.directory)
            with pytest.raises(Problem) as reading:
                await opencode.read_messages(nobody)
            with pytest.raises(Problem) as prompting:
                await opencode.prompt(nobody, side.directory, side.prompt("hello"))
            assert (reading.value.code, prompting.value.code) == ("session_gone", "session_gone")

    async def test_refuses_a_prompt_whose_part_ids_do_not_fit(self, side: OpenCodeSide, clock: Clock | None) -> None:
        async with side.connect() as opencode:
            session_id = await side.session(opencode)
            with pytest.raises(ValueError, match="zip"):
                await opencode.prompt(session_id, side.directory, Prompt(side.new_id("msg"), (), "hello"))

    async def test_a_turn_is_delivered_streamed_and_stored(self, side: OpenCodeSide, clock: Clock | None) -> None:
        async with side.connect() as opencode, following(opencode) as follower:
            session_id = await side.session(opencode)
            prompt = side.prompt(side.script.text("violet"))
            await opencode.prompt(session_id, side.directory, prompt)
            stored = await delivered(opencode, session_id, prompt)
            assert stored.info.role == "user"
            assert [(part.id, part.text, part.finished) for part in stored.parts] == [
                (prompt.part_ids[0], prompt.text, True)
            ]
            await follower.wait_for(StatusChanged, lambda e: e.session_id == session_id and e.status is None)
            answers = await finished(opencode, session_id, side.directory, prompt)
            assert len(answers) == 1
            assert "violet" in text_of(answers[0])
            assert answers[0].info.finish == "stop"
            assert answers[0].info.tokens.output > 0
            assert all(part.finished for part in answers[0].parts)
            said = [part for part in answers[0].parts if part.type == "text"][-1]
            await follower.wait_for(PartChanged, lambda e: e.part.id == said.id and e.part.finished)
            deltas = [event.delta for event in follower.seen(PartDelta) if event.part_id == said.id]
            assert "".join(deltas) == said.text

    async def test_a_turn_of_several_steps(self, side: OpenCodeSide, clock: Clock | None) -> None:
        async with side.connect() as opencode:
            session_id = await side.session(opencode)
            prompt = side.prompt(side.script.steps(3))
            await opencode.prompt(session_id, side.directory, prompt)
            answers = await finished(opencode, session_id, side.directory, prompt)
            assert [answer.info.finish for answer in answers] == ["tool-calls", "tool-calls", "stop"]
            tools = [part for answer in answers for part in answer.parts if part.type == "tool"]
            assert len(tools) == 2
            assert all(tool.finished for tool in tools)
            newest = await opencode.read_messages(session_id, newest=2)
            assert [message.info.id for message in newest] == [answer.info.id for answer in answers[1:]]

    async def test_the_same_prompt_again_changes_nothing(self, side: OpenCodeSide, clock: Clock | None) -> None:
        async with side.connect() as opencode, following(opencode) as follower:
            session_id = await side.session(opencode)
            prompt = side.prompt(side.script.text("once"))
            await opencode.prompt(session_id, side.directory, prompt)
            await opencode.prompt(session_id, side.directory, prompt)
            await finished(opencode, session_id, side.directory, prompt)
            before = await opencode.read_messages(session_id)
            follower.events.clear()
            await opencode.prompt(session_id, side.directory, prompt)
            await follower.wait_for(StatusChanged, lambda e: e.session_id == session_id and e.status is None)
            after = await opencode.read_messages(session_id)
            assert [m.info.id for m in after] == [m.info.id for m in before]
            assert [[p.id for p in m.parts] for m in after] == [[p.id for p in m.parts] for m in before]

    async def test_abort_ends_a_turn_and_its_evidence_is_stored(self, side: OpenCodeSide, clock: Clock | None) -> None:
        async with side.connect() as opencode, following(opencode) as follower:
            session_id = await side.session(opencode)
            prompt = side.prompt(side.script.hang())
            await opencode.prompt(session_id, side.directory, prompt)
            await until(lambda: is_busy(opencode, session_id, side.directory))
            assert session_id not in await opencode.statuses(side.other_directory)
            await delivered(opencode, session_id, prompt)
            await until(lambda: answers_to(opencode, session_id, prompt))
            await trio.sleep(0.5)  # OpenCode may not hear an abort between its answer's message and the model's call

            async def stopped() -> bool:
                await opencode.abort(session_id, side.directory)
                return await is_idle(opencode, session_id, side.directory)

            await until(stopped)
            error = await follower.wait_for(TurnErrored, lambda e: e.session_id == session_id)
            assert error.name == "MessageAbortedError"
            answers = await finished(opencode, session_id, side.directory, prompt)
            assert answers[-1].info.error_name == "MessageAbortedError"
            await opencode.abort(session_id, side.directory)

    async def test_a_failing_model_is_an_error_of_the_turn(self, side: OpenCodeSide, clock: Clock | None) -> None:
        async with side.connect() as opencode, following(opencode) as follower:
            session_id = await side.session(opencode)
            prompt = side.prompt(side.script.fail())
            await opencode.prompt(session_id, side.directory, prompt)
            error = await follower.wait_for(TurnErrored, lambda e: e.session_id == session_id)
            assert error.name == "APIError"
            assert error.message
            answers = await finished(opencode, session_id, side.directory, prompt)
            assert (answers[-1].info.error_name, answers[-1].info.finish) == ("APIError", None)

    async def test_an_abort_closes_a_waiting_permission(self, side: OpenCodeSide, clock: Clock | None) -> None:
        async with side.connect() as opencode, following(opencode) as follower:
            session_id = await side.session(opencode)
            await opencode.prompt(session_id, side.directory, side.prompt(side.script.ask()))
            opened = await follower.wait_for(RequestOpened, lambda e: e.session_id == session_id)
            assert opened.request.kind == "permission"
            assert await requested(opencode, session_id, side.directory) == [opened.request]
            assert await requested(opencode, session_id, side.other_directory) == []
            assert (await opencode.statuses(side.directory))[session_id].type == "busy"
            await opencode.abort(session_id, side.directory)
            assert await requested(opencode, session_id, side.directory) == [opened.request]

    async def test_dispose_ends_turns_and_forgets_questions(self, side: OpenCodeSide, clock: Clock | None) -> None:
        async with side.connect() as opencode, following(opencode) as follower:
            session_id = await side.session(opencode, side.other_directory)
            await opencode.prompt(session_id, side.other_directory, side.prompt(side.script.question()))
            opened = await follower.wait_for(RequestOpened, lambda e: e.session_id == session_id)
            assert opened.request.kind == "question"
            await opencode.dispose(side.other_directory)
            await until(lambda: is_idle(opencode, session_id, side.other_directory))
            await until(lambda: none_requested(opencode, session_id, side.other_directory))

    async def test_a_restarted_fleet_finds_and_uses_the_process(self, side: OpenCodeSide, clock: Clock | None) -> None:
        host = side.next_host()
        servers = [found for found in await host.find() if found.server and found.instance_id == side.instance_id]
        assert [server.identity for server in servers] == [side.identity]
        assert await host.wait_ready(side.instance_id, side.identity) == side.endpoint
        assert (host.memory_bytes(side.identity) or 0) > 1_000_000
        async with host.connect(side.instance_id, side.endpoint) as opencode:
            assert await opencode.health() == side.endpoint.version

    async def test_a_turn_continues_after_the_death_of_its_process(
        self, side: OpenCodeSide, clock: Clock | None
    ) -> None:
        dying, heir = "dying", "heir"
        identity = await side.host.spawn(dying, side.directory)
        endpoint = await side.host.wait_ready(dying, identity)
        async with side.host.connect(dying, endpoint) as opencode, following(opencode) as follower:
            session_id = await side.session(opencode)
            prompt = side.prompt(side.script.shell(60))
            await opencode.prompt(session_id, side.directory, prompt)
            await follower.wait_for(PartChanged, lambda e: e.part.type == "tool" and b'"running"' in e.part.raw)
            await until(lambda: tools_of(side.host, dying))
            side.kill(dying, identity)
            await follower.wait_for(StreamLost)
            assert await side.host.wait_exit(dying, identity) == Exit(signal=9)
            assert await side.next_host().wait_exit(dying, identity) == Exit()
            with pytest.raises(Unavailable) as refused:
                await opencode.health()
            assert refused.value.code == "opencode_unreachable"
        assert [found.server for found in await side.host.find() if found.instance_id == dying] == [False]
        steps = await side.host.stop(dying, identity)
        assert [step.step for step in steps] == ["sweep"]

        identity = await side.host.spawn(heir, side.directory)
        endpoint = await side.host.wait_ready(heir, identity)
        async with side.host.connect(heir, endpoint) as opencode:
            stored = await opencode.read_messages(session_id)
            assert stored[-1].info.completed_ms is None
            assert session_id not in await opencode.statuses(side.directory)
            await opencode.prompt(session_id, side.directory, prompt)
            await until(lambda: is_busy(opencode, session_id, side.directory))
            await opencode.abort(session_id, side.directory)
            continued = await opencode.read_messages(session_id)
            assert [m.info.id for m in continued if m.info.role == "user"] == [prompt.message_id]
        steps = await side.host.stop(heir, identity)
        assert steps[0].step == "term"
        assert await side.host.stop(heir, identity) == ()
        assert (await side.host.wait_exit(heir, identity)).signal == 15
        assert side.host.memory_bytes(identity) is None
        assert not [found for found in await side.host.find() if found.instance_id in (dying, heir)]
        with pytest.raises(Unavailable):
            async with side.host.connect(heir, endpoint):
                pass
