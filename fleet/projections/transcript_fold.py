"""Folds one session's events into its transcript: messages, parts, conversations; transcripts.py reads it.

It keeps the newest body of each message and part, and the positions of the earlier bodies, which are read from the log
when an earlier position is requested.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from fleet.core.session.events import ConversationOpened, ResumeRequested, SessionCreated, SessionResumed
from fleet.core.session.turn_events import MessageRecorded, PartRecorded
from fleet.events.envelope import Recorded
from fleet.projections.turns import TurnFold

Key = tuple[int, str]
"""When a message was created, in ms, and its id. A conversation is sorted by it, late messages included."""


class MessageBody(msgspec.Struct):
    """OpenCode's JSON, the position at which it was recorded, and the positions of its earlier versions."""

    json: msgspec.Raw
    position: int
    earlier: tuple[int, ...] = ()

    def replaced(self, json: msgspec.Raw, position: int) -> "MessageBody":
        """Return the next version."""
        return MessageBody(json, position, (*self.earlier, self.position))

    def position_at(self, at: int | None) -> int | None:
        """Return the position of the version that was current at `at` (None: now), None where none existed yet."""
        if at is None or self.position <= at:
            return self.position
        return max((each for each in self.earlier if each <= at), default=None)


class SubAgent(msgspec.Struct, frozen=True):
    """A sub-agent that a call of the tool `task` has started: the conversation with the call, its title and agent."""

    parent_id: str
    title: str | None
    agent: str | None


class _TaskInput(msgspec.Struct, frozen=True):
    description: str | None = None
    subagent_type: str | None = None


class _TaskMetadata(msgspec.Struct, frozen=True):
    sessionId: str | None = None  # noqa: N815 - OpenCode's spelling, here and below


class _Attached(msgspec.Struct, frozen=True):
    id: str = ""


class _ToolState(msgspec.Struct, frozen=True):
    input: _TaskInput = _TaskInput()
    metadata: _TaskMetadata = _TaskMetadata()


class _Task(msgspec.Struct, frozen=True):
    tool: str = ""
    sessionID: str = ""  # noqa: N815
    state: _ToolState = _ToolState()


class _AttachmentsState(msgspec.Struct, frozen=True):
    attachments: list[_Attached] = []


class _WithAttachments(msgspec.Struct, frozen=True):
    state: _AttachmentsState = _AttachmentsState()


_task = msgspec.json.Decoder(_Task)
_with_attachments = msgspec.json.Decoder(_WithAttachments)


def subagent_of(part: bytes | msgspec.Raw) -> tuple[str, SubAgent] | None:
    """Return a sub-agent's session id and the sub-agent if the part is a call of `task` that has started one."""
    try:
        read = _task.decode(part)
    except msgspec.MsgspecError:
        return None
    started = read.state.metadata.sessionId
    if read.tool != "task" or started is None:
        return None
    return started, SubAgent(read.sessionID, read.state.input.description, read.state.input.subagent_type)


class Folded:
    """The transcript of one session up to `position`, and its turns."""

    def __init__(self) -> None:
        self.position = 0
        self._own: list[tuple[int, str]] = []
        self.infos: dict[str, MessageBody] = {}
        self.parts: dict[str, dict[str, MessageBody]] = {}
        self.turns = TurnFold()
        self._todo_parts: dict[str, str] = {}
        self.subagents: dict[str, SubAgent] = {}
        self.attachments: dict[str, str] = {}
        self._keys: dict[str, Key] = {}
        self._order: dict[str, list[Key]] = {}

    def apply(self, recorded: Recorded) -> None:
        """See `Fold`."""
        event: object = recorded.event
        take = _TAKE.get(type(event))
        if take is not None:
            take(self, recorded, event)
        self.turns.apply(recorded)

    def ids(self, conversation: str, at: int | None = None) -> list[str]:
        """Return the messages that a conversation had at a position (None: now), oldest first."""
        ids = [message_id for _, message_id in self._order.get(conversation, ())]
        return ids if at is None else [each for each in ids if self.infos[each].position_at(at) is not None]

    def own(self, at: int | None = None) -> str:
        """Return the OpenCode id of the session's own conversation at a position (None: now)."""
        return next((each for position, each in reversed(self._own) if at is None or position <= at), "")

    def conversations(self) -> list[str]:
        """Return the OpenCode ids of all conversations: the session's own first, then the others by age.

        The others belong to sub-agents, or are former conversations of the session.
        """
        own = self.own()
        known = dict.fromkeys((*self._order, *self.subagents))
        known.pop(own, None)
        others = sorted(known, key=lambda each: self.created_ms(each) or 0)
        return [own, *others] if own else others

    def created_ms(self, conversation: str) -> int | None:
        """Return when its first message was created, None where it has none yet."""
        order = self._order.get(conversation)
        return order[0][0] if order else None

    def todo_parts(self, at: int | None = None) -> Iterator[MessageBody]:
        """Yield the parts of the session's own conversation that may hold the agent's to-do list, newest first.

        Sub-agents have their own lists. `at` is a log position: only messages that existed then.
        """
        own = self._order.get(self.own(at), [])
        found = [(*self._keys[message], part) for part, message in self._todo_parts.items() if message in self._keys]
        for created_ms, message_id, part_id in sorted(found, reverse=True):
            place = bisect_left(own, (created_ms, message_id))
            is_own = place < len(own) and own[place] == (created_ms, message_id)
            if is_own and self.infos[message_id].position_at(at) is not None:
                yield self.parts[message_id][part_id]

    def find_part(self, part_id: str) -> MessageBody | None:
        """Return the part with this id, None where there is none."""
        return next((parts[part_id] for parts in self.parts.values() if part_id in parts), None)

    def _message(self, recorded: Recorded, event: MessageRecorded) -> None:
        known = self.infos.get(event.message_id)
        new = (
            MessageBody(event.body, recorded.position)
            if known is None
            else known.replaced(event.body, recorded.position)
        )
        self.infos[event.message_id] = new
        key = (event.created_ms, event.message_id)
        before = self._keys.get(event.message_id)
        if key != before:
            order = self._order.setdefault(event.opencode_id, [])
            if before is not None:
                del order[bisect_left(order, before)]
            insort(order, key)
            self._keys[event.message_id] = key

    def _part(self, recorded: Recorded, event: PartRecorded) -> None:
        parts = self.parts.setdefault(event.message_id, {})
        known = parts.get(event.part_id)
        parts[event.part_id] = (
            MessageBody(event.body, recorded.position)
            if known is None
            else known.replaced(event.body, recorded.position)
        )
        if event.type == "tool":
            self._tool(recorded.payload, event)

    def _tool(self, payload: bytes, event: PartRecorded) -> None:
        """Index to-do lists, sub-agents and attachments. Searching the bytes first avoids parsing most tool calls."""
        if b'"todowrite"' in payload:
            self._todo_parts[event.part_id] = event.message_id
        if b'"task"' in payload and (started := subagent_of(event.body)) is not None:
            self.subagents.setdefault(*started)
        if b'"attachments"' in payload:
            self.attachments |= dict.fromkeys(_attachments(event.body), event.part_id)

    def _opened(
        self, recorded: Recorded, event: SessionCreated | ConversationOpened | ResumeRequested | SessionResumed
    ) -> None:
        if event.opencode_id is not None and event.opencode_id != self.own():
            self._own.append((recorded.position, event.opencode_id))


def _attachments(part: msgspec.Raw) -> list[str]:
    try:
        return [each.id for each in _with_attachments.decode(part).state.attachments if each.id]
    except msgspec.MsgspecError:
        return []


_TAKE: Final[Mapping[type[Any], Callable[[Folded, Recorded, Any], None]]] = {
    MessageRecorded: Folded._message,
    PartRecorded: Folded._part,
    SessionCreated: Folded._opened,
    ConversationOpened: Folded._opened,
    ResumeRequested: Folded._opened,
    SessionResumed: Folded._opened,
}
