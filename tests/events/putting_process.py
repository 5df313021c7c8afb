"""A process for tests that kill it: puts blobs from several tasks without end, and prints each that is acknowledged."""

import sys
from pathlib import Path

import trio

from fleet.events.lmdb_blobs import LmdbBlobs


async def put_without_end(blobs: LmdbBlobs, owner: str) -> None:
    n = 0
    while True:
        n += 1
        [shared, own] = await blobs.put(owner, [b"%d" % n * 500, f"{owner} {n}".encode() * 2000])
        print(owner, shared, flush=True)
        print(owner, own, flush=True)


async def put_for_ever(path: Path) -> None:
    with LmdbBlobs(path) as blobs:
        async with trio.open_nursery() as nursery:
            for n in range(4):
                nursery.start_soon(put_without_end, blobs, f"owner-{n}")


if __name__ == "__main__":
    trio.run(put_for_ever, Path(sys.argv[1]))
