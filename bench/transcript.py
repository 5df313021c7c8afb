"""What does it cost to read a session of 2,000 turns and 20,000 parts, and how long do others wait meanwhile?

Target: no step of the event loop above 20 ms, the first fold included. A task that does nothing else than to give way
measures the steps, in time of the processor: what else the machine does is not in them.

Run: python -m bench.transcript
"""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
import trio

from bench.figures import Figure, show
from bench.longest_step import LongestStep
from fleet.adapters.clock import SystemClock
from fleet.core.session.events import SessionCreated
from fleet.core.session.turn_events import MessageRecorded, PartRecorded, PromptAccepted, TurnEnded, TurnStarted
from fleet.core.session.values import SessionSettings
from fleet.events.catalog import make_registry
from fleet.events.envelope import Cause
from fleet.events.lmdb_log import LmdbLog
from fleet.events.log import Log
from fleet.projections.transcripts import Transcripts, Where

TURNS: Final = 2_000
PARTS: Final = 10  # of each turn; every other one is a tool's
STREAM: Final = "session-0"
TARGET_MS: Final = 20.0
TEXT_CHARS, OUTPUT_CHARS, INFO_CHARS = 300, 3_000, 600


def _raw(body: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(body))


def _turn(number: int) -> list[Any]:
    message_id = f"msg_{number:05}"
    message = _raw({"id": message_id, "role": "assistant", "path": "x" * INFO_CHARS})
    said = _raw({"type": "text", "text": "x" * TEXT_CHARS})
    did = _raw({"type": "tool", "tool": "bash", "state": {"status": "completed", "output": "x" * OUTPUT_CHARS}})
    parts = [
        PartRecorded(
            part_id=f"prt_{number:05}{n}",
            message_id=message_id,
            type="tool" if n % 2 else "text",
            body=did if n % 2 else said,
            at_ms=1,
        )
        for n in range(PARTS)
    ]
    return [
        PromptAccepted(prompt_id=f"p{number}", text="Do it", at_ms=1),
        TurnStarted(
            number=number,
            prompt_id=f"p{number}",
            message_id=f"msg_{number:05}a",
            part_ids=(f"prt_{number:05}a",),
            at_ms=1,
        ),
        MessageRecorded(
            message_id=message_id,
            opencode_id="ses_0",
            role="assistant",
            at_ms=1,
            body=message,
            cost_usd=0.01,
            created_ms=number,
        ),
        *parts,
        TurnEnded(number=number, outcome="finished", evidence="it is idle", at_ms=1),
    ]


async def _fill(log: Log) -> None:
    created = SessionCreated(
        session_id="0",
        settings=SessionSettings(title="A task", strategy="existing"),
        workspace_id="w",
        source_directory="/d",
        source_repository=None,
        directory="/d",
        opencode_id="ses_0",
        at_ms=1,
    )
    version = (await log.append(STREAM, 0, [created], Cause())).version
    for number in range(1, TURNS + 1):
        version = (await log.append(STREAM, version, _turn(number), Cause())).version


async def _measure(name: str, read: Callable[[], Awaitable[Any]], steps: LongestStep) -> list[Figure]:
    await trio.sleep(0.01)
    steps.longest_s, began_s = 0.0, time.thread_time()
    await read()
    took_ms = (time.thread_time() - began_s) * 1000
    await trio.sleep(0.01)
    return [
        Figure(name, took_ms, "ms"),
        Figure(f"{name}: the longest step", steps.longest_s * 1000, "ms", at_most=TARGET_MS),
    ]


async def _figures(log: LmdbLog) -> list[Figure]:
    figures: list[Figure] = []
    steps = LongestStep()
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        await _fill(log)
        transcripts, middle = Transcripts(log), log.head() // 2
        nursery.start_soon(steps.run)
        for name, read in (
            ("the newest page, first read", lambda: transcripts.page(STREAM, Where(50))),
            ("200 messages", lambda: transcripts.page(STREAM, Where(200))),
            ("the newest page of an earlier moment", lambda: transcripts.page(STREAM, Where(50, at=middle))),
            ("turns", lambda: transcripts.turns(STREAM)),
            ("turns of an earlier moment", lambda: transcripts.turns(STREAM, middle)),
            ("todos", lambda: transcripts.todos(STREAM)),
        ):
            figures += await _measure(name, read, steps)
        nursery.cancel_scope.cancel()
    return figures


def main() -> list[Figure]:
    """Measure, print and return the times."""
    with TemporaryDirectory() as directory, LmdbLog.open(Path(directory), make_registry(), SystemClock()) as log:
        figures = trio.run(_figures, log)
    return show(f"transcript: a session of {TURNS:,} turns and {TURNS * PARTS:,} parts", figures)


if __name__ == "__main__":
    main()
