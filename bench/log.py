"""How fast is the event log? Durable appends against a bare LMDB group-commit loop, and replay.

Run: python -m bench.log
"""

import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import lmdb
import msgspec
import trio

from fleet.events.envelope import Cause
from fleet.events.lmdb_log import LmdbLog
from fleet.events.registry import EventRegistry

APPENDERS = (1, 16, 256, 1024)
APPENDS = {1: 500, 16: 4_000, 256: 20_000, 1024: 30_000}
REPLAYED = 100_000
ROUNDS = 2
"""Both sides take turns, and the best round counts: the machine is shared."""

Append = Callable[[int, int], Awaitable[Any]]


class Counted(msgspec.Struct, frozen=True):
    """A small event, of the size of a turn's step."""

    session: str
    amount: int
    note: str


class _Clock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


def _registry() -> EventRegistry:
    registry = EventRegistry()
    registry.register(Counted, "bench.counted")
    return registry


def _event(n: int) -> Counted:
    return Counted("session-0190a2b4-0000-7000-8000-000000000000", n, "a note of a few words")


class _Bare:
    """The least that a group commit needs: a list, a thread, one transaction, an event for each waiter."""

    def __init__(self, directory: Path) -> None:
        self._environment = lmdb.open(str(directory), map_size=1 << 30)
        self._waiting: list[tuple[bytes, trio.Event]] = []
        self._wake = trio.Event()
        self._position = 0

    async def append(self, stream: int, version: int) -> None:
        done = trio.Event()
        payload = msgspec.json.encode(_event(version))
        self._waiting.append((b"session-%d:%d:" % (stream, version) + payload, done))
        self._wake.set()
        await done.wait()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            batch, self._waiting = self._waiting, []
            await trio.to_thread.run_sync(self._commit, [record for record, _ in batch])
            for _, done in batch:
                done.set()

    def _commit(self, records: list[bytes]) -> None:
        with self._environment.begin(write=True) as transaction:
            for record in records:
                self._position += 1
                transaction.put(self._position.to_bytes(8, "big"), record, append=True)


async def _appends_per_s(append: Append, appenders: int) -> float:
    each = APPENDS[appenders] // appenders

    async def appender(stream: int) -> None:
        for version in range(each):
            await append(stream, version)

    started = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for stream in range(appenders):
            nursery.start_soon(appender, stream)
    return each * appenders / (time.perf_counter() - started)


async def _bare_appends(directory: Path, appenders: int) -> float:
    bare = _Bare(directory)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bare.run)
        rate = await _appends_per_s(bare.append, appenders)
        nursery.cancel_scope.cancel()
    return rate


async def _log_appends(directory: Path, appenders: int, *, commands: bool) -> float:
    cause = Cause("local", "0190a2b4-0000-7000-8000-000000000000")
    with LmdbLog.open(directory, _registry(), _Clock()) as log:

        async def append(stream: int, version: int) -> None:
            command_id = f"0190a2b4-{version:08x}-{stream:08x}" if commands else None
            await log.append(f"session-{stream:036}", version, (_event(version),), cause, command_id=command_id)

        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            rate = await _appends_per_s(append, appenders)
            log.stop()
    return rate


def _best(run: Callable[[Path], Awaitable[float]]) -> float:
    def once() -> float:
        with tempfile.TemporaryDirectory(dir=os.environ.get("FLEET_BENCH_DIR")) as directory:
            return trio.run(run, Path(directory))

    return max(once() for _ in range(ROUNDS))


async def _replay_rates(directory: Path) -> dict[str, float]:
    """Events per second: one long stream folded, 100 streams folded, all read with their envelopes."""
    with LmdbLog.open(directory, _registry(), _Clock()) as log:
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            for stream in range(100):
                events = [_event(n) for n in range(REPLAYED // 200)]
                await log.append(f"session-{stream:036}", 0, events, Cause())
            await log.append("session-long", 0, [_event(n) for n in range(REPLAYED // 2)], Cause())
            log.stop()
        return {
            "one stream folded": _rate(lambda: _fold(log, "session-long")),
            "100 streams folded": _rate(lambda: sum(_fold(log, f"session-{stream:036}") for stream in range(100))),
            "all read with envelopes": _rate(lambda: len(log.read_all())),
        }


def _fold(log: LmdbLog, stream: str) -> int:
    count = total = 0
    for _, _, event in log.replay(stream):
        count += 1
        total += event.amount
    return count


def _rate(read: Callable[[], int]) -> float:
    rates: list[float] = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        count = read()
        rates.append(count / (time.perf_counter() - started))
    return max(rates)


def main() -> dict[str, Any]:
    """Measure, print a table, return the numbers (per second)."""
    appends: dict[int, dict[str, float]] = {}
    print(f"{'appenders':>10} {'bare/s':>10} {'log/s':>10} {'with ids/s':>11} {'log:bare':>9}")
    for appenders in APPENDERS:
        bare = _best(partial(_bare_appends, appenders=appenders))
        log = _best(partial(_log_appends, appenders=appenders, commands=False))
        identified = _best(partial(_log_appends, appenders=appenders, commands=True))
        appends[appenders] = {"bare": bare, "log": log, "log_with_command_ids": identified}
        print(f"{appenders:>10} {bare:>10,.0f} {log:>10,.0f} {identified:>11,.0f} {log / bare:>9.2f}")
    with tempfile.TemporaryDirectory(dir=os.environ.get("FLEET_BENCH_DIR")) as directory:
        replay = trio.run(_replay_rates, Path(directory))
    for name, rate in replay.items():
        print(f"{name:>32} {rate:>12,.0f} events/s")
    return {"appends_per_s": appends, "replay_per_s": replay}


if __name__ == "__main__":
    main()
