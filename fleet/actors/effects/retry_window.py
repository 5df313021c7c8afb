"""Decides for how long Fleet repeats a request to OpenCode that fails in the same way each time.

Most of what OpenCode refuses passes: its database is locked, a directory boots. What lasts is an answer, and some
answers are final at once. An OpenCode that does not answer at all may be back at any time: whether it still lives is
for its instance to find out.
"""

from typing import Final

import structlog
import trio

from fleet.errors import Problem, Unavailable
from fleet.limits import OPENCODE_REFUSED_S

_log = structlog.get_logger(__name__)

_FINAL: Final = frozenset(("session_gone",))


class Patience:
    """What was refused lately; it is logged once, as `event`, as long as it stays the same."""

    def __init__(self, event: str, session_id: str) -> None:
        self._event = event
        self._session_id = session_id
        self._code: str | None = None
        self._since_s = 0.0

    def ends_with(self, problem: Problem) -> bool:
        """Take note of what was refused, and return whether to ask again is in vain."""
        if problem.code != self._code:
            self._code, self._since_s = problem.code, trio.current_time()
            _log.warning(self._event, session=self._session_id, code=problem.code, detail=problem.detail)
        if isinstance(problem, Unavailable):
            return False
        return problem.code in _FINAL or trio.current_time() - self._since_s >= OPENCODE_REFUSED_S

    def answered(self) -> None:
        """Something was answered: what is refused from now on is new."""
        self._code = None
