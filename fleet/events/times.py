"""Finds events by the time when they were recorded, and the log's position at a time.

The machine's clock may step back, so times are not sorted and cannot be bisected. Instead, the earliest and latest time
of every block of positions is kept in memory, and in a store for the next start. The headers are read once for it,
which takes some seconds for a million events; other tasks run meanwhile.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

import trio

from fleet.events.log import LogReader
from fleet.limits import LOG_SEARCH_PAGE_EVENTS


class _Block(NamedTuple):
    first_ms: int
    last_ms: int


_EMPTY: Final = _Block(1 << 63, -1)
"""Before the first event of an export: no time is in it."""


class KeptTimes(Protocol):
    """A disposable store of the times of blocks: the earliest and the latest one of each, from the first block on."""

    def load_times(self) -> Sequence[tuple[int, int]]:
        """Return the stored times."""
        ...

    def save_times(self, first: int, times: Sequence[tuple[int, int]]) -> None:
        """Store the times of the blocks from number `first` on."""
        ...


class LogTimes:
    """The times of a log. The incomplete block at its end is read in each search."""

    def __init__(self, log: LogReader, kept: KeptTimes | None = None) -> None:
        self._log = log
        self._kept = kept
        self._blocks: list[_Block] = []
        self._extending = trio.Lock()

    async def extend(self) -> None:
        """Read the blocks that were completed since the last call."""
        async with self._extending:
            if not self._blocks and self._kept is not None:
                known = self._log.head() // LOG_SEARCH_PAGE_EVENTS
                self._blocks = [_Block(*each) for each in self._kept.load_times()[:known]]
            begun = len(self._blocks)
            while (len(self._blocks) + 1) * LOG_SEARCH_PAGE_EVENTS <= self._log.head():
                times = [time_ms for _, time_ms in self._read(len(self._blocks))]
                self._blocks.append(_Block(min(times), max(times)) if times else _EMPTY)
                await trio.lowlevel.checkpoint()
            if self._kept is not None and len(self._blocks) > begun:
                self._kept.save_times(begun, self._blocks[begun:])

    def stretches(
        self, after: int, before: int, from_ms: int | None, to_ms: int | None, *, newest_first: bool
    ) -> Iterator[range]:
        """Yield positions between `after` and `before` that may have these times (inclusive), ascending.

        With `newest_first` they descend. It uses the times that `extend` has read.
        """
        numbers = range(_number_of(after + 1), _number_of(before - 1) + 1)
        for number in reversed(numbers) if newest_first else numbers:
            if self._may_hold(number, from_ms, to_ms):
                whole = _positions(number)
                stretch = range(max(whole.start, after + 1), min(whole.stop, before))
                yield stretch[::-1] if newest_first else stretch

    async def at(self, time_ms: int) -> int:
        """Return the position of the last event that was recorded at this time or before it, 0 where there is none."""
        await self.extend()
        for number in range(_number_of(self._log.head()), -1, -1):
            if self._may_hold(number, None, time_ms):
                found = [position for position, recorded_ms in self._read(number) if recorded_ms <= time_ms]
                if found:
                    return found[-1]
                await trio.lowlevel.checkpoint()
        return 0

    def _may_hold(self, number: int, from_ms: int | None, to_ms: int | None) -> bool:
        if number >= len(self._blocks):
            return True
        block = self._blocks[number]
        return (from_ms is None or block.last_ms >= from_ms) and (to_ms is None or block.first_ms <= to_ms)

    def _read(self, number: int) -> list[tuple[int, int]]:
        whole = _positions(number)
        headers = self._log.read_headers(range(whole.start, min(whole.stop, self._log.head() + 1)))
        return [(header.position, header.recorded_at_ms) for header in headers]


def _number_of(position: int) -> int:
    return (position - 1) // LOG_SEARCH_PAGE_EVENTS


def _positions(number: int) -> range:
    first = number * LOG_SEARCH_PAGE_EVENTS + 1
    return range(first, first + LOG_SEARCH_PAGE_EVENTS)
