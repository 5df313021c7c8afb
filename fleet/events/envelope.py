"""The envelope of an event in the log: who, when, where, and the chain of digests."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

_POSITION: Final = re.compile(r"@(\d{1,19})\Z")
ERASED_DIGEST: Final = b"erased"
"""Replaces the digest in the `CommandRecord` of a command whose stream was erased."""


class Erased(msgspec.Struct, frozen=True):
    """Replaces an event whose payload was erased: only its existence, time and type are still known.

    It is never appended. A fold of a stream that begins with it is empty.
    """


class Damaged(Erased, frozen=True):
    """Replaces an event that cannot be read: its record or payload was damaged. A fold does without such a stream."""

    reason: str = ""


def is_erased(event: object) -> bool:
    """Return whether the event was erased; one that is damaged was not."""
    return isinstance(event, Erased) and not isinstance(event, Damaged)


class Cause(msgspec.Struct, frozen=True):
    """The command, request and actor that events come from.

    `causation_id` is the id of the command (or the position, as `@123`, of the event) that led here; `correlation_id`
    is the id of the request or process that it all belongs to; `actor` is `local` (this machine's user),
    `token:<name>`, `session:<id>` (a callback, or a session that needs a process), `instance:<id>` (its process
    reported something or ended), `policy:<name>`, or `system` for consequences of other events, which `causation_id`
    identifies.
    """

    actor: str = "system"
    causation_id: str | None = None
    correlation_id: str | None = None


def position_of(cause: Cause) -> int | None:
    """Return the position of the event that the cause names, None where it names none."""
    found = _POSITION.match(cause.causation_id or "")
    return None if found is None else int(found[1])


OwnCauses = Mapping[int, Cause | int]
"""Causes of single events of an append, by index; an index as value is an earlier event of the same append."""

NO_OWN_CAUSES: Final[OwnCauses] = {}


def caused_by(position: int, cause: Cause) -> Cause:
    """Return the cause that the event at `position` is, for what was done for the same actor and request as it."""
    return Cause(cause.actor, f"@{position}", cause.correlation_id)


def causes_of(first_position: int, count: int, cause: Cause, own_causes: OwnCauses) -> list[Cause]:
    """Return the causes of the `count` events of an append that begins at `first_position`."""
    causes = [cause] * count
    for index, own in sorted(own_causes.items()):
        causes[index] = own if isinstance(own, Cause) else caused_by(first_position + own, causes[own])
    return causes


class Recorded(msgspec.Struct, frozen=True):
    """An event that is on disk.

    `position` is global and gapless, from 1; `version` counts within the stream, from 1. `payload` is the event as JSON
    in UTF-8; `event` is the same, decoded and upcast. `recorded_at_ms` is Unix time.
    For an erased event, `event` is `Erased`, `payload` is `{}`, and `type` is still the original one. `replaced`: the
    event had another payload before (replacements.py).
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
    replaced: bool = False

    @property
    def size_bytes(self) -> int:
        """The size of the payload; in a buffer the event takes some hundred bytes more."""
        return len(self.payload)


class Appended(msgspec.Struct, frozen=True):
    """The result of an append: the stream's `version` and the log position of its last event.

    `repeated`: the command id was already known, nothing was appended, and the numbers are those of the first append.
    """

    position: int
    version: int
    repeated: bool = False


class CommandRecord(msgspec.Struct, frozen=True):
    """The record of an appended command: its stream, its version and position there, and a digest of its content."""

    stream: str
    position: int
    version: int
    digest: bytes

    def matches(self, digest: bytes) -> bool:
        """Return whether a command with this content is a repetition; after an erasure every content matches."""
        return self.digest in (digest, ERASED_DIGEST)


class StateSnapshot(msgspec.Struct, frozen=True):
    """A folded state, encoded in `schema`, with the stream's `version` and `position` up to which it is folded."""

    version: int
    position: int
    schema: str
    state: bytes
