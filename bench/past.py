"""How long does a read of the past take as the log and one session in it grow, and how long do others wait meanwhile?

Target: 50 ms for each read and 20 ms for the longest step of the event loop, at any length: the time is flat. The
session has a tenth of the log's events, at most 100,000; the others are those of many short streams. Each read is the
first one of a server that has just started. Counted in time of the processor.

Run: python -m bench.past [EVENTS ...], for instance 10000000 (some minutes)
"""

import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

import trio

from bench.figures import Figure, show
from bench.longest_step import LongestStep
from bench.sample_log import Author
from fleet.adapters.clock import SystemClock
from fleet.core.session.decide import SESSION
from fleet.core.session.events import SessionEdited
from fleet.core.session.state import State
from fleet.core.session.turn_events import ChangesRecorded
from fleet.core.session.values import Totals
from fleet.events.catalog import make_registry
from fleet.events.envelope import Cause
from fleet.events.lmdb_log import LmdbLog
from fleet.projections.change_records import ChangeRecords
from fleet.projections.indexes import Indexes
from fleet.projections.past import Past
from fleet.projections.states import States
from fleet.projections.transcripts import Transcripts, Where

SIZES: Final = (10_000, 100_000, 1_000_000)
SHARE: Final = 10  # one event in so many is the long session's
SESSION_EVENTS_MAX: Final = 100_000
EVENTS_OF_A_TURN: Final = 24
READS: Final = 5  # of each kind, at random positions; the slowest counts
AT_MOST_MS, STEP_AT_MOST_MS = 50.0, 20.0
_APPEND: Final = 2_000
_FILLER: Final = SessionEdited(title="Another task", tags=(), at_ms=1)


def _changes(number: int) -> ChangesRecorded:
    return ChangesRecorded(
        number=number,
        tree="4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        turn_manifest="m" * 64,
        session_manifest="n" * 64,
        totals=Totals(1, 1, 1),
        overlaps=(),
        at_ms=1,
    )


def _long_session(events: int) -> tuple[str, list[Any]]:
    author = Author()
    session_id, _, streams = author.task(author.uuid(), events // EVENTS_OF_A_TURN, ended=False)
    found: list[Any] = []
    for event in dict(streams)[f"session-{session_id}"]:
        if type(event).__name__ == "TurnEnded":
            found.append(_changes(event.number))
        found.append(event)
    return session_id, found


async def _fill(log: LmdbLog, size: int) -> str:
    """Write the long session between the events of others; return its id."""
    session_id, events = _long_session(min(size // SHARE, SESSION_EVENTS_MAX))
    stream, each = f"session-{session_id}", max(1, _APPEND * len(events) // size)
    for number, start in enumerate(range(0, len(events), each)):
        await log.append(stream, log.stream_version(stream), events[start : start + each], Cause())
        filler = [_FILLER] * min(_APPEND - each, size - log.head())
        other = f"session-other-{number // 10}"
        if filler:
            await log.append(other, log.stream_version(other), filler, Cause())
    return session_id


async def _figures(log: LmdbLog, size: int, file: Path) -> list[Figure]:
    loop, random = LongestStep(), Random(1)
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        session_id = await _fill(log, size)
        stream = f"session-{session_id}"
        positions = [random.randrange(size // 100, size * 9 // 10) for _ in range(READS)]
        [last] = log.stream_positions(stream, 0, log.head() + 1, 1, newest_first=True)
        await Past(States(SESSION, State), log).one(session_id, last - 1)  # it makes the kept snapshots
        await log.append("session-other", log.stream_version("session-other"), [_FILLER], Cause())
        await Indexes(log, file).read(stream, lambda _: None)
        reads: dict[str, Callable[[int], Awaitable[Any]]] = {
            "state": lambda at: Past(States(SESSION, State), log).one(session_id, at),
            "messages": lambda at: Transcripts(log, Indexes(log, file)).page(stream, Where(50, at=at)),
            "todos": lambda at: Transcripts(log, Indexes(log, file)).todos(stream, at),
            "changes": lambda at: ChangeRecords(log, Indexes(log, file)).find(stream, None, at),
        }
        nursery.start_soon(loop.run)
        figures: list[Figure] = []
        for name, read in reads.items():
            loop.longest_s = slowest_s = 0.0
            for at in positions:
                await trio.sleep(0.001)
                began_s = time.thread_time()
                await read(at)
                slowest_s = max(slowest_s, time.thread_time() - began_s)
            figures += [
                Figure(f"{name} at a position, {size:,} events", slowest_s * 1000, "ms", at_most=AT_MOST_MS),
                Figure(
                    f"{name}, {size:,} events: the longest step", loop.longest_s * 1000, "ms", at_most=STEP_AT_MOST_MS
                ),
            ]
        nursery.cancel_scope.cancel()
    return figures


def main(sizes: tuple[int, ...] = SIZES) -> list[Figure]:
    """Measure, print and return the times."""
    figures: list[Figure] = []
    for size in sizes:
        with TemporaryDirectory() as directory, LmdbLog.open(Path(directory), make_registry(), SystemClock()) as log:
            figures += trio.run(_figures, log, size, Path(directory) / "index.sqlite")
    return show("past: reads at an earlier position, as the log and a session in it grow", figures)


if __name__ == "__main__":
    main(tuple(int(size) for size in sys.argv[1:]) or SIZES)
