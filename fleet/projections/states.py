"""The current state of every aggregate of one kind, folded by the core's own `evolve`.

There is no second fold that could disagree with the actor's: what a list shows, what a session was at an earlier
position, and what is still to be done after a crash all come from here. A view is fed by the log before the caller that
appended gets its answer (events/log.py), so a read is never older than the last answered command.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import trio

from fleet.core.decider import Decider
from fleet.events.envelope import Recorded
from fleet.events.log import Log

State = TypeVar("State")


class States(Generic[State]):
    """States by id, with a way to wait for one to change."""

    def __init__(self, decider: Decider[Any, State, Any, Any], state_type: type[State]) -> None:
        self.decider = decider
        self.state_type = state_type
        self._prefix = f"{decider.kind}-"
        self._states: dict[str, State] = {}
        self._changed: dict[str, trio.Event] = {}

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

    async def wait(self, aggregate_id: str, until: Callable[[State], bool]) -> State:
        """Wait until the aggregate exists and `until(state)` holds, and return that state."""
        while True:
            state = self._states.get(aggregate_id)
            if state is not None and until(state):
                return state
            await self._changed.setdefault(aggregate_id, trio.Event()).wait()

    def at(self, log: Log, aggregate_id: str, position: int) -> State | None:
        """Return the state as it was at `position` of the log, None where it did not exist yet."""
        state = self.decider.initial(aggregate_id)
        events = [e for e in log.read_stream(self.stream(aggregate_id)) if e.position <= position]
        for recorded in events:
            state = self.decider.evolve(state, recorded.event)
        return state if events else None

    # ------------------------------------------------------------------------------------------------ for the runner

    def apply(self, commit: Sequence[Recorded]) -> set[str]:
        """Fold a commit and return the ids that it changed."""
        changed: set[str] = set()
        for recorded in commit:
            if recorded.stream.startswith(self._prefix):
                aggregate_id = recorded.stream[len(self._prefix) :]
                self.put(aggregate_id, self._after(aggregate_id, recorded.event))
                changed.add(aggregate_id)
        for aggregate_id in changed:
            changed_event = self._changed.pop(aggregate_id, None)
            if changed_event is not None:
                changed_event.set()
        return changed

    def _after(self, aggregate_id: str, event: Any) -> State:
        before = self._states.get(aggregate_id)
        return self.decider.evolve(self.decider.initial(aggregate_id) if before is None else before, event)

    def put(self, aggregate_id: str, state: State) -> None:
        """Take a state as given: the next one, or one from the store. Views with an index extend this."""
        self._states[aggregate_id] = state

    def clear(self) -> None:
        """Forget everything, to be rebuilt."""
        self._states.clear()
