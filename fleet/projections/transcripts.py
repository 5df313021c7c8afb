"""The transcript of a session: its messages and parts in OpenCode's newest version, its turns and conversations.

It is folded from the session's stream on request (transcript_fold.py) and kept for the most recently requested sessions
(folds.py). Bodies are OpenCode's own JSON and are passed on unparsed. The same fold returns earlier states.
"""

from collections.abc import Iterable

import msgspec

from fleet.errors import Rejected
from fleet.events.log import Log
from fleet.limits import TRANSCRIPTS_CACHED
from fleet.projections.folds import Folds
from fleet.projections.transcript_fold import Folded, MessageBody, SubAgent, subagent_of
from fleet.projections.turns import Turn


class MessageView(msgspec.Struct):
    """A message as the API shows it."""

    info: msgspec.Raw
    parts: list[msgspec.Raw]


class TranscriptPage(msgspec.Struct, frozen=True):
    """A page of a transcript, oldest first, and the ids to continue from, None at an end."""

    messages: list[MessageView]
    before: str | None
    after: str | None
    total: int


class Where(msgspec.Struct, frozen=True):
    """Selects a page: next to the message `before` or `after`, with `around` in its middle, or else the newest.

    `conversation` is an OpenCode id, None for the session's own; `at` is the log position at which to read it.
    """

    limit: int
    before: str | None = None
    after: str | None = None
    around: str | None = None
    conversation: str | None = None
    at: int | None = None

    def bounds(self, ids: list[str]) -> tuple[int, int]:
        """Return the range of the page in `ids`. Raises KeyError for a message that is not among them."""
        if self.before is not None:
            end = _index(ids, self.before)
            return max(0, end - self.limit), end
        if self.after is not None:
            start = _index(ids, self.after) + 1
            return start, min(len(ids), start + self.limit)
        end = len(ids)
        if self.around is not None:
            end = min(end, max(0, _index(ids, self.around) - self.limit // 2) + self.limit)
        return max(0, end - self.limit), end


class ConversationView(msgspec.Struct, frozen=True):
    """A conversation of a session: its own, or a sub-agent's."""

    id: str
    subagent: SubAgent | None
    messages: int
    created_ms: int | None


class TranscriptTodo(msgspec.Struct, frozen=True):
    """An entry of the agent's to-do list, as in OpenCode."""

    content: str
    status: str = "pending"
    priority: str | None = None


class _Input(msgspec.Struct, frozen=True):
    todos: list[TranscriptTodo] = []


class _ToolState(msgspec.Struct, frozen=True):
    status: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _ToolPart(msgspec.Struct, frozen=True):
    tool: str = ""
    state: _ToolState = _ToolState()


class Transcripts:
    """Transcripts by session."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._folds = Folds(log, Folded, TRANSCRIPTS_CACHED)

    async def page(self, stream: str, where: Where) -> TranscriptPage:
        """Return a page of messages. Raises KeyError for an unknown message id, `Rejected` conversation_not_found."""
        folded = await self._folds.of(stream)
        conversation = folded.own(where.at) if where.conversation is None else where.conversation
        if where.conversation is not None and where.conversation not in folded.conversations():
            raise Rejected("conversation_not_found", f"the session has no conversation {where.conversation}")
        ids = folded.ids(conversation, where.at)
        start, end = where.bounds(ids)
        return TranscriptPage(
            [self._message(folded, message_id, where.at) for message_id in ids[start:end]],
            ids[start] if start > 0 and start < end else None,
            ids[end - 1] if start < end < len(ids) else None,
            len(ids),
        )

    async def turns(self, stream: str, at: int | None = None) -> list[Turn]:
        """Return the session's turns as they were at the log position `at` (None: now), oldest first."""
        return (await self._folds.of(stream)).turns.at(at)

    async def askers(self, stream: str, prompt_ids: Iterable[str]) -> dict[str, str]:
        """Return the actor of each of these prompts."""
        turns = (await self._folds.of(stream)).turns
        return {each: turns.asked(each).actor for each in prompt_ids}

    async def conversations(self, stream: str, open_parts: Iterable[msgspec.Raw] = ()) -> list[ConversationView]:
        """Return the session's own conversation and those of its sub-agents.

        `open_parts` are running tool calls, whose sub-agents are not recorded yet.
        """
        folded = await self._folds.of(stream)
        running = dict(found for part in open_parts if (found := subagent_of(part)) is not None)
        subagents = running | folded.subagents
        known = dict.fromkeys((*folded.conversations(), *running))
        return [
            ConversationView(each, subagents.get(each), len(folded.ids(each)), folded.created_ms(each))
            for each in known
        ]

    async def part(self, stream: str, part_id: str) -> msgspec.Raw | None:
        """Return a finished part of any conversation, None where there is none with this id."""
        found = (await self._folds.of(stream)).find_part(part_id)
        return None if found is None else found.json

    async def part_with(self, stream: str, attachment_id: str) -> msgspec.Raw | None:
        """Return the finished tool call that holds this attachment, None where there is none."""
        folded = await self._folds.of(stream)
        part_id = folded.attachments.get(attachment_id)
        found = None if part_id is None else folded.find_part(part_id)
        return None if found is None else found.json

    async def todos(self, stream: str, at: int | None = None) -> list[TranscriptTodo]:
        """Return the agent's newest to-do list, or the one at a log position.

        Each write replaces the whole list.
        """
        for body in (await self._folds.of(stream)).todo_parts(at):
            json = self._body(body, at)
            if json is not None and (todos := _todos(json)) is not None:
                return todos
        return []

    def forget(self, stream: str) -> None:
        """Discard the fold of an erased session."""
        self._folds.forget(stream)

    def _message(self, folded: Folded, message_id: str, at: int | None) -> MessageView:
        # Within a message, the ids of OpenCode's parts ascend with time in all of its versions.
        parts = sorted(folded.parts.get(message_id, {}).items())
        bodies = (self._body(part, at) for _, part in parts)
        info = self._body(folded.infos[message_id], at)
        return MessageView(info or msgspec.Raw(b"{}"), [body for body in bodies if body is not None])

    def _body(self, body: MessageBody, at: int | None) -> msgspec.Raw | None:
        position = body.position_at(at)
        if position is None or position == body.position:
            return None if position is None else body.json
        (recorded,) = self._log.read_all(position - 1, 1)
        earlier: msgspec.Raw = recorded.event.body
        return earlier


def _index(ids: list[str], message_id: str) -> int:
    if message_id not in ids:
        raise KeyError(message_id)
    return ids.index(message_id)


def _todos(raw: msgspec.Raw) -> list[TranscriptTodo] | None:
    """Return the list that a part has written, None where it is not a successful call of `todowrite`."""
    try:
        part = msgspec.json.decode(raw, type=_ToolPart)
        if part.tool != "todowrite" or part.state.status != "completed":
            return None
        return msgspec.json.decode(part.state.input, type=_Input).todos
    except msgspec.MsgspecError:
        return None
