"""The envelope of an event in the log: who, when, where, and the chain of digests."""

from typing import Any, Final

import msgspec

ERASED_DIGEST: Final = b"erased"
"""Stands in a `CommandRecord` for the digest of a command whose stream was erased."""


class Erased(msgspec.Struct, frozen=True):
    """Stands for an event whose payload was erased for good: that it was there, when and of which type is all we know.

    No event class of its own: it is never appended. Who folds a stream that begins with it folds nothing.
    """


class Cause(msgspec.Struct, frozen=True):
    """Why events are appended.

    `causation_id` is the id of the command (or the position, as `@123`, of the event) that led here; `correlation_id`
    is the id of the request or process that it all belongs to; `actor` is who: `local` (this machine's user),
    `token:<name>`, `session:<id>` (a callback, or a session that needs a process), `instance:<id>` (what its process
    showed, or that it ended), `policy:<name>`, or `system` for what follows from other events, to which `causation_id`
    leads.
    """

    actor: str = "system"
    causation_id: str | None = None
    correlation_id: str | None = None


class Recorded(msgspec.Struct, frozen=True):
    """An event that is on disk.

    `position` is global and gapless, from 1; `version` counts within the stream, from 1. `payload` is the event as JSON
    in UTF-8; `event` is the same, decoded and upcast. `recorded_at_ms` is Unix time.
    An erased one is `Erased`, its payload `{}`; its `type` says what it was.
    """

    position: int
    stream: str
    version: int
    type: str
    schema: int
    recorded_at_ms: int
    cause: Cause
    payload: bytes
    event: Any
    command_id: str | None = None

    @property
    def size_bytes(self) -> int:
        """The payload's size: what the event takes in a buffer, but for some hundred bytes."""
        return len(self.payload)


class Appended(msgspec.Struct, frozen=True):
    """What an append reached: the stream's `version` and the log position of its last event.

    `repeated`: the command id was known already, nothing was appended, and the numbers are those of the first time.
    """

    position: int
    version: int
    repeated: bool = False


class CommandRecord(msgspec.Struct, frozen=True):
    """What became of a command with an id: the stream it went to, what it reached, and a digest of its content."""

    stream: str
    position: int
    version: int
    digest: bytes

    def matches(self, digest: bytes) -> bool:
        """Return whether a command of this content is the same again, as far as can be told after an erasure."""
        return self.digest in (digest, ERASED_DIGEST)


class StateSnapshot(msgspec.Struct, frozen=True):
    """A folded state: the stream's `version` and `position` it stands at, and the encoded state of that `schema`."""

    version: int
    position: int
    schema: str
    state: bytes
