"""OpenCode's JSON, read tolerantly: unknown fields are ignored, missing ones have a default, unknown part types pass.

The only module that knows how OpenCode spells things; it does no I/O. `client` sends and receives, `events` frames the
stream, and the words Fleet uses are in `fleet/ports.py`. What is read once is not parsed twice: `msgspec.Raw` keeps a
nested value as the bytes it came in, and those bytes are the `raw` of messages, parts and requests.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeVar, cast

import msgspec
from msgspec import Raw, Struct

from fleet.ports import (
    Message,
    MessageChanged,
    MessageInfo,
    OpenCodeEvent,
    OpenCodeSession,
    OpenRequest,
    Part,
    PartChanged,
    PartDelta,
    Prompt,
    RequestClosed,
    RequestOpened,
    SessionChanged,
    StatusChanged,
    Tokens,
    TurnErrored,
    TurnStatus,
)

T = TypeVar("T")

WireError = msgspec.DecodeError
"""What reading raises when the bytes are not what OpenCode sends (`msgspec.ValidationError` is one of these)."""


class _Time(Struct):
    created: float = 0
    completed: float | None = None
    end: float | None = None


class _Cache(Struct):
    read: float = 0
    write: float = 0


class _Tokens(Struct):
    input: float = 0
    output: float = 0
    reasoning: float = 0
    cache: _Cache = msgspec.field(default_factory=_Cache)


class _Error(Struct):
    name: str = "UnknownError"
    data: Any = None

    @property
    def message(self) -> str:
        return _member(self.data, "message", str) or ""


def _member(value: object, key: str, kind: type[T]) -> T | None:
    """Return `value[key]` where that exists and is a `kind`: for members whose shape differs from case to case."""
    found = cast("dict[str, object]", value).get(key) if isinstance(value, dict) else None
    return found if isinstance(found, kind) else None


class _Info(Struct):
    id: str
    role: Literal["user", "assistant"]
    sessionID: str = ""  # noqa: N815 - OpenCode's spelling, here and below
    time: _Time = msgspec.field(default_factory=_Time)
    parentID: str | None = None  # noqa: N815
    finish: str | None = None
    error: _Error | None = None
    cost: float | None = None
    tokens: _Tokens | None = None


class _Part(Struct):
    id: str
    type: str
    sessionID: str = ""  # noqa: N815
    messageID: str = ""  # noqa: N815
    text: Any = None
    time: object = None
    state: object = None


class _Message(Struct):
    info: Raw
    parts: list[Raw] = msgspec.field(default_factory=list[Raw])


class _Session(Struct):
    id: str
    directory: str = ""
    title: str = ""
    parentID: str | None = None  # noqa: N815


class _CreatedSession(Struct):
    data: _Session


class _Status(Struct):
    type: str
    attempt: int = 0
    message: str = ""


class _Health(Struct):
    version: str


class _Refusal(Struct):
    message: str = ""
    data: Any = None


class _RequestId(Struct):
    id: str
    sessionID: str  # noqa: N815


_info = msgspec.json.Decoder(_Info)
_part = msgspec.json.Decoder(_Part)
_message = msgspec.json.Decoder(_Message)
_messages = msgspec.json.Decoder(list[_Message])
_session = msgspec.json.Decoder(_Session)
_created_session = msgspec.json.Decoder(_CreatedSession)
_statuses = msgspec.json.Decoder(dict[str, _Status])
_health = msgspec.json.Decoder(_Health)
_refusal = msgspec.json.Decoder(_Refusal)
_raws = msgspec.json.Decoder(list[Raw])
_request_id = msgspec.json.Decoder(_RequestId)


# ------------------------------------------------------------------------------------------------ messages and parts


def message_info(raw: bytes | Raw) -> MessageInfo:
    """Read a message's `info`. Raises `WireError`."""
    info = _info.decode(raw)
    return MessageInfo(
        id=info.id,
        session_id=info.sessionID,
        role=info.role,
        created_ms=int(info.time.created),
        raw=bytes(raw),
        parent_id=info.parentID,
        completed_ms=None if info.time.completed is None else int(info.time.completed),
        finish=info.finish,
        error_name=info.error.name if info.error else None,
        error_message=info.error.message if info.error else None,
        cost_usd=info.cost or 0.0,
        tokens=_counts(info.tokens),
    )


def _counts(tokens: _Tokens | None) -> Tokens:
    if tokens is None:
        return Tokens()
    cache = tokens.cache
    figures = (tokens.input, tokens.output, tokens.reasoning, cache.read, cache.write)
    return Tokens(*(int(figure) for figure in figures))


def part(raw: bytes | Raw) -> Part:
    """Read a message part of any type. Raises `WireError`."""
    read = _part.decode(raw)
    return Part(
        id=read.id,
        session_id=read.sessionID,
        message_id=read.messageID,
        type=read.type,
        finished=_finished(read),
        raw=bytes(raw),
        text=read.text if read.type in _TEXTUAL and isinstance(read.text, str) else None,
    )


_TEXTUAL: Final = ("text", "reasoning")


def _finished(read: _Part) -> bool:
    """A streamed text ends with its end time (a user's text has no time at all), a tool with its last status."""
    if read.type in _TEXTUAL and read.time is not None:
        return _member(read.time, "end", object) is not None
    if read.type == "tool":
        return _member(read.state, "status", str) in ("completed", "error")
    return True


def message(body: bytes | Raw) -> Message:
    """Read `{info, parts}`. Raises `WireError`."""
    return _assemble(_message.decode(body))


def messages(body: bytes) -> tuple[Message, ...]:
    """Read a list of `{info, parts}`. Raises `WireError`."""
    return tuple(_assemble(read) for read in _messages.decode(body))


def _assemble(read: _Message) -> Message:
    return Message(info=message_info(read.info), parts=tuple(part(raw) for raw in read.parts))


# ----------------------------------------------------------------------------------------- sessions, status, requests


def session(body: bytes) -> OpenCodeSession:
    """Read a session of the v1 interface. Raises `WireError`."""
    return _as_session(_session.decode(body))


def created_session_id(body: bytes) -> str:
    """Return the id in the answer of `POST /api/session`. Raises `WireError`."""
    return _created_session.decode(body).data.id


def _as_session(read: _Session) -> OpenCodeSession:
    return OpenCodeSession(id=read.id, directory=read.directory, title=read.title, parent_id=read.parentID)


def statuses(body: bytes) -> Mapping[str, TurnStatus]:
    """Read `/session/status`, without the idle ones. Raises `WireError`."""
    read = {key: _turn_status(status) for key, status in _statuses.decode(body).items()}
    return {key: status for key, status in read.items() if status is not None}


def _turn_status(status: _Status) -> TurnStatus | None:
    """None is idle; a status that this module does not know is something other than idle, so it is busy."""
    if status.type == "idle":
        return None
    if status.type == "retry":
        return TurnStatus(type="retry", attempt=status.attempt, message=status.message)
    return TurnStatus(type="busy")


def requests(kind: Literal["permission", "question"], body: bytes) -> tuple[OpenRequest, ...]:
    """Read `GET /permission` or `GET /question`. Raises `WireError`."""
    return tuple(_request(kind, raw) for raw in _raws.decode(body))


def _request(kind: Literal["permission", "question"], raw: Raw) -> OpenRequest:
    read = _request_id.decode(raw)
    return OpenRequest(id=read.id, session_id=read.sessionID, kind=kind, raw=bytes(raw))


def version(body: bytes) -> str:
    """Read `/global/health`. Raises `WireError`."""
    return _health.decode(body).version


def refusal(body: bytes) -> str:
    """Return the sentence in the body of an error answer, of whatever shape; empty where there is none."""
    try:
        read = _refusal.decode(body)
    except WireError:
        return ""
    return _member(read.data, "message", str) or read.message


# ------------------------------------------------------------------------------------------------------ what is sent


def prompt_body(prompt: Prompt) -> bytes:
    """Encode a prompt for `prompt_async`: every part carries its id, so that sending it again changes nothing.

    Raises `ValueError` unless there is one part id for the text and one for each attachment.
    """
    files = ({"type": "file", "mime": a.mime, "filename": a.filename, "url": a.url} for a in prompt.attachments)
    contents = ({"type": "text", "text": prompt.text}, *files)
    parts = [{"id": part_id, **content} for part_id, content in zip(prompt.part_ids, contents, strict=True)]
    body: dict[str, object] = {"messageID": prompt.message_id, "parts": parts}
    if prompt.agent is not None:
        body["agent"] = prompt.agent
    if prompt.provider_id is not None and prompt.model_id is not None:
        body["model"] = {"providerID": prompt.provider_id, "modelID": prompt.model_id}
    return msgspec.json.encode(body)


# ------------------------------------------------------------------------------------------------------------ events


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
    sessionID: str  # noqa: N815
    status: _Status


class _SessionIdProperties(Struct):
    sessionID: str  # noqa: N815


class _ErrorProperties(Struct):
    sessionID: str | None = None  # noqa: N815
    error: _Error | None = None


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
    info = message_info(read.info)
    return MessageChanged(info.session_id, info)


def _part_changed(read: _PartProperties) -> OpenCodeEvent:
    changed = part(read.part)
    return PartChanged(changed.session_id, changed)


def _session_changed(deleted: bool) -> Callable[[_InfoProperties], OpenCodeEvent]:
    def build(read: _InfoProperties) -> OpenCodeEvent:
        info = _session.decode(read.info)
        return SessionChanged(info.id, info.parentID, deleted)

    return build


def _turn_errored(read: _ErrorProperties) -> OpenCodeEvent:
    error = read.error or _Error()
    return TurnErrored(read.sessionID, error.name, error.message)


def _request_opened(kind: Literal["permission", "question"]) -> Callable[[Raw], OpenCodeEvent]:
    def read(raw: Raw) -> OpenCodeEvent:
        request = _request(kind, raw)
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
    "session.status": _reader(_StatusProperties, lambda s: StatusChanged(s.sessionID, _turn_status(s.status))),
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
    """Read one event of `/global/event`; of a type that Fleet has no word for, return the type's name.

    `sync` repeats what came before it under another name; it is such a type. Raises `WireError`.
    """
    payload = _envelope.decode(data).payload
    read = _READERS.get(payload.type)
    return payload.type if read is None else read(payload.properties)
