"""Folds of single streams, made on demand and kept for the most recently used streams.

A fold continues from its position and reads pages with a checkpoint after each, so that other tasks run during a long
stream. Erased events are not folded or cached. `states.py` folds the states that are always needed.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

import trio

from fleet.events.envelope import Erased, Recorded
from fleet.events.log import Log, undamaged
from fleet.limits import FEED_PAGE_BYTES, FEED_PAGE_EVENTS


class Fold(Protocol):
    """The fold of one stream. `position` is that of the last event that was applied."""

    position: int

    def apply(self, recorded: Recorded) -> None:
        """Apply the next event of the stream."""
        ...


Folded = TypeVar("Folded", bound=Fold)

Pages = Callable[[str, int], Awaitable[Sequence[Recorded]]]
"""Returns the next events of a stream that a fold needs, after a position; none at the end."""


class Folds(Generic[Folded]):
    """Folds by stream, at most `kept_max` of them in memory. Without `pages` they get each event of the stream."""

    def __init__(self, log: Log, make: Callable[[], Folded], kept_max: int, pages: Pages | None = None) -> None:
        self._log = log
        self._make = make
        self._kept_max = kept_max
        self._pages = pages or self._page
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
        while page := await self._pages(stream, fold.position):
            for recorded in page:
                if recorded.position > fold.position and not isinstance(recorded.event, Erased):
                    fold.apply(recorded)
                    fold.position = recorded.position
            if isinstance(page[-1].event, Erased):
                break
            await trio.lowlevel.checkpoint()

    async def _page(self, stream: str, after: int) -> Sequence[Recorded]:
        return undamaged(self._log.read_stream(stream, after, FEED_PAGE_EVENTS, FEED_PAGE_BYTES))
