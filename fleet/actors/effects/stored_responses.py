"""Stores the responses to requests with an idempotency key in the log before they are sent, and finds them by key.

Rules kept here alone:
- a response is stored before it is sent: after a crash, a repeated request gets the first response;
- requests with the same key run one after the other;
- the responses about a session are in their own stream, which is erased with the session; nothing is stored about an
  erased session. All others are in one stream of the fleet.

What makes a command itself happen once is the key in its own stream (aggregate.py): ADR 0026.
"""

from contextlib import AbstractAsyncContextManager
from typing import Final

from fleet.actors.caller import Caller
from fleet.core.stored_responses import ResponseStored
from fleet.errors import Rejected, Unavailable
from fleet.events.envelope import Cause, CommandRecord, Damaged
from fleet.events.log import Log
from fleet.keyed_locks import Locks
from fleet.projections.views import Views

_NOBODY: Final = "fleet"


class StoredResponses:
    """The stored responses of one Fleet. Only this class appends to their streams (law 2)."""

    def __init__(self, log: Log, views: Views) -> None:
        self._log = log
        self._views = views
        self._locks = Locks()

    def turn(self, caller: Caller) -> AbstractAsyncContextManager[None]:
        """Serialise requests with the same key: the second finds the response of the first."""
        return self._locks.hold(f"key {caller.idempotency_key}")

    def find(self, caller: Caller) -> ResponseStored | None:
        """Return the stored response to the same request; None if there is none.

        Raises `Rejected` idempotency_conflict if the key belongs to another request, `Unavailable` event_damaged where
        the log was changed.
        """
        record = self._log.find_command(_command_id(caller))
        if record is None:
            return None
        if not record.matches(caller.digest):
            raise Rejected(
                "idempotency_conflict",
                "the idempotency key was used with another request",
                hint="Use a new key for each request; repeat a key only with the very same request.",
            )
        (recorded,) = self._log.read_all(record.position - 1, 1)
        if isinstance(recorded.event, Damaged) or recorded.command_id != _command_id(caller):
            raise Unavailable(
                "event_damaged", f"event {recorded.position} is not the response to this request any more"
            )
        return recorded.event if isinstance(recorded.event, ResponseStored) else None  # else it was erased

    async def keep(self, caller: Caller, session_id: str | None, response: ResponseStored) -> None:
        """Store a response before it is sent; `session_id` is its subject. Raises `Unavailable`, as the log."""
        stream = _stream(session_id)
        async with self._locks.hold(stream):
            if session_id is not None and self._views.sessions.get(session_id) is None:
                return
            await self._log.append(
                stream,
                self._log.stream_version(stream),
                [response],
                Cause(caller.actor, correlation_id=caller.request_id),
                command_id=_command_id(caller),
                command_digest=caller.digest,
            )

    async def forget(self, session_id: str) -> None:
        """Erase the responses about an erased session. Idempotent. Raises as `Log.erase`."""
        stream = _stream(session_id)
        async with self._locks.hold(stream):
            await self._log.erase(stream)

    def find_erasure(self, caller: Caller) -> CommandRecord | None:
        """Return the record of the erasure that this request has ordered; None if there is none."""
        key = erasure_key(caller)
        return None if key is None else self._log.find_command(key)


def erasure_key(caller: Caller) -> str | None:
    """Return the command id under which a request erases a session."""
    return None if caller.idempotency_key is None else f"erase:{caller.idempotency_key}"


def _command_id(caller: Caller) -> str:
    return f"answer:{caller.idempotency_key}"


def _stream(session_id: str | None) -> str:
    return f"answer-{session_id or _NOBODY}"
