"""The states of aggregates at an earlier position of the log, folded by the same `evolve` as the current view.

An aggregate that has not changed since then has its current state. Any other is folded from the nearest earlier state:
one that was requested before, or a snapshot. The log keeps a snapshot of every `PAST_SNAPSHOT_EVENTS` events of a
stream, so the time of a fold does not depend on the stream's length; where they are missing, the first fold makes
them. Events are read in pages, with a checkpoint after each. An aggregate that was erased since then has no earlier
states. After an event that is damaged its states are not known: a read of one aggregate says so, a list does without.
"""

from bisect import bisect_right
from collections import OrderedDict
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import trio

from fleet.core.instance import state as instance_state
from fleet.core.session import state as session_state
from fleet.core.webhook import state as webhook_state
from fleet.core.workspace import state as workspace_state
from fleet.events.codec import CorruptRecord
from fleet.events.envelope import Damaged, Erased, StateSnapshot
from fleet.events.log import Log
from fleet.events.snapshots import fingerprint, pack
from fleet.limits import FEED_PAGE_EVENTS, PAST_MARKS_KEPT, PAST_SNAPSHOT_EVENTS, PAST_STREAMS_KEPT
from fleet.projections.states import States
from fleet.projections.views import Views

State = TypeVar("State")


class _Mark(NamedTuple, Generic[State]):
    """The state after an event of a stream."""

    version: int
    position: int
    state: State


class Past(Generic[State]):
    """Earlier states of the aggregates that a view has."""

    def __init__(self, view: States[State], log: Log) -> None:
        self._view = view
        self._log = log
        state_type: Any = view.state_type
        self._schema = fingerprint(view.decider.kind, state_type, view.decider.revision)
        self._decode = msgspec.msgpack.Decoder(state_type).decode
        self._marks: OrderedDict[str, list[_Mark[State]]] = OrderedDict()
        self._forgotten = 0

    async def one(self, aggregate_id: str, at: int) -> State | None:
        """Return the state as it was at position `at`, None where it did not exist yet or was erased since.

        Raises `CorruptRecord` where an event up to `at` is damaged.
        """
        stream = self._view.stream(aggregate_id)
        if self._log.is_erased(stream):
            return None
        if not self._log.stream_positions(stream, at, self._log.head() + 1, 1, newest_first=False):
            return self._view.get(aggregate_id)
        if not self._log.stream_positions(stream, 0, at + 1, 1, newest_first=False):
            return None
        return await self._fold(aggregate_id, stream, at)

    async def readable(self, aggregate_id: str, at: int) -> State | None:
        """Return what `one` does, and None where an event is damaged, as the view has no such aggregate."""
        try:
            return await self.one(aggregate_id, at)
        except CorruptRecord:
            return None

    async def all(self, at: int) -> list[State]:
        """Return the states of all aggregates that existed at position `at` and can be read."""
        found: list[State] = []
        for aggregate_id in self._view.ids():
            state = await self.readable(aggregate_id, at)
            if state is not None:
                found.append(state)
            await trio.lowlevel.checkpoint()
        return found

    def forget(self, stream: str) -> None:
        """Discard the stored states of a stream that was erased, or of which texts were replaced."""
        self._marks.pop(stream, None)
        self._forgotten += 1

    async def _fold(self, aggregate_id: str, stream: str, at: int) -> State | None:
        nearest = self._nearest(stream, at) or _Mark(0, 0, self._view.decider.initial(aggregate_id))
        version, position, state = nearest
        kept, evolve, forgotten = version // PAST_SNAPSHOT_EVENTS, self._view.decider.evolve, self._forgotten
        replay = self._log.replay(stream, nearest.position, at)
        for folded, (version, position, event) in enumerate(replay, 1):
            if isinstance(event, Damaged):
                raise CorruptRecord(f"event {position} of {stream} is damaged: {event.reason}")
            if isinstance(event, Erased):
                break
            state = evolve(state, event)
            if version // PAST_SNAPSHOT_EVENTS > kept and forgotten == self._forgotten:
                kept = version // PAST_SNAPSHOT_EVENTS
                self._log.keep_snapshot(stream, StateSnapshot(version, position, self._schema, pack(state)))
            if folded % FEED_PAGE_EVENTS == 0:
                await trio.lowlevel.checkpoint()
        if self._log.is_erased(stream):
            self.forget(stream)
            return None
        if forgotten == self._forgotten:  # else it may have texts that were erased meanwhile
            self._keep(stream, _Mark(version, position, state))
        return state

    def _nearest(self, stream: str, at: int) -> _Mark[State] | None:
        """Return the newest available state up to `at`."""
        marks = [mark for mark in self._marks.get(stream, ()) if mark.position <= at]
        newest = marks[-1] if marks else None
        snapshot = self._log.load_snapshot(stream, at)
        if snapshot is None or snapshot.schema != self._schema:
            return newest
        if newest is not None and newest.position >= snapshot.position:
            return newest
        return _Mark(snapshot.version, snapshot.position, self._decode(snapshot.state))

    def _keep(self, stream: str, mark: _Mark[State]) -> None:
        """Keep a state for later requests: the last few of each stream, in the order of their positions."""
        marks = [each for each in self._marks.pop(stream, ()) if each.position != mark.position]
        marks.insert(bisect_right([each.position for each in marks], mark.position), mark)
        if len(marks) > PAST_MARKS_KEPT:
            del marks[0 if marks[0] is not mark else -1]
        self._marks[stream] = marks
        while len(self._marks) > PAST_STREAMS_KEPT:
            self._marks.popitem(last=False)


class PastViews(NamedTuple):
    """Earlier states, by kind of aggregate."""

    sessions: Past[session_state.State]
    instances: Past[instance_state.State]
    webhooks: Past[webhook_state.State]
    workspaces: Past[workspace_state.State]


def past_of(views: Views, log: Log) -> PastViews:
    """Return the earlier states of these views."""
    return PastViews(
        Past(views.sessions, log), Past(views.instances, log), Past(views.webhooks, log), Past(views.workspaces, log)
    )
