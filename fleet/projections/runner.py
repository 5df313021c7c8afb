"""Keeps the views up to date: it loads their rows, replays newer events, then folds each commit.

The rows are written every few seconds and at the end; the next start replays events whose rows were not written.
"""

import gc
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec
import structlog
import trio

from fleet.events.batch import LogEnd
from fleet.events.codec import GENESIS_DIGEST, CorruptRecord, digest_of
from fleet.events.envelope import Recorded
from fleet.events.log import Log, LogReader
from fleet.events.seals import DigestAt
from fleet.events.snapshots import fingerprint, pack
from fleet.limits import FEED_PAGE_EVENTS, VIEW_SAVE_INTERVAL_S
from fleet.projections.states import States
from fleet.projections.store import StoreFailed, ViewStore
from fleet.projections.views import Views

_logger = structlog.get_logger(__name__)

Write = Callable[[Callable[[], None]], Awaitable[None]]


@contextmanager
def _uncollected() -> Generator[None]:
    """Suspend the garbage collector: while thousands of permanent states are loaded, it takes half of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Kept:
    """A view, its position in the store, and the rows that have to be written."""

    def __init__(self, view: States[Any]) -> None:
        self.view = view
        state_type: Any = view.state_type
        self.fingerprint = fingerprint(view.name, state_type, view.decider.revision)
        self.decoder = msgspec.msgpack.Decoder(view.state_type)
        self.checkpoint = 0
        self.dirty: set[str] = set()

    def load(self, store: ViewStore, digest_at: DigestAt) -> None:
        self.checkpoint, rows = store.load(self.view.name, self.fingerprint, digest_at)
        for key, row in rows:
            self.view.apply_state(key, self.decoder.decode(row))

    def changes(self) -> tuple[dict[str, bytes], set[str]]:
        """Return the rows to write, and the keys of the deleted ones."""
        rows = {key: self.view.row(key) for key in self.dirty}
        written = {key: pack(row) for key, row in rows.items() if row is not None}
        return written, rows.keys() - written.keys()


class Runner:
    """Applies the log to the views. `write` runs a write of the store outside the event loop."""

    def __init__(self, log: Log, store: ViewStore, views: Views, write: Write = trio.to_thread.run_sync) -> None:
        self._log = log
        self.store = store
        self._write = write
        self._kept: list[_Kept] = [_Kept(view) for view in views]
        self.position = 0
        self._saved = 0

    def open(self) -> None:
        """Load the rows, replay the newer events, and follow the log from now on."""
        with _uncollected():
            for kept in self._kept:
                kept.load(self.store, partial(digest_at, self._log))
        for kept in self._kept:
            if kept.checkpoint > self._log.head():
                _logger.warning("view_ahead_of_log", view=kept.view.name, checkpoint=kept.checkpoint)
                kept.view.clear()
                kept.checkpoint = 0
        self.position = self._saved = min(kept.checkpoint for kept in self._kept)
        while page := self._log.read_all(self.position, FEED_PAGE_EVENTS):
            self._fold(page)
        self._log.listen(self._on_commit)

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write the rows every few seconds until `stopping`, and once at the end. Fits a `ChildSpec`."""
        task_status.started()
        while not stopping.is_set():
            with trio.move_on_after(VIEW_SAVE_INTERVAL_S):
                await stopping.wait()
            await self.save()

    @property
    def unsaved(self) -> int:
        """How many events the stored rows are behind: a start after a crash would replay them."""
        return self.position - self._saved

    async def save(self) -> None:
        """Write the changed rows."""
        if self.position == self._saved:
            return
        saved = self.position
        for kept in self._kept:
            # Each view has its own position: commits arrive during the write of another view, and a row that is ahead
            # of its position would get the same events twice.
            checkpoint = LogEnd(self.position, digest_at(self._log, self.position) or b"")
            (rows, gone), kept.dirty = kept.changes(), set()
            try:
                await self._write(partial(self.store.save, kept.view.name, kept.fingerprint, checkpoint, rows, gone))
            except StoreFailed as error:
                kept.dirty |= rows.keys() | gone
                _logger.warning("view_not_saved", view=kept.view.name, error=str(error))
                return
        self._saved = saved

    def _on_commit(self, commit: Sequence[Recorded]) -> None:
        if commit[0].position > self.position + 1:  # a writer that failed after its commit called no listener
            for recorded in self._log.read_all(self.position, commit[0].position - self.position - 1):
                self._fold([recorded])
        self._fold(commit)

    def _fold(self, commit: Sequence[Recorded]) -> None:
        for kept in self._kept:
            # After a rebuild of one view, the others get events that their rows already contain.
            new = (
                commit if commit[0].position > kept.checkpoint else [e for e in commit if e.position > kept.checkpoint]
            )
            kept.dirty |= kept.view.apply(new)
        self.position = commit[-1].position


def digest_at(log: LogReader, position: int) -> bytes | None:
    """Return the digest of the log's record at this position, None where it has none."""
    if position == 0:
        return GENESIS_DIGEST
    try:
        record = log.read_record(position)
        return None if record is None else digest_of(record)
    except CorruptRecord:
        return None
