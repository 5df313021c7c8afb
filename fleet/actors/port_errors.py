"""Wraps the ports: an error of the operating system becomes a `Problem` for everything above them.

Any call of a port may fail because the disk is full, no file or process is free, or a directory is read-only. The code
above the ports handles only `Problem`s. Ports whose calls are not awaited convert their own errors.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from fleet.errors import problem_of

Port = TypeVar("Port")


def with_problems(port: Port) -> Port:
    """Return `port` with each `OSError` of an awaited call raised as the `Problem` that it means."""
    return cast("Port", _WithProblems(port))


class _WithProblems:
    def __init__(self, port: object) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._port, name)
        return _converting(member) if inspect.iscoroutinefunction(member) else member


def _converting(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    async def converted(*arguments: Any, **options: Any) -> Any:
        try:
            return await call(*arguments, **options)
        except OSError as error:
            raise problem_of(error) from error

    return converted
