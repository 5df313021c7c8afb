"""Repeats calls of a host until it answers. The effect that makes the call is cancelled when the host is lost."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
import trio

from fleet.errors import Unavailable
from fleet.limits import HOST_RETRY_S

_log = structlog.get_logger(__name__)

Result = TypeVar("Result")

_AWAY: Final = frozenset(("host_unreachable", "engine_down"))


async def until_host_answers(call: Callable[[], Awaitable[Result]], **about: str) -> Result:
    """Return what `call` returns, and repeat it while the host does not answer: each call of a host is idempotent.

    `about` is logged with the first attempt that fails.
    """
    is_told = False
    while True:
        try:
            return await call()
        except Unavailable as problem:
            if problem.code not in _AWAY:
                raise
            if not is_told:
                _log.warning("host_does_not_answer", detail=problem.detail, **about)
            is_told = True
        await trio.sleep(HOST_RETRY_S)
