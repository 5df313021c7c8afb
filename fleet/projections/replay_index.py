"""Replays the index of sessions' streams (index_store.py): builds it again in memory, and compares stream by stream.

Each stream is compared as of the position up to which it is indexed. The times of the log's blocks are compared, too.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from fleet.events.log import LogReader
from fleet.limits import LOG_SEARCH_PAGE_EVENTS, VERIFY_PAGE_EVENTS
from fleet.projections.file_seals import copy_database
from fleet.projections.index_store import VERSION, IndexStore
from fleet.projections.replay import Compared, Parted, Steps

INDEX: Final = "index"
_NAMED: Final = "(SELECT name FROM conversations c WHERE c.number = {})"
_PARTS: Final = {
    "stream": "SELECT turn FROM streams WHERE number = ?",
    "conversations": "SELECT name FROM conversations WHERE stream = ? ORDER BY name",
    "messages": f"SELECT message, {_NAMED.format('conversation')}, created_ms, paid, turn FROM messages "  # noqa: S608 - constants
    "WHERE stream = ? ORDER BY message",
    "bodies": "SELECT message, part, position FROM bodies WHERE stream = ? ORDER BY 1, 2, 3",
    "parts": "SELECT part, message FROM parts WHERE stream = ? ORDER BY part",
    "charges": "SELECT position, turn, paid FROM charges WHERE stream = ? ORDER BY position",
    "marks": "SELECT kind, position FROM marks WHERE stream = ? ORDER BY 1, 2",
    "facts": "SELECT kind, key, position FROM facts WHERE stream = ? ORDER BY 1, 2, 3",
    "places": "SELECT c.name, p.created_ms, p.message, p.first, p.until FROM places p "
    "JOIN conversations c ON c.number = p.conversation WHERE c.stream = ? ORDER BY 1, 2, 3, 4",
    "counts": "SELECT c.name, n.position, n.total, n.newest_ms FROM counts n "
    "JOIN conversations c ON c.number = n.conversation WHERE c.stream = ? ORDER BY 1, 2",
}
_OF_NO_STREAM: Final = {
    **{
        table: f"SELECT count(*) FROM {table} WHERE stream NOT IN (SELECT number FROM streams)"  # noqa: S608 - constants
        for table in ("conversations", "messages", "bodies", "parts", "charges", "marks", "facts")
    },
    **{
        table: f"SELECT count(*) FROM {table} WHERE conversation NOT IN (SELECT number FROM conversations)"  # noqa: S608
        for table in ("places", "counts")
    },
}


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


def _compared(log: LogReader, stored: sqlite3.Connection, to: int) -> Steps:
    compared = 0
    for number, name, position in stored.execute("SELECT number, name, position FROM streams ORDER BY name").fetchall():
        yield None
        if position > to or log.is_erased(name):
            continue
        compared += 1
        with closing(IndexStore(None)) as built:
            yield from _indexed(log, built, name, position)
            one, other = _rows(stored, number), _rows(built.connection, built.stream(name).number)
        fields = tuple(part for part in _PARTS if one[part] != other[part])
        if fields:
            first = log.stream_positions(name, 0, log.head() + 1, 1, newest_first=False)
            yield Parted(INDEX, name, first[0] if first else min(position, log.head()), fields)
    surplus = tuple(table for table, query in _OF_NO_STREAM.items() if stored.execute(query).fetchone()[0])
    if surplus:
        yield Parted(INDEX, "", 1, (f"rows of no stream in {', '.join(surplus)}",))
    yield from _compared_times(log, stored, to)
    yield Compared(INDEX, to, compared)


def _indexed(log: LogReader, built: IndexStore, name: str, position: int) -> Iterator[None]:
    after = 0
    while page := log.read_stream(name, after, VERIFY_PAGE_EVENTS):
        own = [recorded for recorded in page if recorded.position <= position]
        if own:
            built.apply(name, own)
        if len(own) < len(page):
            break
        after = page[-1].position
        yield None


def _rows(side: sqlite3.Connection, number: int) -> dict[str, list[Any]]:
    return {part: side.execute(query, (number,)).fetchall() for part, query in _PARTS.items()}


def _compared_times(log: LogReader, stored: sqlite3.Connection, to: int) -> Steps:
    for block, *times in stored.execute("SELECT block, first_ms, last_ms FROM times ORDER BY block").fetchall():
        yield None
        first = block * LOG_SEARCH_PAGE_EVENTS + 1
        if first + LOG_SEARCH_PAGE_EVENTS <= min(to, log.head()) + 1:
            recorded_ms = [
                each.recorded_at_ms for each in log.read_headers(range(first, first + LOG_SEARCH_PAGE_EVENTS))
            ]
            if times != [min(recorded_ms), max(recorded_ms)]:
                yield Parted(INDEX, f"times of block {block}", first, ("times",))
