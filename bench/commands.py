"""How fast are durable commands? Ask -> decide -> append -> evolve -> reply, against a bare trio + LMDB group commit.

Run: python -m bench.commands
"""

import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import lmdb
import msgspec
import trio

from fleet.actors.aggregate import Aggregate, Deliver, Reply, Report, shape_of
from fleet.actors.directory import Directory
from fleet.core.decider import Decider
from fleet.events.envelope import Cause
from fleet.events.lmdb_log import LmdbLog
from fleet.events.registry import EventRegistry

SESSIONS = (1, 16, 256, 1024)
COMMANDS = {1: 500, 16: 4_000, 256: 20_000, 1024: 30_000}
ROUNDS = 3
"""Both sides take turns, and the best round counts: the machine is shared."""


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


async def _perform(_effect: NoEffect, _report: Report[Add]) -> None:
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
        totals: Directory[Deliver[Add], Reply[Total]] = Directory(
            "total", lambda key, inbox: Aggregate(key, _TOTAL, _SHAPE, log, _perform, inbox=inbox)
        )
        stopping = trio.Event()

        async def command(session: int, number: int) -> None:
            await totals.ask(str(session), Deliver(Add(number, "a note of a few words"), _CAUSE))

        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            async with trio.open_nursery() as actors:
                await actors.start(totals.run, stopping)
                rate = await _rate(command, sessions)
                stopping.set()
            log.stop()
    return rate


class _Bare:
    """The least that a group commit needs: a list, a thread, one transaction, an event for each waiter."""

    def __init__(self, directory: Path) -> None:
        self.environment = lmdb.open(str(directory), map_size=1 << 30)
        self._waiting: list[tuple[bytes, trio.Event]] = []
        self._wake = trio.Event()
        self._position = 0

    async def append(self, session: int, number: int) -> None:
        durable = trio.Event()
        self._waiting.append((msgspec.json.encode((session, Added(number, "a note of a few words"))), durable))
        self._wake.set()
        await durable.wait()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            batch, self._waiting = self._waiting, []
            await trio.to_thread.run_sync(self._commit, [value for value, _ in batch])
            for _, durable in batch:
                durable.set()

    def _commit(self, values: list[bytes]) -> None:
        with self.environment.begin(write=True) as transaction:
            for value in values:
                self._position += 1
                transaction.put(self._position.to_bytes(8, "big"), value, append=True)


async def _bare(directory: Path, sessions: int) -> float:
    bare = _Bare(directory)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bare.run)
            rate = await _rate(bare.append, sessions)
            nursery.cancel_scope.cancel()
    finally:
        bare.environment.close()
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


def main() -> None:
    """Print durable round trips per second, best of `ROUNDS`."""
    print("sessions    commands/s   bare trio + LMDB/s   share")
    for sessions in SESSIONS:
        rounds = [(_measure(_fleet, sessions), _measure(_bare, sessions)) for _ in range(ROUNDS)]
        fleet, bare = (max(column) for column in zip(*rounds, strict=True))
        print(f"{sessions:>8} {fleet:>13,.0f} {bare:>20,.0f}   {fleet / bare:>5.0%}")


if __name__ == "__main__":
    main()
