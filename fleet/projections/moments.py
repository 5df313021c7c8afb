"""Moments of a log as people name them: a position, an RFC 3339 time, or a date, which is its whole day in UTC.

All commands and routes that take a moment read it here, so that the same text means the same in all of them.
"""

from typing import NamedTuple

from fleet.errors import Rejected
from fleet.events.times import LogTimes
from fleet.projections.history_query import parse_instant


class Instants(NamedTuple):
    """The first and the last millisecond (Unix) of a time or date: for a time, they are the same."""

    first_ms: int
    last_ms: int


def parse_moment(moment: int | str, head: int, field: str) -> int | Instants:
    """Return the position that a moment is, or its time. Raises `Rejected` invalid for `field`: ahead of the log."""
    if isinstance(moment, int) or (moment.isascii() and moment.isdecimal()):
        if int(moment) > head:
            raise Rejected("invalid", f"the log ends at {head}: {moment} is ahead of it", field=field)
        return int(moment)
    try:
        return Instants(parse_instant(moment, field), parse_instant(moment, field, last=True))
    except Rejected as rejected:
        why = "use a position, a date (2026-01-31) or RFC 3339 (2026-01-31T12:00:00Z)"
        raise Rejected("invalid", f"{moment[:50]!r} is no moment of the log: {why}", field=field) from rejected


async def position_at(times: LogTimes, moment: int | str, head: int, field: str, *, last: bool = True) -> int:
    """Return the position of a moment: itself, or the newest one at or before a time.

    A date is its end, or without `last` its beginning. Raises `Rejected` invalid.
    """
    found = parse_moment(moment, head, field)
    return found if isinstance(found, int) else await times.at(found.last_ms if last else found.first_ms)
