"""The parts that OpenCode is writing now, and the signals about them (law 5).

A signal (a text delta, a tool's output so far) is never logged and may be lost; the finished part in the log supersedes
it. Each signal is encoded once for all readers. A slow reader loses its waiting signals and gets a new snapshot with
every open part and its text so far. Signals of sub-agents go to the readers of the session that started them, and name
their conversation.

A tool repeats all of its output with every line. Its signals are limited to one per `TOOL_SIGNAL_S`; `run` sends the
newest one later, so it is never lost.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from math import inf
from typing import Any, Literal

import msgspec
import trio
from msgspec.structs import replace

from fleet.core.session.events import SessionDisconnected, SessionStopped
from fleet.core.session.turn_events import PartRecorded, TurnEnded, TurnFailed
from fleet.events.envelope import Recorded
from fleet.limits import SIGNAL_BUFFER_BYTES_MAX, SIGNAL_BUFFER_MAX, TOOL_SIGNAL_S
from fleet.ports import Part, PartDelta
from fleet.projections.activities import Activities


class OpenPart(msgspec.Struct, frozen=True, rename="camel"):
    """A part that is not finished: its text so far, or OpenCode's JSON if it is not a text.

    `conversation` is the id of its OpenCode session: the session's own, or a sub-agent's.
    """

    conversation: str
    message_id: str
    part_id: str
    type: str
    text: str | None = None
    body: msgspec.Raw | None = None


class Signal(msgspec.Struct, frozen=True):
    """A frame for live readers: `body` is its JSON, encoded once."""

    session_id: str
    type: Literal["delta", "part", "status"]
    body: bytes


class Reader:
    """One live reader's signals, of these sessions or of all."""

    def __init__(self, session_ids: frozenset[str] | None, wake: Callable[[], None]) -> None:
        self.session_ids = session_ids
        self.lagging = False
        self._wake = wake
        self._waiting: list[Signal] = []
        self._size_bytes = 0

    @property
    def waiting(self) -> int:
        """The number of signals that wait to be taken."""
        return len(self._waiting)

    def push(self, signal: Signal) -> None:
        """Queue a signal; when the queue is full, drop the waiting ones first and set `lagging`."""
        self._size_bytes += len(signal.body)
        if len(self._waiting) >= SIGNAL_BUFFER_MAX or self._size_bytes > SIGNAL_BUFFER_BYTES_MAX:
            self._waiting.clear()
            self._size_bytes = len(signal.body)
            self.lagging = True
        self._waiting.append(signal)
        self._wake()

    def take(self) -> list[Signal]:
        """Return the waiting signals. When `lagging` is set, send a snapshot first and clear it."""
        taken, self._waiting = self._waiting, []
        self._size_bytes = 0
        return taken


class InFlight:
    """The open parts of each session, and the live readers. `activities` receives the same parts."""

    def __init__(self, activities: Activities) -> None:
        self.activities = activities
        self._open: dict[str, dict[str, OpenPart]] = {}
        self._readers: dict[Reader, None] = {}
        self._sent_s: dict[tuple[str, str], float] = {}  # last signal of a running tool, by session and part
        self._delayed: dict[tuple[str, str], None] = {}  # running tools that have changed since
        self._holds = trio.Event()

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED) -> None:
        """Send the delayed signals of tools when they are due. Fits a `ChildSpec`."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_delayed)
            task_status.started()
            await stopping.wait()
            nursery.cancel_scope.cancel()

    async def _send_delayed(self) -> None:
        while True:
            await self._holds.wait()
            self._holds = trio.Event()
            while self._delayed:
                next_one = min(self._delayed, key=self._sent_s.__getitem__)
                await trio.sleep_until(self._sent_s[next_one] + TOOL_SIGNAL_S)
                if next_one in self._delayed:
                    self._signal_tool(*next_one)

    def snapshot(self, session_ids: frozenset[str] | None) -> dict[str, list[OpenPart]]:
        """Return the open parts of these sessions, or of all, by session."""
        if session_ids is not None:
            return {each: list(self._open.get(each, {}).values()) for each in sorted(session_ids)}
        return {each: list(parts.values()) for each, parts in self._open.items() if parts}

    def open_part(self, session_id: str, part_id: str) -> OpenPart | None:
        """Return an unfinished part, None where there is none with this id."""
        return self._open.get(session_id, {}).get(part_id)

    def call(self, session_id: str, call_id: str) -> msgspec.Raw | None:
        """Return the part of an unfinished tool call, by OpenCode's id of the call."""
        named = b'"callID":%s' % msgspec.json.encode(call_id)
        bodies = (part.body for part in self._open.get(session_id, {}).values() if part.type == "tool")
        return next((body for body in bodies if body is not None and named in bytes(body)), None)

    @contextmanager
    def read(self, session_ids: frozenset[str] | None, wake: Callable[[], None]) -> Generator[Reader]:
        """Receive signals of these sessions, or of all; `wake()` is called when one comes."""
        reader = Reader(session_ids, wake)
        self._readers[reader] = None
        try:
            yield reader
        finally:
            del self._readers[reader]

    def readers(self) -> int:
        """Return how many live readers there are."""
        return len(self._readers)

    # ---------------------------------------------------------------------------------------- from OpenCode's events

    def part(self, session_id: str, part: Part) -> None:
        """Record that a part has begun or grown."""
        body = None if part.text is not None else msgspec.Raw(part.raw)
        parts = self._open.setdefault(session_id, {})
        parts[part.id] = OpenPart(part.session_id, part.message_id, part.id, part.type, part.text, body)
        self.activities.part(session_id, part)
        if part.type != "tool":
            self._publish(session_id, "part", {"conversation": part.session_id, "part": msgspec.Raw(part.raw)})
        elif trio.current_time() >= self._sent_s.get((session_id, part.id), -inf) + TOOL_SIGNAL_S:
            self._signal_tool(session_id, part.id)
        else:
            self._delayed.setdefault((session_id, part.id))
            self._holds.set()

    def _signal_tool(self, session_id: str, part_id: str) -> None:
        self._delayed.pop((session_id, part_id), None)
        self._sent_s[session_id, part_id] = trio.current_time()
        part = self._open[session_id][part_id]
        self._publish(session_id, "part", {"conversation": part.conversation, "part": part.body})

    def delta(self, session_id: str, delta: PartDelta) -> None:
        """Append text to a part."""
        known = self._open.get(session_id, {}).get(delta.part_id)
        if known is not None and delta.field == "text":
            self._open[session_id][delta.part_id] = replace(known, text=(known.text or "") + delta.delta)
        self.activities.delta(session_id, delta)
        self._publish(
            session_id,
            "delta",
            {
                "conversation": delta.session_id,
                "messageId": delta.message_id,
                "partId": delta.part_id,
                "field": delta.field,
                "delta": delta.delta,
            },
        )

    def status(self, session_id: str, status: str, attempt: int, message: str) -> None:
        """Publish OpenCode's new status of the turn: busy, retry, idle."""
        self._publish(session_id, "status", {"status": status, "attempt": attempt, "message": message})

    def forget(self, session_id: str) -> None:
        """Discard the open parts of a session that was erased, or whose turn is over."""
        for part_id in list(self._open.pop(session_id, ())):
            self._forget_tool(session_id, part_id)
        self.activities.forget(session_id)

    def _forget_tool(self, session_id: str, part_id: str) -> None:
        self._sent_s.pop((session_id, part_id), None)
        self._delayed.pop((session_id, part_id), None)

    def on_commit(self, commit: Sequence[Recorded]) -> None:
        """Discard the parts that are logged now. A `Listener` of the log."""
        for recorded in commit:
            event = recorded.event
            session_id = recorded.stream.partition("-")[2]
            if isinstance(event, PartRecorded):
                self._open.get(session_id, {}).pop(event.part_id, None)
                self._forget_tool(session_id, event.part_id)
                self.activities.finished(session_id, event.part_id)
            elif isinstance(event, TurnEnded | TurnFailed | SessionDisconnected | SessionStopped):
                self.forget(session_id)

    def _publish(self, session_id: str, kind: Literal["delta", "part", "status"], fields: dict[str, object]) -> None:
        concerned = [r for r in self._readers if r.session_ids is None or session_id in r.session_ids]
        if concerned:
            body = msgspec.json.encode({"type": kind, "sessionId": session_id, **fields})
            signal = Signal(session_id, kind, body)
            for reader in concerned:
                reader.push(signal)
