"""A port whose calls meet errors of the operating system, before or after they are carried out."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import trio

Port = TypeVar("Port")

Fault = Callable[[], Exception | None]
"""What the next call meets, None where it goes through; asked before and after."""


def faulty(port: Port, fault: Fault, *, after: bool = True) -> Port:
    """Return `port` with every awaited call open to `fault`, before it is carried out and, if so wanted, after."""
    return cast("Port", _Faulty(port, fault, after))


class _Faulty:
    def __init__(self, port: object, fault: Fault, after: bool) -> None:
        self._port = port
        self._fault = fault
        self._after = after

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._port, name)
        return self._exposed(member) if inspect.iscoroutinefunction(member) else member

    def _exposed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        async def exposed(*arguments: Any, **options: Any) -> Any:
            await self._meet()
            result = await call(*arguments, **options)
            if self._after:
                await self._meet()
            return result

        return exposed

    async def _meet(self) -> None:
        error = self._fault()
        if error is not None:
            await trio.lowlevel.checkpoint()
            raise error
