"""Erases what an erased child had reported to its parent: in the parent's events, its forks, and OpenCode's store.

Each stream orders its own replacements (events/replacements.py), so the chain of the log stays provable. It works while
the child's stream has the texts, and repeats nothing that is done: the next start finds what a crash has left.
"""

from collections.abc import AsyncGenerator, Collection, Iterable, Sequence
from typing import Any, NamedTuple, Protocol, cast

import msgspec
import structlog
import trio

from fleet.actors.context import Context
from fleet.actors.runtime.aggregate import Deliver
from fleet.core.session.activity import head, of_part
from fleet.core.session.commands import EraseCallbacks
from fleet.core.session.events import CallbackOrdered
from fleet.core.session.state import State
from fleet.core.session.turn_events import PartRecorded, PromptAccepted, PromptEdited, TurnStarted, TurnSteered
from fleet.core.session.values import ReplacedPayload, callback_id, erased_callback
from fleet.errors import Problem, Rejected
from fleet.events.envelope import Cause, Recorded
from fleet.limits import CALLBACKS_ERASED_AT_ONCE, FEED_PAGE_BYTES, FEED_PAGE_EVENTS

_OfPrompt = PromptAccepted | PromptEdited | TurnStarted | TurnSteered

_log = structlog.get_logger(__name__)


class _Texts:
    """The texts of a child's callbacks, as they were ordered and as they were found; and how lists show them.

    `lines` are the last lines of messages that quote one, before and after.
    """

    def __init__(self, child_id: str, ordered: Iterable[str]) -> None:
        self.child_id = child_id
        self.ordered = tuple(ordered)
        self.heads = tuple(map(head, self.ordered))
        self.found: dict[str, None] = {}
        self.lines: dict[str, str] = {}

    @property
    def mark(self) -> str:
        """The text that replaces them."""
        return erased_callback(self.child_id)

    def without(self, value: Any) -> Any:
        """Return a JSON value without them, also where it is JSON in a string; the value itself if it has none."""
        if isinstance(value, str):
            return self._without(value)
        if isinstance(value, list):
            return [self.without(each) for each in cast("list[object]", value)]
        if isinstance(value, dict):
            members = cast("dict[str, object]", value)
            return {name: self.without(member) for name, member in members.items()}
        return value

    def _without(self, text: str) -> str:
        if text[:1] in ("{", "["):
            try:
                document = msgspec.json.decode(text)
            except msgspec.DecodeError:
                pass
            else:
                cleared = self.without(document)
                return text if cleared == document else msgspec.json.encode(cleared).decode()
        if text.startswith(self.ordered):  # the details follow: files, and the last message
            self.found[text] = None
            return self.mark
        if text.startswith(self.heads):
            return self.mark
        for each in (*self.found, *self.ordered):
            text = text.replace(each, self.mark)
        return self.lines.get(text, text)


class _Page(NamedTuple):
    """The events of one stream that have such a text, up to a position.

    `in_opencode` are the parts, by id, `conversation` is OpenCode's id of the session.
    """

    conversation: str
    replaced: list[ReplacedPayload]
    prompts: list[str]
    parts: list[str]
    in_opencode: dict[str, PartRecorded]


class Cache(Protocol):
    """Cached data about a stream, which can be computed again."""

    def forget(self, stream: str) -> None:
        """Discard the data of a stream with erased events."""
        ...


class CallbackErasure:
    """Erases the callbacks of sessions. `caches` have what was computed from their events."""

    def __init__(self, context: Context, caches: Sequence[Cache]) -> None:
        self._context = context
        self._caches = caches

    async def erase(self, child: State, stream: str, cause: Cause) -> list[str]:
        """Erase what the child in this stream has reported, because its erasure was ordered (`cause`).

        Returns what stays outside of Fleet, a sentence each.
        """
        parent_id = child.settings.parent_id
        texts = None if parent_id is None else await self._texts(child.id, stream)
        if parent_id is None or texts is None:
            return []
        left: list[str] = []
        for session_id in (*self._forks(parent_id), parent_id):
            reason = await self._erase_in(session_id, texts, cause)
            if reason is not None:
                left.append(f"OpenCode still has its callbacks in the conversation of session {session_id}: {reason}")
        return left

    async def _texts(self, child_id: str, stream: str) -> _Texts | None:
        """Return the texts of the callbacks that the child has ordered, None if it has ordered none."""
        found: dict[str, None] = {}
        for read, (_, _, event) in enumerate(self._context.log.replay(stream), 1):
            if isinstance(event, CallbackOrdered):
                found[event.text] = None
            if read % FEED_PAGE_EVENTS == 0:
                await trio.lowlevel.checkpoint()
        return _Texts(child_id, found) if found else None

    def _forks(self, parent_id: str) -> list[str]:
        """Return the forks of the parent, and theirs: they have copies of its messages.

        A fork of an erased session may be one of them.
        """
        sessions, found = self._context.views.sessions, {parent_id}
        forks = {state.id: state.settings.origin.session_id for state in sessions if state.settings.origin is not None}
        for _ in forks:
            more = {each for each, origin in forks.items() if origin in found or sessions.get(origin) is None} - found
            if not more:
                break
            found |= more
        return sorted(found - {parent_id})

    async def _erase_in(self, session_id: str, texts: _Texts, cause: Cause) -> str | None:
        """Erase the texts in a session; return why OpenCode still has some of them."""
        left: str | None = None
        for stream in (f"session-{session_id}", f"answer-{session_id}"):
            async for page in self._pages(stream, texts):
                left = await self._replace_in_opencode(session_id, page.in_opencode.values()) or left
                command = EraseCallbacks(
                    child_id=texts.child_id,
                    replaced=tuple(page.replaced),
                    prompts=tuple(page.prompts),
                    parts=tuple(page.parts),
                    heads=texts.heads,
                    lines=dict(texts.lines),
                    at_ms=self._context.clock.now_ms(),
                )
                try:
                    await self._context.actors.sessions.ask(session_id, Deliver(command, cause))
                except Rejected as rejected:  # it was erased meanwhile
                    _log.info("callbacks_not_erased", session=session_id, code=rejected.code)
                    return left
                for cache in self._caches:
                    cache.forget(f"session-{session_id}")
        return left

    async def _pages(self, stream: str, texts: _Texts) -> AsyncGenerator[_Page]:
        """Yield what is to be replaced in the stream, also in events that come meanwhile."""
        log, position, page = self._context.log, 0, self._page(stream)
        prefix = callback_id(texts.child_id, 0)[:-1]
        everything, known = stream.startswith("answer-"), set[str]()
        while events := log.read_stream(stream, position, FEED_PAGE_EVENTS, FEED_PAGE_BYTES):
            for recorded in events:
                position = recorded.position
                is_known = isinstance(recorded.event, PartRecorded) and recorded.event.part_id in known
                if everything or is_known or texts.child_id.encode() in recorded.payload:
                    _add(page, recorded, prefix, texts, is_known=is_known)
                    known.update(page.parts)
                if len(page.replaced) >= CALLBACKS_ERASED_AT_ONCE:
                    yield page
                    page = self._page(stream)
            await trio.lowlevel.checkpoint()
            if len(events) < FEED_PAGE_EVENTS and page.replaced:
                yield page
                page = self._page(stream)

    def _page(self, stream: str) -> _Page:
        state = self._context.views.sessions.get(stream.removeprefix("session-"))
        return _Page("" if state is None else state.opencode.session_id, [], [], [], {})

    async def _replace_in_opencode(self, session_id: str, parts: Collection[PartRecorded]) -> str | None:
        """Replace these parts in OpenCode's store; return why some of them stay."""
        if not parts:
            return None
        state = self._context.views.sessions.get(session_id)
        host = None if state is None else self._context.host_of(state.workspace_id)
        reason = "no OpenCode process runs"
        for instance in self._context.views.instances.alive():
            if host is None or instance.host != host.name:
                continue
            try:
                client = await self._context.connections.get(instance.id)
                for part in parts:
                    await client.replace_part(part.opencode_id, part.message_id, part.part_id, bytes(part.body))
            except Problem as problem:
                reason = problem.detail
            else:
                return None
        return reason


def _add(page: _Page, recorded: Recorded, prefix: str, texts: _Texts, *, is_known: bool) -> None:
    """Add an event to the page if it has such a text; remember the ids of callbacks and of their parts.

    `is_known`: it is such a part, although a person may have edited its text.
    """
    event, payload = recorded.event, msgspec.json.decode(recorded.payload)
    cleared = texts.without(payload)
    if isinstance(event, _OfPrompt) and event.prompt_id.startswith(prefix):
        page.prompts.append(event.prompt_id)
        if isinstance(event, TurnStarted | TurnSteered):
            page.parts.extend(event.part_ids)
            page.in_opencode.update(
                (each, _in_flight(event, each, texts.mark, page.conversation)) for each in event.part_ids[:1]
            )
        else:
            cleared = {**payload, "text": texts.mark}  # a person may have edited it
    if is_known:
        cleared = {**payload, "body": {**payload["body"], "text": texts.mark}}
    if cleared == payload:
        return
    replaced = msgspec.Raw(msgspec.json.encode(cleared))
    page.replaced.append(ReplacedPayload(recorded.position, replaced))
    if isinstance(event, PartRecorded):
        page.parts.append(event.part_id)
        body = msgspec.Raw(msgspec.json.encode(cleared["body"]))
        before, after = (of_part(each, recorded.recorded_at_ms) for each in (event.body, body))
        if before is not None and after is not None:
            texts.lines[before.text] = after.text
        page.in_opencode[event.part_id] = msgspec.structs.replace(event, body=body)


def _in_flight(event: TurnStarted | TurnSteered, part_id: str, text: str, conversation: str) -> PartRecorded:
    """Return the text part of a prompt as it is to be in OpenCode: the log may not have it yet."""
    ids = {"id": part_id, "messageID": event.message_id, "sessionID": conversation}
    return PartRecorded(
        part_id=part_id,
        message_id=event.message_id,
        type="text",
        body=msgspec.Raw(msgspec.json.encode({**ids, "type": "text", "text": text})),
        opencode_id=conversation,
        at_ms=event.at_ms,
    )
