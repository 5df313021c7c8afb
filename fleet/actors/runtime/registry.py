"""The registry of the actors of one kind: it finds them by id, and starts them on demand.

Rules kept here alone:
- the first message to an id activates its actor, and however many come at once, there is one actor per id;
- an id's mailbox belongs to the registry, not to the actor: messages wait in it while the actor starts, restarts after
  a crash, or passivates, and a message that arrives meanwhile activates it again;
- an actor that is idle for `passivate_after_s` (no message waits or is handled, no effect runs) is stopped and removed
  from memory;
- when an actor cannot be activated or crashes too often, all its waiting messages fail: an ask never hangs, and the
  next message tries again. An actor that crashed too often is also activated again after a while, because it may have
  effects that no message orders.

The registry has its own supervisor that starts, stops and restarts the actors (supervisor.py).
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast

import structlog
import trio

from fleet.actors.runtime.actor import Inbox, stopped, turn_away
from fleet.actors.runtime.child import ChildSpec
from fleet.actors.runtime.mailbox import Mailbox
from fleet.actors.runtime.ref import Message, Ref
from fleet.actors.runtime.supervisor import Supervisor
from fleet.errors import Rejected, Unavailable
from fleet.limits import ACTORS_ACTIVE_MAX, ASK_TIMEOUT_S, GIVEN_UP_RETRY_S, PASSIVATE_AFTER_S

_log = structlog.get_logger(__name__)

Command = TypeVar("Command")
Reply = TypeVar("Reply")

_SWEEPS_PER_PASSIVATION = 4


class Resident(Protocol):
    """An actor in the registry: an `Aggregate`, or any actor with the given inbox."""

    @property
    def busy(self) -> bool:
        """Whether it must stay active: it handles a message, one waits, or an effect runs."""
        ...

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[Any]) -> None:
        """Run one incarnation, as `Start` in child.py says."""
        ...


class RegistryStatistics(NamedTuple):
    """The statistics of a registry since its start. `busy` actors handle a message or run an effect.

    `deepest_mailbox` is the largest number of messages that wait for one actor.
    """

    name: str
    active: int
    busy: int
    waiting_messages: int
    deepest_mailbox: int
    activations: int
    passivations: int
    restarts: int
    failures: int


class _Resident(Generic[Command, Reply]):
    """An active id: its mailbox, its actor, and since when it has been idle (None: it is busy)."""

    __slots__ = ("id", "idle_since_s", "inbox", "passivating", "received", "resident")

    def __init__(self, id: str, inbox: Inbox[Command, Reply], resident: Resident) -> None:  # noqa: A002 - its word
        self.id = id
        self.inbox = inbox
        self.resident = resident
        self.passivating = False
        self.received = -1
        self.idle_since_s: float | None = None


class ActorRegistry(Generic[Command, Reply]):
    """The active actors of one kind. `run` fits a `ChildSpec`.

    `create(id, inbox)` creates an actor with `inbox`; it is called once per activation and must not wait. `observe`
    gets the result of each `ask` (`done`, `rejected`, `unavailable`, `interrupted`) and its duration in seconds.
    `mailbox` creates one for a name.
    """

    def __init__(
        self,
        name: str,
        create: Callable[[str, Inbox[Command, Reply]], Resident],
        *,
        passivate_after_s: float = PASSIVATE_AFTER_S,
        active_max: int = ACTORS_ACTIVE_MAX,
        observe: Callable[[str, float], None] | None = None,
        mailbox: Callable[[str], Inbox[Command, Reply]] = Mailbox,
    ) -> None:
        self.name = name
        self._mailbox = mailbox
        self._observe = observe
        self._create = create
        self._passivate_after_s = passivate_after_s
        self._active_max = active_max
        self._supervisor = Supervisor(f"{name} actors", escalate=False, children_max=active_max, on_gone=self._gone)
        self._entries: dict[str, _Resident[Command, Reply]] = {}
        self._nursery: trio.Nursery | None = None
        self._stopping = trio.Event()
        self._activations = self._passivations = self._failures = 0

    def ref(self, id: str) -> Ref[Command, Reply]:  # noqa: A002 - the vocabulary's word
        """Return the address of the actor `id`, which is always valid: a message to it activates the actor."""
        return Ref(f"{self.name} {id}", partial(self._deliver, id))

    def tell(self, id: str, command: Command) -> None:  # noqa: A002
        """Send `command` to the actor `id` without waiting; see `Ref.tell`."""
        self._deliver(id, Message(command))

    async def ask(self, id: str, command: Command, timeout: float = ASK_TIMEOUT_S) -> Reply:  # noqa: A002
        """Send `command` to the actor `id` and return its reply; see `Ref.ask`."""
        if self._observe is None:
            return await self.ref(id).ask(command, timeout)
        began_s, result = trio.current_time(), "interrupted"
        try:
            reply = await self.ref(id).ask(command, timeout)
            result = "done"
        except Rejected:
            result = "rejected"
            raise
        except Unavailable:
            result = "unavailable"
            raise
        finally:
            self._observe(result, trio.current_time() - began_s)
        return reply

    def activate(self, id: str) -> None:  # noqa: A002
        """Activate the actor `id` without a message, so that its pending effects run. Raises as `tell` does."""
        self._entry(id)

    async def run(
        self,
        stopping: trio.Event,
        *,
        task_status: trio.TaskStatus["ActorRegistry[Command, Reply]"] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept messages and passivate idle actors until `stopping` is set; then stop all and fail their messages."""
        self._stopping = stopping
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._supervisor.run, stopping, name=f"{self.name} supervisor")
                self._nursery = nursery
                task_status.started(self)
                try:
                    while not stopping.is_set():
                        with trio.move_on_after(self._passivate_after_s / _SWEEPS_PER_PASSIVATION):
                            await stopping.wait()
                        self._sweep(trio.current_time())
                finally:
                    self._nursery = None  # no actor is activated from here on; the nursery waits for the supervisor
        finally:
            self._nursery = None
            for entry in tuple(self._entries.values()):
                self._drop(entry, partial(stopped, entry.inbox.name))

    def statistics(self) -> RegistryStatistics:
        """Return the statistics of the registry."""
        return RegistryStatistics(
            name=self.name,
            active=len(self._entries),
            busy=sum(entry.resident.busy for entry in self._entries.values()),
            waiting_messages=sum(len(entry.inbox) for entry in self._entries.values()),
            deepest_mailbox=max((len(entry.inbox) for entry in self._entries.values()), default=0),
            activations=self._activations,
            passivations=self._passivations,
            restarts=self._supervisor.statistics().restarts,
            failures=self._failures,
        )

    # ---------------------------------------------------------------------------------------- activation and its end

    def _deliver(self, id: str, message: Message[Command, Reply]) -> None:  # noqa: A002
        entry = self._entries.get(id)
        if entry is None:
            entry = self._entry(id)
        entry.inbox.put(message)

    def _entry(self, id: str) -> _Resident[Command, Reply]:  # noqa: A002
        entry = self._entries.get(id)
        if entry is not None:
            return entry
        if self._nursery is None:
            raise Unavailable("stopping", f"the registry of {self.name} does not run: {id} cannot be reached")
        if len(self._entries) >= self._active_max:
            raise Unavailable(
                "overloaded",
                f"{self._active_max} {self.name} are active, which is the limit",
                hint="Wait until some of them are idle.",
                retry_after_s=5,
            )
        inbox = self._mailbox(f"{self.name} {id}")
        entry = self._entries[id] = _Resident(id, inbox, self._create(id, inbox))
        self._nursery.start_soon(self._activate, entry, name=f"{self.name} {id} activation")
        return entry

    async def _activate(self, entry: _Resident[Command, Reply]) -> None:
        self._activations += 1
        structlog.contextvars.clear_contextvars()  # the actor outlives the request that activated it
        try:
            await self._supervisor.add_child(ChildSpec(entry.id, entry.resident.run, "transient"))
        except Exception as error:  # a failed start must not affect the other actors
            if self._nursery is None or (isinstance(error, Unavailable) and error.code == "stopping"):
                self._drop(entry, partial(stopped, entry.inbox.name))
            else:
                self._fail(entry, error)

    def _gone(self, id: str, error: Exception | None) -> None:  # noqa: A002
        """Handle that the supervisor has removed an actor."""
        entry = self._entries.get(id)
        if entry is None:
            return
        if error is not None:
            self._fail(entry, error)
            if self._nursery is not None:
                self._nursery.start_soon(self._try_again, id, name=f"{self.name} {id} later")
            return
        self._passivations += 1
        if len(entry.inbox) and self._nursery is not None:
            entry.passivating = False
            self._nursery.start_soon(self._activate, entry, name=f"{self.name} {id} activation")
        else:
            self._drop(entry, partial(stopped, entry.inbox.name))

    async def _try_again(self, id: str) -> None:  # noqa: A002
        """Activate an actor that was given up, a while later."""
        with trio.move_on_after(GIVEN_UP_RETRY_S):
            await self._stopping.wait()
            return
        with suppress(Unavailable):  # overloaded or stopping: the next message activates it
            self.activate(id)

    def _fail(self, entry: _Resident[Command, Reply], error: Exception) -> None:
        self._failures += 1
        _log.error("actor_failed", registry=self.name, id=entry.id, exc_info=error)
        self._drop(entry, partial(_failed, entry.inbox.name, _damage_in(error)))

    def _drop(self, entry: _Resident[Command, Reply], problem: Callable[[], Unavailable]) -> None:
        if self._entries.get(entry.id) is entry:
            del self._entries[entry.id]
        turn_away(entry.inbox, problem)

    # --------------------------------------------------------------------------------------------------- passivation

    def _sweep(self, now_s: float) -> None:
        if self._nursery is None:
            return
        for entry in tuple(self._entries.values()):
            if not entry.passivating and self._idle_for_s(entry, now_s) >= self._passivate_after_s:
                entry.passivating = True
                self._nursery.start_soon(self._supervisor.stop_child, entry.id, name=f"{entry.inbox.name} passivation")

    def _idle_for_s(self, entry: _Resident[Command, Reply], now_s: float) -> float:
        """Return for how long the sweeps have seen `entry` idle, so that messages need no timestamps."""
        received = entry.inbox.received
        if entry.resident.busy or received != entry.received or entry.idle_since_s is None:
            entry.received = received
            entry.idle_since_s = None if entry.resident.busy else now_s
            return 0.0
        return now_s - entry.idle_since_s


def _damage_in(error: Exception) -> str | None:
    """Return what is damaged, if the actor could not be activated because of that."""
    if isinstance(error, ExceptionGroup):
        group = cast("ExceptionGroup[Exception]", error)
        return next((found for each in group.exceptions if (found := _damage_in(each)) is not None), None)
    return error.detail if isinstance(error, Unavailable) and error.code == "event_damaged" else None


def _failed(name: str, damage: str | None) -> Unavailable:
    if damage is not None:
        return Unavailable("event_damaged", damage)
    return Unavailable(
        "interrupted",
        f"{name} cannot be started: nothing was changed",
        hint="Read the reason in the server's log, then try again.",
        retry_after_s=5,
    )
