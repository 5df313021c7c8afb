"""A server with many sessions that have not ended, some of which write when told: what dashboard.py looks at.

Run by dashboard.py as a process of its own: python -m bench.dashboard_source DATA_DIR SESSIONS. It prints its port, and
then does what it reads: `stream COUNT PER_S` has so many sessions write so many pieces of text a second each, `rest`
ends that. The sessions are in the log; there is no OpenCode behind them: it would take the processor that is measured.
"""

import os
import sys
from itertools import count
from pathlib import Path

import msgspec
import trio

from bench.sample_log import Author
from bench.server import free_port
from fleet.actors.fleet import Fleet
from fleet.adapters.clock import SystemClock
from fleet.composition.server import _prefer_event_loop, running
from fleet.config import load_config
from fleet.core.session.turn_events import PromptAccepted, PromptDelivered, TurnStarted
from fleet.events.envelope import Cause
from fleet.logs import configure_logs
from fleet.ports import Part, PartDelta

_WORDS = ("I have", "read the module", "and its tests,", "and shall round", "the total once", "at the end.")
_TICK_S = 0.02


class Writer:
    """A session whose turn runs, and which writes."""

    def __init__(self, fleet: Fleet, session_id: str, author: Author) -> None:
        self.session_id = session_id
        self._fleet = fleet
        state = fleet.views.sessions.get(session_id)
        self._conversation = state.opencode.session_id if state is not None else ""
        self._author = author
        self._words = count()

    async def begin(self) -> None:
        """Start a turn, with one text that grows."""
        author, stream = self._author, f"session-{self.session_id}"
        self._message, self._part = author.opencode("msg"), author.opencode("prt")
        prompt_id = author.uuid()
        events = [
            PromptAccepted(prompt_id=prompt_id, text="Round the total once", at_ms=author.tick()),
            TurnStarted(
                number=2,
                prompt_id=prompt_id,
                message_id=self._message,
                part_ids=(author.opencode("prt"),),
                at_ms=author.tick(),
            ),
            PromptDelivered(message_id=self._message, at_ms=author.tick()),
        ]
        await self._fleet.log.append(stream, self._fleet.log.stream_version(stream), events, Cause())
        raw = msgspec.json.encode({"id": self._part, "messageID": self._message, "type": "text", "text": ""})
        self._fleet.inflight.part(
            self.session_id, Part(self._part, self._conversation, self._message, "text", False, raw, "")
        )

    def write(self) -> None:
        """Write some words; every hundredth time they begin a line."""
        number = next(self._words)
        piece = ("\n" if number % 100 == 99 else "") + _WORDS[number % len(_WORDS)] + " "
        self._fleet.inflight.delta(
            self.session_id, PartDelta(self._conversation, self._message, self._part, "text", piece)
        )


async def _fill(fleet: Fleet, sessions: int) -> list[str]:
    """Write the sessions: created now, idle after a turn."""
    author = Author()
    author.now_ms = SystemClock().now_ms()
    instance_id = author.uuid()
    ids: list[str] = []

    async def append(stream: str, events: list[object]) -> None:
        await fleet.log.append(stream, 0, events, Cause())

    async with trio.open_nursery() as nursery:
        for _ in range(sessions):
            session_id, _, streams = author.task(instance_id, turns=1, ended=False)
            ids.append(session_id)
            for stream, events in streams:
                nursery.start_soon(append, stream, events)
    return ids


async def _write(writers: list[Writer], per_s: float) -> None:
    """Have each write at its own moments, so that the pieces are spread over the second."""
    due = [trio.current_time() + index / len(writers) / per_s for index in range(len(writers))]
    while True:
        now = trio.current_time()
        for index, writer in enumerate(writers):
            while due[index] <= now:
                writer.write()
                due[index] += 1 / per_s
        await trio.sleep(_TICK_S)


async def _obey(fleet: Fleet, ids: list[str]) -> None:
    author = Author(seed=2)
    author.now_ms = SystemClock().now_ms()
    writing = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        while line := (await trio.to_thread.run_sync(sys.stdin.readline)).split():
            writing.cancel()
            if line[0] == "stream":
                writers = [Writer(fleet, session_id, author) for session_id in ids[: int(line[1])]]
                for writer in writers:
                    await writer.begin()
                writing = trio.CancelScope()
                nursery.start_soon(_scoped, writing, writers, float(line[2]))
            print("done", flush=True)
        nursery.cancel_scope.cancel()


async def _scoped(scope: trio.CancelScope, writers: list[Writer], per_s: float) -> None:
    with scope:
        await _write(writers, per_s)


async def _run(data_dir: Path, sessions: int) -> None:
    port = free_port()
    config = load_config({"port": str(port), "data_dir": str(data_dir), "rehearsal": "always"}, {})
    async with running(config, os.environ) as server:
        _prefer_event_loop()
        ids = await _fill(server.fleet, sessions)
        print(port, flush=True)
        await _obey(server.fleet, ids)


if __name__ == "__main__":
    configure_logs()  # as the server does; without it, lines of requests would fill the pipe of dashboard.py
    trio.run(_run, Path(sys.argv[1]), int(sys.argv[2]))
