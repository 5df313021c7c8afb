"""Reads a transition table that is written as aligned text: a row per event, a column per phase.

`=` stays in the phase, a phase's name goes there, `x` is an explicit refusal: `decide` never emits that event there,
and a log that holds it is corrupt. A row or cell that is missing or unknown is an error at import.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

Phase = TypeVar("Phase", bound=str)

REFUSED = "x"
STAYS = "="


class ImpossibleEvent(Exception):  # noqa: N818 - it names what was met
    """The log holds an event that its aggregate can't have had in that phase: a bug, or somebody wrote to the log."""


def read_table(
    text: str, phases: tuple[Phase, ...], events: tuple[type[Any], ...]
) -> Mapping[tuple[str, type[Any]], Phase | None]:
    """Return (phase, event type) -> next phase, None where the pair is refused. Raises ValueError unless total."""
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


def _target(cell: str, phase: Phase, phases: tuple[Phase, ...]) -> Phase | None:
    if cell == REFUSED:
        return None
    if cell == STAYS:
        return phase
    if cell not in phases:
        raise ValueError(f"{cell} is no phase")
    return phases[phases.index(cell)]
