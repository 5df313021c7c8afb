"""Erases a session permanently: the payloads of its events, its blobs, stored responses about it, and cached data.

Its work was preserved before (law 9). Its stream ends with `SessionErased`, which hides it from every view; then its
data is deleted: OpenCode's copy first, because the stream says where that is, and the stream last. After a crash,
`States.erasing` knows the unfinished erasures and the next start continues them.
"""

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final

import structlog
import trio

from fleet.actors.effects.callback_erasure import Cache, CallbackErasure
from fleet.actors.effects.outside_copies import OutsideCopies
from fleet.actors.effects.stored_responses import StoredResponses
from fleet.core.session.state import State
from fleet.errors import Problem, Rejected, Unavailable
from fleet.events.blobs import Blobs
from fleet.events.envelope import Cause
from fleet.events.log import Log
from fleet.projections.inflight import InFlight
from fleet.projections.past import Past
from fleet.projections.views import Views

_logger = structlog.get_logger(__name__)

_FLEET_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def absent_session(log: Log, any_id: str) -> Problem:
    """Return the problem for a session that no view has: `erased`, with who erased it, or `session_not_found`.

    Only Fleet's id leads to an erased session, because OpenCode's id was erased with it.
    """
    return _absent(log, "session", any_id) or Rejected("session_not_found", f"there is no session {any_id}")


def absent_workspace(log: Log, workspace_id: str) -> Problem:
    """Return the problem for a workspace that no view has: `erased`, with who erased it, or `workspace_not_found`."""
    found = _absent(log, "workspace", workspace_id)
    if found is None:
        return Rejected("workspace_not_found", f"there is no workspace {workspace_id}")
    if found.code == "erased":
        found.hint = f"what existed only in it is under refs/fleet/kept/{workspace_id} of its repository"
    return found


def is_ordered(log: Log, kind: str, aggregate_id: str) -> bool:
    """Return whether the last event of the aggregate orders its erasure."""
    return _erased(log, kind, aggregate_id) is not None


def _absent(log: Log, kind: str, aggregate_id: str) -> Problem | None:
    """Return why no view has an aggregate that the log has: it was erased, or its stream is damaged."""
    erased = _erased(log, kind, aggregate_id)
    if erased is not None or not _FLEET_ID.fullmatch(aggregate_id) or not log.stream_version(f"{kind}-{aggregate_id}"):
        return erased
    return Unavailable("event_damaged", f"the state of {kind} {aggregate_id} is not known: its stream is damaged")


def _erased(log: Log, kind: str, aggregate_id: str) -> Rejected | None:
    if not _FLEET_ID.fullmatch(aggregate_id):
        return None
    last = log.stream_positions(f"{kind}-{aggregate_id}", 0, log.head() + 1, 1, newest_first=True)
    header = log.read_headers(last)[0] if last else None
    if header is None or header.type != f"{kind}.erased":
        return None
    said = f"{kind} {aggregate_id} was erased by {header.actor} at position {header.position}"
    return Rejected("erased", said, extra={"erasedBy": header.actor, "position": header.position})


class Erasing:
    """An erasure that a caller waits for. `left` says what it leaves outside of Fleet, a sentence each."""

    def __init__(self) -> None:
        self.left: list[str] = []
        self.ended = trio.Event()
        self.callers = 0


class SessionErasure:
    """Erases sessions."""

    def __init__(
        self,
        log: Log,
        blobs: Blobs,
        views: Views,
        inflight: InFlight,
        *,
        stored_responses: StoredResponses,
        caches: Sequence[Cache],
        past: Past[State],
        outside: OutsideCopies,
        callbacks: CallbackErasure,
    ) -> None:
        self._log = log
        self._stored_responses = stored_responses
        self._blobs = blobs
        self._sessions = views.sessions
        self._caches = caches
        self._inflight = inflight
        self._past = past
        self._outside = outside
        self._callbacks = callbacks
        self._awaited: dict[str, Erasing] = {}

    def unfinished(self) -> list[str]:
        """Return the ids of sessions whose erasure was interrupted, and was ordered: other streams are damaged."""
        return [each for each in self._sessions.erasing if is_ordered(self._log, "session", each)]

    async def erase(self, session_id: str) -> None:
        """Erase everything stored for the session. Idempotent. Raises `Unavailable` if the disk is full."""
        stream = self._sessions.stream(session_id)
        # While the log still says that there is something to erase, and where:
        left = await self._delete_outside(session_id, stream)
        await self._blobs.forget(stream)
        await self._stored_responses.forget(session_id)
        await self._log.erase(stream)
        for cache in self._caches:
            cache.forget(stream)
        self._inflight.forget(session_id)
        self._sessions.erased(session_id)
        awaited = self._awaited.get(session_id)
        if awaited is not None:
            awaited.left = left
            awaited.ended.set()
        elif left:
            _logger.warning("erasure_left", session=session_id, left=left)

    async def _delete_outside(self, session_id: str, stream: str) -> list[str]:
        """Delete what is in other places; nothing if the stream is half erased, because that came later."""
        last = self._log.stream_positions(stream, 0, self._log.head() + 1, 1, newest_first=True)
        state = await self._past.readable(session_id, last[0] - 1) if last else None
        if state is None:
            return []
        [order] = self._log.read_headers(last)
        cause = Cause(order.actor, f"@{order.position}", order.correlation_id)
        return [*await self._outside.delete(state), *await self._callbacks.erase(state, stream, cause)]

    @contextmanager
    def awaited(self, session_id: str) -> Generator[Erasing]:
        """Let a caller wait for the erasure of the session, which it orders in this block."""
        erasing = self._awaited.setdefault(session_id, Erasing())
        erasing.callers += 1
        try:
            yield erasing
        finally:
            erasing.callers -= 1
            if not erasing.callers:
                del self._awaited[session_id]

    async def done(self, session_id: str, erasing: Erasing) -> list[str]:
        """Wait until the erasure of the session is complete; return what it leaves outside of Fleet."""
        if session_id in self._sessions.erasing:
            await erasing.ended.wait()
        return erasing.left
