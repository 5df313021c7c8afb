"""Sorts the live events of all OpenCode instances by session.

An instance's actor hands in each event as it comes. Facts (finished parts, messages, requests) go to the session's
actor. Text that grows goes to the in-flight view. Signs that a turn may be over wake the effect that follows it. The
events of a sub-agent belong to the session that started it, with one exception: an idle sub-agent does not end the
turn. Nothing here is needed after a crash: every fact is read again from OpenCode's store (law 6).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog
import trio

from fleet.actors.context import Context
from fleet.actors.runtime.aggregate import Deliver
from fleet.core.session.commands import SessionCommand
from fleet.core.session.report_commands import ReportRequestClosed, ReportRequestOpened, ReportTranscript
from fleet.core.writing_tools import writing_tool
from fleet.errors import Unavailable
from fleet.events.envelope import Cause
from fleet.limits import SUBAGENTS_REMEMBERED_MAX
from fleet.ports import (
    Message,
    MessageChanged,
    MessageInfo,
    OpenCode,
    OpenCodeEvent,
    OpenCodeSession,
    PartChanged,
    PartDelta,
    RequestClosed,
    RequestOpened,
    SessionChanged,
    StatusChanged,
    TurnErrored,
    TurnStatus,
)

_log = structlog.get_logger(__name__)


class EndedCall(NamedTuple):
    """A tool call that has ended and may have written."""

    part_id: str
    tool: str


class LiveSession:
    """The signs of activity of one session. Times are trio's, in seconds."""

    def __init__(self) -> None:
        self.infos: dict[str, MessageInfo] = {}
        self.gaps = 1  # how often events may have been missed; starts at 1 because of the restart of Fleet
        self.gaps_filled = 0
        self.cause = Cause()  # why its turn runs
        self.unrecorded: str | None = None  # the prompt of an aborted turn whose messages a full disk refused
        self.next_turn: int | None = None  # it had not begun when this was set, so its prompt was not sent
        self._naming = trio.Lock()
        self._is_named = False
        self._called = trio.Event()
        self.begin()

    def begin(self) -> None:
        """Discard the signs of the previous turn: a new one begins."""
        self.infos.clear()
        self.error: tuple[str, str] | None = None
        self.retrying_since_s: dict[str, float] = {}  # by OpenCode's session: the turn's own, and those of sub-agents
        self.retry: TurnStatus | None = None  # the newest status with the reason
        self.active_s = trio.current_time()
        self._sign = trio.Event()
        self._call: EndedCall | None = None

    async def name(self, opencode_id: str, title: str, client: OpenCode) -> None:
        """Give OpenCode's session its title, unless this has succeeded before. Raises `Problem`."""
        async with self._naming:
            if not self._is_named:
                await client.name_session(opencode_id, title)
                self._is_named = True

    def wake(self) -> None:
        """Wake the effect that follows the turn: the turn may have ended."""
        self._sign.set()

    async def wait_for_activity(self, timeout_s: float) -> None:
        """Wait for a sign, at most `timeout_s` seconds."""
        with trio.move_on_after(timeout_s):
            await self._sign.wait()
        self._sign = trio.Event()

    def note_call(self, call: "EndedCall") -> None:
        """Note that a call has ended that may have written. It replaces an earlier one."""
        self._call = call
        self._called.set()

    async def wait_for_call(self) -> None:
        """Wait for a call that `take_call` has not returned yet."""
        while self._call is None:
            self._called = trio.Event()
            await self._called.wait()

    def take_call(self) -> "EndedCall | None":
        """Return the newest call since the last time."""
        call, self._call = self._call, None
        return call

    def unknown_steps(self) -> int:
        """Return how many steps of the turn ended with an unknown reason."""
        return sum(info.finish == "unknown" for info in self.infos.values())


class LiveEvents:
    """The live sessions of all working sessions, by Fleet's session id."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._by_session: dict[str, LiveSession] = {}
        self._parents: dict[str, str] = {}

    def of(self, session_id: str) -> LiveSession:
        """Return what is known live of a session."""
        found = self._by_session.get(session_id)
        if found is None:
            found = self._by_session[session_id] = LiveSession()
        return found

    def forget(self, session_id: str) -> None:
        """Discard what is known live of a session that has ended."""
        self._by_session.pop(session_id, None)

    def dispatch(self, event: OpenCodeEvent) -> None:
        """Process one event of an instance's stream."""
        if isinstance(event, SessionChanged):
            self._remember_parent(event)
        opencode_id = getattr(event, "session_id", None)
        take = _TAKE.get(type(event))
        if opencode_id is None or take is None:
            return
        root = self._root(opencode_id)
        session = self._context.views.sessions.find(root)
        if session is not None:
            live = self.of(session.id)
            live.active_s = trio.current_time()
            take(self, live, session.id, event, opencode_id == session.opencode.session_id)

    def wake_all(self, session_ids: list[str]) -> None:
        """Wake the effects that follow turns: events may have been missed."""
        for session_id in session_ids:
            self.of(session_id).gaps += 1
            self.of(session_id).wake()

    def look(self, session_id: str, root: str, statuses: Mapping[str, TurnStatus], asked_s: float) -> None:
        """Update which of OpenCode's sessions retry the model, from statuses that were requested at `asked_s`."""
        live = self.of(session_id)
        if live.active_s > asked_s:
            return  # an event may be newer than the response
        retrying = [each for each, status in statuses.items() if status.type == "retry" and self._root(each) == root]
        possible = statuses if live.gaps_filled == live.gaps else retrying
        since_s = live.retrying_since_s
        known = {each: since_s[each] for each in since_s if each in possible}
        live.retrying_since_s = dict.fromkeys(retrying, asked_s) | known
        live.retry = next((statuses[each] for each in retrying), live.retry)

    def catch_up(
        self, session_id: str, messages: Sequence[Message], subagents: Sequence[OpenCodeSession], process_since_ms: int
    ) -> ReportTranscript:
        """Add the turn's `messages` and `subagents` from the store, and return those that the log may not have.

        The messages are the session's own and those of sub-agents. Events take precedence over the store, which may
        have been read earlier. The store still shows tools of earlier processes, before `process_since_ms`, as running.
        """
        infos = self.of(session_id).infos
        state = self._context.views.sessions.get(session_id)
        recorded = {} if state is None else state.digest_by_id
        for subagent in subagents:
            self._remember_parent(SessionChanged(subagent.id, subagent.parent_id, deleted=False))
        for message in messages:
            known = infos.get(message.info.id)
            if known is None or not _is_over(known):
                infos[message.info.id] = message.info if known is None or _is_over(message.info) else known
            for part in message.parts if message.info.created_ms >= process_since_ms else ():
                running = part.type == "tool" and not part.finished  # a text is stored when it ends
                if running and part.id not in recorded:
                    self._context.inflight.part(session_id, part)
        newest = tuple(Message(infos[message.info.id], message.parts) for message in messages)
        return ReportTranscript(messages=newest, at_ms=self._context.clock.now_ms())

    # ------------------------------------------------------------------------------------- sub-agents and their parents

    def _remember_parent(self, event: SessionChanged) -> None:
        if event.deleted:
            self._parents.pop(event.session_id, None)
        elif event.parent_id is not None:
            self._parents[event.session_id] = event.parent_id
            while len(self._parents) > SUBAGENTS_REMEMBERED_MAX:
                del self._parents[next(iter(self._parents))]

    def _root(self, opencode_id: str) -> str:
        seen = {opencode_id}
        while (parent := self._parents.get(opencode_id)) is not None and parent not in seen:
            seen.add(parent)
            opencode_id = parent
        return opencode_id

    # ----------------------------------------------------------------------------------------------------- the events

    def _message(self, live: LiveSession, session_id: str, event: MessageChanged, _: bool) -> None:
        info = event.info
        if info.id not in live.infos or info.role == "user" or _is_over(info):
            live.infos[info.id] = info
            self._tell(session_id, ReportTranscript(messages=(Message(info, ()),), at_ms=self._context.clock.now_ms()))

    def _part(self, live: LiveSession, session_id: str, event: PartChanged, _: bool) -> None:
        live.retrying_since_s.pop(event.session_id, None)  # the model answers
        info = live.infos.get(event.part.message_id)
        if event.part.finished and info is not None:
            message = Message(info, (event.part,))
            self._tell(session_id, ReportTranscript(messages=(message,), at_ms=self._context.clock.now_ms()))
            if (tool := writing_tool(event.part)) is not None:
                live.note_call(EndedCall(event.part.id, tool))
        elif not event.part.finished:
            self._context.inflight.part(session_id, event.part)

    def _delta(self, live: LiveSession, session_id: str, event: PartDelta, _: bool) -> None:
        live.retrying_since_s.pop(event.session_id, None)
        self._context.inflight.delta(session_id, event)

    def _status(self, live: LiveSession, session_id: str, event: StatusChanged, own: bool) -> None:
        status = event.status
        if status is None:
            live.retrying_since_s.pop(event.session_id, None)
        elif status.type == "retry":
            live.retrying_since_s.setdefault(event.session_id, trio.current_time())
            live.retry = status
        if not own:
            return
        if status is None:
            live.wake()
            self._context.inflight.status(session_id, "idle", 0, "")
            return
        self._context.inflight.status(session_id, status.type, status.attempt, status.message)

    def _errored(self, live: LiveSession, _: str, event: TurnErrored, own: bool) -> None:
        if own:
            live.error = live.error or (event.name, event.message)
            live.wake()

    def _request_opened(self, _: LiveSession, session_id: str, event: RequestOpened, __: bool) -> None:
        self._tell(session_id, ReportRequestOpened(request=event.request, at_ms=self._context.clock.now_ms()))

    def _request_closed(self, _: LiveSession, session_id: str, event: RequestClosed, __: bool) -> None:
        self._tell(session_id, ReportRequestClosed(request_id=event.request_id, at_ms=self._context.clock.now_ms()))

    def _tell(self, session_id: str, command: SessionCommand) -> None:
        state = self._context.views.sessions.get(session_id)
        reporter = (
            f"instance:{state.opencode.instance_ids[-1]}"
            if state is not None and state.opencode.instance_ids
            else "system"
        )
        try:
            cause = msgspec.structs.replace(self.of(session_id).cause, actor=reporter)
            self._context.actors.sessions.tell(session_id, Deliver(command, cause))
        except Unavailable as unavailable:  # everything is read again at the end of the turn
            _log.warning("fact_dropped", session=session_id, fact=type(command).__name__, code=unavailable.code)


def _is_over(info: MessageInfo) -> bool:
    return info.completed_ms is not None or info.error_name is not None


_TAKE: dict[type[Any], Callable[[LiveEvents, LiveSession, str, Any, bool], None]] = {
    MessageChanged: LiveEvents._message,
    PartChanged: LiveEvents._part,
    PartDelta: LiveEvents._delta,
    StatusChanged: LiveEvents._status,
    TurnErrored: LiveEvents._errored,
    RequestOpened: LiveEvents._request_opened,
    RequestClosed: LiveEvents._request_closed,
}
