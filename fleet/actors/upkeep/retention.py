"""Retention: erases sessions that ended longer ago than transcripts are to be kept, and keeps that they were there.

What goes is erased as a person erases it, by the actor `policy:retention`: the log proves which sessions, when and by
which rule (`session.erased`). A few are erased in each sweep, the longest ended first.
"""

from collections.abc import Sequence
from typing import Protocol

import structlog
import trio

from fleet.actors.caller import Caller
from fleet.actors.context import Context
from fleet.core.session.state import ENDED, State
from fleet.errors import Problem
from fleet.limits import RETENTION_SESSIONS_MAX, RETENTION_SWEEP_S
from fleet.projections.views import Sessions

_log = structlog.get_logger(__name__)


class End(Protocol):
    """Ends a session for a caller: `RemovalUseCases.end`."""

    async def __call__(self, any_id: str, caller: Caller, *, cleanup: bool, permanent: bool, force: bool) -> object:
        """Stop the session and, with `permanent`, erase it. Raises `Problem`."""
        ...


def due(sessions: Sessions, before_ms: int) -> list[State]:
    """Return the sessions that the rule erases, the longest ended first: ended before then, and needed by no other.

    A session waits for its parent until it has delivered its callbacks, and for its children until they have ended.
    """
    found = [state for state in sessions if _ended_ms(state) < before_ms and not _is_needed(state, sessions)]
    return sorted(found, key=_ended_ms)


def _ended_ms(state: State) -> float:
    """Return when the session did something for the last time; infinity while it has not ended."""
    has_ended = state.phase in ENDED or state.phase == "error"
    if not has_ended or state.is_changing or state.queue.prompts:
        return float("inf")
    return max(state.since_ms, state.turn_ended_at_ms)


def _is_needed(state: State, sessions: Sessions) -> bool:
    waits = any(callback.status in ("pending", "undelivered") for callback in state.callbacks.sent)
    if waits and state.settings.parent_id is not None and sessions.get(state.settings.parent_id) is not None:
        return True
    return any(_ended_ms(child) == float("inf") for child in sessions.children(state.id))


class Retention:
    """Erases sessions that ended too long ago, in periodic sweeps. `run` fits a `ChildSpec`."""

    def __init__(self, context: Context, end: End) -> None:
        self._context = context
        self._end = end

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Sweep until `stopping`, if the policy has a rule."""
        task_status.started()
        while not stopping.is_set():
            with trio.move_on_after(RETENTION_SWEEP_S):
                await stopping.wait()
            if not stopping.is_set() and (before_ms := self._context.kept_since_ms()) is not None:
                await self._sweep(due(self._context.views.sessions, before_ms))

    async def _sweep(self, sessions: Sequence[State]) -> None:
        for state in sessions[:RETENTION_SESSIONS_MAX]:
            if self._context.views.sessions.get(state.id) is not state:
                continue  # it has changed meanwhile: the next sweep sees it
            try:
                await self._end(state.id, Caller("policy:retention"), cleanup=False, permanent=True, force=False)
            except Problem as problem:  # the next sweep tries it again
                _log.warning("session_not_erased", session=state.id, code=problem.code, detail=problem.detail)
