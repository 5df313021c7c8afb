"""The ref: the address of an actor, and the only way to send it messages.

Rules kept here alone: `tell` never waits; `ask` always ends, with the reply, with the problem that the actor raised,
or with `Unavailable`; an asker that gives up leaves no waiter behind. A ref stays valid while its actor restarts or is
passive: its `deliver` function (a mailbox's `put`, or the registry's) sends the messages to the right place.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import outcome
import trio
from trio.lowlevel import Abort, RaiseCancelT, Task

from fleet.errors import Problem, Unavailable
from fleet.limits import ASK_TIMEOUT_S

if TYPE_CHECKING:
    from opentelemetry.context.context import Context

Command = TypeVar("Command")
Reply = TypeVar("Reply")


class Sent(NamedTuple):
    """Where and when (Unix time) a message was sent, for traces (tracing.py)."""

    context: "Context"
    at_ns: int


class Message(Generic[Command, Reply]):
    """A command in delivery, with the task that waits for the reply, if any.

    The actor settles it once, by `reply` or `fail`; without a waiting asker the reply is discarded. `sent` is set if
    traces are on.
    """

    __slots__ = ("_asker", "command", "sent", "settled", "told")

    sent: Sent

    def __init__(self, command: Command, asker: Task | None = None) -> None:
        self.command = command
        self.told = asker is None
        self.settled = False
        self._asker = asker

    def reply(self, reply: Reply) -> None:
        """Give the asker its reply."""
        self.settled = True
        asker = self._asker
        if asker is not None:
            self._asker = None
            trio.lowlevel.reschedule(asker, outcome.Value(reply))

    def fail(self, problem: Problem) -> None:
        """Raise `problem` in the asker, as if it had been raised there."""
        self.settled = True
        asker = self._asker
        if asker is not None:
            self._asker = None
            trio.lowlevel.reschedule(asker, outcome.Error(problem.with_traceback(None)))

    def abandon(self, _raise_cancel: RaiseCancelT) -> Abort:
        """Discard a later reply, because the asker gives up (the abort function of its wait)."""
        self._asker = None
        return Abort.SUCCEEDED


class Ref(Generic[Command, Reply]):
    """An actor's address, which may be stored and shared."""

    __slots__ = ("_deliver", "name")

    def __init__(self, name: str, deliver: Callable[[Message[Command, Reply]], None]) -> None:
        self.name = name
        self._deliver = deliver

    def __repr__(self) -> str:
        return f"Ref({self.name!r})"

    def tell(self, command: Command) -> None:
        """Send `command` without waiting; its result is not reported.

        Raises `Unavailable`: overloaded (mailbox full) or stopping.
        """
        self._deliver(Message(command))

    async def ask(self, command: Command, timeout: float = ASK_TIMEOUT_S) -> Reply:
        """Send `command` and return the actor's reply, waiting at most `timeout` seconds (`math.inf`: no deadline).

        Raises the `Problem` that the actor raised; `Unavailable` overloaded or stopping when it was not taken;
        `Unavailable` timed_out or interrupted (the actor went down) when its outcome is not known: it may still happen
        then, as it may when the caller is cancelled while it waits. Cancelled before: nothing is sent.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        message: Message[Command, Reply] = Message(command, trio.lowlevel.current_task())
        self._deliver(message)
        if timeout == math.inf:
            return await _reply(message)
        with trio.move_on_after(timeout):
            return await _reply(message)
        raise Unavailable(
            "timed_out",
            f"{self.name} did not answer {command_name(command)} within {timeout:g} s: the change may still be made",
            hint="Read the state before you send it again: it shows whether the change was made.",
            retry_after_s=1,
        )


def command_name(command: object) -> str:
    """Return the name of a command for people; for a `Deliver`, of the command in it."""
    return type(getattr(command, "command", command)).__name__


async def _reply(message: Message[Command, Reply]) -> Reply:
    reply: Reply = await trio.lowlevel.wait_task_rescheduled(message.abandon)
    return reply
