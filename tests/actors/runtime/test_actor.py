"""Ask, tell and the loop, through an actor that answers, refuses, dawdles and crashes on demand."""

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from fleet.actors.runtime.actor import Actor, Inbox
from fleet.actors.runtime.mailbox import Mailbox
from fleet.actors.runtime.ref import Message, Ref
from fleet.errors import Problem, Rejected, Unavailable


class Echo:
    """Handles: `refuse`, `crash`, `forget`, `late`, `slow` (waits for `go`), and echoes the rest."""

    def __init__(self, size_max: int = 10) -> None:
        self.inbox: Inbox[str, str] = Mailbox("echo", size_max)
        self.actor = Actor(self.inbox, self.handle)
        self.go = trio.Event()
        self.seen: list[str] = []

    async def handle(self, message: Message[str, str]) -> None:
        command = message.command
        self.seen.append(command)
        match command:
            case "refuse":
                raise Rejected("prompt_empty", "no", field="text", retry_after_s=7)
            case "crash":
                raise ZeroDivisionError(command)
            case "forget":
                return
            case "late":
                message.reply("done")
                raise Rejected("prompt_empty", "too late to refuse")
            case "slow":
                await self.go.wait()
            case _:
                pass
        message.reply(f"{command}!")


@asynccontextmanager
async def running(echo: Echo) -> AsyncGenerator[trio.Event]:
    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(echo.actor.run, stopping)
        yield stopping
        stopping.set()


async def collect(problems: list[Problem], ask: Callable[[str], Awaitable[str]], command: str) -> None:
    try:
        await ask(command)
    except Problem as problem:
        problems.append(problem)


async def test_ask_returns_the_reply() -> None:
    echo = Echo()
    async with running(echo):
        assert await echo.actor.ref().ask("hello") == "hello!"
        assert await echo.actor.ref().ask("hello", timeout=math.inf) == "hello!"
    assert echo.actor.statistics().handled == 2
    assert not echo.actor.statistics().running


async def test_ask_raises_the_problem_of_the_actor() -> None:
    echo = Echo()
    async with running(echo):
        with pytest.raises(Rejected) as refusal:
            await echo.actor.ref().ask("refuse")
        assert (refusal.value.code, refusal.value.field, refusal.value.retry_after_s) == ("prompt_empty", "text", 7)
        assert "handle" not in [entry.name for entry in refusal.traceback]
        assert await echo.actor.ref().ask("next") == "next!"


async def test_tell_does_not_wait_and_a_rejected_command_does_not_stop_the_actor() -> None:
    echo = Echo()
    async with running(echo):
        for command in ("a", "refuse", "b"):
            echo.actor.ref().tell(command)
        assert echo.seen == []
        await echo.actor.ref().ask("c")
    assert echo.seen == ["a", "refuse", "b", "c"]


async def test_a_full_mailbox_refuses_both_at_once() -> None:
    ref = Echo(size_max=1).actor.ref()
    ref.tell("waits")
    with pytest.raises(Unavailable, match="1 messages already wait for echo") as refusal:
        ref.tell("refused")
    assert refusal.value.code == "overloaded"
    with pytest.raises(Unavailable, match="1 messages already wait for echo"):
        await ref.ask("refused")


async def test_the_deadline_says_that_it_may_still_happen(autojump_clock: trio.testing.MockClock) -> None:
    echo = Echo()
    async with running(echo):
        with pytest.raises(Unavailable, match="did not answer str within 3 s: the change may still be made") as refusal:
            await echo.actor.ref().ask("slow", timeout=3)
        assert refusal.value.code == "timed_out"
        assert trio.current_time() == 3
        echo.go.set()
        assert await echo.actor.ref().ask("next") == "next!"
    assert echo.seen == ["slow", "next"]


async def test_a_cancelled_asker_leaves_nothing_behind() -> None:
    echo = Echo()
    async with running(echo):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo.actor.ref().ask, "slow")
            nursery.start_soon(echo.actor.ref().ask, "queued")
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        echo.go.set()
        assert await echo.actor.ref().ask("next") == "next!"
    assert echo.actor.statistics().mailbox.waiting == 0


async def test_a_cancelled_caller_sends_no_message() -> None:
    echo = Echo()
    with trio.move_on_after(0):
        await echo.actor.ref().ask("never")
    assert len(echo.inbox) == 0


async def test_a_crash_reaches_its_caller_and_waiting_messages_are_handled_after_the_restart() -> None:
    echo = Echo()
    problems: list[Problem] = []
    replies: list[str] = []

    async def ask(ref: Ref[str, str]) -> None:
        replies.append(await ref.ask("waits"))

    async with trio.open_nursery() as askers:
        askers.start_soon(collect, problems, echo.actor.ref().ask, "crash")
        await trio.testing.wait_all_tasks_blocked()
        askers.start_soon(ask, echo.actor.ref())
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(ExceptionGroup) as crash:
            await echo.actor.run(trio.Event())
        assert crash.group_contains(ZeroDivisionError)
        await trio.testing.wait_all_tasks_blocked()
        assert [problem.code for problem in problems] == ["interrupted"]
        assert "failed while it handled str: the change may have been made" in problems[0].detail
        assert replies == []
        async with running(echo):
            await trio.testing.wait_all_tasks_blocked()
    assert replies == ["waits!"]


async def test_a_cancelled_actor_interrupts_its_asker() -> None:
    echo = Echo()
    problems: list[Problem] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect, problems, echo.actor.ref().ask, "slow")
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as actor:
                await actor.start(echo.actor.run, trio.Event())
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
    assert [problem.code for problem in problems] == ["interrupted"]


async def test_a_stop_finishes_the_current_message_and_rejects_the_waiting_ones() -> None:
    echo = Echo()
    problems: list[Problem] = []
    replies: list[str] = []

    async def ask() -> None:
        replies.append(await echo.actor.ref().ask("slow"))

    async with trio.open_nursery() as nursery, running(echo) as stopping:
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        assert echo.actor.statistics().handling == "str"
        assert echo.actor.busy
        nursery.start_soon(collect, problems, echo.actor.ref().ask, "waits")
        await trio.testing.wait_all_tasks_blocked()
        stopping.set()
        await trio.testing.wait_all_tasks_blocked()
        echo.go.set()
    assert replies == ["slow!"]
    assert [problem.code for problem in problems] == ["stopping"]
    with pytest.raises(Unavailable, match="shutting down"):
        echo.actor.ref().tell("too late")


async def test_a_stopped_actor_can_run_again() -> None:
    echo = Echo()
    async with running(echo):
        pass
    async with running(echo):
        assert await echo.actor.ref().ask("again") == "again!"


@pytest.mark.parametrize(("command", "error"), [("forget", RuntimeError), ("late", Rejected)])
async def test_a_bug_in_handling_crashes(command: str, error: type[Exception]) -> None:
    echo = Echo()
    echo.actor.ref().tell(command)
    with pytest.raises(ExceptionGroup) as crash:
        await echo.actor.run(trio.Event())
    assert crash.group_contains(error)
