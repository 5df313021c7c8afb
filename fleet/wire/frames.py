"""The frames of event streams: events of the log, and signals about parts that are not finished."""

from typing import Any, ClassVar

import msgspec

from fleet.wire.enums import Status, TurnActivity


class Event(msgspec.Struct, rename="camel"):
    """An event of the log. `data` is its payload as it was logged, in snake_case; `{}` where it was `erased`.

    `causation_id` is what it followed from: `@` and the position of an event, or what a caller names. `correlation_id`
    is the request that began it.
    """

    position: int
    stream: str
    version: int
    type: str
    at: str
    actor: str
    data: dict[str, Any]
    erased: bool = False
    causation_id: str | None = None
    correlation_id: str | None = None

    @property
    def session_id(self) -> str | None:
        """The session of the event, None for an event of an instance or a workspace."""
        kind, _, name = self.stream.partition("-")
        return name if kind == "session" else None


class InFlightPart(msgspec.Struct, rename="camel"):
    """A part that is not finished: its text so far, or OpenCode's JSON if it is not a text.

    `conversation` is OpenCode's id of the session that it belongs to: the session's own, or a sub-agent's.
    """

    conversation: str
    message_id: str
    part_id: str
    type: str
    text: str | None = None
    body: dict[str, Any] | None = None


class InFlightSession(msgspec.Struct, rename="camel"):
    """The unfinished parts of a session; its status is null if the session is not known any more."""

    session_id: str
    status: Status | None
    parts: list[InFlightPart]


class Snapshot(msgspec.Struct, rename="camel"):
    """All unfinished parts at this moment: the first frame after each (re)connection, and after falling behind."""

    type: ClassVar[str] = "snapshot"

    position: int
    sessions: list[InFlightSession]


class Delta(msgspec.Struct, rename="camel"):
    """Text was appended to a part, in the session's own conversation or in a sub-agent's."""

    type: ClassVar[str] = "delta"

    session_id: str
    conversation: str
    message_id: str
    part_id: str
    field: str
    delta: str


class PartChanged(msgspec.Struct, rename="camel"):
    """A part has begun or grown, in any conversation of the session; `part` is OpenCode's JSON."""

    type: ClassVar[str] = "part"

    session_id: str
    conversation: str
    part: dict[str, Any]


class StatusChanged(msgspec.Struct, rename="camel"):
    """OpenCode's own status of the turn: busy, retry (which `attempt`, and why), idle."""

    type: ClassVar[str] = "status"

    session_id: str
    status: TurnActivity
    attempt: int
    message: str


Signal = Delta | PartChanged | StatusChanged
Frame = Event | Snapshot | Signal
