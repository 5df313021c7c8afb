"""The routes for transcripts: messages page by page, turns, sub-agents' conversations, parts.

All of it comes from the log, so that it can be read when OpenCode is gone. A message and its parts have OpenCode's own
shape; attachments.py serves the files that parts hold.
"""

from typing import Any

import msgspec
import trio
from quart import Response

from fleet.actors.fleet import Fleet
from fleet.core.session.state import State as Session
from fleet.errors import Rejected
from fleet.gateway.items.cuts import cut_part, without_diffs
from fleet.gateway.items.states import conversation_item, turn_item
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.responses import json
from fleet.gateway.server.moments import Moment
from fleet.gateway.server.requests import json_response, paged
from fleet.projections.transcripts import MessageView, TranscriptPage, Where
from fleet.wire.transcripts import (
    ConversationItem,
    MessageItem,
    Messages,
    MessagesQuery,
    Pagination,
    TurnItem,
    TurnsQuery,
    WholeQuery,
)

endpoint = Endpoints("/api/sessions/<session_id>", "sessions")


@endpoint("GET /messages", gives=json(Messages, headers=("Fleet-Position",)), refuses=("conversation_not_found",))
async def read_messages(fleet: Fleet, session: Session, query: MessagesQuery, moment: Moment | None) -> Response:
    """Read the transcript, newest page first.

    In each page the oldest comes first; `pagination` has what to give as `before` and `after`. A message and its
    parts have OpenCode's own shape. With `cut` long strings are cut, and the diffs in messages of users left out;
    `GET /api/sessions/{session_id}/parts/{part_id}` has the whole part.
    """
    position = fleet.log.head()
    page = await _page(fleet, session, query, _position(moment))
    messages = [await _message(message, cut=query.cut) for message in page.messages]
    return json_response(
        Messages(messages=messages, pagination=Pagination(before=page.before, after=page.after, total=page.total)),
        position=position,
    )


async def _page(fleet: Fleet, state: Session, query: MessagesQuery, at: int | None) -> TranscriptPage:
    marks = {"before": query.before, "after": query.after, "around": query.around}
    given = [name for name, mark in marks.items() if mark is not None]
    if len(given) > 1:
        raise Rejected("invalid", f"give only one of {', '.join(given)}", field=given[0])
    where = Where(query.limit, query.before, query.after, query.around, query.conversation, at)
    try:
        return await fleet.transcripts.page(fleet.views.sessions.stream(state.id), where)
    except KeyError as error:
        detail = f"the conversation has no message {error.args[0]}"
        raise Rejected("invalid", detail, field=given[0]) from error


async def _message(message: MessageView, *, cut: bool) -> MessageItem:
    if not cut:
        return MessageItem(info=message.info, parts=message.parts)
    parts: list[msgspec.Raw] = []
    for part in message.parts:
        parts.append(cut_part(part))
        await trio.lowlevel.checkpoint()  # other tasks run between two long ones
    return MessageItem(info=without_diffs(message.info), parts=parts)


@endpoint("GET /turns", gives=list[TurnItem])
async def list_turns(fleet: Fleet, session: Session, query: TurnsQuery, moment: Moment | None) -> Response:
    """List the session's turns, oldest first.

    Each has its prompt and who sent it, its cost, its changes and its outcome. `position` and `endPosition` are where
    it begins and ends in the log; other routes take them as `at`.
    """
    position = fleet.log.head()
    turns = await fleet.transcripts.turns(fleet.views.sessions.stream(session.id), _position(moment))
    return paged(turns, query, turn_item, position)


@endpoint("GET /conversations", gives=list[ConversationItem])
async def list_conversations(fleet: Fleet, session: Session, query: WholeQuery) -> Response:
    """List the conversations of a session: its own first, then those of its sub-agents.

    `GET /api/sessions/{session_id}/messages?conversation=ID` reads one.
    """
    position = fleet.log.head()
    found = await fleet.transcripts.conversations(fleet.views.sessions.stream(session.id), _open_parts(fleet, session))
    return paged(found, query, conversation_item, position)


@endpoint("GET /parts/<part_id>", gives=json(dict[str, Any], headers=("Fleet-Position",)), refuses=("part_not_found",))
async def read_part(fleet: Fleet, session: Session, part_id: str) -> Response:
    """Read a whole part of a message, of any conversation of the session.

    In OpenCode's own shape, as it was recorded last; a call of a tool that still runs as it is now.
    """
    position = fleet.log.head()
    part = await fleet.transcripts.part(fleet.views.sessions.stream(session.id), part_id)
    open_part = fleet.inflight.open_part(session.id, part_id)
    if part is None and open_part is not None:
        part = open_part.body
    if part is None:
        raise Rejected("part_not_found", f"session {session.id} has no part {part_id}")
    return json_response(part, position=position)


def _position(moment: Moment | None) -> int | None:
    return None if moment is None else moment.position


def _open_parts(fleet: Fleet, state: Session) -> list[msgspec.Raw]:
    open_parts = fleet.inflight.snapshot(frozenset((state.id,)))[state.id]
    return [part.body for part in open_parts if part.type == "tool" and part.body is not None]
