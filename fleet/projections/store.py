"""The store of views' rows between runs: an LMDB environment of its own, which may be deleted at any time.

A row is an encoded state. Each view has a checkpoint (the log position of its rows) and a fingerprint; rows with
another fingerprint are dropped. Rows and checkpoint are written in one transaction, so they always agree.

The checkpoint has a seal (events/seals.py) over the sum of all rows and the log at its position: a row that something
else than Fleet changed, added, removed or put back makes the view be folded from the log again.
"""

from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

import lmdb
import msgspec
import structlog

from fleet.errors import StartupError
from fleet.events.batch import LogEnd
from fleet.events.disk import remedy
from fleet.events.seals import DigestAt, Sealer
from fleet.limits import VERIFY_PAGE_EVENTS, VIEW_MAP_BYTES
from fleet.private_files import make_private_directory

if TYPE_CHECKING:
    from lmdb import _Database

_CHECKPOINTS = b"checkpoints"
_logger = structlog.get_logger(__name__)


class StoreFailed(Exception):  # noqa: N818 - named after the event
    """The rows could not be written; nothing is lost, because the log has all events."""


class StoredRows(NamedTuple):
    """The rows of a view as of log position `position`, and whether their seal is right."""

    position: int
    rows: Iterator[tuple[str, bytes]]
    sealed: bool = True


Look: TypeAlias = Generator[None, None, StoredRows]
"""Reads rows in steps of some milliseconds, and returns them all."""


class ViewStore(Protocol):
    """Rows and checkpoint of each view."""

    def load(self, view: str, fingerprint: str, digest_at: DigestAt) -> tuple[int, Iterator[tuple[str, bytes]]]:
        """Return the checkpoint's position and the rows; (0, nothing) where there are none of this fingerprint and log.

        `digest_at` returns the digests of the log.
        """
        ...

    def look(self, view: str, fingerprint: str, digest_at: DigestAt) -> Look:
        """Return what is stored, for verification; nothing where there are no rows of this fingerprint.

        All of it is of one moment, also if a save comes between two steps.
        """
        ...

    def save(
        self, view: str, fingerprint: str, checkpoint: LogEnd, rows: Mapping[str, bytes], gone: Collection[str] = ()
    ) -> None:
        """Store `rows`, delete those in `gone` and set the checkpoint in one transaction.

        `checkpoint` is where the log ended for these rows. Rows with another fingerprint are dropped first. Raises
        `StoreFailed` (a full disk); nothing changes then.
        """
        ...


class UnchangedViewStore:
    """The store of a read-only server: the rows that the last server wrote, and no writes.

    Newer events are folded from the log into memory. Where the rows cannot be read, or without a `sealer`, all are.
    """

    def __init__(self, path: Path, sealer: Sealer | None) -> None:
        self._env: lmdb.Environment | None = None
        self._sealer = sealer
        with suppress(lmdb.Error):
            self._env = lmdb.open(str(path), map_size=VIEW_MAP_BYTES, max_dbs=16, readonly=True, lock=False)

    def close(self) -> None:
        """Close the environment."""
        if self._env is not None:
            self._env.close()

    def load(self, view: str, fingerprint: str, digest_at: DigestAt) -> tuple[int, Iterator[tuple[str, bytes]]]:
        """See `ViewStore`."""
        return _sealed(view, _finished(self._look(view, fingerprint, digest_at, None)))

    def look(self, view: str, fingerprint: str, digest_at: DigestAt) -> Look:
        """See `ViewStore`."""
        return self._look(view, fingerprint, digest_at, {})

    def _look(self, view: str, fingerprint: str, digest_at: DigestAt, kept: dict[str, bytes] | None) -> Look:
        if self._env is None or self._sealer is None:
            return _NOTHING
        try:
            checkpoints = self._env.open_db(_CHECKPOINTS, create=False)
            return (yield from _look(_Place(self._env, checkpoints, self._sealer), view, fingerprint, digest_at, kept))
        except lmdb.Error:
            return _NOTHING

    def save(
        self, view: str, fingerprint: str, checkpoint: LogEnd, rows: Mapping[str, bytes], gone: Collection[str] = ()
    ) -> None:
        """Write nothing."""


class LmdbViewStore:
    """The store on disk. `sealer` is that of the log (`LmdbLog.sealer`)."""

    def __init__(self, path: Path, sealer: Sealer) -> None:
        self._sealer = sealer
        self._unloaded: set[str] = set()
        make_private_directory(path)
        try:
            self._env = lmdb.open(str(path), map_size=VIEW_MAP_BYTES, max_dbs=16, subdir=True, mode=0o600)
        except lmdb.Error as error:
            advice = "all of their content is also in the log: delete the directory and start again."
            raise StartupError(f"The views in {path} cannot be opened ({error}): {remedy(error, advice)}") from error
        self._checkpoints = self._env.open_db(_CHECKPOINTS)

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    def load(self, view: str, fingerprint: str, digest_at: DigestAt) -> tuple[int, Iterator[tuple[str, bytes]]]:
        """See `ViewStore`."""
        place = _Place(self._env, self._checkpoints, self._sealer)
        found = _sealed(view, _finished(_look(place, view, fingerprint, digest_at, None)))
        if found[0] == 0:
            self._unloaded.add(view)
        return found

    def look(self, view: str, fingerprint: str, digest_at: DigestAt) -> Look:
        """See `ViewStore`."""
        return _look(_Place(self._env, self._checkpoints, self._sealer), view, fingerprint, digest_at, {})

    def save(
        self, view: str, fingerprint: str, checkpoint: LogEnd, rows: Mapping[str, bytes], gone: Collection[str] = ()
    ) -> None:
        """See `ViewStore`."""
        try:
            self._save(view, fingerprint, checkpoint, rows, gone)
        except lmdb.Error as error:
            raise StoreFailed(str(error)) from error
        self._unloaded.discard(view)

    def _save(
        self, view: str, fingerprint: str, checkpoint: LogEnd, rows: Mapping[str, bytes], gone: Collection[str]
    ) -> None:
        table, total = self._env.open_db(view.encode()), self._sealer.rows(view)
        with self._env.begin(write=True) as txn:
            known = _read(txn.get(view.encode(), db=self._checkpoints))
            if known is None or known.fingerprint != fingerprint or view in self._unloaded:
                txn.drop(table, delete=False)
            else:
                total.total = known.total
            for name in (*rows, *gone):
                key = name.encode()
                before, row = txn.get(key, db=table), rows.get(name)
                if before is not None:
                    total.remove(key, before)
                if row is None:
                    txn.delete(key, db=table)
                else:
                    txn.put(key, row, db=table)
                    total.add(key, row)
            seal = _seal(self._sealer, view, fingerprint, checkpoint, total.total)
            stored = _Checkpoint(checkpoint.position, fingerprint, total.total.to_bytes(32, "big"), seal)
            txn.put(view.encode(), _encode(stored), db=self._checkpoints)


class _Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    position: int
    fingerprint: str
    sum: bytes
    seal: bytes

    @property
    def total(self) -> int:
        return int.from_bytes(self.sum, "big")


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Checkpoint).decode


def _read(stored: bytes | None) -> _Checkpoint | None:
    """Return the checkpoint, None where there is none, or one of an older Fleet."""
    try:
        return None if stored is None else _decode(stored)
    except msgspec.MsgspecError:
        return None


def _seal(sealer: Sealer, view: str, fingerprint: str, checkpoint: LogEnd, total: int) -> bytes:
    return sealer.seal(view.encode(), fingerprint.encode(), checkpoint.digest, total.to_bytes(32, "big"))


class _Place(NamedTuple):
    env: lmdb.Environment
    checkpoints: "_Database"
    sealer: Sealer


_NOTHING: Final = StoredRows(0, iter(()))


def _sealed(view: str, found: StoredRows) -> tuple[int, Iterator[tuple[str, bytes]]]:
    """Return the checkpoint's position and the rows, or nothing where their seal is wrong."""
    if found.sealed:
        return found.position, found.rows
    _logger.warning("view_not_of_this_log", view=view, hint="It is folded from the log again.")
    return 0, iter(())


def _look(place: _Place, view: str, fingerprint: str, digest_at: DigestAt, kept: dict[str, bytes] | None) -> Look:
    """Read the rows in steps. They go into `kept`; for None they are read again later, in less memory."""
    env, checkpoints, sealer = place
    with env.begin(db=checkpoints) as txn:
        known = _read(stored := txn.get(view.encode()))
    if stored is None or (known is not None and known.fingerprint != fingerprint):
        return _NOTHING
    table, total = env.open_db(view.encode(), create=False), sealer.rows(view)
    with env.begin(db=table) as txn:
        known = _read(txn.get(view.encode(), db=checkpoints))  # a save may have come since
        if known is None:
            return StoredRows(0, iter(()), sealed=False)
        for number, (key, row) in enumerate(txn.cursor(), 1):
            total.add(key, row)
            if kept is not None:
                kept[bytes(key).decode()] = bytes(row)
            if number % VERIFY_PAGE_EVENTS == 0:
                yield
    digest = digest_at(known.position)
    sealed = digest is not None and _is_sealed(sealer, view, known, digest, total.total)
    return StoredRows(known.position, _rows(env, table) if kept is None else iter(kept.items()), sealed=sealed)


def _finished(look: Look) -> StoredRows:
    while True:
        try:
            next(look)
        except StopIteration as end:
            found: StoredRows = end.value
            return found


def _is_sealed(sealer: Sealer, view: str, known: _Checkpoint, digest: bytes, total: int) -> bool:
    seal = _seal(sealer, view, known.fingerprint, LogEnd(known.position, digest), total)
    return seal == known.seal and total == known.total


def _rows(env: lmdb.Environment, table: "_Database") -> Iterator[tuple[str, bytes]]:
    with env.begin(db=table) as txn:
        for key, row in txn.cursor():
            yield bytes(key).decode(), bytes(row)
