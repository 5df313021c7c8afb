"""How long does the first read of a long session delay all others? Measured as the longest pause of the event loop.

The baseline reads the session's stream in one go, as a fold without checkpoints would. Counted in processor time: the
log is in the page cache, and the machine is shared.

Run: python -m bench stalls
"""

import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import msgspec
import trio

from bench.figures import Figure, best, show
from bench.longest_step import LongestStep
from fleet.adapters.clock import SystemClock
from fleet.core.session.events import SessionCreated
from fleet.core.session.turn_events import MessageRecorded, PartRecorded, PromptAccepted, TurnStarted
from fleet.core.session.values import SessionSettings
from fleet.events.catalog import make_registry
from fleet.events.envelope import Cause
from fleet.events.lmdb_log import LmdbLog
from fleet.projections.change_records import ChangeRecords
from fleet.projections.indexes import Indexes
from fleet.projections.transcripts import Transcripts

TURNS = 2_000
PARTS = 8
STREAM = "session-one"

_PART = msgspec.Raw(msgspec.json.encode({"type": "tool", "tool": "bash", "state": {"output": "x" * 800}}))


async def _write(log: LmdbLog) -> None:
    created = SessionCreated(
        session_id="one",
        settings=SessionSettings(title="Long", strategy="existing"),
        workspace_id="w",
        source_directory="/d",
        source_repository=None,
        directory="/d",
        opencode_id="ses_one",
        at_ms=1,
    )
    await log.append(STREAM, 0, [created], Cause())
    for number in range(1, TURNS + 1):
        message = f"msg_{number}"
        parts = [
            PartRecorded(part_id=f"prt_{number}_{part}", message_id=message, type="tool", at_ms=3, body=_PART)
            for part in range(PARTS)
        ]
        events = [
            PromptAccepted(prompt_id=f"p{number}", text="Go on", at_ms=2),
            TurnStarted(
                number=number, prompt_id=f"p{number}", message_id=message, part_ids=(f"prt_{number}",), at_ms=2
            ),
            MessageRecorded(
                message_id=message,
                opencode_id="ses_one",
                role="user",
                at_ms=2,
                body=msgspec.Raw(b"{}"),
                created_ms=number,
            ),
            *parts,
        ]
        await log.append(STREAM, log.stream_version(STREAM), events, Cause())


async def _longest_pause_ms(read: Callable[[], Awaitable[None]]) -> float:
    """Return the longest time for which another task did not get its turn."""
    step = LongestStep()
    async with trio.open_nursery() as nursery:
        await nursery.start(step.run)
        await read()
        for _ in range(2):  # the other one has had its turn after that
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    return step.longest_s * 1000


async def _diffs(log: LmdbLog) -> None:
    await ChangeRecords(log, Indexes(log)).find(STREAM)


async def _todos(log: LmdbLog) -> None:
    await Transcripts(log).todos(STREAM)


async def _in_one_go(log: LmdbLog) -> None:
    log.read_stream(STREAM)


def _measured(side: Callable[[LmdbLog], Awaitable[None]], log: LmdbLog) -> float:
    return trio.run(_longest_pause_ms, partial(side, log))


def main() -> list[Figure]:
    """Measure, print and return the pauses."""
    with tempfile.TemporaryDirectory() as temporary:
        log = LmdbLog.open(Path(temporary), make_registry(), SystemClock())
        with log:
            trio.run(_with_writer, log)
            diffs, todos, whole = best(min, *(partial(_measured, side, log) for side in (_diffs, _todos, _in_one_go)))
    return show(
        f"stalls: the first look at a session of {TURNS:,} turns, against its stream read in one go",
        [
            Figure("longest pause of the event loop, diffs", diffs, "ms", whole, at_most=20),
            Figure("longest pause of the event loop, todos", todos, "ms", whole, at_most=20),
        ],
    )


async def _with_writer(log: LmdbLog) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        await _write(log)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    main()
