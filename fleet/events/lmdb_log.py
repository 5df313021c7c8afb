"""The event log on disk: `Log` on LMDB (lmdb_store.py). stored_log.py reads, writer.py carries out each append."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import lmdb
import structlog
import trio

from fleet.errors import StartupError
from fleet.events.batch import ErasureBatch, Salts, encode_append
from fleet.events.data_lock import DataLock
from fleet.events.disk import Disk
from fleet.events.envelope import NO_OWN_CAUSES, Appended, Cause, OwnCauses, StateSnapshot
from fleet.events.lmdb_store import LOG_FILE, LmdbStore
from fleet.events.log import Listener, LogStatistics
from fleet.events.registry import EventRegistry
from fleet.events.seals import Sealer
from fleet.events.signing import open_key
from fleet.events.stored_log import StoredLog
from fleet.events.verify import verify
from fleet.events.writer import Writer
from fleet.ports import Clock
from fleet.wire.audit import SignedHead

if TYPE_CHECKING:
    from fleet.traces import Traces

_logger = structlog.get_logger(__name__)


class LmdbLog(StoredLog):
    """A `Log` in a data directory. Open it with `open`, supervise `run`, end it with `stop` and `close` (or `with`)."""

    def __init__(self, store: LmdbStore, lock: DataLock, registry: EventRegistry, writer: Writer, clock: Clock) -> None:
        super().__init__(store, registry)
        self._lmdb = store
        self._lock = lock
        self._writer = writer
        self._clock = clock
        if store.padded:
            self._check_everything()
        self._check_head()

    @classmethod
    def open(
        cls,
        path: Path,
        registry: EventRegistry,
        clock: Clock,
        *,
        free_bytes: Callable[[], int] | None = None,
        reserve_bytes: int = 0,
        salts: Salts = os.urandom,
        traces: "Traces | None" = None,
    ) -> "LmdbLog":
        """Open the log of the data directory `path`, and create it if it is missing.

        `free_bytes` returns the free space of its disk, `reserve_bytes` is the size of the reserve for a full disk;
        without `traces` there are no spans. Raises `StartupError` when the directory is in use or cannot be written, or
        the log is damaged or has another format.
        """
        lock = DataLock(path)
        try:
            disk = Disk(path, free_bytes, reserve_bytes=reserve_bytes)
            store = LmdbStore(path / LOG_FILE, open_key(path))
            try:
                return cls(store, lock, registry, Writer(store, disk, clock, salts=salts, traces=traces), clock)
            except BaseException:
                store.close()
                store.unpad()
                raise
        except BaseException:
            lock.close()
            raise

    def __enter__(self) -> "LmdbLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until `stop` or cancellation; a supervisor runs it. After a crash it may be started again."""
        await self._writer.run(task_status)

    def stop(self) -> None:
        """Accept no more appends; `run` returns when the accepted ones are durable."""
        self._writer.stop()

    def close(self) -> None:
        """Close the files, when `run` has ended."""
        self._lmdb.close()
        self._lock.close()

    @property
    def sealer(self) -> Sealer:
        """Makes the seals of this log."""
        if self._lmdb.sealer is None:
            raise RuntimeError("a log that is written has a key")
        return self._lmdb.sealer

    def statistics(self) -> LogStatistics:
        """See `Log`."""
        return self._writer.statistics()

    def sign(self, position: int) -> SignedHead | None:
        """See `Log`."""
        return self._lmdb.sign(position, self._clock.now_ms())

    # ------------------------------------------------------------------------------------------------------- writing

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
        """See `Log`."""
        encoded = encode_append(
            self._registry,
            stream,
            expected_version,
            events,
            cause=cause,
            command_id=command_id,
            command_digest=command_digest,
            own_causes=own_causes,
        )
        return await self._writer.append(encoded)

    async def erase(self, stream: str) -> None:
        """See `Log`. LMDB overwrites the freed pages when it uses them again: see ADR 0011."""
        through, position = self.head(), 0
        while position < through:
            position = (await self._writer.erase(ErasureBatch(stream, position, through))).position

    def listen(self, listener: Listener) -> None:
        """See `Log`."""
        self._writer.listen(listener)

    def save_snapshot(self, stream: str, snapshot: StateSnapshot) -> None:
        """See `Log`."""
        if not self.is_erased(stream):
            self._lmdb.save_snapshot(stream, snapshot)

    def keep_snapshot(self, stream: str, snapshot: StateSnapshot) -> None:
        """See `Log`."""
        if not self.is_erased(stream):
            self._lmdb.keep_snapshot(stream, snapshot)

    def _check_head(self) -> None:
        """Compare the end of the log with its signed head; it was changed without Fleet where they differ."""
        try:
            contradicted = self._lmdb.sign_if_unsigned(self._clock.now_ms)
        except lmdb.Error as error:  # a full disk: the next commit signs
            _logger.warning("log_not_signed", error=str(error))
            return
        if contradicted is not None:
            _logger.error(
                "log_changed_outside_fleet",
                head=self._lmdb.tip.position,
                signed_head=contradicted.position,
                hint="Verify the log: the end that Fleet signed is not the end that it found.",
            )

    def _check_everything(self) -> None:
        """Read the whole log when its file was too short (see `LmdbStore.padded`). Raises `StartupError` for damage."""
        found = verify(self).first_break
        if found is not None:
            raise StartupError(
                f"The event log was cut off, and event {found.position} is damaged ({found.reason}): "
                "restore the data directory from a backup."
            )
