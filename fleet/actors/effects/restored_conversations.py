"""Restores a conversation in the OpenCode of another host, under the same ids, from what the log has recorded.

The record has all messages, and all parts that were finished and seen before the host was lost. It has no part that
was not finished then. Sub-agents' own conversations are not restored: they are over, and stay readable in Fleet.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from fleet.actors.context import Context
from fleet.core.session.effects import OpenConversation
from fleet.core.session.values import ForkPoint
from fleet.errors import Problem
from fleet.ports import Message, MessageInfo, OpenCode, Part, RecordedMessage
from fleet.projections.transcripts import Transcripts


class RestoredConversations:
    """The restores of all sessions."""

    def __init__(self, context: Context, transcripts: Transcripts) -> None:
        self._context = context
        self._transcripts = transcripts

    async def of_origin(self, origin: ForkPoint, instance_id: str) -> tuple[Message, ...] | None:
        """Return the recorded messages of a fork's origin; None if the host of the fork's process has them itself.

        Raises `Problem` session_gone if the log has no record of the origin.
        """
        session, here = self._context.views.sessions.get(origin.session_id), self._context.host_of_instance(instance_id)
        opened_by = None if session is None else session.opencode.opened_by
        if session is not None and (opened_by is None or self._context.host_of_instance(opened_by).name == here.name):
            return None
        stream = self._context.views.sessions.stream(origin.session_id)
        recorded = {} if session is None else await self._transcripts.recorded(stream, origin.opencode_id)
        if not recorded:
            raise Problem("session_gone", f"the log has no messages of {origin.opencode_id}, which is forked")
        return tuple(_message(origin.opencode_id, each) for each in recorded.values())

    def is_due(self, effect: OpenConversation) -> bool:
        """Return whether the conversation was opened last on another host than that of the present process."""
        if not effect.exists or effect.opened_by is None:
            return False
        before, now = (self._context.host_of_instance(each) for each in (effect.opened_by, effect.instance_id))
        return before.name != now.name

    async def restore(self, session_id: str, effect: OpenConversation, client: OpenCode) -> str:
        """Add what OpenCode's store lacks, creating the session if necessary, and return the session's id there.

        Idempotent. Raises `Problem` opencode_refused.
        """
        stream = self._context.views.sessions.stream(session_id)
        recorded = await self._transcripts.recorded(stream, effect.opencode_id)
        session = await client.read_session(effect.opencode_id)
        there = {} if session is None else await _parts_of(client, session.id)
        if session is None or not there:  # an earlier attempt may have created it, and nothing else
            opencode_id = session.id if session else await client.create_session(effect.opencode_id, effect.directory)
            session = await client.name_session(opencode_id, effect.title)
            await client.add_messages(tuple(recorded.values()), session)
            there = await _parts_of(client, session.id)
        missing = {each: message for each, message in recorded.items() if not _has(there, each, message)}
        if missing:
            host = self._context.host_of_instance(effect.instance_id).opencode
            await host.restore_messages(tuple(missing.values()), session)
            there = await _parts_of(client, session.id)
        lacking = sum(message_id not in there for message_id in missing)
        if lacking:
            said = f"OpenCode imported {len(missing) - lacking} of the {len(missing)} messages of the session"
            raise Problem("opencode_refused", said)
        return session.id


class _MessageHead(msgspec.Struct, frozen=True):
    id: str
    role: Literal["user", "assistant"]


class _PartHead(msgspec.Struct, frozen=True):
    id: str
    type: str = ""


async def _parts_of(client: OpenCode, opencode_id: str) -> dict[str, frozenset[str]]:
    """Return the ids of the messages of a session in OpenCode's store, each with those of its parts."""
    messages = await client.read_messages(opencode_id)
    return {message.info.id: frozenset(part.id for part in message.parts) for message in messages}


def _has(there: Mapping[str, frozenset[str]], message_id: str, message: RecordedMessage) -> bool:
    """Return whether a message is there with all of its parts."""
    parts = {msgspec.json.decode(raw, type=_PartHead).id for raw in message.parts}
    return message_id in there and parts <= there[message_id]


def _message(opencode_id: str, recorded: RecordedMessage) -> Message:
    """Return what a copy needs of a message."""
    info = msgspec.json.decode(recorded.info, type=_MessageHead)
    parts = ((msgspec.json.decode(raw, type=_PartHead), raw) for raw in recorded.parts)
    return Message(
        MessageInfo(info.id, opencode_id, info.role, 0, recorded.info),
        tuple(Part(part.id, opencode_id, info.id, part.type, True, raw) for part, raw in parts),
    )
