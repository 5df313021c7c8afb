"""A subscription to the event log, as a state machine: which events are still to be delivered (after commanded's idea).

It delivers each event after the cursor once and in order, for every interleaving of pages read from the log and pushes
by commits, with a bounded buffer. events/feed.py runs it on trio.

    catching_up --page that reaches the head--> live --buffer full, or a push from the future--> saturated
         ^--------------------------------first page------------------------------------------------'
"""

from collections.abc import Sequence
from enum import Enum
from typing import Generic, Protocol, TypeVar


class Positioned(Protocol):
    """Anything that has a position in the log."""

    @property
    def position(self) -> int:
        """The global position, from 1."""
        ...

    @property
    def size_bytes(self) -> int:
        """Its size in memory."""
        ...


Event = TypeVar("Event", bound=Positioned)


class SubscriptionPhase(Enum):
    """The source of a subscription's events."""

    CATCHING_UP = "catching_up"
    """From the log, page by page."""
    LIVE = "live"
    """From commits."""
    SATURATED = "saturated"
    """From the log again: its reader was too slow, or it missed a push."""


class LogSubscription(Generic[Event]):
    """Follows a log, or the events that pass a filter; the filter is applied before `page` and `push`.

    `cursor`: every event up to this position was taken or filtered out; a reader resumes from it. `phase` as above.
    """

    def __init__(self, after: int, head: int, buffer_max: int, buffer_bytes_max: int) -> None:
        self.cursor = after
        self.phase = SubscriptionPhase.LIVE if after >= head else SubscriptionPhase.CATCHING_UP
        self._head = head
        self._buffer_max = buffer_max
        self._buffer_bytes_max = buffer_bytes_max
        self._buffer: list[Event] = []
        self._buffer_bytes = 0
        self._through = after

    @property
    def needs_page(self) -> bool:
        """Whether the next events must be read from the log, after `cursor`."""
        return self.phase is not SubscriptionPhase.LIVE

    @property
    def caught_up(self) -> bool:
        """Whether the reader has every event that the subscription knows of."""
        return self.phase is SubscriptionPhase.LIVE and not self._buffer

    @property
    def waiting(self) -> int:
        """The number of events that wait to be taken."""
        return len(self._buffer)

    def push(self, after: int, through: int, events: Sequence[Event]) -> None:
        """Add a commit: `events` are all of the subscription's events with `after` < position <= `through`.

        Events before the cursor are skipped; a gap before `after` means that a push was missed.
        """
        self._head = max(self._head, through)
        if self.phase is not SubscriptionPhase.LIVE or through <= self._through:
            return
        fresh = [event for event in events if event.position > self._through]
        if after > self._through or not self._has_room(fresh):
            self._saturate()
            return
        self._buffer += fresh
        self._buffer_bytes += sum(event.size_bytes for event in fresh)
        self._through = through

    def skip(self, through: int) -> None:
        """Note that the subscription has no events between the last known one and `through`."""
        self._head = max(self._head, through)
        if self.phase is SubscriptionPhase.LIVE:
            self._through = max(self._through, through)

    def page(self, through: int, events: Sequence[Event]) -> list[Event]:
        """Add a page: `events` are all of the subscription's events with `cursor` < position <= `through`.

        Returns the events for the reader. Only while `needs_page`.
        """
        if not self.needs_page:
            raise ValueError("a page for a live subscription: its events come by push")
        self.cursor = self._through = max(self.cursor, through)
        self.phase = SubscriptionPhase.LIVE if self.cursor >= self._head else SubscriptionPhase.CATCHING_UP
        return list(events)

    def take(self) -> list[Event]:
        """Return all waiting events, and move the cursor behind them."""
        taken, self._buffer, self._buffer_bytes = self._buffer, [], 0
        if self.phase is SubscriptionPhase.LIVE:
            self.cursor = self._through
        return taken

    def _has_room(self, fresh: Sequence[Event]) -> bool:
        """Return whether `fresh` fits into the buffer; a single event of any size always fits."""
        if len(self._buffer) + len(fresh) <= 1:
            return True
        size_bytes = self._buffer_bytes + sum(event.size_bytes for event in fresh)
        return len(self._buffer) + len(fresh) <= self._buffer_max and size_bytes <= self._buffer_bytes_max

    def _saturate(self) -> None:
        self.phase = SubscriptionPhase.SATURATED
        self._buffer, self._buffer_bytes = [], 0
