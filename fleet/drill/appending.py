"""The process that a drill kills or starves: it appends to a scratch copy of the log, and prints what is confirmed.

Arguments: the directory, and optionally the size in bytes that no file may exceed (RLIMIT_FSIZE). Without it, the
process appends until it is killed. With it, the process appends until the log refuses, then without the limit again,
and ends.
"""

import resource
import sys
from itertools import count
from pathlib import Path
from typing import Final

import trio

from fleet.adapters.clock import SystemClock
from fleet.core.messages import Event
from fleet.errors import Unavailable
from fleet.events.catalog import make_registry
from fleet.events.envelope import Cause
from fleet.events.lmdb_log import LmdbLog
from fleet.events.lmdb_store import LOG_FILE
from fleet.events.registry import EventRegistry
from fleet.limits import DRILL_APPENDS_MAX, DRILL_EVENT_BYTES

CAUSE: Final = Cause("policy:drill")
_STREAMS: Final = 4  # that append side by side, so that commits hold several


class DrillEvent(Event, frozen=True, kw_only=True):
    """An event that only scratch copies contain."""

    text: str


def drill_registry() -> EventRegistry:
    """Return the registry of all events, with the one of drills."""
    registry = make_registry()
    registry.register(DrillEvent, "drill.appended")
    return registry


async def _append_until_killed(log: LmdbLog) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(_STREAMS):
            nursery.start_soon(_append_to, log, f"drill-{number}")


async def _append_to(log: LmdbLog, stream: str) -> None:
    event = DrillEvent(text="x" * 200, at_ms=0)
    for version in count(log.stream_version(stream)):
        appended = await log.append(stream, version, [event], CAUSE)
        print(appended.position, stream, flush=True)


async def _append_until_refused(log: LmdbLog, limit: "_Limit") -> None:
    event = DrillEvent(text="x" * DRILL_EVENT_BYTES, at_ms=0)
    limit.hold()
    try:
        for _ in range(DRILL_APPENDS_MAX):
            await log.append("drill-0", log.stream_version("drill-0"), [event], CAUSE)
    except Unavailable as refusal:
        print("refused", refusal.code, log.head(), flush=True)
        limit.release()
        appended = await log.append("drill-0", log.stream_version("drill-0"), [event], CAUSE)
        print("appended", appended.position, log.head(), flush=True)


class _Limit:
    """A disk that is full when the log's file has this size: another program takes the last space at that moment."""

    def __init__(self, file: Path, size_bytes_max: int) -> None:
        self._file = file
        self._size_bytes_max = size_bytes_max
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)
        self._holds = False

    def hold(self) -> None:
        """Let no file grow beyond it."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._size_bytes_max, self._before[1]))
        self._holds = True

    def release(self) -> None:
        """Free the disk."""
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)
        self._holds = False

    def free_bytes(self) -> int:
        """Return what the log finds when it looks."""
        return 0 if self._holds and self._file.stat().st_size >= self._size_bytes_max else 1 << 40


async def _main(directory: Path, size_bytes_max: int | None) -> None:
    limit = _Limit(directory / LOG_FILE, size_bytes_max or 0)
    with LmdbLog.open(directory, drill_registry(), SystemClock(), free_bytes=limit.free_bytes) as log:
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            if size_bytes_max is None:
                await _append_until_killed(log)
            else:
                await _append_until_refused(log, limit)
            log.stop()


if __name__ == "__main__":
    trio.run(_main, Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
