"""Keeps the history in SQLite, for history_search.py: sessions and their words, with an FTS5 index over the words.

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
from collections.abc import Callable, Sequence
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
from fleet.limits import HISTORY_TEXTS_MAX, INDEX_FLUSH_EVENTS
from fleet.projections import history_vocabulary as vocabulary
from fleet.projections.file_seals import FileSeal, remove
from fleet.projections.history_page import HistoryPage
from fleet.projections.history_query import HistorySearch
from fleet.projections.history_search import reached, search
from fleet.projections.history_text import Kind, clip, replaced_text, text_of

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
        """Close the file; what was written moves from the journal into it. With the `end` of the log, it is sealed."""
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
        """Move what was written from the journal into the file. With the `end` of the log, the file is sealed."""
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
        return reached(self._sql)

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
        if self._reword(session, key, text):
            return
        row = session.number * HISTORY_TEXTS_MAX + session.texts
        self._sql.execute("INSERT INTO texts VALUES (?, ?, ?, ?, ?)", (session.number, key, row, kind, message_id))
        self._put_words(row, text)
        self._sql.execute("UPDATE sessions SET texts = texts + 1 WHERE number = ?", (session.number,))

    def _reword(self, session: _Session, key: str, text: str) -> bool:
        """Replace the words of the text with this key; return whether there is one."""
        row = self._row(session, key)
        if row is not None:
            self._drop_words(row)
            self._put_words(row, text)
        return row is not None

    def _row(self, session: _Session, key: str) -> int | None:
        where = (session.number, key)
        found = self._sql.execute("SELECT row FROM texts WHERE number = ? AND key = ?", where).fetchone()
        return None if found is None else int(found[0])

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
        row = self._row(session, event.prompt_id)
        if row is not None:
            self._drop_words(row)
            self._sql.execute("DELETE FROM texts WHERE row = ?", (row,))

    def _name_prompt(self, session: _Session, event: TurnStarted) -> None:
        # From now on the prompt has the id of its part, because OpenCode returns it under that id.
        named = (event.part_ids[0] if event.part_ids else event.prompt_id, session.number, event.prompt_id)
        self._sql.execute("UPDATE OR IGNORE texts SET key = ? WHERE number = ? AND key = ?", named)

    def _put_part(self, session: _Session, event: PartRecorded) -> None:
        read = text_of(event.type, event.body)
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
            self._reword(session, key, text)

    def _put_message(self, session: _Session, event: MessageRecorded) -> None:
        if event.role == "user":
            self._sql.execute("INSERT OR IGNORE INTO asked VALUES (?, ?)", (session.number, event.message_id))

    def search(self, query: HistorySearch) -> HistoryPage:
        """Return the sessions that match. Raises `sqlite3.Error`."""
        return search(self._sql, query)


_INDEXES: Final = ("words", *vocabulary.INDEXES)
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
