"""Checks that every erased event has its order, and lists the erased streams: who, when, and how many events.

A stream is erased from its first event on, after it got its last event, the order: `session.erased` or
`workspace.erased`. The stored responses about a session are erased by the order of the session. A crash in between
leaves a begun erasure: the order is there, and the rest of the stream is not erased yet.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from fleet.events.codec import CorruptRecord, Header

FindLast = Callable[[str], Header | None]
"""Returns the header of the last event of a stream, None where there is none."""

_RESPONSES: Final = "answer-"
_SESSION: Final = "session-"
ORDER: Final = ".erased"


class ErasedStream(msgspec.Struct, frozen=True):
    """An erased stream: position, actor and time of the order, and how many of its `events` are erased."""

    stream: str
    position: int
    actor: str
    at_ms: int
    events: int
    erased: int


class Misplaced(Exception):  # noqa: N818 - it says what the event is
    """Verification has found a break at another `position` than that of the record it was at."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position


class _Erased:
    __slots__ = ("events", "first", "kept")

    def __init__(self, first: int, kept: int = 0) -> None:
        self.first = first
        self.events, self.kept = 0, kept


class Erasures:
    """What a walk over records has found of erasures.

    A walk that begins with the log has to add records of version 1, orders (`ORDER` ends their type), erased ones, and
    all of the streams in `followed`; the others change nothing.
    """

    def __init__(self, erased_before: Callable[[Header], bool] = lambda _: False) -> None:
        """`erased_before` says whether all earlier events of the stream are erased by now, because a server erases."""
        self._erased_before = erased_before
        self._erased: dict[str, _Erased] = {}
        self._kept: dict[str, int] = {}
        self._orders: dict[str, Header] = {}
        self.followed: set[str] = set()

    def add(self, header: Header, *, erased: bool) -> None:
        """Add the next record. Raises `CorruptRecord` for an erased one after one of its stream that is not erased."""
        if header.type.endswith(ORDER):
            self._orders[header.stream] = header
            self.followed.add(header.stream)
        elif header.stream in self._orders:
            del self._orders[header.stream]
        if erased:
            if header.stream in self._kept:
                if not self._erased_before(header):
                    raise CorruptRecord("it is marked as erased, but an earlier event of its stream is not")
                del self._kept[header.stream]  # so that the stream is read once, and not again for each event
            self.followed.update((header.stream, _responses_of(header.stream)))
            self._erased.setdefault(header.stream, _Erased(header.position)).events += 1
        else:
            self._kept[header.stream] = self._kept.get(header.stream, 0) + 1
            if header.stream in self._erased:
                self._erased[header.stream].kept += 1

    def found(self, find_last: FindLast | None = None) -> tuple[ErasedStream, ...]:
        """Return the erased streams in the order of their first events. Raises `Misplaced`.

        `find_last` finds orders that the walk has not reached. The stored responses about an erased session are listed
        also where none of them is erased.
        """
        missed = {_responses_of(stream) for stream in self._erased}.intersection(self._kept).difference(self._erased)
        found = [*self._erased.items(), *((stream, _Erased(0, self._kept[stream])) for stream in sorted(missed))]
        return tuple(self._item(stream, erased, find_last) for stream, erased in found)

    def _item(self, stream: str, erased: _Erased, find_last: FindLast | None) -> ErasedStream:
        of = ordering_stream(stream)
        kind = f"{of.partition('-')[0]}{ORDER}"
        order = self._orders.get(of)
        if order is None and find_last is not None:
            order = find_last(of)
        if order is None or order.type != kind:
            raise Misplaced(erased.first, f"it is marked as erased, but {of} does not end with {kind}")
        return ErasedStream(
            stream, order.position, order.actor, order.recorded_at_ms, erased.events + erased.kept, erased.events
        )


def _responses_of(stream: str) -> str:
    """Return the stream of the stored responses about a session; any other stream is returned as it is."""
    return f"{_RESPONSES}{stream.removeprefix(_SESSION)}" if stream.startswith(_SESSION) else stream


def ordering_stream(stream: str) -> str:
    """Return the stream with the orders for this one: the session of stored responses, else itself."""
    return f"{_SESSION}{stream.removeprefix(_RESPONSES)}" if stream.startswith(_RESPONSES) else stream
