"""The transcript of a session: its messages with their parts, as OpenCode last had them.

Folded from the session's stream when somebody asks, and kept for the sessions that were asked for last. Bodies are
OpenCode's own JSON and are passed on unparsed. What was erased is not in them, and not in the cache either.
"""

from collections import OrderedDict
from collections.abc import Sequence

import msgspec
import trio

from fleet.core.session.messages import ConversationOpened, MessageRecorded, PartRecorded, SessionCreated
from fleet.events.envelope import Recorded
from fleet.events.log import Log
from fleet.limits import FEED_PAGE_BYTES, FEED_PAGE_EVENTS, TRANSCRIPTS_CACHED


class MessageView(msgspec.Struct):
    """A message as the API shows it."""

    info: msgspec.Raw
    parts: list[msgspec.Raw]


class Page(msgspec.Struct, frozen=True):
    """A stretch of a transcript, oldest first, and the ids to go on from; None where it ends."""

    messages: list[MessageView]
    before: str | None
    after: str | None
    total: int


class Todo(msgspec.Struct, frozen=True):
    """An entry of the agent's list, as OpenCode has it."""

    content: str
    status: str = "pending"
    priority: str | None = None


class _Input(msgspec.Struct, frozen=True):
    todos: list[Todo] = []


class _ToolState(msgspec.Struct, frozen=True):
    status: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _ToolPart(msgspec.Struct, frozen=True):
    tool: str = ""
    state: _ToolState = _ToolState()


class _Folded:
    def __init__(self) -> None:
        self.position = 0
        self.opencode_id = ""
        self.infos: dict[str, msgspec.Raw] = {}
        self.created_ms: dict[str, dict[str, int]] = {}
        self.parts: dict[str, dict[str, msgspec.Raw]] = {}

    def apply(self, events: Sequence[Recorded]) -> None:
        for recorded in events:
            event = recorded.event
            if isinstance(event, MessageRecorded):
                self.infos[event.message_id] = event.body
                self.created_ms.setdefault(event.opencode_id, {})[event.message_id] = event.created_ms
            elif isinstance(event, PartRecorded):
                self.parts.setdefault(event.message_id, {})[event.part_id] = event.body
            elif isinstance(event, SessionCreated | ConversationOpened):
                self.opencode_id = event.opencode_id
            self.position = recorded.position

    def ids(self) -> list[str]:
        """Return the session's own messages, oldest first; those of sub-agents are in conversations of their own.

        One that was missed is recorded late, so the order is that of their creation.
        """
        created_ms = self.created_ms.get(self.opencode_id, {})
        return sorted(created_ms, key=lambda message_id: (created_ms[message_id], message_id))

    def message(self, message_id: str) -> MessageView:
        # OpenCode's ids ascend with time, within one message in all of its versions.
        parts = self.parts.get(message_id, {})
        return MessageView(self.infos[message_id], [parts[part_id] for part_id in sorted(parts)])


class Transcripts:
    """Transcripts by session."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._cache: OrderedDict[str, _Folded] = OrderedDict()

    async def page(self, stream: str, limit: int, before: str | None, after: str | None, at: int | None) -> Page:
        """Return the newest `limit` messages, or those next to the message id `before` or `after`.

        `at` is a log position: the transcript as it was then. Raises KeyError for an unknown message id.
        """
        folded = await (self._folded(stream) if at is None else self._folded_at(stream, at))
        ids = folded.ids()
        if before is not None:
            end = _index(ids, before)
            start = max(0, end - limit)
        elif after is not None:
            start = _index(ids, after) + 1
            end = min(len(ids), start + limit)
        else:
            start, end = max(0, len(ids) - limit), len(ids)
        return Page(
            [folded.message(message_id) for message_id in ids[start:end]],
            ids[start] if start > 0 and start < end else None,
            ids[end - 1] if start < end < len(ids) else None,
            len(ids),
        )

    async def todos(self, stream: str) -> list[Todo]:
        """Return the agent's list as it last wrote it. Each writing replaces the whole list."""
        folded = await self._folded(stream)
        for message_id in reversed(folded.ids()):
            for raw in reversed(folded.message(message_id).parts):
                if b'"todowrite"' in bytes(raw) and (todos := _todos(raw)) is not None:
                    return todos
        return []

    def forget(self, stream: str) -> None:
        """Let go of what is cached of a session that was erased."""
        self._cache.pop(stream, None)

    async def _folded(self, stream: str) -> _Folded:
        if self._log.is_erased(stream):
            self._cache.pop(stream, None)
            return _Folded()
        folded = self._cache.pop(stream, None) or _Folded()
        self._cache[stream] = folded
        while len(self._cache) > TRANSCRIPTS_CACHED:
            self._cache.popitem(last=False)
        await self._fold(folded, stream, self._log.head())
        return _Folded() if self._log.is_erased(stream) else folded

    async def _folded_at(self, stream: str, at: int) -> _Folded:
        folded = _Folded()
        await self._fold(folded, stream, at)
        return _Folded() if self._log.is_erased(stream) else folded

    async def _fold(self, folded: _Folded, stream: str, at: int) -> None:
        """Read on up to the position `at`, in pages with others in between. Two may do so side by side."""
        while page := self._log.read_stream(stream, folded.position, FEED_PAGE_EVENTS, FEED_PAGE_BYTES):
            wanted = [recorded for recorded in page if recorded.position <= at]
            folded.apply(wanted)
            if len(wanted) < len(page):
                return
            await trio.lowlevel.checkpoint()


def _index(ids: list[str], message_id: str) -> int:
    if message_id not in ids:
        raise KeyError(message_id)
    return ids.index(message_id)


def _todos(raw: msgspec.Raw) -> list[Todo] | None:
    """Return the list that a part has written, None where it is no call of `todowrite` that went well."""
    try:
        part = msgspec.json.decode(raw, type=_ToolPart)
        if part.tool != "todowrite" or part.state.status != "completed":
            return None
        return msgspec.json.decode(part.state.input, type=_Input).todos
    except msgspec.MsgspecError:
        return None
