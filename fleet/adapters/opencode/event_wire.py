"""The JSON of OpenCode's event stream, read as tolerantly as in wire.py. `events` frames and follows the stream."""

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeVar

import msgspec
from msgspec import Raw, Struct

from fleet.adapters.opencode import wire
from fleet.ports import (
    MessageChanged,
    OpenCodeEvent,
    PartChanged,
    PartDelta,
    RequestClosed,
    RequestOpened,
    SessionChanged,
    StatusChanged,
    TurnErrored,
)

T = TypeVar("T")


class _Payload(Struct):
    type: str
    properties: Raw = Raw(b"{}")


class _Envelope(Struct):
    payload: _Payload


class _InfoProperties(Struct):
    info: Raw


class _PartProperties(Struct):
    part: Raw


class _StatusProperties(Struct):
    sessionID: str  # noqa: N815 - OpenCode's spelling, here and below
    status: wire.Status


class _SessionIdProperties(Struct):
    sessionID: str  # noqa: N815


class _ErrorProperties(Struct):
    sessionID: str | None = None  # noqa: N815
    error: wire.ErrorShape | None = None


class _ClosedProperties(Struct):
    sessionID: str  # noqa: N815
    requestID: str | None = None  # noqa: N815
    permissionID: str | None = None  # noqa: N815


class _DeltaProperties(Struct):
    messageID: str  # noqa: N815
    partID: str  # noqa: N815
    field: str
    delta: str
    sessionID: str = ""  # noqa: N815


_envelope = msgspec.json.Decoder(_Envelope)


def _reader(shape: type[T], build: Callable[[T], OpenCodeEvent]) -> Callable[[Raw], OpenCodeEvent]:
    decode = msgspec.json.Decoder(shape).decode
    return lambda raw: build(decode(raw))


def _message_changed(read: _InfoProperties) -> OpenCodeEvent:
    info = wire.message_info(read.info)
    return MessageChanged(info.session_id, info)


def _part_changed(read: _PartProperties) -> OpenCodeEvent:
    changed = wire.part(read.part)
    return PartChanged(changed.session_id, changed)


def _session_changed(deleted: bool) -> Callable[[_InfoProperties], OpenCodeEvent]:
    def build(read: _InfoProperties) -> OpenCodeEvent:
        info = wire.session(read.info)
        return SessionChanged(info.id, info.parent_id, deleted)

    return build


def _turn_errored(read: _ErrorProperties) -> OpenCodeEvent:
    error = read.error or wire.ErrorShape()
    return TurnErrored(read.sessionID, error.name, error.message)


def _request_opened(kind: Literal["permission", "question"]) -> Callable[[Raw], OpenCodeEvent]:
    def read(raw: Raw) -> OpenCodeEvent:
        request = wire.request(kind, raw)
        return RequestOpened(request.session_id, request)

    return read


def _request_closed(read: _ClosedProperties) -> OpenCodeEvent:
    return RequestClosed(read.sessionID, read.requestID or read.permissionID or "")


_READERS: Final[Mapping[str, Callable[[Raw], OpenCodeEvent]]] = {
    "message.part.delta": _reader(
        _DeltaProperties, lambda d: PartDelta(d.sessionID, d.messageID, d.partID, d.field, d.delta)
    ),
    "message.part.updated": _reader(_PartProperties, _part_changed),
    "message.updated": _reader(_InfoProperties, _message_changed),
    "session.status": _reader(_StatusProperties, lambda s: StatusChanged(s.sessionID, wire.turn_status(s.status))),
    "session.idle": _reader(_SessionIdProperties, lambda s: StatusChanged(s.sessionID, None)),
    "session.error": _reader(_ErrorProperties, _turn_errored),
    "session.created": _reader(_InfoProperties, _session_changed(False)),
    "session.updated": _reader(_InfoProperties, _session_changed(False)),
    "session.deleted": _reader(_InfoProperties, _session_changed(True)),
    "permission.asked": _request_opened("permission"),
    "question.asked": _request_opened("question"),
    "permission.replied": _reader(_ClosedProperties, _request_closed),
    "question.replied": _reader(_ClosedProperties, _request_closed),
    "question.rejected": _reader(_ClosedProperties, _request_closed),
}


def event(data: bytes | bytearray | memoryview) -> OpenCodeEvent | str:
    """Read one event of `/global/event`; for a type that Fleet does not use, return the type's name.

    `sync` is such a type: it repeats the event before it under another name. Raises `WireError`.
    """
    payload = _envelope.decode(data).payload
    read = _READERS.get(payload.type)
    return payload.type if read is None else read(payload.properties)
