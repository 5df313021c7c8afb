"""The current state of every aggregate of one kind, folded by the core's own `evolve`.

Lists, the unfinished work after a crash, and earlier states (past.py) all use this fold, so it cannot differ from the
actor's. The log updates a view before the caller of an append gets its response (events/log.py), so a read is never
older than the last answered command.

A view does not contain aggregates that are removed or whose events were erased, neither live nor after a rebuild. Until
its stream is erased completely, the view keeps its id, across restarts (`erasing`).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Generic, TypeVar

import structlog
import trio

from fleet.core.decider import Decider
from fleet.events.envelope import Damaged, Erased, Recorded

_logger = structlog.get_logger(__name__)

State = TypeVar("State")

_NOT_THERE: Final = ("erased", "absent")
"""Phases of an aggregate that will be erased: from its last event, and in the row that is left of it."""


class States(Generic[State]):
    """States by id, with a way to wait for one to change."""

    def __init__(self, decider: Decider[Any, State, Any, Any], state_type: type[State]) -> None:
        self.decider = decider
        self.state_type = state_type
        self._prefix = f"{decider.kind}-"
        self._states: dict[str, State] = {}
        self._changed: dict[str, trio.Event] = {}
        self._erasing: dict[str, None] = {}
        self._erased: set[str] = set()
        self.damaged: dict[str, int] = {}  # the position of the first event of an aggregate that cannot be read

    @property
    def name(self) -> str:
        """The kind of aggregate, by which the view is stored."""
        return self.decider.kind

    def stream(self, aggregate_id: str) -> str:
        """Return the name of the aggregate's stream."""
        return self._prefix + aggregate_id

    def get(self, aggregate_id: str) -> State | None:
        """Return the state, None where there is no such aggregate."""
        return self._states.get(aggregate_id)

    def __len__(self) -> int:
        return len(self._states)

    def __iter__(self) -> Iterator[State]:
        return iter(self._states.values())

    def unfinished(self) -> list[str]:
        """Return the ids of aggregates with effects that have not reported back."""
        return [aggregate_id for aggregate_id, state in self._states.items() if self.decider.pending(state)]

    @property
    def erasing(self) -> list[str]:
        """The ids of removed aggregates whose stream may not be erased completely: erase it (again)."""
        return list(self._erasing)

    def erased(self, aggregate_id: str) -> None:
        """Record that the stream is erased completely; a later commit removes the aggregate's id."""
        self._erasing.pop(aggregate_id, None)
        self._erased.add(aggregate_id)

    async def wait(self, aggregate_id: str, until: Callable[[State], bool]) -> State:
        """Wait until the aggregate exists and `until(state)` holds, and return that state."""
        while True:
            state = self._states.get(aggregate_id)
            if state is not None and until(state):
                return state
            await self._changed.setdefault(aggregate_id, trio.Event()).wait()

    async def wait_while_present(self, aggregate_id: str, until: Callable[[State], bool]) -> State | None:
        """Wait until `until(state)` holds and return that state; None as soon as there is no such aggregate."""
        while (state := self._states.get(aggregate_id)) is not None and not until(state):
            await self.change_of(aggregate_id, state)
        return state

    async def change_of(self, aggregate_id: str, known: State | None) -> None:
        """Wait until the aggregate's state differs from `known` (None: it exists), or the aggregate is removed."""
        while self._states.get(aggregate_id) is known:
            await self._changed.setdefault(aggregate_id, trio.Event()).wait()

    def ids(self) -> list[str]:
        """Return the ids of all current aggregates."""
        return list(self._states)

    # ------------------------------------------------------------------------------------------------ for the runner

    def apply(self, commit: Sequence[Recorded]) -> set[str]:
        """Fold a commit and return the ids that it changed; `row` returns the new row of each, or None."""
        changed, self._erased = self._erased, set()
        for recorded in commit:
            if recorded.stream.startswith(self._prefix):
                aggregate_id = recorded.stream[len(self._prefix) :]
                self._fold(aggregate_id, recorded)
                changed.add(aggregate_id)
        for aggregate_id in changed:
            changed_event = self._changed.pop(aggregate_id, None)
            if changed_event is not None:
                changed_event.set()
        return changed

    def _fold(self, aggregate_id: str, recorded: Recorded) -> None:
        before = self._states.get(aggregate_id)
        if aggregate_id in self.damaged or isinstance(recorded.event, Damaged):
            self._quarantine(aggregate_id, recorded.position)
        elif isinstance(recorded.event, Erased):
            self._erasing.pop(aggregate_id, None)
            if before is not None:
                self.unindex(before, aggregate_id)
        elif before is None and recorded.version > 1:
            self._erasing[aggregate_id] = None  # the earlier events are erased: a crash interrupted an erasure
        else:
            state = self.decider.initial(aggregate_id) if before is None else before
            self.apply_state(aggregate_id, self.decider.evolve(state, recorded.event))

    def _quarantine(self, aggregate_id: str, position: int) -> None:
        """Do without an aggregate whose stream has an event that cannot be read: its state is not known."""
        if aggregate_id not in self.damaged:
            self.damaged[aggregate_id] = position
            _logger.error("stream_damaged", stream=self.stream(aggregate_id), position=position)
        before = self._states.get(aggregate_id)
        if before is not None:
            self.unindex(before, aggregate_id)

    def apply_state(self, aggregate_id: str, state: State) -> None:
        """Set a state: the next one, or one from the store. A removed aggregate leaves the view."""
        if getattr(state, "phase", None) not in _NOT_THERE:
            self.index(aggregate_id, state)
            return
        self._erasing[aggregate_id] = None
        before = self._states.get(aggregate_id)
        if before is not None:
            self.unindex(before, aggregate_id)

    def row(self, aggregate_id: str) -> State | None:
        """Return the state to store; during an erasure it holds only the id; None where nothing is stored."""
        return self.decider.initial(aggregate_id) if aggregate_id in self._erasing else self.get(aggregate_id)

    def index(self, aggregate_id: str, state: State) -> None:
        """Keep a state. Views with an index extend this."""
        self._states[aggregate_id] = state

    def unindex(self, state: State, aggregate_id: str) -> None:  # noqa: ARG002 - for the indexes of views that extend this
        """Remove the aggregate with this last state. Views with an index extend this."""
        del self._states[aggregate_id]

    def clear(self) -> None:
        """Remove everything before a rebuild."""
        self._states.clear()
        self._erasing.clear()
        self.damaged.clear()
