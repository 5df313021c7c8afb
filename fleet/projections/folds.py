"""Folds of single streams, made on demand and kept for the most recently used streams.

A fold continues from its position and reads pages with a checkpoint after each, so that other tasks run during a long
stream. Erased events are not folded or cached. `states.py` folds the states that are always needed.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import trio

from fleet.events.envelope import Recorded
from fleet.events.log import Log
from fleet.limits import FEED_PAGE_BYTES, FEED_PAGE_EVENTS


class Fold(Protocol):
    """The fold of one stream. `position` is that of the last event that was applied."""

    position: int

    def apply(self, recorded: Recorded) -> None:
        """Apply the next event of the stream."""
        ...


Folded = TypeVar("Folded", bound=Fold)


class Folds(Generic[Folded]):
    """Folds by stream, at most `kept_max` of them in memory."""

    def __init__(self, log: Log, make: Callable[[], Folded], kept_max: int) -> None:
        self._log = log
        self._make = make
        self._kept_max = kept_max
        self._kept: OrderedDict[str, Folded] = OrderedDict()

    async def of(self, stream: str) -> Folded:
        """Return the fold of all events that the stream has now; of an erased stream it is empty."""
        fold = self._kept.pop(stream, None) or self._make()
        self._kept[stream] = fold
        while len(self._kept) > self._kept_max:
            self._kept.popitem(last=False)
        await self._read_on(fold, stream)
        if self._log.is_erased(stream):
            self.forget(stream)
            return self._make()
        return fold

    def forget(self, stream: str) -> None:
        """Discard the fold of an erased stream."""
        self._kept.pop(stream, None)

    async def _read_on(self, fold: Folded, stream: str) -> None:
        """Apply the events after the fold's position. Two tasks may do so with the same fold at the same time."""
        while page := self._log.read_stream(stream, fold.position, FEED_PAGE_EVENTS, FEED_PAGE_BYTES):
            for recorded in page:
                fold.apply(recorded)
                fold.position = recorded.position
            await trio.lowlevel.checkpoint()
