"""Erases a session permanently: the payloads of its events, its blobs, stored responses about it, and cached data.

Its work was preserved before (law 9). Its stream ends with `SessionErased`, which hides it from every view; then its
data is deleted. After a crash, `States.erasing` knows the unfinished erasures and the next start continues them.
"""

import re
from collections.abc import Sequence
from typing import Final, Protocol

import trio

from fleet.actors.effects.stored_responses import StoredResponses
from fleet.errors import Rejected
from fleet.events.blobs import Blobs
from fleet.events.log import Log
from fleet.projections.inflight import InFlight
from fleet.projections.views import Views

_FLEET_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Cache(Protocol):
    """Cached data about a stream, which can be computed again."""

    def forget(self, stream: str) -> None:
        """Discard the data of an erased stream."""
        ...


def absent(log: Log, any_id: str) -> Rejected:
    """Return the problem for a session that no view has: `erased`, with who erased it, or `session_not_found`.

    Only Fleet's id leads to an erased session, because OpenCode's id was erased with it.
    """
    if _FLEET_ID.fullmatch(any_id):
        last = log.stream_positions(f"session-{any_id}", 0, log.head() + 1, 1, newest_first=True)
        header = log.read_headers(last)[0] if last else None
        if header is not None and header.type == "session.erased":
            said = f"session {any_id} was erased by {header.actor} at position {header.position}"
            return Rejected("erased", said, extra={"erasedBy": header.actor, "position": header.position})
    return Rejected("session_not_found", f"there is no session {any_id}")


class SessionErasure:
    """Erases sessions."""

    def __init__(
        self,
        log: Log,
        blobs: Blobs,
        views: Views,
        inflight: InFlight,
        *,
        answers: StoredResponses,
        caches: Sequence[Cache],
    ) -> None:
        self._log = log
        self._answers = answers
        self._blobs = blobs
        self._sessions = views.sessions
        self._caches = caches
        self._inflight = inflight
        self._waiting: dict[str, trio.Event] = {}

    def unfinished(self) -> list[str]:
        """Return the ids of sessions whose erasure was interrupted."""
        return self._sessions.erasing

    async def erase(self, session_id: str) -> None:
        """Erase everything stored for the session. Idempotent. Raises `Unavailable` if the disk is full."""
        stream = self._sessions.stream(session_id)
        # While the log still says that there is something to erase:
        await self._blobs.forget(stream)
        await self._answers.forget(session_id)
        await self._log.erase(stream)
        for cache in self._caches:
            cache.forget(stream)
        self._inflight.forget(session_id)
        self._sessions.erased(session_id)
        waiting = self._waiting.pop(session_id, None)
        if waiting is not None:
            waiting.set()

    async def done(self, session_id: str) -> None:
        """Wait until the erasure of the session is complete."""
        while session_id in self._sessions.erasing:
            await self._waiting.setdefault(session_id, trio.Event()).wait()
