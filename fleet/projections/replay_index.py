"""Replays the index of sessions' streams (index_store.py): builds it again in memory, and compares stream by stream.

Each stream is compared as of the position up to which it is indexed. The times of the log's blocks are compared, too.
A server compares the index that it uses: each step is bounded, and follows what readers have indexed meanwhile.
"""

import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from fleet.events.log import LogReader
from fleet.limits import FEED_PAGE_BYTES, INDEX_COMPARED_ROWS, LOG_SEARCH_PAGE_EVENTS, VERIFY_PAGE_EVENTS
from fleet.projections.file_seals import copy_database
from fleet.projections.index_store import VERSION, IndexStore
from fleet.projections.replay import Compared, Parted, Steps

INDEX: Final = "index"


class _Part(NamedTuple):
    """Rows of a table: of one stream or conversation (`of`), in the order of their `key`."""

    table: str
    of: str
    key: str
    rest: tuple[str, ...] = ()

    def page(self, sql: sqlite3.Connection, number: int, after: tuple[Any, ...] | None) -> list[tuple[Any, ...]]:
        """Return the next rows, behind the key `after`."""
        beyond = "" if after is None else f"AND ({self.key}) > ({', '.join('?' * len(after))})"
        return sql.execute(
            f"SELECT {', '.join((self.key, *self.rest))} FROM {self.table} "  # noqa: S608 - constants
            f"WHERE {self.of} = ? {beyond} ORDER BY {self.key} LIMIT {INDEX_COMPARED_ROWS}",
            (number, *(after or ())),
        ).fetchall()

    @property
    def name(self) -> str:
        """What a finding calls it."""
        return "stream" if self.table == "streams" else self.table

    def key_of(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the key of a row."""
        return row[: len(row) - len(self.rest)]


_CONVERSATION: Final = "(SELECT name FROM conversations c WHERE c.number = conversation)"
_PARTS: Final = (
    _Part("streams", "number", "turn"),
    _Part("conversations", "stream", "name"),
    _Part("messages", "stream", "message", (_CONVERSATION, "created_ms", "paid", "turn")),
    _Part("bodies", "stream", "message, part, position"),
    _Part("parts", "stream", "part", ("message",)),
    _Part("charges", "stream", "position", ("turn", "paid")),
    _Part("marks", "stream", "kind, position"),
    _Part("facts", "stream", "kind, key, position"),
)
_OF_CONVERSATION: Final = (
    _Part("places", "conversation", "created_ms, message, first", ("until",)),
    _Part("counts", "conversation", "position", ("total", "newest_ms")),
)
_OWNERS: Final = (
    *((table, "stream", "streams") for table in ("conversations", "messages", "bodies", "parts", "charges")),
    *((table, "stream", "streams") for table in ("marks", "facts")),
    *((table, "conversation", "conversations") for table in ("places", "counts")),
)

Opened = Callable[[], sqlite3.Connection | None]
"""Returns the connection to the index that is compared; None where there is none."""


def replay_index(log: LogReader, directory: Path, scratch: Path, to: int) -> Steps:
    """Compare the index in `directory`, which is copied to `scratch`; streams that go beyond `to` are left out."""
    copied = copy_database(directory / "index.sqlite", scratch)
    if copied is None:
        yield Compared(INDEX, None)
        return
    with closing(sqlite3.connect(copied)) as stored:
        try:
            [version] = stored.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                yield Compared(INDEX, None)
                return
            yield from _compared(log, stored, to)
        except sqlite3.Error as error:
            yield Parted(INDEX, copied.name, 1, (f"the file cannot be read: {error}",))


def replay_used_index(log: LogReader, opened: Opened) -> Steps:
    """Compare the index that a server uses, between its reads. One that it discards meanwhile is not compared."""
    stored = opened()
    steps = iter(()) if stored is None else _compared(log, stored, None)
    while stored is not None and opened() is stored:
        try:
            yield next(steps)
        except StopIteration:
            return
        except sqlite3.Error as error:
            yield Parted(INDEX, "", 1, (f"it cannot be read: {error}",))
            return
    yield Compared(INDEX, None)


def _compared(log: LogReader, stored: sqlite3.Connection, to: int | None) -> Steps:
    """Compare all streams, without `to` as far as each is indexed when its rows are compared."""
    compared = 0
    for name, position in _pages(stored, "name, position FROM streams WHERE typeof(name) = 'text' AND name"):
        yield None
        if log.is_erased(name) or (to is not None and position > to):
            continue
        compared += 1
        with closing(IndexStore(None)) as built:
            fields = yield from _Stream(log, name, stored, built).differing()
        if fields:
            first = log.stream_positions(name, 0, log.head() + 1, 1, newest_first=False)
            yield Parted(INDEX, name, first[0] if first else min(position, log.head()), fields)
    surplus = yield from _surplus(stored)
    if surplus:
        yield Parted(INDEX, "", 1, (f"rows of no stream in {', '.join(surplus)}",))
    end = log.head() if to is None else to
    yield from _compared_times(log, stored, end)
    yield Compared(INDEX, end, compared)


def _pages(stored: sqlite3.Connection, what: str, after: str | int = "") -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query by its first column, which its condition ends with; rows may change meanwhile."""
    order = what.partition(",")[0]
    query = f"SELECT {what} > ? ORDER BY {order} LIMIT {VERIFY_PAGE_EVENTS}"
    while page := stored.execute(query, (after,)).fetchall():
        yield from page
        after = page[-1][0]


class _Stream:
    """A stream as it is stored, and as it is built from the log."""

    def __init__(self, log: LogReader, name: str, stored: sqlite3.Connection, built: IndexStore) -> None:
        self._log = log
        self._name = name
        self._stored = stored
        self._built = built
        self._position = 0

    def differing(self) -> Generator[None, None, tuple[str, ...]]:
        """Return what differs; nothing for a stream that is erased meanwhile."""
        found: list[str] = []
        for part in _PARTS:
            if (yield from self._differs(part)):
                found.append(part.name)
        conversations = set[str]()
        for side in (self._stored, self._built.connection):
            names = "SELECT c.name FROM conversations c JOIN streams s ON c.stream = s.number WHERE s.name = ?"
            conversations.update(name for [name] in side.execute(names, (self._name,)))
        for part in _OF_CONVERSATION:
            for conversation in sorted(conversations):
                if part.name not in found and (yield from self._differs(part, conversation)):
                    found.append(part.name)
        return tuple(found)

    def _differs(self, part: _Part, conversation: str | None = None) -> Generator[None, None, bool]:
        after: tuple[Any, ...] | None = None
        while (yield from self._reach()):
            one, other = (
                part.page(side, _number(side, self._name, conversation), after)
                for side in (self._stored, self._built.connection)
            )
            if one != other:
                return True
            if len(one) < INDEX_COMPARED_ROWS:
                return False
            after = part.key_of(one[-1])
            yield None
        return False

    def _reach(self) -> Generator[None, None, bool]:
        """Build the stream up to where it is indexed now; return whether it is still there."""
        while row := self._stored.execute("SELECT position FROM streams WHERE name = ?", (self._name,)).fetchone():
            page = (
                self._log.read_stream(self._name, self._position, VERIFY_PAGE_EVENTS, FEED_PAGE_BYTES)
                if self._position < row[0]
                else []
            )
            own = [recorded for recorded in page if recorded.position <= row[0]]
            if not own:
                return True
            self._built.apply(self._name, own)
            self._position = own[-1].position
            yield None
        return False


def _number(side: sqlite3.Connection, name: str, conversation: str | None) -> int:
    """Return the number of the stream, or of a conversation of it; 0 where there is none."""
    found = side.execute("SELECT number FROM streams WHERE name = ?", (name,)).fetchone()
    if found is not None and conversation is not None:
        values = (found[0], conversation)
        found = side.execute("SELECT number FROM conversations WHERE stream = ? AND name = ?", values).fetchone()
    return 0 if found is None else int(found[0])


def _surplus(stored: sqlite3.Connection) -> Generator[None, None, tuple[str, ...]]:
    """Return the tables with rows whose stream or conversation is not there."""
    found = dict[str, None]()
    for table, of, owners in _OWNERS:
        number = stored.execute(f"SELECT min({of}) FROM {table}").fetchone()[0]  # noqa: S608 - constants
        while number is not None:
            if stored.execute(f"SELECT 1 FROM {owners} WHERE number = ?", (number,)).fetchone() is None:  # noqa: S608
                found[table] = None
            yield None
            number = stored.execute(f"SELECT min({of}) FROM {table} WHERE {of} > ?", (number,)).fetchone()[0]  # noqa: S608
    return tuple(found)


def _compared_times(log: LogReader, stored: sqlite3.Connection, to: int) -> Steps:
    for block, *times in _pages(stored, "block, first_ms, last_ms FROM times WHERE block", -1):
        yield None
        first = block * LOG_SEARCH_PAGE_EVENTS + 1
        if first + LOG_SEARCH_PAGE_EVENTS <= min(to, log.head()) + 1:
            recorded_ms = [
                each.recorded_at_ms for each in log.read_headers(range(first, first + LOG_SEARCH_PAGE_EVENTS))
            ]
            if times != [min(recorded_ms), max(recorded_ms)]:
                yield Parted(INDEX, f"times of block {block}", first, ("times",))
