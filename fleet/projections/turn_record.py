"""The record of one turn in the log: its tool calls, its requests and who answered them, its changes and its end.

It is read from the turn's first event on, in pages with a checkpoint after each. Bodies are not kept, so that a turn of
any length fits into memory.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final, NamedTuple

import msgspec
import trio

from fleet.core.permission_rules import Asks
from fleet.core.session.events import SessionCreated, SessionDisconnected, StopRequested, WorkspaceAttached
from fleet.core.session.turn_events import (
    AbortRequested,
    ChangesRecorded,
    MessageRecorded,
    PartRecorded,
    RequestAnswered,
    RequestOpened,
    TurnEnded,
    TurnFailed,
    TurnStarted,
    TurnSteered,
)
from fleet.core.tool_permissions import asks_of, root_of
from fleet.events.envelope import Recorded
from fleet.events.log import LogReader
from fleet.limits import FEED_PAGE_BYTES, FEED_PAGE_EVENTS, WHY_TURN_EVENTS_MAX
from fleet.projections.names import stream_of
from fleet.projections.opencode_json import nested, record_of, text
from fleet.projections.sentences import tool_words

FIRST_EVENTS: Final = 32  # of a stream: a session gets its directory there, a process its pid
_ATTACHED: Final = "session.workspace-attached"
_EDITS: Final = frozenset(("write", "edit", "multiedit", "patch", "apply_patch"))
_PATHS: Final = ("filePath", "path", "file")
_TEXTS: Final = ("command", "patchText", "patch")


class RecordedCall(NamedTuple):
    """A finished tool call. `paths` are the files that it names, `text` is its shell command or patch.

    `asks` are the permissions that it needed, `agent` is OpenCode's agent that made it, in `conversation`. A call that
    started a sub-agent has that one's conversation in `starts`. `error` is empty if it succeeded.
    """

    recorded: Recorded
    id: str
    tool: str
    words: str
    paths: tuple[str, ...]
    text: str
    asks: tuple[Asks, ...]
    agent: str
    conversation: str
    starts: str
    error: str

    @property
    def failed(self) -> bool:
        """Whether it did not succeed."""
        return bool(self.error)

    @property
    def writes(self) -> bool:
        """Whether the tool changes files, or may."""
        return self.tool in _EDITS or self.tool == "bash"

    def names(self, file: str) -> bool:
        """Return whether the call names this file of the session's directory."""
        if any(path == file or path.endswith(f"/{file}") for path in self.paths):
            return self.tool in _EDITS
        return bool(self.text) and PurePosixPath(file).name in self.text


class RecordedRequest(NamedTuple):
    """A request of the turn, and its answer."""

    opened: Recorded
    call_id: str
    answered: Recorded | None = None


class TurnRecord(NamedTuple):
    """A turn; `end` and `changes` are None while it runs. `requests` are by id; `instance` is the process's stream.

    `endings` are what was to end it: an abort, a stop of the session, the loss of its process. `directory` is that of
    the session.
    """

    started: Recorded
    calls: tuple[RecordedCall, ...]
    requests: Mapping[str, RecordedRequest]
    steered: tuple[Recorded, ...]
    endings: tuple[Recorded, ...]
    changes: Recorded | None
    end: Recorded | None
    instance: str | None
    directory: str | None

    def starter(self, call: RecordedCall) -> RecordedCall | None:
        """Return the call that started the sub-agent which made this one; None for the session's own agent."""
        return next((each for each in self.calls if each.starts and each.starts == call.conversation), None)

    def call(self, call_id: str) -> RecordedCall | None:
        """Return the tool call with this id of OpenCode's."""
        return next((call for call in self.calls if call.id == call_id), None)

    def asked(self, call_id: str) -> RecordedRequest | None:
        """Return the request that this call waited for."""
        return next((asked for asked in self.requests.values() if call_id and asked.call_id == call_id), None)


async def read_turn(log: LogReader, started: Recorded) -> TurnRecord:
    """Read the turn that begins with this event, up to its end or `WHY_TURN_EVENTS_MAX` events."""
    found, after, left = _Found(started, place_of(log, started)), started.position, WHY_TURN_EVENTS_MAX
    while left > 0 and (page := log.read_stream(started.stream, after, FEED_PAGE_EVENTS, FEED_PAGE_BYTES)):
        for recorded in page:
            if isinstance(recorded.event, TurnStarted):
                return found.record()
            found.add(recorded)
        after, left = page[-1].position, left - len(page)
        await trio.lowlevel.checkpoint()
    return found.record()


class TurnPlace(NamedTuple):
    """Where a session works: its directory, and the root that paths in permissions are relative to."""

    directory: str | None
    root: str


def place_of(log: LogReader, started: Recorded) -> TurnPlace:
    """Return where the session of this turn worked then: its first events and its last resume say so."""
    first = [each.event for each in log.read_stream(started.stream, 0, FIRST_EVENTS)]
    newest = log.stream_positions(started.stream, 0, started.position, FEED_PAGE_EVENTS, newest_first=True)
    resumed = next((each.position for each in log.read_headers(newest) if each.type == _ATTACHED), None)
    last = [] if resumed is None else [each.event for each in log.read_all(resumed - 1, 1)]
    created = next((event for event in first if isinstance(event, SessionCreated)), None)
    directory = next((event.directory for event in (*last, *first) if isinstance(event, WorkspaceAttached)), None)
    if created is None or directory is None:
        return TurnPlace(directory, directory or "/")
    return TurnPlace(directory, root_of(created.settings.strategy, created.source_repository, directory))


class _Found:
    def __init__(self, started: Recorded, place: TurnPlace) -> None:
        self._started = started
        self._place = place
        self._agents: dict[str, str] = {}
        self._calls: dict[str, RecordedCall] = {}
        self._requests: dict[str, RecordedRequest] = {}
        self._steered: list[Recorded] = []
        self._endings: list[Recorded] = []
        self._changes: Recorded | None = None
        self._end: Recorded | None = None
        self._instance: str | None = None

    def add(self, recorded: Recorded) -> None:
        if recorded.cause.actor.startswith("instance:"):
            self._instance = stream_of(recorded.cause.actor)
        match recorded.event:
            case MessageRecorded(message_id=message_id, body=body):
                self._agents[message_id] = text(record_of(body), "agent")
            case PartRecorded(type="tool", part_id=part_id, body=body):
                self._calls[part_id] = _call(
                    recorded, body, self._agents.get(recorded.event.message_id, ""), self._place.root
                )
            case RequestOpened(request_id=request_id, body=body):
                self._requests[request_id] = RecordedRequest(recorded, text(nested(record_of(body), "tool"), "callID"))
            case RequestAnswered(request_id=request_id) if request_id in self._requests:
                self._requests[request_id] = self._requests[request_id]._replace(answered=recorded)
            case TurnSteered():
                self._steered.append(recorded)
            case AbortRequested() | StopRequested() | SessionDisconnected() if self._end is None:
                self._endings.append(recorded)
            case ChangesRecorded():
                self._changes = recorded
            case TurnEnded() | TurnFailed():
                self._end = recorded
            case _:
                pass

    def record(self) -> TurnRecord:
        calls, steered, endings = tuple(self._calls.values()), tuple(self._steered), tuple(self._endings)
        return TurnRecord(
            self._started,
            calls,
            self._requests,
            steered,
            endings,
            self._changes,
            self._end,
            self._instance,
            self._place.directory,
        )


def _call(recorded: Recorded, body: bytes, agent: str, root: str) -> RecordedCall:
    part = record_of(body)
    state = nested(part, "state")
    given = nested(state, "input")
    paths = tuple(path for name in _PATHS if (path := text(given, name)))
    ran = next((found for name in _TEXTS if (found := text(given, name))), "")
    return RecordedCall(
        msgspec.structs.replace(recorded, payload=b"", event=None),
        text(part, "callID"),
        text(part, "tool"),
        tool_words(part),
        paths,
        ran,
        asks_of(text(part, "tool"), given, root),
        agent,
        recorded.event.opencode_id,
        text(nested(state, "metadata"), "sessionId") if text(part, "tool") == "task" else "",
        (text(state, "error") or "without a message") if state.get("status") == "error" else "",
    )


def call_id_of(body: bytes) -> str:
    """Return OpenCode's id of the tool call that this part is."""
    return text(record_of(body), "callID")
