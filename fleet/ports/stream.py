"""The events of OpenCode's event stream (`GET /global/event`)."""

import msgspec

from fleet.ports.transcript import MessageInfo, OpenRequest, Part, TurnStatus


class StreamOpened(msgspec.Struct, frozen=True):
    """The event stream is (again) connected: events before this one may have been missed."""


class StreamLost(msgspec.Struct, frozen=True):
    """The event stream broke or is silent; this does not prove that the process is dead."""

    reason: str


class MessageChanged(msgspec.Struct, frozen=True):
    """`message.updated`."""

    session_id: str
    info: MessageInfo


class PartChanged(msgspec.Struct, frozen=True):
    """`message.part.updated`."""

    session_id: str
    part: Part


class PartDelta(msgspec.Struct, frozen=True):
    """`message.part.delta`: text to be appended to the part's `field`."""

    session_id: str
    message_id: str
    part_id: str
    field: str
    delta: str


class StatusChanged(msgspec.Struct, frozen=True):
    """`session.status`; None is idle."""

    session_id: str
    status: TurnStatus | None


class TurnErrored(msgspec.Struct, frozen=True):
    """`session.error`. Not always final, not always about a session."""

    session_id: str | None
    name: str
    message: str


class RequestOpened(msgspec.Struct, frozen=True):
    """`permission.asked` or `question.asked`."""

    session_id: str
    request: OpenRequest


class RequestClosed(msgspec.Struct, frozen=True):
    """`permission.replied`, `question.replied` or `question.rejected`."""

    session_id: str
    request_id: str


class SessionChanged(msgspec.Struct, frozen=True):
    """`session.created`, `session.updated` or `session.deleted`."""

    session_id: str
    parent_id: str | None
    deleted: bool


OpenCodeEvent = (
    StreamOpened
    | StreamLost
    | MessageChanged
    | PartChanged
    | PartDelta
    | StatusChanged
    | TurnErrored
    | RequestOpened
    | RequestClosed
    | SessionChanged
)
