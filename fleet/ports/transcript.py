"""OpenCode's sessions and messages: the fields that Fleet reads, beside OpenCode's unchanged JSON."""

from operator import add, sub
from typing import Literal

import msgspec
from msgspec.structs import astuple


class Tokens(msgspec.Struct, frozen=True):
    """OpenCode's token counts of one message: `input` excludes cached tokens, `output` excludes reasoning."""

    input: int = 0
    output: int = 0
    reasoning: int = 0
    cache_read: int = 0
    cache_write: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        """Return the sum, count by count."""
        return Tokens(*map(add, astuple(self), astuple(other)))

    def __sub__(self, other: "Tokens") -> "Tokens":
        """Return the difference, count by count."""
        return Tokens(*map(sub, astuple(self), astuple(other)))


class MessageInfo(msgspec.Struct, frozen=True):
    """The fields that Fleet reads of a message's `info`; `raw` is OpenCode's unchanged JSON."""

    id: str
    session_id: str
    role: Literal["user", "assistant"]
    created_ms: int
    raw: bytes
    parent_id: str | None = None
    completed_ms: int | None = None
    finish: str | None = None
    error_name: str | None = None
    error_message: str | None = None
    cost_usd: float = 0.0
    tokens: Tokens = Tokens()


class Part(msgspec.Struct, frozen=True):
    """The fields that Fleet reads of a message part; `raw` is OpenCode's unchanged JSON.

    `finished`: no further change is expected (a text with its end time, a tool completed or failed, a step marker).
    `text` is set for text and reasoning parts.
    """

    id: str
    session_id: str
    message_id: str
    type: str
    finished: bool
    raw: bytes
    text: str | None = None


class Message(msgspec.Struct, frozen=True):
    """A message with its parts, from OpenCode's store."""

    info: MessageInfo
    parts: tuple[Part, ...]


class RecordedMessage(msgspec.Struct, frozen=True):
    """A message and its finished parts as Fleet has recorded them: OpenCode's unchanged JSON."""

    info: bytes
    parts: tuple[bytes, ...] = ()


class OpenCodeSession(msgspec.Struct, frozen=True):
    """A session in OpenCode's store; `updated_ms` is not before its newest prompt, 0 where it is unknown.

    `raw` is OpenCode's unchanged JSON.
    """

    id: str
    directory: str
    title: str
    parent_id: str | None = None
    updated_ms: int = 0
    raw: bytes = b""


class TurnStatus(msgspec.Struct, frozen=True):
    """The `/session/status` of a session that is not idle; `next_ms` is the time of the next call of the model."""

    type: Literal["busy", "retry"]
    attempt: int = 0
    message: str = ""
    next_ms: int = 0


class OpenRequest(msgspec.Struct, frozen=True):
    """A permission request or question that is open; `raw` is OpenCode's JSON."""

    id: str
    session_id: str
    kind: Literal["permission", "question"]
    raw: bytes


class Attachment(msgspec.Struct, frozen=True):
    """A file attached to a prompt; `url` is a `data:` URL."""

    mime: str
    filename: str
    url: str


class Prompt(msgspec.Struct, frozen=True):
    """A prompt as it is sent: with a message id and an id for each part, so that sending it again is harmless.

    With `command` it runs one of OpenCode's commands with `text` as arguments; OpenCode assigns the ids of its parts.
    """

    message_id: str
    part_ids: tuple[str, ...]
    text: str
    attachments: tuple[Attachment, ...] = ()
    agent: str | None = None
    provider_id: str | None = None
    model_id: str | None = None
    command: str | None = None
