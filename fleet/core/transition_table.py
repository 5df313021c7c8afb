"""Reads a transition table that is written as aligned text: a row per event, a column per phase.

`=` keeps the phase, a name is the next phase, and `x` refuses the event: `decide` never emits it in that phase, and a
log that contains it is corrupt. A missing or unknown row or cell is an error at import.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fleet.core.messages import Event

Phase = TypeVar("Phase", bound=str)

StatePatch = dict[str, Any]
"""The fields of a state that an event changes, with their new values."""

REFUSED = "x"
STAYS = "="


class ImpossibleEvent(Exception):  # noqa: N818 - it names the event, not an error of the caller
    """The log has an event that is impossible in that phase: a bug, or another program has written to the log."""


def read_table(
    text: str, phases: tuple[Phase, ...], events: tuple[type[Any], ...]
) -> Mapping[tuple[str, type[Any]], Phase | None]:
    """Return (phase, event type) -> next phase, None for a refused pair. Raises ValueError if a pair is missing."""
    header, *rows = [line.split() for line in text.strip().splitlines()]
    if tuple(header[1:]) != phases:
        raise ValueError(f"the columns {header[1:]} are not the phases {phases}")
    if [row[0] for row in rows] != [event.__name__ for event in events]:
        raise ValueError("the rows are not the events, in their order")
    return {
        (phase, event): _target(cell, phase, phases)
        for event, (_, *cells) in zip(events, rows, strict=True)
        for phase, cell in zip(phases, cells, strict=True)
    }


def patch_of(
    table: Mapping[tuple[str, type[Any]], str | None],
    changes: Mapping[type[Any], Callable[[Any, Any], StatePatch]],
    state: Any,
    event: Event,
    of: str,
) -> StatePatch:
    """Return what `event` changes: its entry of `changes`, and the phase of `table` with the time at which it began.

    `of` names the aggregate, as in "a session". Raises `ImpossibleEvent` if the table refuses the event.
    """
    kind = type(event)
    phase = table[state.phase, kind]
    if phase is None:
        raise ImpossibleEvent(f"{kind.__name__} in {of} that is {state.phase}")
    patch = changes[kind](state, event)
    return patch if phase == state.phase else {**patch, "phase": phase, "since_ms": event.at_ms}


def _target(cell: str, phase: Phase, phases: tuple[Phase, ...]) -> Phase | None:
    if cell == REFUSED:
        return None
    if cell == STAYS:
        return phase
    if cell not in phases:
        raise ValueError(f"{cell} is not a phase")
    return phases[phases.index(cell)]
