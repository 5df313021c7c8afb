"""The event-sourced actor: it owns one stream, and is the only one that appends to it (law 2).

Rules kept here alone:
- mailbox -> `decide` -> append -> `evolve` -> reply -> `react` (law 1): the state in memory changes only from events
  that are on disk, and the reply comes after that. If the log refuses the events (a full disk), the refusal is the
  reply, and nothing has changed; anything else that it raises (`VersionConflict`, `OutcomeUnknown`) crashes the actor,
  which starts again from the log;
- activation is a snapshot, if there is one of this state's shape, and a fold of the later events; then the effects that
  `pending` finds run again (law 4). A stream that was erased folds to the state before any event;
- effects run beside the loop, as tasks of this actor, one at a time per key. They report back through `report`, which
  returns when their command has been decided and is durable. An effect that is no longer pending is cancelled; one that
  raises crashes the actor, and `pending` starts it again.

The pure part is a `Decider` (core/decider.py), the log a `Log` (events/log.py). registry.py knows which actors are
active.
"""

import math
from collections.abc import Awaitable, Callable, Hashable
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

import msgspec
import structlog
import trio

from fleet.actors.runtime.actor import Actor, Inbox
from fleet.actors.runtime.causation import because_of, cause_here, find_causes
from fleet.actors.runtime.mailbox import Mailbox, MailboxStatistics
from fleet.actors.runtime.mandates import OpenMandates
from fleet.actors.runtime.ref import Message, Ref
from fleet.actors.runtime.retry import Patience, persist
from fleet.actors.runtime.shape import Shape
from fleet.core.decider import Decider
from fleet.errors import Problem, Rejected, Unavailable
from fleet.events.envelope import Appended, Cause, Damaged, OwnCauses, StateSnapshot
from fleet.events.log import Log
from fleet.limits import REPLAY_PAGE_EVENTS, SNAPSHOT_EVERY_EVENTS

if TYPE_CHECKING:
    from fleet.actors.runtime.tracing import Spans

_log = structlog.get_logger(__name__)


class Keyed(Protocol):
    """What an effect must have: effects with equal keys never run at the same time."""

    @property
    def key(self) -> Hashable:
        """The kind of the effect and the id of its subject."""
        ...


Command = TypeVar("Command")
State = TypeVar("State")
Event = TypeVar("Event")
Effect = TypeVar("Effect", bound=Keyed)


class Deliver(msgspec.Struct, Generic[Command], frozen=True, gc=False):
    """A command with its cause. `command_id` makes it idempotent; `command_digest` identifies a true repetition."""

    command: Command
    cause: Cause = Cause()
    command_id: str | None = None
    command_digest: bytes = b""


class StateReply(msgspec.Struct, Generic[State], frozen=True, gc=False):
    """The result of a command: the log `position` and stream `version` to wait for, and the present state.

    `repeated`: the command id was known and nothing was done; the numbers are those of the first command.
    """

    position: int
    version: int
    state: State
    repeated: bool = False


ReportBack: TypeAlias = Callable[[Command], Awaitable[None]]
"""Sends an effect's result as a command to its aggregate; returns when it is durable or rejected."""

Perform: TypeAlias = Callable[[Effect, ReportBack[Command]], Awaitable[None]]
"""Carries out one effect. Idempotent; reports every `Problem`."""


class AggregateStatistics(NamedTuple):
    """The statistics of an event-sourced actor. `effects` are the keys of the running effects."""

    stream: str
    version: int
    position: int
    running: bool
    handled: int
    effects: tuple[str, ...]
    mailbox: MailboxStatistics


class _Running(NamedTuple, Generic[Effect]):
    """A run of an effect, which sets `ended`. It begins after `before`, the end of a cancelled run of its key."""

    effect: Effect
    scope: trio.CancelScope
    ended: trio.Event
    before: trio.Event | None


class Aggregate(Generic[Command, State, Event, Effect]):
    """One aggregate's actor. `run` fits a `ChildSpec` and a registry; `ref()` is its address.

    `id` is the aggregate's own id; its stream is `<decider.kind>-<id>`. A given `inbox` belongs to its creator (a
    registry); without one the aggregate has its own, and fails the waiting messages when it is stopped. `spans` need a
    `TracedMailbox` as inbox.
    """

    __slots__ = (
        "_actor",
        "_append",
        "_decide",
        "_decider",
        "_effects",
        "_ending",
        "_evolve",
        "_id",
        "_inbox",
        "_log",
        "_mandates",
        "_nursery",
        "_perform",
        "_position",
        "_react",
        "_shape",
        "_snapshot_version",
        "_spans",
        "_state",
        "_version",
        "stream",
    )

    def __init__(
        self,
        id: str,  # noqa: A002 - the vocabulary's word, as in Decider.initial
        decider: Decider[Command, State, Event, Effect],
        shape: Shape,
        log: Log,
        perform: Perform[Effect, Command],
        *,
        inbox: Inbox[Deliver[Command], StateReply[State]] | None = None,
        spans: "Spans | None" = None,
    ) -> None:
        self.stream = f"{decider.kind}-{id}"
        self._id = id
        self._decider = decider
        self._decide, self._evolve, self._react = decider.decide, decider.evolve, decider.react
        self._mandates = OpenMandates(decider.mandates)
        self._shape = shape
        self._log = log
        self._append = log.append
        self._perform = perform
        self._inbox: Inbox[Deliver[Command], StateReply[State]] = Mailbox(self.stream) if inbox is None else inbox
        self._spans = spans
        handle = self._handle if spans is None else partial(self._handle_in_span, spans)
        self._actor = Actor(self._inbox, handle, owns_inbox=inbox is None)
        self._nursery: trio.Nursery | None = None
        self._effects: dict[Hashable, _Running[Effect]] = {}
        self._ending: dict[Hashable, _Running[Effect]] = {}  # cancelled effects that clean up
        self._begin()

    @property
    def busy(self) -> bool:
        """Whether it handles a command, one waits, or an effect runs."""
        return bool(self._effects) or self._actor.busy

    def ref(self) -> Ref[Deliver[Command], StateReply[State]]:
        """Return the address of this aggregate, valid across restarts."""
        return self._actor.ref()

    async def run(
        self,
        stopping: trio.Event,
        *,
        task_status: trio.TaskStatus[Ref[Deliver[Command], StateReply[State]]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Activate from the log, handle commands until `stopping` is set, then cancel the effects and store a snapshot.

        Raises ExceptionGroups with the errors that crashed the loop or an effect.
        """
        if self._spans is not None:
            self._spans.begin()
        await self._activate()
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                await self._resume_effects()
                await self._actor.run(stopping, task_status=task_status)
                nursery.cancel_scope.cancel()
        finally:
            self._nursery = None
            self._effects.clear()
            self._ending.clear()
        if self._version > self._snapshot_version:
            self._keep_snapshot()

    def statistics(self) -> AggregateStatistics:
        """Return the statistics of the aggregate."""
        actor = self._actor.statistics()
        effects = tuple(str(key) for key in self._effects)
        return AggregateStatistics(
            self.stream, self._version, self._position, actor.running, actor.handled, effects, actor.mailbox
        )

    # ---------------------------------------------------------------------------------------- the state and the log

    async def _resume_effects(self) -> None:
        """Order the unfinished effects of an earlier run, with the causes that they had then."""
        await self._mandates.find(self._log, self.stream, self._state)
        pending = tuple(self._decider.pending(self._state))
        unknown = [effect for effect in pending if self._mandates.of_effect(effect) is None]
        causes = await find_causes(self._log, self.stream, self._id, self._decider, unknown)
        for effect in pending:
            self._order(effect, causes.get(effect.key, Cause()))

    def _begin(self) -> None:
        self._state: State = self._decider.initial(self._id)
        self._version = self._position = self._snapshot_version = 0

    async def _activate(self) -> None:
        """Fold the state from the log, with a checkpoint after each page of events."""
        self._begin()
        self._load_snapshot()
        evolve, erased = self._evolve, self._log.is_erased(self.stream)
        for folded, (version, position, event) in enumerate(self._log.replay(self.stream, self._position), start=1):
            if isinstance(event, Damaged):
                raise Unavailable("event_damaged", f"event {position} of {self.stream} is damaged: {event.reason}")
            if not erased:
                self._state = evolve(self._state, event)
            self._version, self._position = version, position
            if folded % REPLAY_PAGE_EVENTS == 0:
                await trio.lowlevel.checkpoint()

    def _load_snapshot(self) -> None:
        snapshot = self._log.load_snapshot(self.stream)
        if snapshot is None or snapshot.schema != self._shape.schema:
            return
        try:
            state: State = self._shape.decode(snapshot.state)
        except msgspec.DecodeError as error:  # the log has all events, so a snapshot may be discarded
            _log.warning("snapshot_ignored", stream=self.stream, version=snapshot.version, error=str(error))
            return
        self._state, self._version, self._position = state, snapshot.version, snapshot.position
        self._snapshot_version = snapshot.version

    def _keep_snapshot(self) -> None:
        state = self._shape.encode(self._state)
        self._log.save_snapshot(self.stream, StateSnapshot(self._version, self._position, self._shape.schema, state))
        self._snapshot_version = self._version

    # ------------------------------------------------------------------------------------------------------- commands

    async def _handle(self, message: Message[Deliver[Command], StateReply[State]]) -> None:
        deliver = message.command
        if deliver.command_id is not None and (earlier := self._repetition(deliver)) is not None:
            message.reply(earlier)
            return
        events = self._decide(deliver.command, self._state)
        if not events:
            message.reply(StateReply(self._position, self._version, self._state))
            return
        own_causes = self._mandates.own_causes(events, self._state)
        appended = await self._append(
            self.stream,
            self._version,
            events,
            deliver.cause,
            own_causes=own_causes,
            command_id=deliver.command_id,
            command_digest=deliver.command_digest,
        )
        if appended.repeated:
            message.reply(StateReply(appended.position, appended.version, self._state, repeated=True))
            return
        try:
            self._advance(message, events, appended, own_causes)
        except Problem as problem:  # it must not count as a rejection: the events are on disk
            raise RuntimeError(f"{self.stream}: evolve and react must accept every recorded event") from problem

    async def _handle_in_span(self, spans: "Spans", message: Message[Deliver[Command], StateReply[State]]) -> None:
        version, deliver = self._version, message.command
        with spans.command(self.stream, deliver.command, deliver.cause, message.sent) as span:
            await self._handle(message)
            if self._version != version:
                span.set_attribute("fleet.position", self._position)

    def _advance(
        self,
        message: Message[Deliver[Command], StateReply[State]],
        events: tuple[Event, ...],
        appended: Appended,
        own_causes: OwnCauses,
    ) -> None:
        """Evolve by the durable `events`, then reply, then react."""
        state, steps = self._state, list[tuple[State, Event]]()
        for event in events:
            state = self._evolve(state, event)
            steps.append((state, event))
        self._state, self._version, self._position = state, appended.version, appended.position
        message.reply(StateReply(appended.position, appended.version, state))
        first = appended.position - len(events) + 1
        causes = self._mandates.follow(first, events, message.command.cause, own_causes, state)
        for (after, event), cause in zip(steps, causes, strict=True):
            for effect in self._react(after, event):
                self._order(effect, cause)
        if self._effects:
            self._call_off()
        if appended.version - self._snapshot_version >= SNAPSHOT_EVERY_EVENTS:
            self._keep_snapshot()

    def _repetition(self, deliver: Deliver[Command]) -> StateReply[State] | None:
        """Return the result of the first command with this id, if there was one; `decide` does not know command ids."""
        record = None if deliver.command_id is None else self._log.find_command(deliver.command_id)
        if record is None:
            return None
        if record.stream != self.stream or not record.matches(deliver.command_digest):
            raise Rejected(
                "idempotency_conflict",
                f"the idempotency key {deliver.command_id} was used with another request",
                hint="Use a new key for each request; repeat a key only with the very same request.",
            )
        return StateReply(record.position, record.version, self._state, repeated=True)

    # ------------------------------------------------------------------------------------------------------- effects

    def _order(self, effect: Effect, cause: Cause) -> None:
        """Start `effect` unless it runs already; it replaces another one with the same key.

        `cause` is the event that orders it, which counts if the effect works for no mandate.
        """
        running = self._effects.get(effect.key)
        if self._nursery is None or (running is not None and running.effect == effect):
            return
        if running is not None:
            self._cancel(effect.key)
        before = self._ending.get(effect.key)
        started = _Running(effect, trio.CancelScope(), trio.Event(), None if before is None else before.ended)
        self._effects[effect.key] = started
        cause = self._mandates.of_effect(effect) or cause
        self._nursery.start_soon(self._run_effect, started, cause, name=f"{self.stream} {effect.key}")

    def _call_off(self) -> None:
        """Cancel the effects that are no longer pending."""
        pending = {effect.key for effect in self._decider.pending(self._state)}
        for key in [key for key in self._effects if key not in pending]:
            self._cancel(key)

    def _cancel(self, key: Hashable) -> None:
        running = self._ending[key] = self._effects.pop(key)
        running.scope.cancel()

    async def _run_effect(self, running: "_Running[Effect]", cause: Cause) -> None:
        async def report(command: Command) -> None:
            await self._report(command, cause_here())

        bound = {"stream": self.stream, "causation_id": cause.causation_id, "request_id": cause.correlation_id}
        structlog.contextvars.bind_contextvars(**{name: value for name, value in bound.items() if value is not None})
        spans = self._spans
        if running.before is not None:
            await running.before.wait()
        span = nullcontext() if spans is None else spans.effect(self.stream, running.effect, cause)
        with running.scope, because_of(cause), span:
            await trio.lowlevel.checkpoint_if_cancelled()
            await self._perform(running.effect, report)
        running.ended.set()
        for runs in (self._effects, self._ending):
            if runs.get(running.effect.key) is running:
                del runs[running.effect.key]

    async def _report(self, command: Command, cause: Cause) -> None:
        """Send the command to this actor, with retries: without its report an effect would never end."""
        name = type(command).__name__

        async def ask() -> None:
            try:
                await self.ref().ask(Deliver(command, cause), timeout=math.inf)
            except Unavailable as refusal:
                if refusal.code != "disk_full" or not self._decider.can_drop(command, self._state):
                    raise
                _log.warning("report_dropped", stream=self.stream, command=name, code=refusal.code)

        try:
            await persist(ask, Patience("report_waits", stream=self.stream, command=name))
        except Rejected as rejected:
            _log.info("report_rejected", stream=self.stream, command=name, code=rejected.code)
