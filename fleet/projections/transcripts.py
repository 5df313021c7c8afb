"""The transcript of a session: its messages and parts in OpenCode's newest version, its turns and conversations.

The index (indexes.py) says where in the log the versions of messages and parts are, so a page costs the same in a
session of any length and at any position. Bodies are OpenCode's own JSON, read from the log and passed on unparsed.
"""

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import msgspec
import trio

from fleet.errors import Rejected
from fleet.events.envelope import Erased, Recorded
from fleet.events.log import Log, undamaged
from fleet.limits import FEED_PAGE_BYTES, FEED_PAGE_EVENTS, RECORDED_MESSAGES_READ, TODO_PARTS_READ
from fleet.ports import RecordedMessage
from fleet.projections.index_store import IndexStore
from fleet.projections.indexes import Indexed, Indexes
from fleet.projections.recorded_parts import SubAgent, subagent_of
from fleet.projections.turns import Turn, Turns


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


class _Identified(msgspec.Struct, frozen=True):
    id: str = ""


class _Found(NamedTuple):
    """A page of the index: its messages, those beside it, and how many there are in all."""

    ids: list[str]
    before: str | None = None
    after: str | None = None
    total: int = 0


class Transcripts:
    """Transcripts by session; without `indexes` they have an index of their own."""

    def __init__(self, log: Log, indexes: Indexes | None = None) -> None:
        self._log = log
        self._indexes = indexes or Indexes(log)
        self._turns = Turns(log, self._indexes)

    async def page(self, stream: str, where: Where) -> TranscriptPage:
        """Return a page of messages. Raises KeyError for an unknown message id, `Rejected` conversation_not_found."""

        def find(found: Indexed) -> tuple[_Found, list[list[tuple[str, int]]]]:
            page = self._find(found, where)
            return page, [found.store.bodies(found.stream, each, where.at) for each in page.ids]

        read = await self._indexes.read(stream, find)
        page, bodies = read or (_Found([]), [])
        messages = await self._messages(bodies)
        if self._log.is_erased(stream):
            page, messages = _Found([]), []
        return TranscriptPage(messages, page.before, page.after, page.total)

    async def recorded(self, stream: str, conversation: str) -> dict[str, RecordedMessage]:
        """Return the messages of a conversation by id, oldest first, each with its finished parts.

        Messages without a record of their own are left out.
        """
        newest_first: list[MessageView] = []
        where = Where(RECORDED_MESSAGES_READ, conversation=conversation)
        while True:
            try:
                page = await self.page(stream, where)
            except Rejected:  # nothing was ever said in it
                return {}
            newest_first += reversed(page.messages)
            if page.before is None:
                break
            where = msgspec.structs.replace(where, before=page.before)
        found: dict[str, RecordedMessage] = {}
        for message in reversed(newest_first):
            message_id = msgspec.json.decode(message.info, type=_Identified).id
            if message_id:
                parts = (bytes(part) for part in message.parts if msgspec.json.decode(part, type=_Identified).id)
                found[message_id] = RecordedMessage(bytes(message.info), tuple(parts))
        return found

    def _find(self, found: Indexed, where: Where) -> _Found:
        index, at = found.store, where.at
        name = self._own(found, at) if where.conversation is None else where.conversation
        conversation = index.conversation(found.stream, name)
        if where.conversation is not None and conversation is None and not self._is_known(found, name):
            raise Rejected("conversation_not_found", f"the session has no conversation {name}")
        if conversation is None:
            if (mark := where.before or where.after or where.around) is not None:
                raise KeyError(mark)
            return _Found([])
        total, limit = index.count(conversation, at)[0], where.limit

        def place(message_id: str) -> tuple[int, str]:
            known = index.place(conversation, message_id, found.stream, at)
            if known is None:
                raise KeyError(message_id)
            return known

        if where.after is not None:
            ids = index.messages_after(conversation, place(where.after), at, limit + 1)
            more, ids = len(ids) > limit, ids[:limit]
            return _Found(ids, ids[0] if ids else None, ids[-1] if more else None, total)
        if where.around is not None:
            ids = self._around(index, conversation, place(where.around), where)
        else:
            ids = index.messages_before(
                conversation, None if where.before is None else place(where.before), at, limit + 1
            )
        later = index.messages_after(conversation, place(ids[-1]), at, 1) if ids else []
        earlier, ids = len(ids) > limit, ids[-limit:]
        return _Found(ids, ids[0] if earlier else None, ids[-1] if later else None, total)

    @staticmethod
    def _around(index: IndexStore, conversation: int, middle: tuple[int, str], where: Where) -> list[str]:
        """Return the page with a message in its middle, and the message before it if there is one."""
        before = index.messages_before(conversation, middle, where.at, where.limit + 1)
        after = [middle[1], *index.messages_after(conversation, middle, where.at, where.limit)]
        start = max(0, len(before) - where.limit // 2)
        end = min(len(before) + len(after), start + where.limit)
        return [*before, *after][max(0, end - where.limit - 1) : end]

    async def turns(self, stream: str, at: int | None = None) -> list[Turn]:
        """Return the session's turns as they were at the log position `at` (None: now), oldest first."""
        return (await self._turns.of(stream)).at(at)

    async def askers(self, stream: str, prompt_ids: Iterable[str]) -> dict[str, str]:
        """Return the actor of each of these prompts."""
        wanted = list(prompt_ids)
        found = await self._indexes.read(
            stream, lambda found: {each: found.store.facts(found.stream, "prompt", each)[:1] for each in wanted}
        )
        positions = [position for known in (found or {}).values() for position in known]
        actors = {recorded.position: recorded.cause.actor for recorded in undamaged(self._log.read_events(positions))}
        return {each: actors[known[0]] if (known := (found or {}).get(each)) else "system" for each in wanted}

    async def conversations(self, stream: str, open_parts: Iterable[msgspec.Raw] = ()) -> list[ConversationView]:
        """Return the session's own conversation and those of its sub-agents.

        `open_parts` are running tool calls, whose sub-agents are not recorded yet.
        """
        running = dict(found for part in open_parts if (found := subagent_of(part)) is not None)
        return await self._indexes.read(stream, lambda found: self._conversations(found, running)) or [
            ConversationView(each, subagent, 0, None) for each, subagent in running.items()
        ]

    def _conversations(self, found: Indexed, running: dict[str, SubAgent]) -> list[ConversationView]:
        index, own = found.store, self._own(found, None)
        recorded = self._subagents(found)
        subagents = running | recorded
        counted = {
            name: (index.count(number, None)[0], index.created_ms(number))
            for number, name in index.conversations(found.stream)
        }
        known = dict.fromkeys((*counted, *recorded))
        known.pop(own, None)
        others = sorted(known, key=lambda each: counted.get(each, (0, None))[1] or 0)
        names = dict.fromkeys((*((own,) if own else ()), *others, *running))
        return [ConversationView(each, subagents.get(each), *counted.get(each, (0, None))) for each in names]

    def _own(self, found: Indexed, at: int | None) -> str:
        """Return the OpenCode id of the session's own conversation at a position."""
        before = (self._log.head() if at is None else at) + 1
        for recorded in undamaged(self._log.read_events(found.store.marks_down(found.stream, "own", before, 1))):
            return str(recorded.event.opencode_id)
        return ""

    def _is_known(self, found: Indexed, name: str) -> bool:
        """Return whether a conversation without messages is the session's own, or a sub-agent's."""
        return name == self._own(found, None) or bool(found.store.facts(found.stream, "agent", name))

    def _subagents(self, found: Indexed) -> dict[str, SubAgent]:
        started = found.store.first_facts(found.stream, "agent")
        parts = undamaged(self._log.read_events(list(started.values())))
        return dict(each for part in parts if (each := subagent_of(part.event.body)) is not None)

    async def part(self, stream: str, part_id: str) -> msgspec.Raw | None:
        """Return a finished part of any conversation, None where there is none with this id."""
        position = await self._indexes.read(stream, lambda found: found.store.part(found.stream, part_id))
        return None if position is None else self._body(undamaged(self._log.read_events([position]))[0])

    async def part_with(self, stream: str, attachment_id: str) -> msgspec.Raw | None:
        """Return the finished tool call that holds this attachment, None where there is none."""
        positions = await self._indexes.read(
            stream, lambda found: found.store.facts(found.stream, "file", attachment_id)
        )
        if not positions:
            return None
        event = undamaged(self._log.read_events(positions[-1:]))[0].event
        return None if isinstance(event, Erased) else await self.part(stream, event.part_id)

    async def todos(self, stream: str, at: int | None = None) -> list[TranscriptTodo]:
        """Return the agent's newest to-do list, or the one at a log position.

        Each write replaces the whole list. Sub-agents have lists of their own.
        """
        before = self._log.head() + 1 if at is None else at + 1
        while True:
            page = await self._indexes.read(stream, partial(self._todo_page, before))
            if not page:
                return []
            positions, newest_first = page
            for position in newest_first:
                json = self._body(undamaged(self._log.read_events([position]))[0])
                if json is not None and (todos := _todos(json)) is not None:
                    return todos
            before = positions[-1]

    def _todo_page(self, before: int, found: Indexed) -> tuple[list[int], list[int]] | None:
        """Return the last positions of parts that may hold a list, and those to look at, newest message first."""
        index, at = found.store, before - 1
        positions = index.marks_down(found.stream, "todo", before, TODO_PARTS_READ)
        conversation = index.conversation(found.stream, self._own(found, at))
        if not positions:
            return None
        newest: list[tuple[int, str, str, int]] = []
        seen: set[str] = set()
        for recorded in undamaged(self._log.read_events(positions)) if conversation is not None else ():
            event = recorded.event
            if isinstance(event, Erased) or event.part_id in seen:
                continue
            seen.add(event.part_id)
            place = index.place(conversation or 0, event.message_id, found.stream, at)
            if place is not None:
                newest.append((*place, event.part_id, recorded.position))
        return positions, [position for *_, position in sorted(newest, reverse=True)]

    def forget(self, stream: str) -> None:
        """Discard what is known of an erased session."""
        self._turns.forget(stream)
        self._indexes.forget(stream)

    async def _messages(self, messages: list[list[tuple[str, int]]]) -> list[MessageView]:
        """Read the bodies of messages, a few at a time."""
        views: list[MessageView] = []
        for bodies in messages:
            bare = bool(bodies) and bodies[0][0] != ""
            found = [msgspec.Raw(b"{}")] if bare else []
            positions = [position for _, position in bodies]
            while positions:
                page = undamaged(self._log.read_events(positions[:FEED_PAGE_EVENTS], FEED_PAGE_BYTES))
                found += [self._body(recorded) or msgspec.Raw(b"{}") for recorded in page]
                del positions[: len(page)]
                await trio.lowlevel.checkpoint()
            views.append(MessageView(found[0], found[1:]))
        return views

    @staticmethod
    def _body(recorded: Recorded) -> msgspec.Raw | None:
        event = recorded.event
        return None if isinstance(event, Erased) else event.body


def _todos(raw: msgspec.Raw) -> list[TranscriptTodo] | None:
    """Return the list that a part has written, None where it is not a successful call of `todowrite`."""
    try:
        part = msgspec.json.decode(raw, type=_ToolPart)
        if part.tool != "todowrite" or part.state.status != "completed":
            return None
        return msgspec.json.decode(part.state.input, type=_Input).todos
    except msgspec.MsgspecError:
        return None
