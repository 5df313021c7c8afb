"""A process for tests that kill it: erases a stream and prints a line for each page that is durable.

Arguments: the data directory and the stream.
"""

import sys
from pathlib import Path

import trio

from fleet.events.batch import ErasedUpTo, ErasureBatch
from tests.events.samples import open_lmdb


async def erase(path: Path, stream: str) -> None:
    async with open_lmdb(path) as log:
        erase_page = log._writer.erase

        async def erase_and_tell(erasure: ErasureBatch) -> ErasedUpTo:
            reached = await erase_page(erasure)
            print(reached.position, flush=True)
            return reached

        log._writer.erase = erase_and_tell  # type: ignore[method-assign] # nothing public reports a page
        await log.erase(stream)


if __name__ == "__main__":
    trio.run(erase, Path(sys.argv[1]), sys.argv[2])
