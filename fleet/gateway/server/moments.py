"""The moment that a read with `at` asks for: a position of the log, or the last position at or before a time."""

from typing import NamedTuple

from fleet.actors.fleet import Fleet
from fleet.core.times import rfc3339
from fleet.errors import Rejected
from fleet.gateway.server.requests import check_cursor
from fleet.projections.history_query import parse_instant


class Moment(NamedTuple):
    """A position of the log, and the Unix time to count durations from, in ms."""

    position: int
    at_ms: int


class Moments:
    """Finds moments in one log."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def find(self, at: int | str | None) -> Moment | None:
        """Return the moment of a position or an RFC 3339 time, None for None.

        Raises `Rejected` invalid for what is neither, and for what is ahead of the log.
        """
        if at is None:
            return None
        if isinstance(at, int) or at.isdecimal():
            return self._at_position(int(at))
        at_ms, now_ms = parse_instant(at, "at", last=True), self._fleet.context.clock.now_ms()
        if at_ms > now_ms:
            head = self._fleet.log.head()
            detail = f"{at} is ahead of the log, which ends at position {head}; now is {rfc3339(now_ms)}"
            raise Rejected("invalid", detail, field="at")
        return Moment(await self._fleet.times.at(at_ms), at_ms)

    def _at_position(self, position: int) -> Moment:
        check_cursor(self._fleet, position, "at")
        headers = self._fleet.log.read_headers([position]) if position else ()
        return Moment(position, headers[0].recorded_at_ms if headers else 0)
