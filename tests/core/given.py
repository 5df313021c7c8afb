"""The sentence that a test of an aggregate is: given these events, when this command, then those events.

    given(SESSION, "s1", *IDLE).when(submit("p2")).then(accepted("p2"), started(2, "p2")).pending("deliver:2:i1")

`when` decides and evolves, so that a story can continue with another `when`. The histories to begin with stand in
sessions.py, instances.py and workspaces.py.
"""

from typing import Generic, Protocol, TypeVar

from fleet.core.decider import Decider, fold
from fleet.errors import Rejected


class Keyed(Protocol):
    """An effect."""

    @property
    def key(self) -> str: ...


Command = TypeVar("Command")
State = TypeVar("State")
Event = TypeVar("Event")
Effect = TypeVar("Effect", bound=Keyed)


class Story(Generic[Command, State, Event, Effect]):
    """An aggregate at one moment, and what its last command came to."""

    def __init__(
        self,
        decider: Decider[Command, State, Event, Effect],
        state: State,
        events: tuple[Event, ...] = (),
        rejected: Rejected | None = None,
    ) -> None:
        self.decider = decider
        self.state = state
        self.events = events
        self.rejected = rejected

    def when(self, command: Command) -> "Story[Command, State, Event, Effect]":
        """Give the command. What became of it is for `then` and `then_rejected` to say."""
        try:
            events = self.decider.decide(command, self.state)
        except Rejected as rejected:
            return Story(self.decider, self.state, (), rejected)
        return Story(self.decider, fold(self.decider, self.state, events), events)

    def then(self, *events: Event) -> "Story[Command, State, Event, Effect]":
        """The command gave these events, in this order; none: it had been done already."""
        assert self.rejected is None, f"rejected: {self.rejected}"
        assert self.events == events
        return self

    def then_rejected(self, code: str, *, says: str = "") -> "Story[Command, State, Event, Effect]":
        """The command was refused with this code; detail or hint hold `says`."""
        assert self.rejected is not None, f"not rejected: {self.events}"
        assert self.rejected.code == code
        assert says in f"{self.rejected.detail} {self.rejected.hint}"
        return self

    def pending(self, *keys: str) -> "Story[Command, State, Event, Effect]":
        """These effects are ordered and not yet answered."""
        assert tuple(effect.key for effect in self.effects) == keys
        return self

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What is ordered and not yet answered."""
        return self.decider.pending(self.state)


def given(
    decider: Decider[Command, State, Event, Effect], name: str, *events: Event
) -> Story[Command, State, Event, Effect]:
    """Begin a story: the aggregate `name` after `events`."""
    return Story(decider, fold(decider, decider.initial(name), events), events)
