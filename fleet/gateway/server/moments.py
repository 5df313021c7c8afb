"""The moment that a read with `at` asks for: a position of the log, or the last position at or before a time."""

from typing import NamedTuple

from fleet.actors.fleet import Fleet
from fleet.core.times import rfc3339
from fleet.errors import Rejected
from fleet.projections.moments import parse_moment


class Moment(NamedTuple):
    """A position of the log, and the Unix time to count durations from, in ms."""

    position: int
    at_ms: int


class Moments:
    """Finds moments in one log."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def find(self, at: int | str | None) -> Moment | None:
        """Return the moment of a position, an RFC 3339 time or a date, None for None.

        A date is the end of that day, or of what is recorded of it. Raises `Rejected` invalid for what is neither, and
        for what is ahead of the log.
        """
        if at is None:
            return None
        head, now_ms = self._fleet.log.head(), self._fleet.context.clock.now_ms()
        found = parse_moment(at, head, "at")
        if isinstance(found, int):
            return self._at_position(found)
        if found.first_ms > now_ms:
            detail = f"{at} is ahead of the log, which ends at position {head}; now is {rfc3339(now_ms)}"
            raise Rejected("invalid", detail, field="at")
        at_ms = min(found.last_ms, now_ms)
        return Moment(await self._fleet.times.at(at_ms), at_ms)

    def _at_position(self, position: int) -> Moment:
        headers = self._fleet.log.read_headers([position]) if position else ()
        return Moment(position, headers[0].recorded_at_ms if headers else 0)
