"""The store of views' rows between runs: an LMDB environment of its own, which may be deleted at any time.

A row is an encoded state. Each view has a checkpoint (the log position of its rows) and a fingerprint; rows with
another fingerprint are dropped. Rows and checkpoint are written in one transaction, so they always agree.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import lmdb

from fleet.errors import StartupError
from fleet.events.disk import remedy
from fleet.limits import VIEW_MAP_BYTES
from fleet.private_files import make_private_directory

if TYPE_CHECKING:
    from lmdb import _Database

_CHECKPOINTS = b"checkpoints"


class StoreFailed(Exception):  # noqa: N818 - named after the event
    """The rows could not be written; nothing is lost, because the log has all events."""


class ViewStore(Protocol):
    """Rows and checkpoint of each view."""

    def load(self, view: str, fingerprint: str) -> tuple[int, Iterator[tuple[str, bytes]]]:
        """Return the checkpoint and the rows; (0, nothing) where there are none of this fingerprint."""
        ...

    def save(
        self, view: str, fingerprint: str, checkpoint: int, rows: Mapping[str, bytes], gone: Collection[str] = ()
    ) -> None:
        """Store `rows`, delete those in `gone` and set the checkpoint in one transaction.

        Rows with another fingerprint are dropped first. Raises `StoreFailed` (a full disk); nothing changes then.
        """
        ...


class UnchangedViewStore:
    """The store of a read-only server: the rows that the last server wrote, and no writes.

    Newer events are folded from the log into memory. Where the rows cannot be read, everything is.
    """

    def __init__(self, path: Path) -> None:
        self._env: lmdb.Environment | None = None
        with suppress(lmdb.Error):
            self._env = lmdb.open(str(path), map_size=VIEW_MAP_BYTES, max_dbs=16, readonly=True, lock=False)

    def close(self) -> None:
        """Close the environment."""
        if self._env is not None:
            self._env.close()

    def load(self, view: str, fingerprint: str) -> tuple[int, Iterator[tuple[str, bytes]]]:
        """See `ViewStore`."""
        if self._env is None:
            return 0, iter(())
        try:
            return _load(self._env, self._env.open_db(_CHECKPOINTS, create=False), view, fingerprint)
        except lmdb.Error:
            return 0, iter(())

    def save(
        self, view: str, fingerprint: str, checkpoint: int, rows: Mapping[str, bytes], gone: Collection[str] = ()
    ) -> None:
        """Write nothing."""


class LmdbViewStore:
    """The store on disk."""

    def __init__(self, path: Path) -> None:
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

    def load(self, view: str, fingerprint: str) -> tuple[int, Iterator[tuple[str, bytes]]]:
        """Return the checkpoint and the rows; (0, nothing) where there are none of this fingerprint."""
        return _load(self._env, self._checkpoints, view, fingerprint)

    def save(
        self, view: str, fingerprint: str, checkpoint: int, rows: Mapping[str, bytes], gone: Collection[str] = ()
    ) -> None:
        """See `ViewStore`."""
        try:
            self._save(view, fingerprint, checkpoint, rows, gone)
        except lmdb.Error as error:
            raise StoreFailed(str(error)) from error

    def _save(
        self, view: str, fingerprint: str, checkpoint: int, rows: Mapping[str, bytes], gone: Collection[str]
    ) -> None:
        table = self._env.open_db(view.encode())
        with self._env.begin(write=True) as txn:
            known = bytes(txn.get(view.encode(), db=self._checkpoints) or b"")
            if known.partition(b" ")[2].decode() != fingerprint:
                txn.drop(table, delete=False)
            for key, row in rows.items():
                txn.put(key.encode(), row, db=table)
            for key in gone:
                txn.delete(key.encode(), db=table)
            txn.put(view.encode(), f"{checkpoint} {fingerprint}".encode(), db=self._checkpoints)


def _load(
    env: lmdb.Environment, checkpoints: "_Database", view: str, fingerprint: str
) -> tuple[int, Iterator[tuple[str, bytes]]]:
    with env.begin(db=checkpoints) as txn:
        known = bytes(txn.get(view.encode()) or b"")
    position, _, written_by = known.partition(b" ")
    if written_by.decode() != fingerprint:
        return 0, iter(())
    return int(position), _rows(env, env.open_db(view.encode(), create=False))


def _rows(env: lmdb.Environment, table: "_Database") -> Iterator[tuple[str, bytes]]:
    with env.begin(db=table) as txn:
        for key, row in txn.cursor():
            yield bytes(key).decode(), bytes(row)
