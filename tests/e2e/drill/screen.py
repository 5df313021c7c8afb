"""What a reader of a stream puts together: every logged event, and the texts as a person would see them.

It keeps the rules of docs/streams.md: open parts are forgotten at a snapshot, signals apply to them, and a recorded
part has the last word. An event that is missing, repeated or out of order is an error at the moment it comes.
"""

from typing import Any

import msgspec

_ENDS = {"session.turn-ended", "session.turn-failed", "session.session-disconnected", "session.session-stopped"}


class Logged(msgspec.Struct):
    """An event as streams and `/api/log` have it; `data` stays the bytes that came."""

    position: int
    stream: str
    version: int
    type: str
    at: str
    actor: str
    data: msgspec.Raw

    def octets(self) -> tuple[Any, ...]:
        """Return all of it, comparable byte for byte."""
        return (self.position, self.stream, self.version, self.type, self.at, self.actor, bytes(self.data))


class _Snapshot(msgspec.Struct):
    sessions: list[dict[str, Any]]


class Screen:
    """One reader's."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cursor = 0
        self.events: list[tuple[Any, ...]] = []
        self.connections = 0
        self.signals = 0
        self._open: dict[str, dict[str, str]] = {}
        self._recorded: dict[str, dict[str, str]] = {}

    def event(self, body: bytes) -> None:
        """Take a logged event."""
        event = msgspec.json.decode(body, type=Logged)
        assert event.position == self.cursor + 1, f"{self.name} is at {self.cursor} and got {event.position}"
        self.cursor = event.position
        self.events.append(event.octets())
        session_id = event.stream.partition("-")[2]
        if event.type == "session.part-recorded":
            data = msgspec.json.decode(event.data)
            self._open.get(session_id, {}).pop(data["part_id"], None)
            if data["type"] == "text":
                self._recorded.setdefault(session_id, {})[data["part_id"]] = data["body"]["text"]
        elif event.type in _ENDS:
            self._open.pop(session_id, None)

    def snapshot(self, body: bytes) -> None:
        """Take a snapshot."""
        sessions = msgspec.json.decode(body, type=_Snapshot).sessions
        self._open = {
            session["sessionId"]: {part["partId"]: part["text"] for part in session["parts"] if part["type"] == "text"}
            for session in sessions
        }

    def signal(self, body: bytes) -> None:
        """Take a signal."""
        signal = msgspec.json.decode(body)
        self.signals += 1
        parts = self._open.setdefault(signal["sessionId"], {})
        if signal["type"] == "delta" and signal["field"] == "text" and signal["partId"] in parts:
            parts[signal["partId"]] += signal["delta"]
        elif signal["type"] == "part" and signal["part"]["type"] == "text":
            parts[signal["part"]["id"]] = signal["part"]["text"]

    def texts(self, session_id: str) -> dict[str, str]:
        """Return what is to be seen of a session, by part."""
        return self._recorded.get(session_id, {}) | self._open.get(session_id, {})
