"""A process for tests that kill it: appends from several tasks without end, and prints each acknowledged position.

Arguments: the data directory, and optionally the largest size in bytes that a file may have (RLIMIT_FSIZE), whereupon
it says `refused <code>` for each refusal and continues to read what it has.
"""

import os
import resource
import sys
from pathlib import Path

import trio

from fleet.errors import Unavailable
from fleet.events.envelope import Cause
from fleet.events.lmdb_log import LmdbLog
from fleet.events.verify import verify
from tests.events.samples import Counted, open_lmdb


async def append_without_end(log: LmdbLog, stream: str) -> None:
    while True:
        version = log.stream_version(stream)
        appended = await log.append(stream, version, [Counted(version, "x" * 200), Counted(version)], Cause())
        print(stream, appended.position, appended.version, flush=True)


async def append_for_ever(path: Path) -> None:
    async with open_lmdb(path) as log, trio.open_nursery() as nursery:
        for n in range(8):
            nursery.start_soon(append_without_end, log, f"stream-{n}")


async def append_until_full(path: Path) -> None:
    size_bytes_max = int(sys.argv[2])
    file = path / "events.mdb"

    def free_bytes() -> int:
        # Another program takes the last space right after Fleet has looked.
        return 0 if file.stat().st_size >= size_bytes_max else 1 << 40

    async with open_lmdb(path, free_bytes) as log:
        await log.append("a", 0, [Counted(0, "first")], Cause())
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes_max, hard))
        refused = 0
        while refused < 2:
            try:
                await log.append("a", log.head(), [Counted(0, os.urandom(25_000).hex())], Cause())
            except Unavailable as unavailable:
                refused += 1
                print("refused", unavailable.code)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        size_bytes_max = 1 << 40
        appended = await log.append("a", log.head(), [Counted(0, "after")], Cause())
        report = verify(log)
        print("events", report.events, "position", appended.position, "break", report.first_break)


if __name__ == "__main__":
    trio.run(append_until_full if len(sys.argv) > 2 else append_for_ever, Path(sys.argv[1]))
