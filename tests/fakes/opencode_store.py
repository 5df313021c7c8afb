"""What the fake OpenCode keeps on its disk: sessions, messages and parts, as OpenCode's own JSON.

It outlives processes and is shared by all of them, like the database of one OpenCode data directory. `raw` in what
comes out is that JSON, read by the same `wire` module that reads the real one. The rules of turns are in
opencode_turn.py.
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from fleet.adapters.opencode import wire
from fleet.ports import Message, OpenCodeSession

Json = dict[str, Any]

UNNAMED = "New session"


@dataclass
class StoredMessage:
    """A message: its info and its parts in the order of their first appearance."""

    info: Json
    parts: dict[str, Json] = field(default_factory=dict[str, Json])

    @property
    def id(self) -> str:
        return str(self.info["id"])

    @property
    def text(self) -> str:
        return "\n".join(str(part["text"]) for part in self.parts.values() if part["type"] == "text")

    @property
    def is_user(self) -> bool:
        return bool(self.info["role"] == "user")

    @property
    def is_completed(self) -> bool:
        return "completed" in self.info["time"]

    def read(self) -> Message:
        return wire.message(msgspec.json.encode({"info": self.info, "parts": list(self.parts.values())}))


@dataclass
class Store:
    """All sessions of one OpenCode data directory."""

    sessions: dict[str, Json] = field(default_factory=dict[str, Json])
    messages: dict[str, StoredMessage] = field(default_factory=dict[str, StoredMessage])
    _transcripts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def create(self, session_id: str, directory: str, title: str, now_ms: int) -> Json:
        time = {"created": now_ms, "updated": now_ms}
        session = {"id": session_id, "directory": directory, "title": title, "time": time}
        self.sessions[session_id] = session
        self._transcripts[session_id] = []
        return session

    def lose(self, session_id: str) -> None:
        """Forget a session, as if a person had deleted it."""
        del self.sessions[session_id]
        for message_id in self._transcripts.pop(session_id):
            del self.messages[message_id]

    def take_in(self, other: "Store", session_id: str) -> None:
        """Take a session from another store, instead of what is here."""
        self.sessions[session_id] = other.sessions[session_id]
        self._transcripts[session_id] = other._transcripts[session_id]
        self.messages |= {message_id: other.messages[message_id] for message_id in other._transcripts[session_id]}

    def read_session(self, session_id: str) -> OpenCodeSession | None:
        session = self.sessions.get(session_id)
        return None if session is None else wire.session(msgspec.json.encode(session))

    def transcript(self, session_id: str) -> list[StoredMessage]:
        return [self.messages[message_id] for message_id in self._transcripts[session_id]]

    def add(self, message: StoredMessage) -> StoredMessage:
        self.messages[message.id] = message
        self._transcripts[message.info["sessionID"]].append(message.id)
        return message

    def newest_user_message(self, session_id: str) -> StoredMessage:
        return next(message for message in reversed(self.transcript(session_id)) if message.is_user)

    def answers(self, message: StoredMessage) -> list[StoredMessage]:
        """Return the assistant messages of the turn that `message` asked for, oldest first."""
        transcript = self.transcript(message.info["sessionID"])
        return [answer for answer in transcript if answer.info.get("parentID") == message.id]
