"""Locks by key: each exists as long as a task uses it, so there are no more locks than tasks."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio


class Locks:
    """Locks by name."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[trio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncGenerator[None, None]:
        """Wait for the key's lock, in order of arrival, and hold it while the block runs."""
        lock, users = self._locks.get(key, (trio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            _, users = self._locks[key]
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lock, users - 1)

    def __len__(self) -> int:
        return len(self._locks)
