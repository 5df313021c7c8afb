"""The states of aggregates at an earlier position of the log, folded by the same `evolve` as the current view.

An aggregate that has not changed since then has its current state. Any other is folded from the nearest earlier state:
one that was requested before, or the stream's snapshot. Events are read in pages, with a checkpoint after each. An
aggregate that was erased since then has no earlier states.
"""

from bisect import bisect_right
from collections import OrderedDict
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import trio

from fleet.core.instance import state as instance_state
from fleet.core.session import state as session_state
from fleet.core.webhook import state as webhook_state
from fleet.events.log import Log
from fleet.events.snapshots import fingerprint
from fleet.limits import FEED_PAGE_BYTES, FEED_PAGE_EVENTS, PAST_MARKS_KEPT, PAST_STREAMS_KEPT
from fleet.projections.states import States
from fleet.projections.views import Views

State = TypeVar("State")
_Mark = tuple[int, Any]
"""A position, and the state after the stream's last event up to it."""


class Past(Generic[State]):
    """Earlier states of the aggregates that a view has."""

    def __init__(self, view: States[State], log: Log) -> None:
        self._view = view
        self._log = log
        state_type: Any = view.state_type
        self._schema = fingerprint(view.decider.kind, state_type, view.decider.revision)
        self._decode = msgspec.msgpack.Decoder(state_type).decode
        self._marks: OrderedDict[str, list[_Mark]] = OrderedDict()

    async def one(self, aggregate_id: str, at: int) -> State | None:
        """Return the state as it was at position `at`, None where it did not exist yet or was erased since."""
        stream = self._view.stream(aggregate_id)
        if self._log.is_erased(stream):
            return None
        if not self._log.read_stream(stream, at, 1):
            return self._view.get(aggregate_id)
        if self._log.read_stream(stream, 0, 1)[0].position > at:
            return None
        return await self._fold(aggregate_id, stream, at)

    async def all(self, at: int) -> list[State]:
        """Return the states of all aggregates that existed at position `at` and were not erased since."""
        found: list[State] = []
        for aggregate_id in self._view.ids():
            state = await self.one(aggregate_id, at)
            if state is not None:
                found.append(state)
            await trio.lowlevel.checkpoint()
        return found

    def forget(self, stream: str) -> None:
        """Discard the stored states of an erased stream."""
        self._marks.pop(stream, None)

    async def _fold(self, aggregate_id: str, stream: str, at: int) -> State | None:
        position, state = self._nearest(stream, at) or (0, self._view.decider.initial(aggregate_id))
        while not self._log.is_erased(stream):
            page = self._log.read_stream(stream, position, FEED_PAGE_EVENTS, FEED_PAGE_BYTES)
            wanted = [recorded for recorded in page if recorded.position <= at]
            for recorded in wanted:
                state = self._view.decider.evolve(state, recorded.event)
                position = recorded.position
            if len(wanted) < len(page) or not page:
                self._keep(stream, (position, state))
                return state
            await trio.lowlevel.checkpoint()
        self.forget(stream)
        return None

    def _nearest(self, stream: str, at: int) -> _Mark | None:
        """Return the newest available state up to `at`."""
        marks = [mark for mark in self._marks.get(stream, ()) if mark[0] <= at]
        newest = marks[-1] if marks else None
        snapshot = self._log.load_snapshot(stream)
        if snapshot is None or snapshot.schema != self._schema or snapshot.position > at:
            return newest
        if newest is not None and newest[0] >= snapshot.position:
            return newest
        return snapshot.position, self._decode(snapshot.state)

    def _keep(self, stream: str, mark: _Mark) -> None:
        """Keep a state for later requests: the last few of each stream, in the order of their positions."""
        marks = [each for each in self._marks.pop(stream, ()) if each[0] != mark[0]]
        marks.insert(bisect_right([position for position, _ in marks], mark[0]), mark)
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


def past_of(views: Views, log: Log) -> PastViews:
    """Return the earlier states of these views."""
    return PastViews(Past(views.sessions, log), Past(views.instances, log), Past(views.webhooks, log))
