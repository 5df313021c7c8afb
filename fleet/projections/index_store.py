"""The index of sessions' streams in SQLite: at which positions of the log the events for a read are.

    streams        number, name, position (indexed up to), turn (its newest)
    conversations  number, stream, name
    places         conversation, created_ms, message, first, until: where a message is in its conversation, and when
    counts         conversation, position -> how many messages there are then, and the newest created_ms of them
    messages       stream, message -> its conversation and time, what it has cost, and the turn that paid for it
    bodies         stream, message, part, position: each version of a message (part is empty) and of a part
    parts          stream, part -> its message
    charges        stream, position -> what a message has cost more, and the turn that pays for it
    marks          stream, kind, position: the events of a kind
    facts          stream, kind, key, position: the events about a key
    times          block of the log's positions -> the earliest and the latest time in it (fleet/events/times.py)

It holds ids and positions, and no content. It is disposable and is brought up to date by its readers (indexes.py). A
message can change its place; its earlier place is kept with the position `until` which it was there.
"""

import sqlite3
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from fleet.core.session.events import (
    CallbackOrdered,
    ConversationOpened,
    ResumeRequested,
    SessionCreated,
    SessionResumed,
    SetupEnded,
    WorkspaceAttached,
)
from fleet.core.session.turn_events import (
    ChangesRecorded,
    MessageRecorded,
    PartRecorded,
    PromptAccepted,
    PromptDelivered,
    PromptEdited,
    StepSnapshotTaken,
    TurnEnded,
    TurnFailed,
    TurnSnapshotTaken,
    TurnStarted,
    TurnSteered,
)
from fleet.events.batch import LogEnd
from fleet.events.envelope import Recorded
from fleet.projections.file_seals import FileSeal, remove
from fleet.projections.index_queries import Charge, FactKind, IndexedStream, IndexQueries, MarkKind, decode_charge
from fleet.projections.recorded_parts import attachments_of, subagent_of

VERSION: Final = 4
"""The version of the tables and their content. When it changes, the index is made again."""

_SCHEMA: Final = """
CREATE TABLE streams (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, position INTEGER NOT NULL DEFAULT 0, turn INTEGER
);
CREATE TABLE conversations (
    number INTEGER PRIMARY KEY, stream INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE (stream, name)
);
CREATE TABLE places (
    conversation INTEGER NOT NULL, created_ms INTEGER NOT NULL, message TEXT NOT NULL, first INTEGER NOT NULL,
    until INTEGER, PRIMARY KEY (conversation, created_ms, message, first)
) WITHOUT ROWID;
CREATE TABLE counts (
    conversation INTEGER NOT NULL, position INTEGER NOT NULL, total INTEGER NOT NULL, newest_ms INTEGER NOT NULL,
    PRIMARY KEY (conversation, position)
) WITHOUT ROWID;
CREATE TABLE messages (
    stream INTEGER NOT NULL, message TEXT NOT NULL, conversation INTEGER NOT NULL, created_ms INTEGER NOT NULL,
    paid BLOB NOT NULL, turn INTEGER, PRIMARY KEY (stream, message)
) WITHOUT ROWID;
CREATE TABLE bodies (
    stream INTEGER NOT NULL, message TEXT NOT NULL, part TEXT NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (stream, message, part, position)
) WITHOUT ROWID;
CREATE TABLE parts (
    stream INTEGER NOT NULL, part TEXT NOT NULL, message TEXT NOT NULL, PRIMARY KEY (stream, part)
) WITHOUT ROWID;
CREATE TABLE charges (
    stream INTEGER NOT NULL, position INTEGER NOT NULL, turn INTEGER NOT NULL, paid BLOB NOT NULL,
    PRIMARY KEY (stream, position)
) WITHOUT ROWID;
CREATE TABLE marks (
    stream INTEGER NOT NULL, kind TEXT NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (stream, kind, position)
) WITHOUT ROWID;
CREATE TABLE times (block INTEGER PRIMARY KEY, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL);
CREATE TABLE facts (
    stream INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (stream, kind, key, position)
) WITHOUT ROWID;
"""
_OF_STREAM: Final = ("messages", "bodies", "parts", "charges", "marks", "facts", "conversations")


_encode: Final = msgspec.msgpack.Encoder().encode
_FREE: Final = Charge()


class IndexStore(IndexQueries):
    """The index, in `file`, or in memory for None. Everything may raise `sqlite3.Error`."""

    def __init__(self, file: Path | None, head: int = 0, seal: FileSeal | None = None) -> None:
        """Open it. It begins empty when it is missing, damaged, of another version or ahead of the log's `head`.

        With a `seal` the file gets one with each flush, and at its close.
        """
        self._file = file
        self._seal = seal
        self.writes = 0
        try:
            self._open()
        except sqlite3.DatabaseError:
            remove(file)
            self._open()
        [position] = self._one("SELECT coalesce(max(position), 0) FROM streams") or (0,)
        if file is not None and position > head:
            self.close()
            remove(file)
            self._open()

    def _open(self) -> None:
        if self._file is not None:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file.touch(0o600)
        in_memory = self._file is None
        self._sql = sqlite3.connect(self._file or ":memory:", isolation_level=None, check_same_thread=not in_memory)
        if in_memory:  # it ends with this object, in whichever thread that is collected
            weakref.finalize(self, self._sql.close)
        try:
            self._prepare()
        except sqlite3.Error:
            self._sql.close()
            raise

    def _prepare(self) -> None:
        # No commit waits for the disk: `flush` does, outside of the event loop.
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "wal_autocheckpoint = 0", "cache_size = -16384"):
            self._sql.execute(f"PRAGMA {pragma}")
        [version] = self._one("PRAGMA user_version") or (0,)
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError(f"version {version}")
        if version == 0:
            self._sql.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, to compare all rows (replay_index.py)."""
        return self._sql

    def close(self) -> None:
        """Close the file; what was written moves from the journal into it."""
        if self._seal is not None:
            self._seal.drop()
        self._sql.close()

    def flush(self, end: LogEnd | None) -> None:
        """Move what was written from the journal into the file. With the `end` of the log, the file is sealed.

        It may run in a thread, beside everything else.
        """
        if self._file is not None:
            if self._seal is not None:
                self._seal.drop()
            with sqlite3.connect(self._file, isolation_level=None) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            connection.close()
            if self._seal is not None and end is not None:
                self._seal.put(end)

    # ----------------------------------------------------------------------------------------------------------- write

    def apply(self, name: str, events: Sequence[Recorded]) -> None:
        """Index the next events of a stream, all or none."""
        self._sql.execute("BEGIN")
        try:
            self._sql.execute("INSERT OR IGNORE INTO streams (name) VALUES (?)", (name,))
            found = self.stream(name)
            for recorded in events:
                take = _TAKE.get(cast("type[object]", type(recorded.event)))
                if take is not None:
                    take(self, found, recorded, recorded.event)
                    if isinstance(recorded.event, TurnStarted):
                        found = found._replace(turn=recorded.event.number)
            values = (events[-1].position, found.turn, found.number)
            self._sql.execute("UPDATE streams SET position = ?, turn = ? WHERE number = ?", values)
            self._sql.execute("COMMIT")
        except BaseException:
            self._sql.execute("ROLLBACK")
            raise
        self.writes += len(events)

    def forget(self, name: str) -> None:
        """Remove a stream."""
        number = self.stream(name).number
        self._sql.execute("BEGIN")
        for table in ("places", "counts"):
            ours = "SELECT number FROM conversations WHERE stream = ?"
            self._sql.execute(f"DELETE FROM {table} WHERE conversation IN ({ours})", (number,))  # noqa: S608 - constants
        for table in _OF_STREAM:
            self._sql.execute(f"DELETE FROM {table} WHERE stream = ?", (number,))  # noqa: S608 - constants
        self._sql.execute("DELETE FROM streams WHERE number = ?", (number,))
        self._sql.execute("COMMIT")

    def save_times(self, first: int, times: Sequence[tuple[int, int]]) -> None:
        """Store the times of the log's blocks from number `first` on."""
        self._sql.execute("BEGIN")
        rows = ((first + number, *each) for number, each in enumerate(times))
        self._sql.executemany("INSERT OR REPLACE INTO times VALUES (?, ?, ?)", rows)
        self._sql.execute("COMMIT")

    def _mark(self, stream: IndexedStream, kind: MarkKind, position: int) -> None:
        self._sql.execute("INSERT OR IGNORE INTO marks VALUES (?, ?, ?)", (stream.number, kind, position))

    def _fact(self, stream: IndexedStream, kind: FactKind, key: str, position: int) -> None:
        self._sql.execute("INSERT OR IGNORE INTO facts VALUES (?, ?, ?, ?)", (stream.number, kind, key, position))

    def _body(self, stream: IndexedStream, message: str, part: str, position: int) -> None:
        self._sql.execute("INSERT OR IGNORE INTO bodies VALUES (?, ?, ?, ?)", (stream.number, message, part, position))

    def _tree(
        self,
        stream: IndexedStream,
        recorded: Recorded,
        event: WorkspaceAttached | SetupEnded | TurnSnapshotTaken | StepSnapshotTaken,
    ) -> None:
        if isinstance(event, StepSnapshotTaken | TurnSnapshotTaken) or event.baseline is not None:
            self._mark(stream, "tree", recorded.position)

    def _opened(
        self, stream: IndexedStream, recorded: Recorded, _: SessionCreated | ConversationOpened | SessionResumed
    ) -> None:
        self._mark(stream, "own", recorded.position)

    def _prompt(self, stream: IndexedStream, recorded: Recorded, event: PromptAccepted | PromptEdited) -> None:
        self._fact(stream, "prompt", event.prompt_id, recorded.position)
        self._mark(stream, "turn", recorded.position)

    def _turn(self, stream: IndexedStream, recorded: Recorded, _: Any) -> None:
        self._mark(stream, "turn", recorded.position)

    def _started(self, stream: IndexedStream, recorded: Recorded, event: TurnStarted | TurnSteered) -> None:
        self._mark(stream, "turn", recorded.position)
        self._fact(stream, "named", event.message_id, recorded.position)
        if isinstance(event, TurnStarted):
            self._fact(stream, "named", str(event.number), recorded.position)

    def _delivered(self, stream: IndexedStream, recorded: Recorded, event: PromptDelivered) -> None:
        self._mark(stream, "turn", recorded.position)
        if event.kept_as is not None:
            for position in self.facts(stream, "named", event.message_id)[-1:]:
                self._fact(stream, "named", event.kept_as, position)

    def _changes(self, stream: IndexedStream, recorded: Recorded, event: ChangesRecorded) -> None:
        self._mark(stream, "turn", recorded.position)
        self._mark(stream, "changes", recorded.position)
        self._mark(stream, "tree", recorded.position)
        self._fact(stream, "changes", str(event.number), recorded.position)
        if event.overlaps:
            self._fact(stream, "overlaps", "", recorded.position)
        for manifest in (event.turn_manifest, event.session_manifest):
            self._fact(stream, "manifest", manifest, recorded.position)

    def _callback(self, stream: IndexedStream, recorded: Recorded, event: CallbackOrdered) -> None:
        self._fact(stream, "callback", str(event.number), recorded.position)

    def _message(self, stream: IndexedStream, recorded: Recorded, event: MessageRecorded) -> None:
        self._body(stream, event.message_id, "", recorded.position)
        conversation = self._conversation(stream, event.opencode_id)
        known = self._one(
            "SELECT conversation, created_ms, paid, turn FROM messages WHERE stream = ? AND message = ?",
            (stream.number, event.message_id),
        )
        before = None if known is None else (known[0], known[1])
        if before != (conversation, event.created_ms):
            self._place(conversation, event, recorded.position, before)
        self._charge(stream, recorded.position, event, known)
        paid, turn = Charge(event.cost_usd, event.tokens), stream.turn if known is None else known[3]
        self._sql.execute(
            "INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?, ?)",
            (stream.number, event.message_id, conversation, event.created_ms, _encode(paid), turn),
        )

    def _conversation(self, stream: IndexedStream, name: str) -> int:
        values = (stream.number, name)
        found = self._one("SELECT number FROM conversations WHERE stream = ? AND name = ?", values)
        if found is not None:
            return int(found[0])
        return int(self._sql.execute("INSERT INTO conversations (stream, name) VALUES (?, ?)", values).lastrowid or 0)

    def _place(self, conversation: int, event: MessageRecorded, position: int, before: tuple[int, int] | None) -> None:
        """Give a message its place; it leaves the one that it had `before`."""
        created_ms, message = event.created_ms, event.message_id
        if before is not None:
            left = (
                "UPDATE places SET until = ?"
                " WHERE conversation = ? AND created_ms = ? AND message = ? AND until IS NULL"
            )
            self._sql.execute(left, (position, *before, message))
        total, newest_ms = self.count(conversation, None)
        total += 0 if before is not None and before[0] == conversation else 1
        self._sql.execute(
            "INSERT OR REPLACE INTO counts VALUES (?, ?, ?, ?)",
            (conversation, position, total, max(newest_ms, created_ms)),
        )
        self._sql.execute("INSERT INTO places VALUES (?, ?, ?, ?, NULL)", (conversation, created_ms, message, position))

    def _charge(
        self, stream: IndexedStream, position: int, event: MessageRecorded, known: tuple[Any, ...] | None
    ) -> None:
        """Charge a message to the turn that recorded it first, also when it changes later; copies cost nothing."""
        turn, before = (stream.turn, _FREE) if known is None else (known[3], decode_charge(known[2]))
        more = Charge(event.cost_usd - before.cost_usd, event.tokens - before.tokens)
        if turn is not None and Charge(event.cost_usd, event.tokens) != before:
            self._sql.execute("INSERT INTO charges VALUES (?, ?, ?, ?)", (stream.number, position, turn, _encode(more)))

    def _part(self, stream: IndexedStream, recorded: Recorded, event: PartRecorded) -> None:
        self._body(stream, event.message_id, event.part_id, recorded.position)
        values = (stream.number, event.part_id, event.message_id)
        self._sql.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", values)
        if event.type == "tool":
            self._tool(stream, recorded, event)

    def _tool(self, stream: IndexedStream, recorded: Recorded, event: PartRecorded) -> None:
        """Index to-do lists, sub-agents and attachments. Searching the bytes first avoids parsing most tool calls."""
        payload = recorded.payload
        if b'"todowrite"' in payload:
            self._mark(stream, "todo", recorded.position)
        if b'"task"' in payload and (started := subagent_of(event.body)) is not None:
            self._fact(stream, "agent", started[0], recorded.position)
        if b'"attachments"' in payload:
            for each in attachments_of(event.body):
                self._fact(stream, "file", each, recorded.position)


_TAKE: Final[dict[type[Any], Callable[[IndexStore, IndexedStream, Recorded, Any], None]]] = {
    SessionCreated: IndexStore._opened,
    ConversationOpened: IndexStore._opened,
    ResumeRequested: IndexStore._opened,
    SessionResumed: IndexStore._opened,
    WorkspaceAttached: IndexStore._tree,
    SetupEnded: IndexStore._tree,
    TurnSnapshotTaken: IndexStore._tree,
    StepSnapshotTaken: IndexStore._tree,
    PromptAccepted: IndexStore._prompt,
    PromptEdited: IndexStore._prompt,
    TurnStarted: IndexStore._started,
    TurnSteered: IndexStore._started,
    PromptDelivered: IndexStore._delivered,
    ChangesRecorded: IndexStore._changes,
    TurnEnded: IndexStore._turn,
    TurnFailed: IndexStore._turn,
    CallbackOrdered: IndexStore._callback,
    MessageRecorded: IndexStore._message,
    PartRecorded: IndexStore._part,
}
