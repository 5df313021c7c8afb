"""The mailbox: the bounded, ordered queue of messages for one actor.

Rules kept here alone: a put never waits; messages leave in the order in which they came; control messages (a stop)
overtake all others; a full mailbox refuses with `overloaded`, a closed one with `stopping`. It outlives the crashes of
its actor, so that what waits in it is handled after the restart. Built on trio's scheduler directly, because a memory
channel costs two checkpoints a message.

ref.py puts messages, and actor.py takes them. The code that closes a mailbox decides what happens to the remaining
messages.
"""

from collections import deque
from typing import Generic, NamedTuple, TypeVar, final

import trio
from trio.lowlevel import Abort, RaiseCancelT, Task

from fleet.errors import Unavailable
from fleet.limits import MAILBOX_BURST_MAX, MAILBOX_CONTROL_MAX, MAILBOX_MESSAGES_MAX

M = TypeVar("M")
C = TypeVar("C")


@final
class Stop:
    """The control message that ends an actor's loop; it says only that the stop signal has been set."""


class MailboxStatistics(NamedTuple):
    """The statistics of a mailbox. `received` counts the messages taken so far, control messages included."""

    waiting: int
    control_waiting: int
    size_max: int
    received: int
    refused: int
    closed: bool


class Mailbox(Generic[M, C]):
    """A bounded FIFO of messages `M` with a lane for control messages `C`; many senders, one receiver, one thread.

    `name` is the actor's name; error messages contain it.
    """

    __slots__ = (
        "_closed",
        "_control",
        "_messages",
        "_received",
        "_receiver",
        "_refused",
        "_size_max",
        "_streak",
        "name",
    )

    def __init__(self, name: str, size_max: int = MAILBOX_MESSAGES_MAX) -> None:
        self.name = name
        self._size_max = size_max
        self._messages: deque[M] = deque()
        self._control: deque[C] = deque()
        self._receiver: Task | None = None
        self._closed = False
        self._received = 0
        self._refused = 0
        self._streak = 0

    def __len__(self) -> int:
        return len(self._messages) + len(self._control)

    @property
    def received(self) -> int:
        """How many messages have been taken so far."""
        return self._received

    def put(self, message: M) -> None:
        """Add a message. Raises `Unavailable` overloaded when full, stopping when closed."""
        if self._closed:
            raise Unavailable("stopping", f"{self.name} accepts no more messages: it is shutting down")
        if len(self._messages) >= self._size_max:
            self._refused += 1
            raise Unavailable(
                "overloaded",
                f"{self._size_max} messages already wait for {self.name}, which is the limit",
                hint="Wait a moment, then send it again.",
                retry_after_s=1,
            )
        self._messages.append(message)
        if self._receiver is not None:
            self._wake()

    def put_control(self, message: C) -> None:
        """Add a message that overtakes the others, even into a closed mailbox.

        Raises `Unavailable` overloaded when too many of them wait.
        """
        if len(self._control) >= MAILBOX_CONTROL_MAX:
            self._refused += 1
            raise Unavailable(
                "overloaded", f"{MAILBOX_CONTROL_MAX} control messages already wait for {self.name}, which is the limit"
            )
        self._control.append(message)
        if self._receiver is not None:
            self._wake()

    async def receive(self) -> M | C:
        """Return the next message, control messages first; wait if there is none.

        It is a checkpoint when it waits, and once in `MAILBOX_BURST_MAX` messages, so that a busy actor does not starve
        other tasks. Raises RuntimeError if another task receives already.
        """
        if not (self._control or self._messages):
            await self._wait()
        elif self._streak >= MAILBOX_BURST_MAX:
            self._streak = 0
            await trio.lowlevel.checkpoint()
        self._streak += 1
        self._received += 1
        return self._control.popleft() if self._control else self._messages.popleft()

    def close(self) -> list[M]:
        """Accept no more messages, and return the waiting ones, oldest first."""
        self._closed = True
        left = list(self._messages)
        self._messages.clear()
        return left

    def reopen(self) -> None:
        """Accept messages again, after a restart of the actor."""
        self._closed = False

    def statistics(self) -> MailboxStatistics:
        """Return the statistics of the mailbox."""
        return MailboxStatistics(
            waiting=len(self._messages),
            control_waiting=len(self._control),
            size_max=self._size_max,
            received=self._received,
            refused=self._refused,
            closed=self._closed,
        )

    async def _wait(self) -> None:
        if self._receiver is not None:
            raise RuntimeError(f"two tasks receive from the mailbox of {self.name}: it has one owner")
        self._receiver = trio.lowlevel.current_task()
        self._streak = 0
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def _abort(self, _raise_cancel: RaiseCancelT) -> Abort:
        self._receiver = None
        return Abort.SUCCEEDED

    def _wake(self) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            trio.lowlevel.reschedule(receiver)
