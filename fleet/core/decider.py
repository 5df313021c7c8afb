"""The decider: the shape that every aggregate has (law 3).

An aggregate is four pure functions over frozen values. The actor that owns the stream (actors/runtime/aggregate.py)
supplies what is impure: it fills times and ids into commands, appends the events, and runs the effects.
"""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from fleet.core.mandate import NO_MANDATES, Mandates

Command = TypeVar("Command")
State = TypeVar("State")
Event = TypeVar("Event")
Effect = TypeVar("Effect")


def _never_fails(_: Any, __: str, ___: str, ____: int) -> None:
    """Return no failure report: the effect is retried until it succeeds or is cancelled."""


def _never(_: Any, __: Any) -> bool:
    return False


class Decider(NamedTuple, Generic[Command, State, Event, Effect]):
    """An aggregate's behaviour.

    - `initial(id)`: the state before the first event.
    - `decide(command, state)`: the events that the command causes, `()` when it has been done already; raises
      `Rejected` and changes nothing when it is not allowed.
    - `evolve(state, event)`: the state after the event. Total: a recorded event is never refused.
    - `react(state, event)`: the effects that the event orders, given the state after it.
    - `pending(state)`: the effects that are ordered and not yet reported done; run again after a crash.
    - `failure(effect, code, detail, at_ms)`: the command that reports that the effect has failed; None if it has to be
      retried until it succeeds.
    - `mandates`: which events later events and effects follow from, by any command that reports them.
    - `can_drop(command, state)`: whether this report may be lost when the disk is full, because the aggregate is ending
      and its end must not wait for the report.
    - `revision`: increased when `evolve` gives another state for the same events. Stored states are then folded again.
    """

    kind: str
    initial: Callable[[str], State]
    decide: Callable[[Command, State], tuple[Event, ...]]
    evolve: Callable[[State, Event], State]
    react: Callable[[State, Event], tuple[Effect, ...]]
    pending: Callable[[State], tuple[Effect, ...]]
    revision: int = 1
    failure: Callable[[Effect, str, str, int], Command | None] = _never_fails
    mandates: Mandates[State, Event, Effect] = NO_MANDATES
    can_drop: Callable[[Command, State], bool] = _never


def fold(decider: Decider[Command, State, Event, Effect], state: State, events: tuple[Event, ...]) -> State:
    """Return `state` after `events`, in order."""
    for event in events:
        state = decider.evolve(state, event)
    return state
