"""The actor: one task that takes messages from its mailbox, one at a time.

Rules kept here alone: every message that is taken gets a result, even after a crash; a `Problem` is a reply, and any
other exception crashes the actor; a stop overtakes the waiting messages. After a crash the mailbox stays as it is, and
the next `run` continues with the next message; the supervisor decides about restarts (supervisor.py). aggregate.py has
the event-sourced actor, which almost every actor is.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

import structlog
import trio

from fleet.actors.runtime.mailbox import Mailbox, MailboxStatistics, Stop
from fleet.actors.runtime.ref import Message, Ref, command_name
from fleet.errors import Problem, Unavailable

_log = structlog.get_logger(__name__)

Command = TypeVar("Command")
Reply = TypeVar("Reply")


_STOP: Final = Stop()

Inbox: TypeAlias = Mailbox[Message[Command, Reply], Stop]
Handle: TypeAlias = Callable[[Message[Command, Reply]], Awaitable[None]]
"""Handles one message: settles it or raises. A `Problem` becomes the reply; any other error crashes the actor."""


class ActorStatistics(NamedTuple):
    """The statistics of an actor. `handling` names the command that it handles now, if any."""

    name: str
    running: bool
    handling: str | None
    handled: int
    mailbox: MailboxStatistics


class Actor(Generic[Command, Reply]):
    """The loop over one mailbox. Fits a `ChildSpec`: `ChildSpec(actor.name, actor.run)`.

    With `owns_inbox`, a stopped actor closes the inbox and fails the waiting messages. Without it, its creator decides
    (a registry keeps the messages for the next activation).
    """

    __slots__ = ("_handle", "_in_hand", "_inbox", "_owns_inbox", "_running", "handled")

    def __init__(
        self, inbox: "Inbox[Command, Reply]", handle: "Handle[Command, Reply]", *, owns_inbox: bool = True
    ) -> None:
        self._inbox = inbox
        self._handle = handle
        self._owns_inbox = owns_inbox
        self._running = False
        self._in_hand: Message[Command, Reply] | None = None
        self.handled = 0

    @property
    def name(self) -> str:
        """The name of the actor, which is the mailbox's."""
        return self._inbox.name

    @property
    def busy(self) -> bool:
        """Whether it handles a message or one waits."""
        return self._in_hand is not None or len(self._inbox) > 0

    def ref(self) -> Ref[Command, Reply]:
        """Return the address of this actor, valid across restarts."""
        return Ref(self.name, self._inbox.put)

    async def run(
        self, stopping: trio.Event, *, task_status: trio.TaskStatus[Ref[Command, Reply]] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Handle messages until `stopping` is set; the current message is finished first.

        Raises an ExceptionGroup with the one error that `handle` raised, unless that was a `Problem`.
        """
        self._running = True
        if self._owns_inbox:
            self._inbox.reopen()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._relay, stopping, name=f"{self.name} stop relay")
                task_status.started(self.ref())
                await self._loop(stopping)
                nursery.cancel_scope.cancel()
        finally:
            self._running = False
            if self._owns_inbox and stopping.is_set():
                turn_away(self._inbox, partial(stopped, self.name))

    def statistics(self) -> ActorStatistics:
        """Return the statistics of the actor."""
        return ActorStatistics(
            name=self.name,
            running=self._running,
            handling=None if self._in_hand is None else command_name(self._in_hand.command),
            handled=self.handled,
            mailbox=self._inbox.statistics(),
        )

    async def _relay(self, stopping: trio.Event) -> None:
        await stopping.wait()
        self._inbox.put_control(_STOP)

    async def _loop(self, stopping: trio.Event) -> None:
        receive, handle = self._inbox.receive, self._handle
        while True:
            message = await receive()
            if isinstance(message, Stop):
                if stopping.is_set():
                    return
                continue  # left over from the stop of an earlier run
            self._in_hand = message
            try:
                await handle(message)
                self._check_settled(message)
            except Problem as problem:
                if message.settled:  # the reply was sent already, so the error is a bug
                    raise
                self._refuse(message, problem)
            except BaseException as error:
                cause = getattr(message.command, "cause", None)  # of a `Deliver`
                error.add_note(f"{self.name} handled {command_name(message.command)}, because of {cause}")
                message.fail(_interrupted(self.name, message.command))
                raise
            finally:
                self._in_hand = None
            self.handled += 1

    def _check_settled(self, message: Message[Command, Reply]) -> None:
        if not message.settled:
            raise RuntimeError(f"{self.name} left {command_name(message.command)} without a reply")

    def _refuse(self, message: Message[Command, Reply], problem: Problem) -> None:
        if message.told:
            _log.warning(
                "told_command_refused", actor=self.name, command=command_name(message.command), code=problem.code
            )
        message.fail(problem)


def turn_away(inbox: "Inbox[Command, Reply]", problem: Callable[[], Problem]) -> None:
    """Close `inbox` and fail everything that waits in it with a fresh `problem()` each."""
    left = inbox.close()
    for message in left:
        message.fail(problem())
    if told := sum(message.told for message in left):
        _log.warning("told_commands_dropped", actor=inbox.name, count=told)


def stopped(name: str) -> Unavailable:
    """Return the problem for a message that waited for a stopped actor: it was not handled."""
    return Unavailable("stopping", f"{name} was stopped before it handled the command: nothing was changed")


def _interrupted(name: str, command: Any) -> Unavailable:
    return Unavailable(
        "interrupted",
        f"{name} failed while it handled {command_name(command)}: the change may have been made",
        hint="Read the state before you send it again: it shows whether the change was made.",
        retry_after_s=1,
    )
