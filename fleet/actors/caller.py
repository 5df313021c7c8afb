"""The caller of a request, and how an actor takes a command on the caller's behalf."""

from typing import TypeVar

import msgspec

from fleet.actors.runtime.aggregate import Deliver
from fleet.errors import Rejected
from fleet.events.envelope import Cause
from fleet.events.log import Log

Command = TypeVar("Command")


class Caller(msgspec.Struct, frozen=True):
    """Who sends a request, because of what, and its idempotency key; `digest` covers the request."""

    actor: str = "local"
    request_id: str | None = None
    idempotency_key: str | None = None
    digest: bytes = b""
    on_behalf_of: str | None = None

    @property
    def cause(self) -> Cause:
        """The cause that the log records with the commands of the caller."""
        return Cause(self.actor, self.on_behalf_of, self.request_id)

    def deliver(self, command: Command) -> Deliver[Command]:
        """Return the command as an actor takes it, which does the same key once only."""
        return Deliver(command, self.cause, self.idempotency_key, self.digest)

    def created_before(self, log: Log) -> str | None:
        """Return the id of the aggregate that the same request has created before; None if there is none.

        Raises `Rejected` idempotency_conflict if the key belongs to another request.
        """
        record = None if self.idempotency_key is None else log.find_command(self.idempotency_key)
        if record is None:
            return None
        if not record.matches(self.digest):
            raise Rejected("idempotency_conflict", "the idempotency key was used with another request")
        return record.stream.partition("-")[2]
