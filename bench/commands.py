"""How fast are durable commands? Ask -> decide -> append -> evolve -> reply, against a group commit by hand.

Run: python -m bench commands
"""

import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import msgspec
import trio

from bench.bare_log import BareLog
from bench.figures import Figure, best, show
from fleet.actors.runtime.aggregate import Aggregate, Deliver, ReportBack, StateReply
from fleet.actors.runtime.registry import ActorRegistry
from fleet.actors.runtime.shape import shape_of
from fleet.core.decider import Decider
from fleet.events.envelope import Cause
from fleet.events.lmdb_log import LmdbLog
from fleet.events.registry import EventRegistry

SESSIONS = (1, 16, 256, 1024)
COMMANDS = {1: 500, 16: 4_000, 256: 20_000, 1024: 30_000}
_NOTE = "a note of a few words, as long as what the agent says in between two of its tools"


class Add(msgspec.Struct, frozen=True):
    """The command."""

    amount: int
    note: str


class Added(msgspec.Struct, frozen=True):
    """The event, of the size of a turn's step."""

    amount: int
    note: str


class Total(msgspec.Struct, frozen=True):
    """The state."""

    id: str
    total: int = 0
    note: str = ""


class NoEffect(msgspec.Struct, frozen=True):
    """This aggregate orders none."""

    key: str


def _decide(command: Add, _state: Total) -> tuple[Added, ...]:
    return (Added(command.amount, command.note),)


def _evolve(state: Total, event: Added) -> Total:
    return Total(state.id, state.total + event.amount, event.note)


def _no_reaction(_state: Total, _event: Added) -> tuple[NoEffect, ...]:
    return ()


def _nothing_pending(_state: Total) -> tuple[NoEffect, ...]:
    return ()


async def _perform(_effect: NoEffect, _report: ReportBack[Add]) -> None:
    raise AssertionError("nothing orders an effect here")


_TOTAL: Decider[Add, Total, Added, NoEffect] = Decider("total", Total, _decide, _evolve, _no_reaction, _nothing_pending)
_SHAPE = shape_of("total", Total)
_CAUSE = Cause("token:bench", "0190a2b4-0000-7000-8000-000000000000", "0190a2b4-0000-7000-8000-000000000001")


class _Clock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


async def _fleet(directory: Path, sessions: int) -> float:
    registry = EventRegistry()
    registry.register(Added, "bench.added")
    with LmdbLog.open(directory, registry, _Clock()) as log:
        totals: ActorRegistry[Deliver[Add], StateReply[Total]] = ActorRegistry(
            "total", lambda key, inbox: Aggregate(key, _TOTAL, _SHAPE, log, _perform, inbox=inbox)
        )
        stopping = trio.Event()

        async def command(session: int, number: int) -> None:
            await totals.ask(str(session), Deliver(Add(number, _NOTE), _CAUSE))

        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            async with trio.open_nursery() as actors:
                await actors.start(totals.run, stopping)
                rate = await _rate(command, sessions)
                stopping.set()
            log.stop()
    return rate


async def _loop(directory: Path, sessions: int) -> float:
    """The group commit alone: the askers append by themselves."""

    async def command(session: int, number: int) -> None:
        await log.append(f"total-{session}", Added(number, _NOTE))

    log = BareLog(directory)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(log.run)
            rate = await _rate(command, sessions)
            nursery.cancel_scope.cancel()
    finally:
        log.close()
    return rate


class _BareActor:
    """An actor by hand: a channel, a task, a total. Nothing restarts, passivates, replays or times it out."""

    def __init__(self, stream: str, log: BareLog) -> None:
        self.total = 0
        self._stream = stream
        self._log = log
        self._commands, self._inbox = trio.open_memory_channel[tuple[Add, trio.Event]](1024)

    async def ask(self, command: Add) -> int:
        done = trio.Event()
        await self._commands.send((command, done))
        await done.wait()
        return self.total

    async def run(self) -> None:
        async for command, done in self._inbox:
            event = Added(command.amount, command.note)
            await self._log.append(self._stream, event)
            self.total += event.amount
            done.set()


async def _actors(directory: Path, sessions: int) -> float:
    """Actors by hand over the group commit by hand."""

    async def command(session: int, number: int) -> None:
        await actors[session].ask(Add(number, _NOTE))

    log = BareLog(directory)
    actors = [_BareActor(f"total-{session}", log) for session in range(sessions)]
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(log.run)
            for actor in actors:
                nursery.start_soon(actor.run)
            rate = await _rate(command, sessions)
            nursery.cancel_scope.cancel()
    finally:
        log.close()
    return rate


async def _rate(command: Callable[[int, int], Awaitable[None]], sessions: int) -> float:
    """Return commands per second: each session has one client, which sends when it has its answer."""

    async def client(session: int, count: int) -> None:
        for number in range(count):
            await command(session, number)

    async with trio.open_nursery() as nursery:  # activation is another bench's question
        for session in range(sessions):
            nursery.start_soon(client, session, 1)
    each = COMMANDS[sessions] // sessions
    started_s = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for session in range(sessions):
            nursery.start_soon(client, session, each)
    return each * sessions / (time.perf_counter() - started_s)


def _measure(side: Callable[[Path, int], Awaitable[float]], sessions: int) -> float:
    with tempfile.TemporaryDirectory() as directory:
        return trio.run(partial(side, Path(directory), sessions))


def _figures(sessions: int) -> list[Figure]:
    sides = (partial(_measure, side, sessions) for side in (_fleet, _actors, _loop))
    fleet, actors, loop = best(max, *sides)
    wanted = sessions == 256
    return [
        Figure(
            f"{sessions} sessions, against actors by hand",
            fleet,
            "/s",
            actors,
            at_least=15_000 if wanted else None,
            ratio_at_least=0.39 if wanted else None,
        ),
        Figure(f"{sessions} sessions, against appends without actors", fleet, "/s", loop),
    ]


def main() -> list[Figure]:
    """Measure, print and return durable round trips per second."""
    rows = (figure for sessions in SESSIONS for figure in _figures(sessions))
    return show("commands: durable round trips, against trio + LMDB by hand", rows)


if __name__ == "__main__":
    main()
