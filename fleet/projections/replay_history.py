"""Replays the history (history_store.py): builds it in a scratch directory, and compares it session by session."""

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from fleet.core.session.events import CallbacksErased
from fleet.events.envelope import Recorded
from fleet.events.log import LogReader
from fleet.projections.file_seals import copy_database
from fleet.projections.history_store import VERSION, HistoryStore
from fleet.projections.replay import Compared, Finding, Fold, Parted, events_of, pages_of, parting

HISTORY: Final = "history"
_PARTS: Final = {
    "session": "SELECT title, phase, created_ms, changed_ms FROM sessions WHERE id = ?",
    "texts": "SELECT t.key, t.kind, t.message, w.text FROM texts t JOIN words w ON w.rowid = t.row "
    "JOIN sessions s ON s.number = t.number WHERE s.id = ? ORDER BY t.key",
    "asked": "SELECT a.message FROM asked a JOIN sessions s ON s.number = a.number WHERE s.id = ? ORDER BY a.message",
}


def replay_history(log: LogReader, directory: Path, scratch: Path, to: int) -> Iterator[Finding]:
    """Compare the history in `directory` with one that is built in `scratch`; one beyond `to` is left out."""
    copied = copy_database(directory / "history.sqlite", scratch)
    if copied is None:
        yield Compared(HISTORY, None)
        return
    with closing(sqlite3.connect(copied)) as stored:
        try:
            [version] = stored.execute("PRAGMA user_version").fetchone()
            reached = 0 if version != VERSION else int(stored.execute("SELECT position FROM reached").fetchone()[0])
        except sqlite3.Error as error:
            yield Parted(HISTORY, copied.name, 1, (f"the file cannot be read: {error}",))
            return
        if not 0 < reached <= min(to, log.head()):
            yield Compared(HISTORY, None)
            return
        yield from _compare(log, stored, scratch, reached)


def _compare(log: LogReader, stored: sqlite3.Connection, scratch: Path, reached: int) -> Iterator[Finding]:
    file = scratch / "rebuilt.sqlite"
    with closing(HistoryStore(file)) as store:
        store.open(reached)
        for page in pages_of(log, reached):
            store.apply(page, page[-1].position)
    with closing(sqlite3.connect(file)) as built:
        sessions = {each for side in (stored, built) for [each] in side.execute("SELECT id FROM sessions")}
        for session_id in sorted(sessions):
            one, other = _rows(stored, session_id), _rows(built, session_id)
            if one != other and not _is_replaced_since(log, f"session-{session_id}", reached):
                fields = tuple(name for name in _PARTS if one[name] != other[name])
                events = events_of(log, f"session-{session_id}", reached)
                with _folding(scratch, session_id) as fold:
                    position = parting(events, fold, one)
                yield Parted(HISTORY, session_id, position, fields)
    yield Compared(HISTORY, reached, len(sessions))


def _is_replaced_since(log: LogReader, stream: str, position: int) -> bool:
    """Return whether a later event has replaced payloads, so that the log lost what the texts were made of."""
    return any(isinstance(event, CallbacksErased) for _, _, event in log.replay(stream, position))


def _rows(side: sqlite3.Connection, session_id: str) -> dict[str, list[Any]]:
    return {name: side.execute(query, (session_id,)).fetchall() for name, query in _PARTS.items()}


@contextmanager
def _folding(scratch: Path, session_id: str) -> Generator[Fold]:
    """Yield the fold of one session into a history of its own."""
    file = scratch / f"{session_id}.sqlite"
    with closing(HistoryStore(file)) as store:
        store.open(0)

        def step(recorded: Recorded) -> dict[str, list[Any]]:
            store.apply([recorded], recorded.position)
            with closing(sqlite3.connect(file)) as side:
                return _rows(side, session_id)

        yield step
