"""How fast is a backup? The first one and one with nothing new, of a stopped and of a running Fleet, against `cp`.

Run: python -m bench backup
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import trio

from bench import sample_log
from bench.figures import Figure, best, show
from bench.server import fleet
from fleet.adapters.clock import SystemClock
from fleet.adapters.ids import SystemIds
from fleet.client import FleetClient
from fleet.events.directory_identity import write_identity
from fleet.events.lmdb_blobs import LmdbBlobs
from fleet.limits import MIB
from fleet.maintenance.backup import ServerReader, make_backup, reading_stopped

SESSIONS = 1000
"""101,000 events, about 130 MB of log."""
CONTENTS = 5000
_CONTENT_BYTES = 16 * 1024
_FILES = ("events.mdb", "blobs.mdb")


def _told_nothing(_: str, __: int, ___: int) -> None:
    pass


async def _write(data: Path) -> None:
    await sample_log.write(data, SESSIONS)
    random = Random(1)
    with LmdbBlobs(data) as blobs:
        for number in range(0, CONTENTS, 100):
            contents = [random.randbytes(_CONTENT_BYTES // 2).hex().encode() for _ in range(100)]
            await blobs.put(f"session-{number}", contents)
    write_identity(data, SystemIds(SystemClock()).uuid7())


def _seconds(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def _copied(data: Path, target: Path) -> None:
    """Copy the two files as `cp` does, onto the disk."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name in _FILES:
        shutil.copyfile(data / name, target / name)
        descriptor = os.open(target / name, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


async def _of_stopped(data: Path, target: Path) -> None:
    async with reading_stopped(data) as reader:
        await make_backup(reader, target, _told_nothing)


async def _of_running(port: int, target: Path) -> None:
    async with FleetClient(f"http://127.0.0.1:{port}") as client:
        await make_backup(ServerReader(client), target, _told_nothing)


def _first(target: Path, work: Callable[[], object]) -> float:
    shutil.rmtree(target, ignore_errors=True)
    return _seconds(work)


def main() -> list[Figure]:
    """Measure, print and return bytes per second, and the seconds of a backup with nothing new."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory).resolve()
        data, plain, target = place / "data", place / "plain", place / "backup"
        trio.run(_write, data)
        size = sum((data / name).stat().st_size for name in _FILES) / MIB
        stopped = partial(trio.run, partial(_of_stopped, data, target))
        sides = (partial(_first, target, stopped), partial(_seconds, partial(_copied, data, plain)))
        first_s, plain_s = best(min, *sides, rounds=2)
        again_s = _seconds(stopped)
        with fleet(data, "--rehearsal", "always") as server:
            running = partial(trio.run, partial(_of_running, server.port, target))
            served_s = min(_first(target, running) for _ in range(2))
        rows = (
            Figure(f"of a stopped Fleet, {size:,.0f} MiB, verified", size / first_s, "MiB/s", size / plain_s),
            Figure("of a running Fleet, verified", size / served_s, "MiB/s", size / plain_s),
            Figure("with nothing new, verified", again_s, "s", plain_s),
        )
        return show("backup: the first one, against cp with fsync", rows)


if __name__ == "__main__":
    main()
