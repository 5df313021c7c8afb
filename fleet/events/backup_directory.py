"""A backup: a directory that holds what a data directory holds, and in which no Fleet runs.

    events.mdb, blobs.mdb    the log and the contents, in the format of a data directory
    tokens.json, webhooks/ … the files of directory_files.py
    identity.json            that of the original, so that a start of Fleet in the backup is refused
    backup.json              what this is a backup of, and at the end of a run how far it reaches

It is written in steps that can be repeated: a run that was cut off leaves a backup that the next run continues. After
an erasure both files are written again, because LMDB keeps the bytes of deleted data in free pages; the manifest says
so before the first byte is erased, so that a later run does what this one did not reach.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec
from msgspec.structs import replace

from fleet.errors import StartupError
from fleet.events import codec
from fleet.events.blobs import unpack
from fleet.events.data_lock import DataLock
from fleet.events.directory_files import is_in_backup, list_files
from fleet.events.directory_identity import FILE as IDENTITY
from fleet.events.directory_identity import DirectoryIdentity
from fleet.events.import_log import ImportBatch, write_batch
from fleet.events.lmdb_blobs import LmdbBlobs
from fleet.events.lmdb_keys import position_key
from fleet.events.lmdb_store import LOG_FILE, LmdbStore
from fleet.events.rewriting import Progress, rewrite
from fleet.events.signing import KEY_FILE, PUBLIC_FILE, open_key
from fleet.limits import BACKUP_ROWS_MAX
from fleet.private_files import make_private_directory, replacing, write_private
from fleet.wire.backup import BackupFile, Origin, Records

MANIFEST: Final = "backup.json"
BLOB_FILE: Final = "blobs.mdb"
_KEY_FILES: Final = (KEY_FILE, PUBLIC_FILE)
Pair = tuple[str, str]


class BackupManifest(msgspec.Struct, frozen=True):
    """The content of `backup.json`. `position` and `made_at_ms` are 0 until the first run is complete.

    `stale`: something was erased, and the files were not written again since.
    """

    id: str
    place: str
    position: int = 0
    made_at_ms: int = 0
    stale: bool = False


def read_manifest(directory: Path) -> BackupManifest | None:
    """Return what the directory is a backup of, None if it is none."""
    try:
        return msgspec.json.decode((directory / MANIFEST).read_bytes(), type=BackupManifest)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise StartupError(f"{directory / MANIFEST} cannot be read ({error}): make a new backup.") from error


def require_empty(directory: Path, advice: str) -> None:
    """Raise `StartupError` unless the directory is empty or does not exist."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise StartupError(f"{directory} is not empty, {advice}")


class BackupDirectory:
    """An open backup of `origin`; only one process writes it. Close it with `close` or `with`.

    Raises `StartupError` for a directory that is not empty and no backup of this origin. All methods block.
    """

    def __init__(self, directory: Path, origin: Origin) -> None:
        self.path = directory
        self._origin = origin
        self._admit()
        make_private_directory(directory)
        self._lock = DataLock(directory)
        self._store: LmdbStore | None = None
        self._blobs: LmdbBlobs | None = None
        self._manifest = read_manifest(directory) or BackupManifest(origin.id, origin.place)
        try:
            self._write_identity()
            self._write_manifest(self._manifest)
        except BaseException:
            self._lock.close()
            raise

    def _admit(self) -> None:
        manifest = read_manifest(self.path) if self.path.is_dir() else None
        if manifest is None:
            require_empty(self.path, "and it is no backup of a Fleet: name another directory.")
        elif manifest.id != self._origin.id:
            raise StartupError(
                f"{self.path} is a backup of the Fleet in {manifest.place}, not of this one in {self._origin.place}: "
                "name another directory."
            )

    def __enter__(self) -> "BackupDirectory":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        self._close_stores()
        self._lock.close()

    def _close_stores(self) -> None:
        if self._store is not None:
            self._store.close()
        if self._blobs is not None:
            self._blobs.close()
        self._store = self._blobs = None

    @property
    def store(self) -> LmdbStore:
        """The log. The key must be there before its first use: it signs the end of the copy."""
        if self._store is None:
            self._store = LmdbStore(self.path / LOG_FILE, open_key(self.path))
        return self._store

    @property
    def blobs(self) -> LmdbBlobs:
        """The contents."""
        if self._blobs is None:
            self._blobs = LmdbBlobs(self.path)
        return self._blobs

    # ------------------------------------------------------------------------------------------------------- the log

    def check_end(self, last: Records, head: int) -> None:
        """Check that this log is the beginning of the original's, which ends at `head`, and has `last` at our end."""
        tip = self.store.tip
        found = codec.decode(last.records[0][0]).digest if last.records else codec.GENESIS_DIGEST
        if tip.position > head or (tip.position and found != tip.digest):
            raise StartupError(
                f"The backup in {self.path} reaches position {tip.position}, and the log of the Fleet differs there: "
                "its data directory was restored from an older copy, or was changed. Keep this backup, verify the log "
                "(`fleet log verify`), and make a new backup in another directory."
            )

    def add(self, records: Sequence[tuple[bytes, bytes | None]], now_ms: int) -> None:
        """Append records in one commit. Raises `StartupError` if they do not follow the end of this log."""
        first = codec.decode(records[0][0]).header
        if (first.position, first.previous_digest) != (self.store.tip.position + 1, self.store.tip.digest):
            raise StartupError(f"Event {first.position} does not follow the one before: verify the Fleet's log.")
        digests = {
            command_id: digest
            for raw, digest in records
            if digest is not None and (command_id := codec.decode_header(raw).command_id) is not None
        }
        batch = ImportBatch([raw for raw, _ in records], now_ms, digests)
        if batch.replaced:
            self._become_stale()
        write_batch(self.store, batch)

    def erase(self, stream: str, through: int, now_ms: int) -> int:
        """Erase the stream's records up to this position; return how many were not erased before."""
        store = self.store
        keys = [key for key in store.stream_positions(stream, 0, None) if key <= position_key(through)]
        readable = [
            key for key, raw in zip(keys, store.records_at(keys), strict=True) if not codec.decode(raw or b"").erased
        ]
        if readable:
            self._become_stale()
            nothing = ImportBatch([], now_ms)
            nothing.tip = store.tip
            write_batch(store, nothing, {stream: readable})
        return len(readable)

    # -------------------------------------------------------------------------------------------------- the contents

    def compare_owners(self, after: Pair, theirs: Sequence[Pair], through: Pair | None) -> list[Pair]:
        """Remove the pairs between `after` and `through` that are not among `theirs`; return those that are missing."""
        ours = self._owners_between(after, through)
        if gone := ours.difference(theirs):
            self._become_stale()
            self.blobs.remove_owners(gone)
        return [pair for pair in theirs if pair not in ours]

    def _owners_between(self, after: Pair, through: Pair | None) -> set[Pair]:
        found: set[Pair] = set()
        while page := self.blobs.owners_after(*after, BACKUP_ROWS_MAX):
            found.update(pair for pair in page if through is None or _order(pair) <= _order(through))
            after = page[-1]
            if through is not None and _order(after) > _order(through):
                break
        return found

    def missing(self, pairs: Sequence[Pair]) -> list[str]:
        """Return the digests of contents that are not here yet."""
        return sorted(self.blobs.without({digest for _, digest in pairs}))

    def add_contents(self, contents: Mapping[str, bytes]) -> None:
        """Add contents without an owner, each checked against its digest. Raises `CorruptBlob`."""
        for digest, stored in contents.items():
            unpack(digest, stored)
        self.blobs.copy_in(contents, ())

    def add_owners(self, pairs: Sequence[Pair]) -> None:
        """Add owners of contents that are here; a content that is not was erased meanwhile."""
        gone = set(self.missing(pairs))
        self.blobs.copy_in({}, [pair for pair in pairs if pair[1] not in gone])

    # ----------------------------------------------------------------------------------------------------- the files

    def missing_keys(self) -> list[str]:
        """Return the names of the files of the signing key that are not here yet."""
        return [name for name in _KEY_FILES if not (self.path / name).exists()]

    def list_files(self) -> dict[str, BackupFile]:
        """Return the files that are here, by path."""
        found: dict[str, BackupFile] = {}
        after = ""
        while (page := list_files(self.path, after)).files:
            found |= {file.path: file for file in page.files}
            after = page.files[-1].path
        return found

    def write_file(self, path: str, chunks: Iterable[bytes], modified_ns: int) -> None:
        """Write a file (0600). Raises `StartupError` for a path that no backup has."""
        if not is_in_backup(path):
            raise StartupError(f"The server names a file that is not part of a backup: {path!r}.")
        file = self.path / path
        make_private_directory(file.parent)
        with replacing(file) as new:
            new.writelines(chunks)
            new.flush()
            os.fsync(new.fileno())
            os.utime(new.fileno(), ns=(modified_ns, modified_ns))

    def remove_file(self, path: str) -> None:
        """Remove a file that the original does not have any more."""
        (self.path / path).unlink(missing_ok=True)

    # ------------------------------------------------------------------------------------------------------- the end

    def compact(self, progress: Progress) -> None:
        """Write log and contents again if something was erased, so that its bytes are gone."""
        if not self._manifest.stale:
            return
        self._close_stores()
        for name in (LOG_FILE, BLOB_FILE):
            rewrite(self.path / name, progress)
        self._write_manifest(replace(self._manifest, stale=False))

    def finish(self, now_ms: int) -> None:
        """Record that the backup is complete up to its end, once everything in it is on the disk."""
        os.sync()  # the names of many files in many folders
        self._write_manifest(
            replace(self._manifest, place=self._origin.place, position=self.store.tip.position, made_at_ms=now_ms)
        )

    def _become_stale(self) -> None:
        """Record that erased bytes stay in the files until they are written again."""
        if not self._manifest.stale:
            self._write_manifest(replace(self._manifest, stale=True))

    def _write_identity(self) -> None:
        if self._origin.place:
            identity = DirectoryIdentity(self._origin.id, self._origin.place, 0)
            write_private(self.path / IDENTITY, msgspec.json.encode(identity), durable=True)

    def _write_manifest(self, manifest: BackupManifest) -> None:
        write_private(self.path / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)), durable=True)
        self._manifest = manifest


def _order(pair: Pair) -> bytes:
    """Return what orders pairs as the store does."""
    return pair[0].encode() + b"\0" + bytes.fromhex(pair[1])
