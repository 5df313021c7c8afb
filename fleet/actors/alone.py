"""One at a time for each name: who comes with the same name waits, first come first served."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio


class Alone:
    """Locks by name. One is there as long as somebody holds it, so that they don't add up."""

    def __init__(self) -> None:
        self._locks: dict[str, trio.Lock] = {}

    @asynccontextmanager
    async def with_name(self, name: str) -> AsyncGenerator[None]:
        """Be the only one with this name until the block ends."""
        lock = self._locks.setdefault(name, trio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked():
                self._locks.pop(name, None)
