"""The contract of an event log. `lmdb_log` implements it on disk, `memory_log` for tests; both pass one contract suite.

Appends are durable when they return. Reads are synchronous: LMDB's pages are memory-mapped, a read is bounded where it
is given a `limit`. Follow the log with feed.py.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from fleet.events.codec import Header
from fleet.events.envelope import Appended, Cause, CommandRecord, Recorded, StateSnapshot

Listener = Callable[[Sequence[Recorded]], None]
"""Called on the event loop with each commit, in log order, before its appenders continue. Must not raise."""


class VersionConflict(Exception):  # noqa: N818 - the field's term
    """Another version was expected: the stream has a second writer, which is a bug (law 2)."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"{stream}: expected version {expected}, but it is {actual}")
        self.stream = stream
        self.expected = expected
        self.actual = actual


class OutcomeUnknown(Exception):  # noqa: N818 - that is the point of it
    """The commit failed with an unknown outcome: tasks that waited for it must read the log again to continue."""


class LogStatistics(msgspec.Struct, frozen=True):
    """A log's load: what waits now (appends, bytes of payload), and commits and appends since the start."""

    waiting: int
    waiting_bytes: int
    commits: int
    appends: int


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


class Log(Protocol):
    """An append-only log of events in streams. Nothing in it changes, but that a stream may be erased."""

    async def append(
        self,
        stream: str,
        expected_version: int,
        events: Sequence[Any],
        cause: Cause,
        *,
        command_id: str | None = None,
        command_digest: bytes = b"",
    ) -> Appended:
        """Append all of `events` or none, and return when they are durable.

        `events` are one or more instances of registered types (registry.py), the same that listeners get. With a
        `command_id` that has been appended before, nothing is appended and the first outcome is returned; `Rejected`
        idempotency_conflict when `command_digest` differs. Raises `VersionConflict`; `Rejected` event_too_large;
        `Unavailable` disk_full, overloaded, stopping or log_unavailable, and then nothing was appended;
        `OutcomeUnknown`. A caller that is cancelled while it waits does not know the outcome either: the append goes
        through or not, as a whole.
        """
        ...

    async def erase(self, stream: str) -> None:
        """Erase the stream for good, durably: every event that it has now becomes `Erased`.

        Salts and payloads, snapshots and the digests of its commands go; headers, positions, versions and command ids
        stay, and the chain remains provable. Works through long streams in pages, first event first: a crash leaves
        the rest, and erasing again finishes it or does nothing. Raises `Unavailable` and `OutcomeUnknown` as `append`
        does, and then a part may be erased. Events about the erasure must be appended before.
        """
        ...

    def is_erased(self, stream: str) -> bool:
        """Return whether the stream's erasure has begun: its first event is `Erased`, and every fold stops there."""
        ...

    def head(self) -> int:
        """Return the position of the last durable event, 0 in an empty log."""
        ...

    def stream_version(self, stream: str) -> int:
        """Return the version of the stream's last event, 0 where there is none."""
        ...

    def read_stream(
        self, stream: str, after: int = 0, limit: int | None = None, bytes_max: int | None = None
    ) -> list[Recorded]:
        """Return the stream's events at positions beyond `after`, in order.

        At most `limit` of them, and none behind the one whose payload makes the sum reach `bytes_max`.
        """
        ...

    def read_all(self, after: int = 0, limit: int | None = None, bytes_max: int | None = None) -> list[Recorded]:
        """Return the log's events at positions beyond `after`, in order, bounded as in `read_stream`."""
        ...

    def read_headers(self, positions: Sequence[int]) -> list[Header]:
        """Return the headers of the events at these positions: what a search looks at, at a tenth of the cost."""
        ...

    def stream_positions(self, stream: str, after: int, before: int, limit: int, *, newest_first: bool) -> list[int]:
        """Return at most `limit` positions of the stream's events that are beyond `after` and short of `before`.

        In order, or with `newest_first` in the other one.
        """
        ...

    def read_record(self, position: int) -> bytes | None:
        """Return the raw record at `position`, for verify.py. Raises `CorruptRecord` where it cannot be read."""
        ...

    def indexed_version(self, stream: str, position: int) -> int | None:
        """Return the version that the index holds for this event, for verify.py. Raises `CorruptRecord`."""
        ...

    def replay(self, stream: str, after: int = 0) -> Iterator[tuple[int, int, Any]]:
        """Yield (version, position, event) of the stream beyond `after`: what a fold needs, at half the cost.

        Reads in pages of `REPLAY_PAGE_EVENTS`, so the caller may pause between two events.
        """
        ...

    def find_command(self, command_id: str) -> CommandRecord | None:
        """Return what became of a command id."""
        ...

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every later commit. Listeners are called in the order in which they came."""
        ...

    def statistics(self) -> LogStatistics:
        """Return the load."""
        ...

    def load_snapshot(self, stream: str) -> StateSnapshot | None:
        """Return the latest snapshot of the stream."""
        ...

    def save_snapshot(self, stream: str, snapshot: StateSnapshot) -> None:
        """Keep a snapshot, soon: it is disposable, so it is written along with a later commit, not waited for."""
        ...
