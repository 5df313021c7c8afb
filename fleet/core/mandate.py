"""Mandates: the events that later events and effects of their stream follow from, by any command that reports them.

A turn follows from the acceptance of its prompt, an aborted end from the request to abort. An aggregate names its
mandates by keys; the actor (actors/runtime/mandates.py) records the cause of each event by them.
"""

from collections.abc import Callable
from typing import Any, Final, Generic, NamedTuple, TypeVar

State = TypeVar("State")
Event = TypeVar("Event")
Effect = TypeVar("Effect")


class Mandates(NamedTuple, Generic[State, Event, Effect]):
    """The mandates of an aggregate.

    - `given_by(event)`: the key of the mandate that the event gives, None if it gives none.
    - `of_event(event, state)`: the key of the mandate that the event follows from, given the state before its append;
      None if it follows from its command.
    - `of_effect(effect)`: the key of the mandate that the effect works for, None if it is the event that orders it.
    - `open(state)`: the keys that later events and effects may follow from.
    """

    given_by: Callable[[Event], str | None]
    of_event: Callable[[Event, State], str | None]
    of_effect: Callable[[Effect], str | None]
    open: Callable[[State], frozenset[str]]


def _none(*_: Any) -> None:
    return None


def _nothing_open(_: Any) -> frozenset[str]:
    return frozenset()


NO_MANDATES: Final[Mandates[Any, Any, Any]] = Mandates(_none, _none, _none, _nothing_open)
"""For aggregates whose events follow from their commands alone."""
