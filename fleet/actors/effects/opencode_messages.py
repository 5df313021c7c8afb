"""Reads messages from OpenCode's store: of a long history only the necessary part.

A session remembers a limited number of recorded messages (`TRANSCRIPT_KNOWN_MAX`). A recorded message that it no longer
remembers must not be reported again, because its cost would count twice.
"""

from collections.abc import Sequence

from fleet.limits import TRANSCRIPT_TAIL_MESSAGES
from fleet.ports import Message, OpenCode, OpenCodeSession


async def read_tail(client: OpenCode, opencode_id: str, message_id: str) -> Sequence[Message]:
    """Return the messages from `message_id` on; none if that message is not stored."""
    newest = TRANSCRIPT_TAIL_MESSAGES
    while True:
        messages = await client.read_messages(opencode_id, newest)
        ids = [message.info.id for message in messages]
        if message_id in ids:
            return messages[ids.index(message_id) :]
        if len(messages) < newest:
            return ()
        newest *= 4


async def read_since(client: OpenCode, opencode_id: str, since_ms: int) -> tuple[Message, ...]:
    """Return the messages that were created or completed since then."""
    newest = TRANSCRIPT_TAIL_MESSAGES
    while True:
        messages = await client.read_messages(opencode_id, newest)
        if len(messages) < newest or messages[0].info.created_ms < since_ms:
            return tuple(each for each in messages if (each.info.completed_ms or each.info.created_ms) >= since_ms)
        newest *= 4


async def read_subagents(client: OpenCode, opencode_id: str, since_ms: int = 0) -> list[OpenCodeSession]:
    """Return the sessions of all sub-agents that were prompted since then, nested ones included."""
    found: dict[str, OpenCodeSession] = {}
    asking = [opencode_id]
    while asking:
        for child in await client.children(asking.pop()):
            if child.id not in found and (child.updated_ms >= since_ms or not child.updated_ms):
                found[child.id] = child
                asking.append(child.id)
    return list(found.values())
