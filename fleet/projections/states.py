"""The current state of every aggregate of one kind, folded by the core's own `evolve`.

There is no second fold that could disagree with the actor's: what a list shows and what is still to be done after a
crash come from here, and what it was at an earlier position comes from the same `evolve` (past.py). A view is fed
by the log before the caller that appended gets its answer (events/log.py), so a read is never older than the last
answered command.

Keeps: an aggregate that is gone, or whose events were erased, does not exist here, live and after a rebuild alike.
Until its stream is erased completely, it is remembered by its id, across restarts (`erasing`).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Generic, TypeVar

import trio

from fleet.core.decider import Decider
from fleet.events.envelope import Erased, Recorded

State = TypeVar("State")

_NOT_THERE: Final = ("erased", "absent")
"""Phases of an aggregate that is to be erased: what its last event says, and what is left to store of it."""


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
        """Return the ids of those whose events order something that is not yet answered."""
        return [aggregate_id for aggregate_id, state in self._states.items() if self.decider.pending(state)]

    @property
    def erasing(self) -> list[str]:
        """The ids of those that are gone and whose stream may not be erased to its end: to be erased (again)."""
        return list(self._erasing)

    def erased(self, aggregate_id: str) -> None:
        """Take note that the stream is erased to its end: the last trace of the aggregate goes with a later commit."""
        self._erasing.pop(aggregate_id, None)
        self._erased.add(aggregate_id)

    async def wait(self, aggregate_id: str, until: Callable[[State], bool]) -> State:
        """Wait until the aggregate exists and `until(state)` holds, and return that state."""
        while True:
            state = self._states.get(aggregate_id)
            if state is not None and until(state):
                return state
            await self._changed.setdefault(aggregate_id, trio.Event()).wait()

    async def change_of(self, aggregate_id: str, known: State) -> None:
        """Wait until the aggregate is in another state than `known`, or gone."""
        while self._states.get(aggregate_id) is known:
            await self._changed.setdefault(aggregate_id, trio.Event()).wait()

    def ids(self) -> list[str]:
        """Return the ids of all that are there now."""
        return list(self._states)

    # ------------------------------------------------------------------------------------------------ for the runner

    def apply(self, commit: Sequence[Recorded]) -> set[str]:
        """Fold a commit and return the ids that it changed; a row of `row` belongs to each, or none any more."""
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
        if isinstance(recorded.event, Erased):
            self._erasing.pop(aggregate_id, None)
            if before is not None:
                self.unindex(before, aggregate_id)
        elif before is None and recorded.version > 1:
            self._erasing[aggregate_id] = None  # what came before is erased: a crash left this
        else:
            state = self.decider.initial(aggregate_id) if before is None else before
            self.apply_state(aggregate_id, self.decider.evolve(state, recorded.event))

    def apply_state(self, aggregate_id: str, state: State) -> None:
        """Take a state as given: the next one, or one from the store. One that is gone is not shown any more."""
        if getattr(state, "phase", None) not in _NOT_THERE:
            self.index(aggregate_id, state)
            return
        self._erasing[aggregate_id] = None
        before = self._states.get(aggregate_id)
        if before is not None:
            self.unindex(before, aggregate_id)

    def row(self, aggregate_id: str) -> State | None:
        """Return what is to be stored: the state; of one that is being erased no more than its id; or nothing."""
        return self.decider.initial(aggregate_id) if aggregate_id in self._erasing else self.get(aggregate_id)

    def index(self, aggregate_id: str, state: State) -> None:
        """Keep a state. Views with an index extend this."""
        self._states[aggregate_id] = state

    def unindex(self, state: State, aggregate_id: str) -> None:  # noqa: ARG002 - for the indexes of views that extend this
        """Forget the aggregate, whose last state this is. Views with an index extend this."""
        del self._states[aggregate_id]

    def clear(self) -> None:
        """Forget everything, to be rebuilt."""
        self._states.clear()
        self._erasing.clear()
