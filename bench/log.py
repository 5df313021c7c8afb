"""How fast is the event log alone? Durable appends against a group commit by hand.

Run: python -m bench log
"""

import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import trio

from bench.bare_log import BareLog
from bench.figures import Figure, best, show
from fleet.adapters.clock import SystemClock
from fleet.events.envelope import Cause
from fleet.events.lmdb_log import LmdbLog
from fleet.events.registry import EventRegistry

APPENDERS = (1, 16, 256, 1024)
APPENDS = {1: 500, 16: 4_000, 256: 20_000, 1024: 30_000}
CAUSE = Cause("token:bench", "0190a2b4-0000-7000-8000-000000000000", "0190a2b4-0000-7000-8000-000000000001")

Append = Callable[[int, int], Awaitable[Any]]


class Counted(msgspec.Struct, frozen=True):
    """A small event, of the size of a turn's step."""

    amount: int
    note: str


def event_of(number: int) -> Counted:
    """Return an event."""
    return Counted(number, "a note of a few words, as long as what the agent says in between two of its tools")


async def appends_per_s(append: Append, appenders: int) -> float:
    """Let so many tasks append, each to its own stream; return how many appends a second they reach together."""
    each = APPENDS[appenders] // appenders

    async def appender(stream: int) -> None:
        for version in range(each):
            await append(stream, version)

    started_s = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for stream in range(appenders):
            nursery.start_soon(appender, stream)
    return each * appenders / (time.perf_counter() - started_s)


async def _bare(directory: Path, appenders: int) -> float:
    bare = BareLog(directory)

    async def append(stream: int, version: int) -> None:
        await bare.append(f"session-{stream:036}", event_of(version))

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bare.run)
            rate = await appends_per_s(append, appenders)
            nursery.cancel_scope.cancel()
    finally:
        bare.close()
    return rate


async def _log(directory: Path, appenders: int, *, command_ids: bool) -> float:
    registry = EventRegistry()
    registry.register(Counted, "bench.counted")
    with LmdbLog.open(directory, registry, SystemClock()) as log:

        async def append(stream: int, version: int) -> None:
            command_id = f"0190a2b4-{version:08x}-{stream:08x}" if command_ids else None
            await log.append(f"session-{stream:036}", version, (event_of(version),), CAUSE, command_id=command_id)

        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            rate = await appends_per_s(append, appenders)
            log.stop()
    return rate


def _measure(run: Callable[[Path], Awaitable[float]]) -> float:
    with tempfile.TemporaryDirectory() as directory:
        return trio.run(run, Path(directory))


def _figures(appenders: int) -> list[Figure]:
    sides = (
        partial(_log, appenders=appenders, command_ids=False),
        partial(_log, appenders=appenders, command_ids=True),
        partial(_bare, appenders=appenders),
    )
    plain, identified, bare = best(max, *(partial(_measure, side) for side in sides), rounds=2)
    return [
        Figure(f"{appenders} appenders", plain, "/s", bare),
        Figure(f"{appenders} appenders, with command ids", identified, "/s", bare),
    ]


def main() -> list[Figure]:
    """Measure, print and return appends per second."""
    rows = (figure for appenders in APPENDERS for figure in _figures(appenders))
    return show("log: durable appends, against trio + LMDB by hand", rows)


if __name__ == "__main__":
    main()
