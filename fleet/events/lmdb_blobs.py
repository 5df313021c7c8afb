"""The blob store on disk: `Blobs` in an LMDB environment beside that of the log, `blobs.mdb`.

    contents  digest -> zstd frame         owned   owner NUL digest -> nothing         owners  digest owner -> nothing

It has its own environment because LMDB has one writer per environment: a diff of some megabytes must not delay the
commits of small events. A batch is written in one worker thread, with one transaction and one fsync. Unlike the log it
uses LMDB's lock file, so other threads can read safely at the same time.
"""

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

import lmdb
import trio

from fleet.errors import StartupError, Unavailable
from fleet.events.blobs import BlobStatistics, CorruptBlob, check_owner, check_put, name_of, pack, unpack
from fleet.events.disk import Disk, free_bytes_of, remedy
from fleet.limits import BLOB_MAP_BYTES

T = TypeVar("T")
BLOBS_FILE: Final = "blobs.mdb"


class LmdbBlobs:
    """`Blobs` in a data directory that this process has locked (data_lock.py). Close it with `close` or `with`."""

    def __init__(self, path: Path, *, free_bytes: Callable[[], int] | None = None, read_only: bool = False) -> None:
        """Open the store in the data directory `path`, and create it if it is missing. Raises `StartupError`.

        With `read_only` no file is changed, and no method that changes something may be called.
        """
        self._disk = Disk(path, free_bytes)
        self._thread = trio.CapacityLimiter(1)
        self._puts = self._repeated = self._content_bytes = 0
        file = path / BLOBS_FILE
        try:
            if not read_only:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._environment = lmdb.open(
                str(file),
                subdir=False,
                max_dbs=4,
                map_size=BLOB_MAP_BYTES,
                mode=0o600,
                readahead=False,
                readonly=read_only,
                lock=not read_only,
            )
            if not read_only:
                _lengthen(file, self._environment)
            self._contents = self._environment.open_db(b"contents", create=not read_only)
            self._owned = self._environment.open_db(b"owned", create=not read_only)
            self._owners = self._environment.open_db(b"owners", create=not read_only)
        except (OSError, lmdb.Error) as error:
            advice = "make it readable and writable for this user, or restore the data directory from a backup."
            raise StartupError(f"{file} cannot be opened ({error}): {remedy(error, advice)}") from error

    def __enter__(self) -> "LmdbBlobs":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. No call may be running."""
        self._environment.close()

    # ------------------------------------------------------------------------------------------------------- reading

    def get(self, digest: str) -> bytes | None:
        """See `Blobs`."""
        stored = self.stored(digest)
        return None if stored is None else unpack(digest, stored)

    def owned(self, owner: str) -> list[str]:
        """See `Blobs`."""
        with self._environment.begin() as transaction:
            return [digest.hex() for digest in self._owned_by(transaction, owner)]

    def owns(self, owner: str, digest: str) -> bool:
        """See `Blobs`."""
        with self._environment.begin() as transaction:
            return transaction.get(owner.encode() + b"\0" + bytes.fromhex(digest), db=self._owned) is not None

    def owners_after(self, owner: str, digest: str, limit: int) -> list[tuple[str, str]]:
        """See `Blobs`."""
        start = owner.encode() + b"\0" + bytes.fromhex(digest)
        with self._environment.begin() as transaction:
            cursor = transaction.cursor(self._owned)
            there = cursor.set_range(start)
            if there and cursor.key() == start:
                there = cursor.next()
            keys = list(islice(cursor.iternext(keys=True, values=False), limit)) if there else []
        pairs = (key.partition(b"\0") for key in keys)
        return [(name.decode(), named.hex()) for name, _, named in pairs]

    def without(self, digests: Iterable[str]) -> list[str]:
        """Return the digests of those of these contents that are not here."""
        with self._environment.begin() as transaction:
            cursor = transaction.cursor(self._contents)
            return [digest for digest in digests if not cursor.set_key(bytes.fromhex(digest))]

    def stored(self, digest: str) -> bytes | None:
        """See `Blobs`."""
        try:
            with self._environment.begin() as transaction:
                return transaction.get(bytes.fromhex(digest), db=self._contents)
        except lmdb.Error as error:
            raise CorruptBlob(digest, f"cannot be read ({error})") from error

    def _owned_by(self, transaction: "lmdb.Transaction[bytes]", owner: str) -> list[bytes]:
        prefix = owner.encode() + b"\0"
        cursor = transaction.cursor(self._owned)
        found: list[bytes] = []
        if cursor.set_range(prefix):
            for key in cursor.iternext(keys=True, values=False):
                if not key.startswith(prefix):
                    break
                found.append(key[len(prefix) :])
        return found

    def statistics(self) -> BlobStatistics:
        """See `Blobs`. Bytes stored are those of the pages in use."""
        with self._environment.begin() as transaction:
            table = transaction.stat(self._contents)
        pages = table["branch_pages"] + table["leaf_pages"] + table["overflow_pages"]
        return BlobStatistics(table["entries"], self._puts, self._repeated, self._content_bytes, pages * table["psize"])

    # ------------------------------------------------------------------------------------------------------- writing

    async def put(self, owner: str, contents: Sequence[bytes]) -> list[str]:
        """See `Blobs`."""
        check_put(owner, contents)
        return await self._in_thread(partial(self._put, owner, contents)) if contents else []

    def _put(self, owner: str, contents: Sequence[bytes]) -> list[str]:
        digests = [name_of(content) for content in contents]
        named = dict(zip(digests, contents, strict=True))
        missing = self.without(named)
        # Compression takes most of the time, so it is done before the transaction begins.
        packed = dict(zip(missing, pack([named[digest] for digest in missing]), strict=True))
        self._disk.check(sum(len(stored) for stored in packed.values()), self._reusable_bytes)
        with self._environment.begin(write=True) as transaction:
            for digest in named:
                self._own(transaction, owner, bytes.fromhex(digest))
            for digest, stored in packed.items():
                transaction.put(bytes.fromhex(digest), stored, db=self._contents, overwrite=False)
        self._puts += len(contents)
        self._repeated += len(contents) - len(missing)
        self._content_bytes += sum(len(named[digest]) for digest in missing)
        return digests

    def _reusable_bytes(self) -> int:
        return free_bytes_of(self._environment, (self._contents, self._owned, self._owners))

    def _own(self, transaction: "lmdb.Transaction[bytes]", owner: str, digest: bytes) -> None:
        transaction.put(owner.encode() + b"\0" + digest, b"", db=self._owned)
        transaction.put(digest + owner.encode(), b"", db=self._owners)

    async def discard(self, owner: str, digests: Collection[str]) -> None:
        """See `Blobs`. Works on a full disk."""
        check_owner(owner)
        await self._free(partial(self._discard, owner, [bytes.fromhex(digest) for digest in digests]))

    async def forget(self, owner: str) -> None:
        """See `Blobs`. Works on a full disk."""
        check_owner(owner)
        await self._free(partial(self._discard, owner, None))

    async def _free(self, work: Callable[[], None]) -> None:
        """Run work that frees space; on a full disk, release the reserve for it."""
        try:
            await self._in_thread(work)
        except Unavailable:
            if not self._disk.give_up_reserve():
                raise
            await self._in_thread(work)

    def _discard(self, owner: str, digests: Sequence[bytes] | None) -> None:
        with self._environment.begin(write=True) as transaction:
            for digest in self._owned_by(transaction, owner) if digests is None else digests:
                self._disown(transaction, owner, digest)

    def _disown(self, transaction: "lmdb.Transaction[bytes]", owner: str, digest: bytes) -> None:
        if not transaction.delete(owner.encode() + b"\0" + digest, db=self._owned):
            return
        transaction.delete(digest + owner.encode(), db=self._owners)
        others = transaction.cursor(self._owners)
        if not others.set_range(digest) or not others.key().startswith(digest):
            transaction.delete(digest, db=self._contents)

    # ------------------------------------------------------------------------------------------------------- copying

    def copy_in(self, contents: Mapping[str, bytes], owners: Iterable[tuple[str, str]]) -> None:
        """Add contents as another store has them, and owners, in one transaction, for a backup. Blocks."""
        with self._environment.begin(write=True) as transaction:
            for digest, stored in contents.items():
                transaction.put(bytes.fromhex(digest), stored, db=self._contents)
            for owner, digest in owners:
                self._own(transaction, owner, bytes.fromhex(digest))

    def remove_owners(self, owners: Iterable[tuple[str, str]]) -> None:
        """Take contents from their owners, for a backup. Blocks."""
        with self._environment.begin(write=True) as transaction:
            for owner, digest in owners:
                self._disown(transaction, owner, bytes.fromhex(digest))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await trio.to_thread.run_sync(work, limiter=self._thread)
        except lmdb.MapFullError as error:
            raise self._disk.full(f"the blob store has reached its {BLOB_MAP_BYTES} bytes") from error
        except lmdb.Error as error:
            if not self._disk.is_full(error):
                raise
            raise self._disk.full(str(error)) from error


def _lengthen(file: Path, environment: lmdb.Environment) -> None:
    """Lengthen a file that is shorter than the pages in use: reading beyond its end would kill the process (SIGBUS).

    LMDB does not write pages at the end that one transaction took and freed, so a short file is not always damaged. If
    it is, the blob on the missing pages cannot be read.
    """
    needed_bytes = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    if file.stat().st_size < needed_bytes:
        os.truncate(file, needed_bytes)
