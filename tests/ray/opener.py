"""What agents serve in tests of the engine on Ray: an echo."""

import hashlib
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol

import trio

from fleet.adapters.ray.calls import Served


class Echo(Protocol):
    async def repeat(self, text: str) -> str: ...
    async def digest(self, text: str, data: memoryview) -> str: ...
    async def pid(self) -> int: ...
    async def wait(self) -> None: ...
    async def cancelled(self) -> int: ...


class Wall:
    def __init__(self) -> None:
        self._cancelled = 0

    async def repeat(self, text: str) -> str:
        return text

    async def digest(self, text: str, data: memoryview) -> str:
        return text + hashlib.sha256(data).hexdigest()

    async def pid(self) -> int:
        return os.getpid()

    async def wait(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self._cancelled += 1

    async def cancelled(self) -> int:
        return self._cancelled


@asynccontextmanager
async def open_echo(options: bytes, address: str) -> AsyncGenerator[Served]:
    yield Served({"echo": Echo}, {"echo": Wall()})
