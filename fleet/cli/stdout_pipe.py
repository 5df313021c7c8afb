"""Ends a command that waits for something to print when the reader of its output has gone."""

import os
import select
import stat
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def while_read() -> AsyncGenerator[None]:
    """Run the block as long as standard output has a reader. Raises `BrokenPipeError`, in a group."""
    async with trio.open_nursery() as nursery:
        pipe = _pipe()
        if pipe is not None:
            nursery.start_soon(_end_with_reader, pipe)
        yield
        nursery.cancel_scope.cancel()


def _pipe() -> int | None:
    """Return standard output where it is a pipe; a file has no reader, and a terminal says itself when it goes."""
    try:
        number = sys.stdout.fileno()
    except OSError:  # replaced by a buffer in memory
        return None
    return number if stat.S_ISFIFO(os.fstat(number).st_mode) else None


async def _end_with_reader(pipe: int) -> None:
    # Nothing can be read from this end: it becomes readable with an error when the other end has no reader.
    await trio.lowlevel.wait_readable(pipe)
    poll = select.poll()
    poll.register(pipe, 0)
    if any(what & (select.POLLERR | select.POLLHUP) for _, what in poll.poll(0)):  # a pipe can be open both ways
        raise BrokenPipeError
