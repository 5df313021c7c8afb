"""Finds the positions of events in the index (index_store.py)."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from fleet.ports import Tokens

MarkKind = Literal["own", "turn", "changes", "tree", "todo"]
"""`own`: a conversation of the session itself begins; `turn`: see turns.py; `changes`: the changes of a turn were
recorded; `tree`: a tree of the directory was taken; `todo`: a part that may hold the agent's list."""

FactKind = Literal["prompt", "agent", "file", "named", "changes", "overlaps", "manifest", "callback"]
"""About a prompt, the conversation of a sub-agent, an attachment; the beginning of a turn by its number and its
messages; records of changes by the turn's number, those with overlaps (one key), manifests; callbacks by number."""


class Charge(msgspec.Struct, frozen=True, array_like=True):
    """What a message has cost."""

    cost_usd: float = 0.0
    tokens: Tokens = Tokens()


class IndexedStream(NamedTuple):
    """An indexed stream: its number in the index, up to which position, and its newest turn."""

    number: int
    position: int
    turn: int | None


decode_charge: Final = msgspec.msgpack.Decoder(Charge).decode


class IndexQueries:
    """The queries, on an open connection. Everything may raise `sqlite3.Error`. `at` None is now."""

    _sql: sqlite3.Connection

    def _one(self, query: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._sql.execute(query, values).fetchone()
        return found

    def _all(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._sql.execute(query, values).fetchall()

    def stream(self, name: str) -> IndexedStream:
        """Return a stream, with position 0 for one that is not indexed."""
        found = self._one("SELECT number, position, turn FROM streams WHERE name = ?", (name,))
        return IndexedStream(0, 0, None) if found is None else IndexedStream(*found)

    def names(self) -> list[str]:
        """Return the names of the streams."""
        return [name for [name] in self._all("SELECT name FROM streams")]

    def times(self) -> list[tuple[int, int]]:
        """Return the times of the log's blocks, as far as they are stored without a gap."""
        rows = self._all("SELECT block, first_ms, last_ms FROM times ORDER BY block")
        return [(first_ms, last_ms) for number, (block, first_ms, last_ms) in enumerate(rows) if number == block]

    def marks(self, stream: IndexedStream, kind: MarkKind, after: int, limit: int) -> list[int]:
        """Return the positions of the next events of a kind."""
        query = "SELECT position FROM marks WHERE stream = ? AND kind = ? AND position > ? ORDER BY position LIMIT ?"
        return [position for [position] in self._all(query, (stream.number, kind, after, limit))]

    def marks_down(self, stream: IndexedStream, kind: MarkKind, before: int, limit: int) -> list[int]:
        """Return the positions of the last events of a kind before a position, last one first."""
        query = (
            "SELECT position FROM marks WHERE stream = ? AND kind = ? AND position < ? ORDER BY position DESC LIMIT ?"
        )
        return [position for [position] in self._all(query, (stream.number, kind, before, limit))]

    def facts(self, stream: IndexedStream, kind: FactKind, key: str) -> list[int]:
        """Return the positions of the events about a key."""
        query = "SELECT position FROM facts WHERE stream = ? AND kind = ? AND key = ? ORDER BY position"
        return [position for [position] in self._all(query, (stream.number, kind, key))]

    def first_facts(self, stream: IndexedStream, kind: FactKind) -> dict[str, int]:
        """Return the keys of a kind, and where each came first, in this order."""
        query = "SELECT key, min(position) FROM facts WHERE stream = ? AND kind = ? GROUP BY key ORDER BY 2"
        return dict(self._all(query, (stream.number, kind)))

    def charges(self, stream: IndexedStream, after: int, limit: int) -> list[tuple[int, int, Charge]]:
        """Return the next charges: position, turn and amount."""
        query = "SELECT position, turn, paid FROM charges WHERE stream = ? AND position > ? ORDER BY position LIMIT ?"
        found = self._all(query, (stream.number, after, limit))
        return [(position, turn, decode_charge(paid)) for position, turn, paid in found]

    def conversations(self, stream: IndexedStream) -> list[tuple[int, str]]:
        """Return the number and the OpenCode id of each conversation that has messages."""
        return self._all("SELECT number, name FROM conversations WHERE stream = ? ORDER BY number", (stream.number,))

    def conversation(self, stream: IndexedStream, name: str) -> int | None:
        """Return the number of a conversation, None for one without messages."""
        query = "SELECT number FROM conversations WHERE stream = ? AND name = ?"
        found = self._one(query, (stream.number, name))
        return None if found is None else int(found[0])

    def count(self, conversation: int, at: int | None) -> tuple[int, int]:
        """Return how many messages a conversation had at a position, and when the newest of them was created."""
        query = (
            "SELECT total, newest_ms FROM counts WHERE conversation = ? AND position <= ?"
            " ORDER BY position DESC LIMIT 1"
        )
        total, newest_ms = self._one(query, (conversation, _LAST if at is None else at)) or (0, 0)
        return total, newest_ms

    def created_ms(self, conversation: int) -> int | None:
        """Return when the first message of a conversation was created."""
        query = "SELECT created_ms FROM places WHERE conversation = ? AND until IS NULL ORDER BY created_ms LIMIT 1"
        found = self._one(query, (conversation,))
        return None if found is None else int(found[0])

    def place(self, conversation: int, message: str, stream: IndexedStream, at: int | None) -> tuple[int, str] | None:
        """Return the place of a message at a position: when it was created, and its id; None where it has none."""
        query = "SELECT created_ms FROM messages WHERE stream = ? AND message = ? AND conversation = ?"
        known = self._one(query, (stream.number, message, conversation))
        if known is None:
            return None
        there = "SELECT created_ms FROM places WHERE conversation = ? AND created_ms = ? AND message = ? AND first <= ?"
        found = self._one(there, (conversation, known[0], message, _LAST if at is None else at))
        if found is None:  # it has moved since, or was not there yet: all its places have to be read
            query = "SELECT created_ms FROM places WHERE conversation = ? AND message = ? AND first <= ? AND until > ?"
            found = self._one(query, (conversation, message, at, at))
        return None if found is None else (int(found[0]), message)

    def messages_before(
        self, conversation: int, place: tuple[int, str] | None, at: int | None, limit: int
    ) -> list[str]:
        """Return the last messages before a place, or the newest ones, oldest first."""
        last = _LAST if at is None else at
        bound = (self.count(conversation, at)[1], _AFTER_ALL) if place is None else place
        query = (
            "SELECT message FROM places WHERE conversation = ? AND (created_ms, message) < (?, ?)"
            " AND first <= ? AND (until IS NULL OR until > ?) ORDER BY created_ms DESC, message DESC LIMIT ?"
        )
        return [message for [message] in self._all(query, (conversation, *bound, last, last, limit))][::-1]

    def messages_after(self, conversation: int, place: tuple[int, str], at: int | None, limit: int) -> list[str]:
        """Return the next messages after a place, oldest first."""
        last, bound = _LAST if at is None else at, (self.count(conversation, at)[1], _AFTER_ALL)
        query = (
            "SELECT message FROM places WHERE conversation = ? AND (created_ms, message) > (?, ?)"
            " AND (created_ms, message) < (?, ?) AND first <= ? AND (until IS NULL OR until > ?)"
            " ORDER BY created_ms, message LIMIT ?"
        )
        return [message for [message] in self._all(query, (conversation, *place, *bound, last, last, limit))]

    def bodies(self, stream: IndexedStream, message: str, at: int | None) -> list[tuple[str, int]]:
        """Return where a message and its parts were recorded last at a position: the message first (part is empty)."""
        query = (
            "SELECT part, max(position) FROM bodies WHERE stream = ? AND message = ? AND position <= ?"
            " GROUP BY part ORDER BY part"
        )
        return self._all(query, (stream.number, message, _LAST if at is None else at))

    def part(self, stream: IndexedStream, part: str, at: int | None = None) -> int | None:
        """Return where a part was recorded last at a position, None where it was not."""
        found = self._one("SELECT message FROM parts WHERE stream = ? AND part = ?", (stream.number, part))
        if found is None:
            return None
        query = "SELECT max(position) FROM bodies WHERE stream = ? AND message = ? AND part = ? AND position <= ?"
        [position] = self._one(query, (stream.number, found[0], part, _LAST if at is None else at)) or (None,)
        return None if position is None else int(position)


_LAST: Final = 2**63 - 1
_AFTER_ALL: Final = "\U0010ffff"
