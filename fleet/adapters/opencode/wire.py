"""OpenCode's JSON, read tolerantly: unknown fields are ignored, missing ones have a default, unknown part types pass.

Only this module, event_wire.py (events) and offer_wire.py (offers) know OpenCode's field names; they do no I/O.
`client` sends and receives, `events` splits the stream, and fleet/ports has Fleet's own types. The `raw` of a message,
part or request is OpenCode's JSON in canonical order, so that equal values have equal bytes.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeVar, cast

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from fleet.limits import OPENCODE_COST_USD_MAX, OPENCODE_TIME_MS_MAX, OPENCODE_TOKENS_MAX
from fleet.ports import Message, MessageInfo, OpenCodeSession, OpenRequest, Part, Prompt, Tokens, TurnStatus

T = TypeVar("T")

WireError = msgspec.DecodeError
"""Raised for bytes that OpenCode would not send (`msgspec.ValidationError` is a subclass)."""


class _Time(Struct):
    created: float = 0
    updated: float = 0
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


class ErrorShape(Struct):
    """An error in OpenCode's form."""

    name: str = "UnknownError"
    data: Any = None

    @property
    def message(self) -> str:
        """The error's text, empty where there is none."""
        return _member(self.data, "message", str) or ""


def _member(value: object, key: str, kind: type[T]) -> T | None:
    """Return `value[key]` if it exists and is a `kind`, for members of varying shape."""
    found = cast("dict[str, object]", value).get(key) if isinstance(value, dict) else None
    return found if isinstance(found, kind) else None


class _Info(Struct):
    id: str
    role: Literal["user", "assistant"]
    sessionID: str = ""  # noqa: N815 - OpenCode's spelling, here and below
    time: _Time = msgspec.field(default_factory=_Time)
    parentID: str | None = None  # noqa: N815
    finish: str | None = None
    error: ErrorShape | None = None
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


class SessionShape(Struct):
    """A session of the v1 interface, with the fields that Fleet reads."""

    id: str
    directory: str = ""
    title: str = ""
    parentID: str | None = None  # noqa: N815
    time: _Time = msgspec.field(default_factory=_Time)


class _CreatedSession(Struct):
    data: SessionShape


class Status(Struct):
    """`/session/status` of one session, and `session.status`."""

    type: str
    attempt: int = 0
    message: str = ""
    next: float = 0


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
_session = msgspec.json.Decoder(SessionShape)
_sessions = msgspec.json.Decoder(list[SessionShape])
_created_session = msgspec.json.Decoder(_CreatedSession)
_statuses = msgspec.json.Decoder(dict[str, Status])
_health = msgspec.json.Decoder(_Health)
_refusal = msgspec.json.Decoder(_Refusal)
_raws = msgspec.json.Decoder(list[Raw])
_request_id = msgspec.json.Decoder(_RequestId)


def canonical(raw: bytes | Raw) -> bytes:
    """Return the JSON with sorted keys, because OpenCode's events and responses order them differently."""
    return msgspec.json.encode(msgspec.json.decode(raw), order="sorted")


# ------------------------------------------------------------------------------------------------ messages and parts


def message_info(raw: bytes | Raw) -> MessageInfo:
    """Read a message's `info`. Raises `WireError`."""
    info = _info.decode(raw)
    return MessageInfo(
        id=info.id,
        session_id=info.sessionID,
        role=info.role,
        created_ms=_bounded(info.time.created, OPENCODE_TIME_MS_MAX),
        raw=canonical(raw),
        parent_id=info.parentID,
        completed_ms=None if info.time.completed is None else _bounded(info.time.completed, OPENCODE_TIME_MS_MAX),
        finish=info.finish,
        error_name=info.error.name if info.error else None,
        error_message=info.error.message if info.error else None,
        cost_usd=min(max(info.cost or 0.0, 0.0), OPENCODE_COST_USD_MAX),
        tokens=_counts(info.tokens),
    )


def _counts(tokens: _Tokens | None) -> Tokens:
    if tokens is None:
        return Tokens()
    cache = tokens.cache
    figures = (tokens.input, tokens.output, tokens.reasoning, cache.read, cache.write)
    return Tokens(*(_bounded(figure, OPENCODE_TOKENS_MAX) for figure in figures))


def _bounded(figure: float, most: int) -> int:
    """Return a whole number that fits into sums and snapshots: a provider may report any number."""
    return int(min(max(figure, 0), most))


def part(raw: bytes | Raw) -> Part:
    """Read a message part of any type. Raises `WireError`."""
    read = _part.decode(raw)
    return Part(
        id=read.id,
        session_id=read.sessionID,
        message_id=read.messageID,
        type=read.type,
        finished=_finished(read),
        raw=canonical(raw),
        text=read.text if read.type in _TEXTUAL and isinstance(read.text, str) else None,
    )


_TEXTUAL: Final = ("text", "reasoning")


def _finished(read: _Part) -> bool:
    """Return whether a text has its end time (a user's text has no times), or a tool its last status."""
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


def session(body: bytes | Raw) -> OpenCodeSession:
    """Read a session of the v1 interface. Raises `WireError`."""
    return replace(as_session(_session.decode(body)), raw=bytes(body))


def sessions(body: bytes) -> tuple[OpenCodeSession, ...]:
    """Read a list of sessions of the v1 interface. Raises `WireError`."""
    return tuple(as_session(read) for read in _sessions.decode(body))


def created_session_id(body: bytes) -> str:
    """Return the id in the response of `POST /api/session`. Raises `WireError`."""
    return _created_session.decode(body).data.id


def as_session(read: SessionShape) -> OpenCodeSession:
    """Return the session as the port's type."""
    return OpenCodeSession(
        id=read.id,
        directory=read.directory,
        title=read.title,
        parent_id=read.parentID,
        updated_ms=_bounded(read.time.updated, OPENCODE_TIME_MS_MAX),
    )


def statuses(body: bytes) -> Mapping[str, TurnStatus]:
    """Read `/session/status`, without the idle ones. Raises `WireError`."""
    read = {key: turn_status(status) for key, status in _statuses.decode(body).items()}
    return {key: status for key, status in read.items() if status is not None}


def turn_status(status: Status) -> TurnStatus | None:
    """Return the status, None for idle; an unknown status counts as busy."""
    if status.type == "idle":
        return None
    if status.type == "retry":
        return TurnStatus(type="retry", attempt=status.attempt, message=status.message, next_ms=int(status.next))
    return TurnStatus(type="busy")


def requests(kind: Literal["permission", "question"], body: bytes) -> tuple[OpenRequest, ...]:
    """Read `GET /permission` or `GET /question`. Raises `WireError`."""
    return tuple(request(kind, raw) for raw in _raws.decode(body))


def request(kind: Literal["permission", "question"], raw: Raw) -> OpenRequest:
    """Read one permission or question. Raises `WireError`."""
    read = _request_id.decode(raw)
    return OpenRequest(id=read.id, session_id=read.sessionID, kind=kind, raw=canonical(raw))


def version(body: bytes) -> str:
    """Read `/global/health`. Raises `WireError`."""
    return _health.decode(body).version


def refusal(body: bytes) -> str:
    """Return the error text in the body of an error response of any shape, empty where there is none."""
    try:
        read = _refusal.decode(body)
    except WireError:
        return ""
    return _member(read.data, "message", str) or read.message


# ---------------------------------------------------------------------------------------------------------- requests


def prompt_body(prompt: Prompt) -> bytes:
    """Encode a prompt for `prompt_async`: every part has its id, so that sending it again changes nothing.

    Raises `ValueError` unless there is a part id for the text and for each attachment.
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


def command_body(prompt: Prompt) -> bytes:
    """Encode a command with its arguments."""
    body: dict[str, object] = {"messageID": prompt.message_id, "command": prompt.command, "arguments": prompt.text}
    if prompt.agent is not None:
        body["agent"] = prompt.agent
    if prompt.provider_id is not None and prompt.model_id is not None:
        body["model"] = f"{prompt.provider_id}/{prompt.model_id}"
    return msgspec.json.encode(body)
