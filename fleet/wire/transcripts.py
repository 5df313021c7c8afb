"""Queries and response bodies of transcripts: messages, turns, conversations."""

from typing import Annotated

import msgspec

from fleet.limits import PAGE_DEFAULT, PART_STRING_CHARS_MAX, SESSION_LIST_MAX
from fleet.wire.bodies import At, InstanceId, Limit, Offset, PageQuery, Query
from fleet.wire.enums import TurnOutcome
from fleet.wire.items import ChangesItem, TokensItem, WireItem

_WholeLimit = Annotated[int, msgspec.Meta(ge=1, le=SESSION_LIST_MAX, description="The maximum number of messages.")]


class MessagesQuery(Query, frozen=True):
    """`GET /api/sessions/{id}/messages`."""

    limit: Limit = PAGE_DEFAULT
    before: Annotated[str | None, msgspec.Meta(description="Messages before the one with this id.")] = None
    after: Annotated[str | None, msgspec.Meta(description="Messages after the one with this id.")] = None
    at: At = None
    instance_id: InstanceId = None
    around: Annotated[str | None, msgspec.Meta(description="The message with this id, and its neighbours.")] = None
    conversation: Annotated[
        str | None, msgspec.Meta(description="OpenCode's id of a sub-agent's session; by default the session's own.")
    ] = None
    cut: Annotated[
        bool,
        msgspec.Meta(
            description=f"Cut strings inside parts at {PART_STRING_CHARS_MAX} characters. What was cut has `truncated`."
        ),
    ] = False


class WholeQuery(PageQuery, frozen=True):
    """A list of a session that is returned as a whole, up to a limit."""

    limit: _WholeLimit = SESSION_LIST_MAX
    offset: Offset = 0
    instance_id: InstanceId = None


class TurnsQuery(WholeQuery, frozen=True):
    """`GET /api/sessions/{id}/turns`."""

    at: At = None


class SteeredItem(WireItem, kw_only=True):
    """A prompt that was sent into a running turn."""

    message_id: str
    prompt: str
    actor: str
    at: str


class TurnItem(WireItem, kw_only=True):
    """A turn of a session: its prompt, who sent it, and its result. `position`: where it began in the log."""

    number: int
    message_id: str
    prompt_id: str
    prompt: str
    actor: str
    started_at: str
    ended_at: str | None
    outcome: TurnOutcome | None
    cost_usd: float
    tokens: TokensItem
    changes: ChangesItem | None
    steered: list[SteeredItem]
    position: int
    end_position: int | None


class ConversationItem(WireItem, kw_only=True):
    """A conversation of a session: its own or a sub-agent's, by OpenCode's id."""

    id: str
    parent_id: str | None
    title: str | None
    agent: str | None
    messages: int
    created_at: str | None


class MessageItem(WireItem, kw_only=True):
    """A message: OpenCode's own `info` and `parts`."""

    info: msgspec.Raw
    parts: list[msgspec.Raw]


class Pagination(WireItem, kw_only=True):
    """Ids to continue with as `before` and `after`; null at an end of the transcript."""

    before: str | None
    after: str | None
    total: int


class Messages(WireItem, kw_only=True):
    """Messages of a transcript, oldest first."""

    messages: list[MessageItem]
    pagination: Pagination
