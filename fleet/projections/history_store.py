"""The read model of the history: sessions and their words in SQLite, with an FTS5 index over the words.

    sessions   number, id, title, phase, times      one row each; numbers ascend in the order of creation
    texts      row, session number, key, kind, message  the text of each row of `words`
    asked      session number, message              the messages of users, whose texts are prompts
    words      text                                 FTS5
    vocabulary, pieces, signs                       the words that contain a part (history_vocabulary.py)
    reached    the log position of the model, written in the same transaction

The row of a text is its session's number times 2**20 plus a count. So the texts of a session are adjacent, and FTS5,
which returns rows in order, finds the newest sessions first and can stop after a page. Phases follow the session's own
transition table (core/session/state.py). This module knows no tasks: history.py calls it in a thread.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, cast
from unicodedata import normalize

from fleet.core.session.events import CallbacksErased, SessionCreated, SessionEdited, SessionErased
from fleet.core.session.state import TABLE
from fleet.core.session.turn_events import (
    MessageRecorded,
    PartRecorded,
    PromptAccepted,
    PromptEdited,
    PromptWithdrawn,
    TurnStarted,
)
from fleet.core.session.values import erased_callback
from fleet.events.batch import LogEnd
from fleet.events.envelope import Erased, Recorded
from fleet.limits import HISTORY_COUNT_MAX, HISTORY_SNIPPET_WORDS, HISTORY_TEXTS_MAX, INDEX_FLUSH_EVENTS
from fleet.projections import history_vocabulary as vocabulary
from fleet.projections.file_seals import FileSeal, remove
from fleet.projections.history_page import FoundSession, HistoryPage, Snippet
from fleet.projections.history_query import HistorySearch, match_expression
from fleet.projections.history_text import Kind, clip, replaced_text, text_of, unmark

VERSION: Final = 3
"""The version of the tables and their content. When it changes, the model is rebuilt from the log."""

_DELETES_WORDS: Final = sqlite3.sqlite_version_info >= (3, 42)
"""Whether FTS5 can delete words at once; older versions keep erased words until the index is merged."""

_PREFIX: Final = "session-"
_SCHEMA: Final = """
CREATE TABLE reached (position INTEGER NOT NULL);
INSERT INTO reached VALUES (0);
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, phase TEXT NOT NULL,
    created_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL, texts INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX sessions_by_phase ON sessions (phase, number);
CREATE INDEX sessions_by_creation ON sessions (created_ms, number);
CREATE TABLE texts (
    number INTEGER NOT NULL, key TEXT NOT NULL, row INTEGER NOT NULL UNIQUE, kind TEXT NOT NULL, message TEXT,
    PRIMARY KEY (number, key)
) WITHOUT ROWID;
CREATE TABLE asked (number INTEGER NOT NULL, message TEXT NOT NULL, PRIMARY KEY (number, message)) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5(text, tokenize = "unicode61 remove_diacritics 2", prefix = '2 3');
"""


class _Session(NamedTuple):
    number: int
    phase: str
    texts: int


class HistoryStore:
    """The model, in `file`, or in memory for None. Use it in one thread at a time; call `open` first."""

    def __init__(self, file: Path | None, seal: FileSeal | None = None) -> None:
        self._file = file
        self._seal = seal
        self._is_sealed = False
        self._unflushed = 0
        self._connection: sqlite3.Connection | None = None

    @property
    def _sql(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.OperationalError("the history is not open")
        return self._connection

    def open(self, head: int) -> int:
        """Open the model, and rebuild it when it is missing, damaged, of another version or log, or ahead of `head`.

        Return its position. Raises `sqlite3.Error`, `OSError`.
        """
        if self._connection is None:
            self._is_sealed = self._seal is not None and self._seal.require()
            try:
                self._connect()
            except sqlite3.OperationalError:
                raise  # a full disk or a read-only directory: a rebuild would not help
            except sqlite3.DatabaseError:
                self.remove()
                self._connect()
        if self.position() > head:
            self.remove()
            self._connect()
        if not self._is_sealed:
            self._empty_journal()  # a crash may have come between an erasure and this
        return self.position()

    def close(self, end: LogEnd | None = None) -> None:
        """Close the file; what was written moves from the journal into it. It is sealed, where its end is known."""
        if self._connection is not None:
            if self._seal is not None:
                self._seal.drop()
            self._connection.close()
            self._connection = None
            if self._seal is not None and end is not None:
                self._seal.put(end)

    def is_flush_due(self, *, caught_up: bool) -> bool:
        """Return whether `flush` is due: after enough events, and for a model that has caught up and has no seal."""
        return self._unflushed >= INDEX_FLUSH_EVENTS or (caught_up and self._seal is not None and not self._is_sealed)

    def flush(self, end: LogEnd | None) -> None:
        """Move what was written from the journal into the file, and seal it, where its end is known."""
        self._empty_journal()
        if self._seal is not None and end is not None:
            self._seal.put(end)
            self._is_sealed = True

    def remove(self) -> None:
        """Delete the model; it can be rebuilt from the log."""
        self.close()
        remove(self._file)

    def position(self) -> int:
        """Return the log position of the model."""
        [position] = self._sql.execute("SELECT position FROM reached").fetchone()
        return int(position)

    def _connect(self) -> None:
        if self._file is not None:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file.touch(0o600)
        # Threads use the connection one at a time; this class controls the transactions.
        connection = sqlite3.connect(self._file or ":memory:", check_same_thread=False, isolation_level=None)
        self._connection = connection
        try:
            for pragma in (
                "journal_mode = WAL",
                "synchronous = NORMAL",
                "secure_delete = ON",
                "cache_size = -65536",
                "wal_autocheckpoint = 0",
            ):
                connection.execute(f"PRAGMA {pragma}")
            [version] = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                self.remove()
                self._connect()
            elif version == 0:
                connection.executescript(
                    f"BEGIN; {_SCHEMA} {vocabulary.SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;"
                )
                for index in _INDEXES if _DELETES_WORDS else ():
                    connection.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('secure-delete', 1)")  # noqa: S608
        except BaseException:
            self.close()
            raise

    # -------------------------------------------------------------------------------------------------- from the log

    def apply(self, events: Sequence[Recorded], position: int) -> None:
        """Apply the events up to `position` of the log in one transaction, or nothing. Raises `sqlite3.Error`."""
        sql = self._sql
        sql.execute("BEGIN IMMEDIATE")
        try:
            for recorded in events:
                if recorded.stream.startswith(_PREFIX):
                    self._take(recorded.stream[len(_PREFIX) :], recorded.event)
            erased = any(isinstance(recorded.event, Erased | SessionErased | CallbacksErased) for recorded in events)
            for index in _INDEXES if erased and not _DELETES_WORDS else ():
                sql.execute(f"INSERT INTO {index} ({index}) VALUES ('optimize')")  # noqa: S608 - constants
            sql.execute("UPDATE reached SET position = ?", (position,))
            sql.execute("COMMIT")
        except BaseException:
            if sql.in_transaction:
                sql.execute("ROLLBACK")
            raise
        self._unflushed += len(events)
        if erased:
            self._empty_journal()

    def _empty_journal(self) -> None:
        """Move the write-ahead journal into the database: its pages may contain words that were erased since."""
        if self._seal is not None:
            self._seal.drop()
        self._is_sealed, self._unflushed = False, 0
        self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def _take(self, session_id: str, event: Any) -> None:
        known = self._session(session_id)
        if isinstance(event, Erased):
            self._erase(known)
        elif isinstance(event, SessionCreated):
            self._create(session_id, event)
        elif known is not None:  # events after erased ones belong to no session
            self._change(known, event)

    def _session(self, session_id: str) -> _Session | None:
        row = self._sql.execute("SELECT number, phase, texts FROM sessions WHERE id = ?", (session_id,)).fetchone()
        return None if row is None else _Session(*row)

    def _create(self, session_id: str, event: SessionCreated) -> None:
        created = (session_id, event.settings.title, TABLE["absent", SessionCreated], event.at_ms, event.at_ms)
        self._sql.execute(
            "INSERT INTO sessions (id, title, phase, created_ms, changed_ms) VALUES (?, ?, ?, ?, ?)", created
        )
        self._put_text(self._session(session_id), "title", "title", event.settings.title)

    def _change(self, session: _Session, event: Any) -> None:
        phase = str(TABLE[session.phase, type(event)] or session.phase)
        if phase == "erased":
            self._erase(session)
            return
        changed = (phase, event.at_ms, session.number)
        self._sql.execute("UPDATE sessions SET phase = ?, changed_ms = ? WHERE number = ?", changed)
        put = _PUT.get(cast("type[object]", type(event)))
        if put is not None:
            put(self, session, event)

    def _erase(self, session: _Session | None) -> None:
        if session is None:
            return
        for [row] in self._sql.execute("SELECT row FROM texts WHERE number = ?", (session.number,)).fetchall():
            self._drop_words(row)
        self._sql.execute("DELETE FROM texts WHERE number = ?", (session.number,))
        self._sql.execute("DELETE FROM asked WHERE number = ?", (session.number,))
        self._sql.execute("DELETE FROM sessions WHERE number = ?", (session.number,))

    def _put_text(
        self, session: _Session | None, key: str, kind: Kind, text: str, message_id: str | None = None
    ) -> None:
        """Store a text. It replaces the text with the same key and keeps that one's kind."""
        if session is None or session.texts >= HISTORY_TEXTS_MAX:
            return
        found = self._sql.execute(
            "SELECT row FROM texts WHERE number = ? AND key = ?", (session.number, key)
        ).fetchone()
        if found is not None:
            self._drop_words(found[0])
            self._put_words(found[0], text)
            return
        row = session.number * HISTORY_TEXTS_MAX + session.texts
        self._sql.execute("INSERT INTO texts VALUES (?, ?, ?, ?, ?)", (session.number, key, row, kind, message_id))
        self._put_words(row, text)
        self._sql.execute("UPDATE sessions SET texts = texts + 1 WHERE number = ?", (session.number,))

    def _put_words(self, row: int, text: str) -> None:
        text = normalize("NFC", text)  # like the search text
        self._sql.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (row, text))
        vocabulary.learn(self._sql, text)

    def _drop_words(self, row: int) -> None:
        for [text] in self._sql.execute("SELECT text FROM words WHERE rowid = ?", (row,)).fetchall():
            self._sql.execute("DELETE FROM words WHERE rowid = ?", (row,))
            vocabulary.forget(self._sql, text)

    def _put_title(self, session: _Session, event: SessionEdited) -> None:
        self._sql.execute("UPDATE sessions SET title = ? WHERE number = ?", (event.title, session.number))
        self._put_text(session, "title", "title", event.title)

    def _put_prompt(self, session: _Session, event: PromptAccepted | PromptEdited) -> None:
        self._put_text(session, event.prompt_id, "prompt", clip(event.text))

    def _remove_prompt(self, session: _Session, event: PromptWithdrawn) -> None:
        key = (session.number, event.prompt_id)
        for [row] in self._sql.execute("SELECT row FROM texts WHERE number = ? AND key = ?", key).fetchall():
            self._drop_words(row)
        self._sql.execute("DELETE FROM texts WHERE number = ? AND key = ?", key)

    def _name_prompt(self, session: _Session, event: TurnStarted) -> None:
        # From now on the prompt has the id of its part, because OpenCode returns it under that id.
        named = (event.part_ids[0] if event.part_ids else event.prompt_id, session.number, event.prompt_id)
        self._sql.execute("UPDATE OR IGNORE texts SET key = ? WHERE number = ? AND key = ?", named)

    def _put_part(self, session: _Session, event: PartRecorded) -> None:
        read = text_of(event)
        if read is not None:
            self._put_text(session, event.part_id, *read, event.message_id)

    def _replace_texts(self, session: _Session, event: CallbacksErased) -> None:
        """Replace the texts of callbacks, under the ids of prompts and of parts."""
        texts = dict.fromkeys((*event.prompts, *event.parts), clip(erased_callback(event.child_id)))
        for each in event.replaced:
            part_id, text = replaced_text(each.payload)
            if text is not None:
                texts[part_id] = text
        for key, text in texts.items():
            where = (session.number, key)
            for [row] in self._sql.execute("SELECT row FROM texts WHERE number = ? AND key = ?", where).fetchall():
                self._drop_words(row)
                self._put_words(row, text)

    def _put_message(self, session: _Session, event: MessageRecorded) -> None:
        if event.role == "user":
            self._sql.execute("INSERT OR IGNORE INTO asked VALUES (?, ?)", (session.number, event.message_id))

    # ---------------------------------------------------------------------------------------------------- for readers

    def search(self, query: HistorySearch) -> HistoryPage:
        """Return the sessions that match. Raises `sqlite3.Error`."""
        if not query.search.strip():
            return self._list(query)
        expression = match_expression(query.search, partial(vocabulary.phrases, self._sql))
        if not expression:
            return HistoryPage((), 0, self.position())
        return self._match(expression, query)

    def _list(self, query: HistorySearch) -> HistoryPage:
        where, values = _conditions(query)
        [total] = self._sql.execute(f"SELECT count(*) FROM sessions s WHERE {where}", values).fetchone()  # noqa: S608 - constants
        rows = self._sql.execute(
            f"SELECT {_COLUMNS} FROM sessions s WHERE {where} ORDER BY s.number DESC LIMIT ? OFFSET ?",  # noqa: S608
            (*values, query.limit, query.offset),
        )
        return HistoryPage(tuple(_found(row, None) for row in rows), total, self.position())

    def _match(self, expression: str, query: HistorySearch) -> HistoryPage:
        sessions: list[tuple[int, tuple[Any, ...]]] = []
        total = 0
        for row, found in self._hits(expression, query):
            if query.offset <= total < query.offset + query.limit:
                sessions.append((row, found))
            total += 1
            if total >= max(HISTORY_COUNT_MAX, query.offset + query.limit):
                break
        snippets = self._snippets(expression, [row for row, _ in sessions])
        page = tuple(_found(found, snippets[row]) for row, found in sessions)
        return HistoryPage(page, total, self.position())

    def _hits(self, expression: str, query: HistorySearch) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Yield the newest text with a hit of each session, newest session first."""
        where, values = _conditions(query)
        rows = self._sql.execute(
            f"SELECT w.rowid, {_COLUMNS} FROM words w CROSS JOIN sessions s ON s.number = w.rowid / ? "  # noqa: S608
            f"WHERE w.words MATCH ? AND w.rowid BETWEEN ? AND ? AND {where} ORDER BY w.rowid DESC",
            (HISTORY_TEXTS_MAX, expression, *self._range(query), *values),
        )
        before = None
        for row, *found in rows:
            if found[0] != before:
                before = found[0]
                yield row, tuple(found)

    def _range(self, query: HistorySearch) -> tuple[int, int]:
        """Return the first and last row that sessions of the query's times can have."""
        times = HistorySearch(from_ms=query.from_ms, to_ms=query.to_ms)
        where, values = _conditions(times)
        first, last = 0, 1 << 42
        if values:
            bounds = f"SELECT min(s.number), max(s.number) FROM sessions s WHERE {where}"  # noqa: S608 - constants
            first, last = (number or 0 for number in self._sql.execute(bounds, values).fetchone())
        return first * HISTORY_TEXTS_MAX, (last + 1) * HISTORY_TEXTS_MAX - 1

    def _snippets(self, expression: str, rows: Sequence[int]) -> dict[int, Snippet]:
        """Return the snippets of these rows, which are in descending order."""
        if not rows:
            return {}
        # One pass over the range: FTS5 would restart for each single row, which costs more than the search.
        places = ", ".join("?" * len(rows))
        marked = self._sql.execute(
            f"SELECT rowid, CASE WHEN rowid IN ({places}) THEN snippet(words, 0, char(2), char(3), '…', ?) END "  # noqa: S608
            "FROM words WHERE words MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rowid DESC",
            (*rows, HISTORY_SNIPPET_WORDS, expression, rows[-1], rows[0]),
        )
        texts = {row: text for row, text in marked if text is not None}
        kinds = dict(self._sql.execute(f"SELECT row, {_KIND} FROM texts WHERE row IN ({places})", rows))  # noqa: S608
        return {row: Snippet(kinds[row], *unmark(texts[row])) for row in rows}


_INDEXES: Final = ("words", *vocabulary.INDEXES)
_KIND: Final = "iif(kind = 'answer' AND (number, message) IN asked, 'prompt', kind)"
_COLUMNS: Final = "s.id, s.title, s.phase, s.created_ms, s.changed_ms"
_PUT: Final[dict[type[Any], Callable[[HistoryStore, _Session, Any], None]]] = {
    SessionEdited: HistoryStore._put_title,
    PromptAccepted: HistoryStore._put_prompt,
    PromptWithdrawn: HistoryStore._remove_prompt,
    PromptEdited: HistoryStore._put_prompt,
    TurnStarted: HistoryStore._name_prompt,
    MessageRecorded: HistoryStore._put_message,
    PartRecorded: HistoryStore._put_part,
    CallbacksErased: HistoryStore._replace_texts,
}


def _found(row: tuple[Any, ...], snippet: Snippet | None) -> FoundSession:
    return FoundSession(row[0], row[1], row[2], row[3], row[4], snippet)


def _conditions(query: HistorySearch) -> tuple[str, list[Any]]:
    """Return the condition on sessions, and its values."""
    conditions, values = ["TRUE"], list[Any]()
    if query.statuses:
        conditions.append(f"s.phase IN ({', '.join('?' * len(query.statuses))})")
        values += query.statuses
    if query.from_ms is not None:
        conditions.append("s.created_ms >= ?")
        values.append(query.from_ms)
    if query.to_ms is not None:
        conditions.append("s.created_ms <= ?")
        values.append(query.to_ms)
    return " AND ".join(conditions), values
