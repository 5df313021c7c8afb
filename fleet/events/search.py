"""Finds events of the log by their headers: stream, type, actor, time.

A search reads headers in pages and lets other tasks run in between. It reads only the stream that the query names, or
else the parts of the log that may hold the wanted times. After `LOG_SEARCH_EVENTS_MAX` headers it returns the events
found so far and the position to continue from.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import trio

from fleet.events.codec import Header
from fleet.events.envelope import Recorded, position_of
from fleet.events.log import LogReader
from fleet.events.times import LogTimes
from fleet.limits import LOG_SEARCH_EVENTS_MAX, LOG_SEARCH_PAGE_BYTES, LOG_SEARCH_PAGE_EVENTS


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """A query: an event has to match all given fields. Times are Unix milliseconds, inclusive.

    `after` and `before` are positions, exclusive. `limit` bounds the events of one page.
    """

    after: int = 0
    before: int | None = None
    newest_first: bool = False
    limit: int = 50
    stream: str | None = None
    types: frozenset[str] = frozenset()
    actor: str | None = None
    correlation_id: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None

    def matches(self, header: Header) -> bool:
        """Return whether the event of this header matches, at any position."""
        return (
            (not self.types or header.type in self.types)
            and (self.stream is None or header.stream == self.stream)
            and (self.actor is None or header.actor == self.actor)
            and (self.correlation_id is None or header.correlation_id == self.correlation_id)
            and (self.from_ms is None or header.recorded_at_ms >= self.from_ms)
            and (self.to_ms is None or header.recorded_at_ms <= self.to_ms)
        )


class FoundEvent(NamedTuple):
    """A page of events in the requested order.

    `next_cursor` is the next `after`, or with `newest_first` the next `before`; None at the end of the search.
    """

    events: Sequence[Recorded]
    next_cursor: int | None


async def find_events(log: LogReader, times: LogTimes, search: Search) -> FoundEvent:
    """Return the next page of events."""
    before = log.head() + 1 if search.before is None else min(search.before, log.head() + 1)
    if search.stream is None and (search.from_ms is not None or search.to_ms is not None):
        await times.extend()
    found: list[int] = []
    looked_at = 0
    for page in _pages(log, times, search, before):
        matching = [header.position for header in log.read_headers(page) if search.matches(header)]
        found += matching[: search.limit - len(found)]
        looked_at += len(page)
        if len(found) == search.limit:
            end = search.after + 1 if search.newest_first else before - 1
            return _read(log, found, None if found[-1] == end else found[-1])
        if looked_at >= LOG_SEARCH_EVENTS_MAX:
            return _read(log, found, page[-1])
        await trio.lowlevel.checkpoint()
    return _read(log, found, None)


def _read(log: LogReader, positions: Iterable[int], next_cursor: int | None) -> FoundEvent:
    """Return these events, up to the one whose payload fills the response."""
    events: list[Recorded] = []
    size_bytes = 0
    for position in positions:
        if size_bytes >= LOG_SEARCH_PAGE_BYTES:
            return FoundEvent(events, events[-1].position)
        events += log.read_all(position - 1, 1)
        size_bytes += events[-1].size_bytes
    return FoundEvent(events, next_cursor)


def _pages(log: LogReader, times: LogTimes, search: Search, before: int) -> Iterator[Sequence[int]]:
    """Yield pages of candidate positions, in the order of the search."""
    if search.stream is not None:
        yield from _pages_of_stream(log, search.stream, search, before)
        return
    yield from times.stretches(search.after, before, search.from_ms, search.to_ms, newest_first=search.newest_first)


def _pages_of_stream(log: LogReader, stream: str, search: Search, before: int) -> Iterator[Sequence[int]]:
    after, down = search.after, search.newest_first
    while page := log.stream_positions(stream, after, before, LOG_SEARCH_PAGE_EVENTS, newest_first=down):
        yield page
        after, before = (after, page[-1]) if down else (page[-1], before)


def chain(log: LogReader, position: int, limit: int) -> list[Recorded]:
    """Return the event, its cause, and so on up to the first cause in the log; at most `limit` events.

    It ends early with the event whose payload fills the response; to continue, call it with that event.
    """
    found: list[Recorded] = []
    size_bytes = 0
    while len(found) < limit and size_bytes < LOG_SEARCH_PAGE_BYTES and (events := log.read_all(position - 1, 1)):
        found += events
        size_bytes += events[0].size_bytes
        cause = position_of(events[0].cause)
        if cause is None or not 0 < cause < position:
            break
        position = cause
    return found
