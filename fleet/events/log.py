"""The contract of an event log. `lmdb_log` implements it on disk; the fake of the tests passes the same suite.

Appends are durable when they return. Reads are synchronous, because LMDB's pages are memory-mapped; a `limit` bounds
them. feed.py follows the log.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from fleet.events.codec import CorruptRecord, Header
from fleet.events.envelope import (
    NO_OWN_CAUSES,
    Appended,
    Cause,
    CommandRecord,
    Damaged,
    OwnCauses,
    Recorded,
    StateSnapshot,
)
from fleet.events.heads import Heads
from fleet.events.surplus import Search, TableSizes
from fleet.wire.audit import SignedHead

Listener = Callable[[Sequence[Recorded]], None]
"""Called on the event loop with each commit, in log order, before its appenders continue. Must not raise."""


class VersionConflict(Exception):  # noqa: N818 - the field's term
    """The stream does not have the expected version: it has a second writer, which is a bug (law 2)."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"{stream} is at version {actual}, expected {expected}")
        self.stream = stream
        self.expected = expected
        self.actual = actual


class OutcomeUnknown(Exception):  # noqa: N818 - that is the point of it
    """The commit failed and may or may not be durable: tasks that waited for it must read the log again."""


class LogStatistics(msgspec.Struct, frozen=True):
    """The log's load: waiting appends and their bytes of payload, and commits and appends since the start.

    `shortage`: why the log may accept only what ends something; None while the disk has room. `refuses`: the last
    append of anything else was refused for it.
    """

    waiting: int
    waiting_bytes: int
    commits: int
    appends: int
    shortage: str | None = None
    refuses: bool = False


def up_to(bytes_max: int | None, events: Iterable[Recorded]) -> list[Recorded]:
    """Return the events up to the one whose payload makes the sum reach `bytes_max`."""
    if bytes_max is None:
        return list(events)
    taken: list[Recorded] = []
    for event in events:
        taken.append(event)
        bytes_max -= event.size_bytes
        if bytes_max <= 0:
            break
    return taken


def undamaged(events: list[Recorded]) -> list[Recorded]:
    """Return the events. Raises `CorruptRecord` if one is damaged, so that nothing is made of the others alone."""
    for each in events:
        if isinstance(each.event, Damaged):
            raise CorruptRecord(f"event {each.position} of {each.stream} is damaged: {each.event.reason}")
    return events


class LogReader(Protocol):
    """The log's events as any source has them: a running log, a data directory, or an export."""

    def head(self) -> int:
        """Return the position of the last durable event, 0 in an empty log."""
        ...

    def heads(self) -> Heads:
        """Return the stored heads: each commit stores a signed one, so the last record is covered as well."""
        ...

    def sign(self, position: int) -> SignedHead | None:
        """Return a signed head at this position: a new one, or where no server runs, one that was stored, else None.

        Raises `CorruptRecord`.
        """
        ...

    def stream_version(self, stream: str) -> int:
        """Return the version of the stream's last event, 0 where there is none."""
        ...

    def snapshots_of(self, stream: str) -> list[tuple[StateSnapshot, bool]]:
        """Return the stored snapshots of the stream, each with whether its seal is right, for verification."""
        ...

    def table_sizes(self) -> TableSizes | None:
        """Return the sizes of the log's tables, for verification; None where there are none."""
        ...

    def find_surplus(self) -> Search:
        """Find an entry of these tables that belongs to no event, for verification, in steps."""
        ...

    def is_erased(self, stream: str) -> bool:
        """Return whether the stream's erasure has begun: its first event is `Erased`, and every fold stops there."""
        ...

    def streams(self, beginning: str = "", after: str = "") -> Iterator[str]:
        """Yield the names of all streams that begin like this and come after `after`, in order.

        Consume it before any other call.
        """
        ...

    def read_stream(
        self, stream: str, after: int = 0, limit: int | None = None, bytes_max: int | None = None
    ) -> list[Recorded]:
        """Return the stream's events at positions beyond `after`, in order.

        At most `limit` events, and none after the one whose payload makes the sum reach `bytes_max`.
        """
        ...

    def read_all(self, after: int = 0, limit: int | None = None, bytes_max: int | None = None) -> list[Recorded]:
        """Return the log's events at positions beyond `after`, in order, bounded as in `read_stream`."""
        ...

    def read_events(self, positions: Sequence[int], bytes_max: int | None = None) -> list[Recorded]:
        """Return the events at these positions, in the order given, bounded as in `read_stream`."""
        ...

    def read_headers(self, positions: Sequence[int]) -> list[Header]:
        """Return the headers of the events at these positions; a search reads them at a tenth of the cost."""
        ...

    def stream_positions(self, stream: str, after: int, before: int, limit: int, *, newest_first: bool) -> list[int]:
        """Return at most `limit` positions of the stream's events between `after` and `before`, both exclusive.

        They ascend; with `newest_first` they descend.
        """
        ...

    def read_record(self, position: int) -> bytes | None:
        """Return the raw record at `position`, for verify.py. Raises `CorruptRecord` where it cannot be read."""
        ...

    def indexed_version(self, stream: str, position: int) -> int | None:
        """Return the version that the index holds for this event, for verify.py. Raises `CorruptRecord`."""
        ...

    def replay(self, stream: str, after: int = 0, through: int | None = None) -> Iterator[tuple[int, int, Any]]:
        """Yield (version, position, event) of the stream beyond `after`, for folds, at half the cost.

        The last position is `through`, None for the stream's end. Reads in pages of `REPLAY_PAGE_EVENTS`, so the caller
        may pause between two events.
        """
        ...

    def find_command(self, command_id: str) -> CommandRecord | None:
        """Return the record of a command id, None for one that is new."""
        ...

    def load_snapshot(self, stream: str, at: int | None = None) -> StateSnapshot | None:
        """Return the latest snapshot of the stream, or the latest that is not beyond the position `at`."""
        ...


class Log(LogReader, Protocol):
    """An append-only log of events in streams. Its events never change, except that a stream can be erased."""

    async def append(
        self,
        stream: str,
        expected_version: int,
        events: Sequence[Any],
        cause: Cause,
        *,
        own_causes: OwnCauses = NO_OWN_CAUSES,
        command_id: str | None = None,
        command_digest: bytes = b"",
    ) -> Appended:
        """Append all of `events` or none, and return when they are durable.

        `events` are one or more instances of registered types (registry.py), the same that listeners get. Their cause
        is `cause`, except for those that have one in `own_causes`. With a `command_id` that has been appended before,
        nothing is appended and the first outcome is returned; `Rejected` idempotency_conflict when `command_digest`
        differs. Raises `VersionConflict`; `Rejected` event_too_large; `Unavailable` disk_full, overloaded, stopping or
        log_unavailable, and then nothing was appended; `OutcomeUnknown`. A caller that is cancelled while it waits does
        not know the outcome either: all events are appended, or none.
        """
        ...

    async def erase(self, stream: str) -> None:
        """Erase the stream durably: every event that it has now becomes `Erased`.

        Salts, payloads, snapshots and digests of commands are removed. Headers, positions, versions and command ids
        stay, so the chain can still be verified. Long streams are erased in pages, from the first event on. After a
        crash, erasing again finishes the rest; repeated once it is complete, it does nothing. Raises `Unavailable` and
        `OutcomeUnknown` as `append` does; a part may be erased then. Append events about the erasure before it.
        """
        ...

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every later commit. Listeners are called in the order of their registration."""
        ...

    def statistics(self) -> LogStatistics:
        """Return the load."""
        ...

    def save_snapshot(self, stream: str, snapshot: StateSnapshot) -> None:
        """Store a snapshot with a later commit, without waiting for it: snapshots are disposable.

        It replaces the stream's last one, except that one in `PAST_SNAPSHOT_EVENTS` versions is kept for good.
        """
        ...

    def keep_snapshot(self, stream: str, snapshot: StateSnapshot) -> None:
        """Store a snapshot of an earlier version for good, likewise with a later commit."""
        ...
