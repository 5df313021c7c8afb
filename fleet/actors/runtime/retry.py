"""Retries a call that fails temporarily, decides for how long, and logs each new problem once.

`Unavailable` is retried until the effect is cancelled. Most other problems are temporary too (OpenCode's database is
locked, a directory starts), so they may be retried for a limited time; then they are raised (see failures.py).
"""

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

import structlog
import trio

from fleet.backoff import backoff_s
from fleet.errors import Problem, Unavailable

_log = structlog.get_logger(__name__)

Result = TypeVar("Result")


class Patience:
    """The last problem, which is logged once as `event`, with `about`, as long as it remains the same.

    A problem that is not `Unavailable` ends it after `refused_s`, and one with a code in `final` at once. With `only`,
    so does every problem that has none of these codes.
    """

    def __init__(
        self,
        event: str,
        *,
        refused_s: float = 0.0,
        final: Collection[str] = (),
        only: Collection[str] | None = None,
        **about: object,
    ) -> None:
        self._event = event
        self._refused_s = refused_s
        self._final = final
        self._only = only
        self._about = about
        self._code: str | None = None
        self._since_s = 0.0

    def ends_with(self, problem: Problem) -> bool:
        """Record the problem, and return whether it ends the retries."""
        if not isinstance(problem, Unavailable) and not self._refused_s:
            return True
        if self._only is not None and problem.code not in self._only:
            return True
        if problem.code != self._code:
            self._code, self._since_s = problem.code, trio.current_time()
            _log.warning(self._event, code=problem.code, detail=problem.detail, **self._about)
        if isinstance(problem, Unavailable):
            return False
        return problem.code in self._final or trio.current_time() - self._since_s >= self._refused_s

    def succeeded(self) -> None:
        """Discard the problem after a success."""
        self._code = None


async def persist(work: Callable[[], Awaitable[Result]], patience: Patience, *, every_s: float | None = None) -> Result:
    """Return what `work` returns, and repeat it while its problems may pass. Raises the one that ends `patience`.

    It waits `every_s` before each repetition; without it, a time that grows.
    """
    attempt = 0
    while True:
        try:
            return await work()
        except Problem as problem:
            if patience.ends_with(problem):
                raise
        attempt += 1
        await trio.sleep(backoff_s(attempt) if every_s is None else every_s)
