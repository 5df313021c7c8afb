"""Makes a backup: it reads what is new from a Fleet, running or stopped, into a directory, and verifies the result.

The backup is consistent at the position where the log ends when it begins: the log is append-only, and a content is
stored before the event that names it. So log, contents and files are read in this order, while the Fleet works.
Erasures come last, because they reach back. events/backup_directory.py writes, events/backup_source.py reads.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec
import trio

from fleet.adapters.clock import SystemClock
from fleet.client.client import FleetClient
from fleet.client.errors import NotFound, Unavailable
from fleet.errors import Rejected, StartupError
from fleet.events.backup_directory import BackupDirectory, Pair
from fleet.events.backup_source import BackupSource
from fleet.events.catalog import make_registry
from fleet.events.lmdb_blobs import LmdbBlobs
from fleet.events.read_only import reading_directory
from fleet.events.stored_log import StoredLog
from fleet.events.verify import VerificationResult, verifying
from fleet.limits import BACKUP_CONTENTS_MAX, BACKUP_ROUNDS_MAX, REWRITE_BATCH_BYTES, VERIFY_PAGE_EVENTS
from fleet.wire.backup import (
    BackupFile,
    BackupFileQuery,
    Contents,
    ContentsQuery,
    ErasedQuery,
    ErasedStreams,
    FileChunk,
    FileList,
    FilesQuery,
    Origin,
    Owners,
    OwnersQuery,
    Records,
    RecordsQuery,
)
from fleet.wire.bodies import Query

Part = TypeVar("Part")
Progress = Callable[[str, int, int], None]
"""Called with the name of a step, how much of it is done, and how much there is."""


class BackupReport(msgspec.Struct, frozen=True):
    """The result of a backup: what was new, and the verified end of its log."""

    directory: str
    position: int
    digest: str
    new_events: int
    new_contents: int
    new_files: int
    erased_events: int


class BackupReader(Protocol):
    """The parts of a Fleet (backup_source.py), read from its server or its data directory."""

    async def origin(self) -> Origin:
        """Return what is backed up."""
        ...

    async def records(self, after: int, through: int) -> Records:
        """Return a page of records."""
        ...

    async def erased(self, after: str) -> ErasedStreams:
        """Return a page of erased streams."""
        ...

    async def owners(self, after: str, digest: str) -> Owners:
        """Return a page of owners."""
        ...

    async def contents(self, digests: Sequence[str]) -> Contents:
        """Return contents."""
        ...

    async def files(self, after: str) -> FileList:
        """Return a page of files."""
        ...

    async def file(self, path: str, offset: int) -> FileChunk | None:
        """Return bytes of a file, None where there is no such file."""
        ...

    async def record(self, position: int, directory: str, /) -> None:
        """Record that a backup was finished, if the Fleet can."""
        ...


class ServerReader:
    """Reads from a server."""

    def __init__(self, client: FleetClient) -> None:
        self._client = client

    async def _read(self, kind: type[Part], part: str, query: Query | None = None) -> Part:
        try:
            return msgspec.msgpack.decode(await self._client.backup_part(part, query), type=kind)
        except msgspec.MsgspecError as error:
            raise StartupError(f"The server at {self._client.url} is not this version of Fleet.") from error

    async def origin(self) -> Origin:
        """See `BackupReader`."""
        return await self._read(Origin, "")

    async def records(self, after: int, through: int) -> Records:
        """See `BackupReader`."""
        return await self._read(Records, "/log", RecordsQuery(after, through))

    async def erased(self, after: str) -> ErasedStreams:
        """See `BackupReader`."""
        return await self._read(ErasedStreams, "/erased", ErasedQuery(after))

    async def owners(self, after: str, digest: str) -> Owners:
        """See `BackupReader`."""
        return await self._read(Owners, "/owners", OwnersQuery(after, digest))

    async def contents(self, digests: Sequence[str]) -> Contents:
        """See `BackupReader`."""
        return await self._read(Contents, "/contents", ContentsQuery(",".join(digests)))

    async def files(self, after: str) -> FileList:
        """See `BackupReader`."""
        return await self._read(FileList, "/files", FilesQuery(after))

    async def file(self, path: str, offset: int) -> FileChunk | None:
        """See `BackupReader`."""
        with suppress(NotFound):
            return await self._read(FileChunk, "/file", BackupFileQuery(path, offset))
        return None

    async def record(self, position: int, directory: str, /) -> None:
        """See `BackupReader`."""
        try:
            await self._client.record_backup(position, directory)
        except Unavailable as refusal:
            if refusal.code != "read_only_server":
                raise


class DirectoryReader:
    """Reads from a data directory without a server."""

    def __init__(self, source: BackupSource) -> None:
        self._source = source

    async def origin(self) -> Origin:
        """See `BackupReader`."""
        await trio.lowlevel.checkpoint()
        return self._source.origin()

    async def records(self, after: int, through: int) -> Records:
        """See `BackupReader`."""
        await trio.lowlevel.checkpoint()
        return self._source.records(after, through)

    async def erased(self, after: str) -> ErasedStreams:
        """See `BackupReader`."""
        await trio.lowlevel.checkpoint()
        return self._source.erased(after)

    async def owners(self, after: str, digest: str) -> Owners:
        """See `BackupReader`."""
        await trio.lowlevel.checkpoint()
        return self._source.owners(after, digest)

    async def contents(self, digests: Sequence[str]) -> Contents:
        """See `BackupReader`."""
        await trio.lowlevel.checkpoint()
        return self._source.contents(digests)

    async def files(self, after: str) -> FileList:
        """See `BackupReader`."""
        await trio.lowlevel.checkpoint()
        return self._source.files(after)

    async def file(self, path: str, offset: int) -> FileChunk | None:
        """See `BackupReader`."""
        await trio.lowlevel.checkpoint()
        with suppress(Rejected):
            return self._source.file(path, offset)
        return None

    async def record(self, position: int, _: str, /) -> None:
        """See `BackupReader`."""
        await trio.lowlevel.checkpoint()
        with suppress(OSError):  # a directory that cannot be written was backed up nevertheless
            self._source.record(position, SystemClock().now_ms())


@asynccontextmanager
async def reading_stopped(data_dir: Path) -> AsyncGenerator[BackupReader]:
    """Open a data directory without a server. Raises `StartupError`."""
    with reading_directory(data_dir, make_registry()) as log, LmdbBlobs(data_dir, read_only=True) as blobs:
        yield DirectoryReader(BackupSource(log, blobs, data_dir))


async def make_backup(reader: BackupReader, directory: Path, progress: Progress) -> BackupReport:
    """Make `directory` a verified backup of a Fleet, or bring it up to date. Raises `StartupError`, `FleetError`."""
    origin = await reader.origin()
    _require_outside(directory, Path(origin.place))
    with BackupDirectory(directory, origin) as backup:
        return await _Run(reader, backup, origin, progress).all()


def _require_outside(directory: Path, place: Path) -> None:
    if place.is_absolute() and directory.resolve().is_relative_to(place):
        raise StartupError(f"{directory} is in the data directory {place}: name a directory outside of it.")


class _Run:
    """One run of a backup, step by step."""

    def __init__(self, reader: BackupReader, backup: BackupDirectory, origin: Origin, progress: Progress) -> None:
        self._reader = reader
        self._backup = backup
        self._origin = origin
        self._progress = progress
        self._now_ms = SystemClock().now_ms
        self._new = {"new_events": 0, "new_contents": 0, "new_files": 0, "erased_events": 0}

    async def all(self) -> BackupReport:
        for name in self._backup.missing_keys():  # the key signs the copy's end
            await self._copy_file(BackupFile(name, 0, 0))
        report = await self._copy()
        for _ in range(BACKUP_ROUNDS_MAX - 1):
            # The order of an erasure during the copy lies behind its end, so it is copied, too.
            if report.first_break is None or not await self._has_grown():
                break
            report = await self._copy()
        if report.first_break is not None:
            raise StartupError(
                f"The backup in {self._backup.path} is damaged at position {report.first_break.position} "
                f"({report.first_break.reason}): verify the Fleet's own log (`fleet log verify`)."
            )
        self._backup.finish(self._now_ms())
        path = str(self._backup.path)
        await self._reader.record(report.events, path)
        return BackupReport(path, report.events, report.digest.hex(), **self._new)

    async def _copy(self) -> VerificationResult:
        """Copy everything up to the end of the log, and verify the copy."""
        new = self._new
        new["new_events"] += await self._copy_records()
        new["new_contents"] += await self._copy_contents()
        new["new_files"] += await self._copy_files()
        erased = await self._erase()
        new["erased_events"] += erased
        if erased:
            new["new_contents"] += await self._copy_contents()  # contents that were erased after they were copied
        self._backup.compact(partial(self._progress, "compacted"))
        return await self._verify()

    async def _has_grown(self) -> bool:
        """Return whether the log has got more events meanwhile; the next copy goes up to its new end."""
        self._origin = await self._reader.origin()
        return self._origin.head > self._backup.store.tip.position

    async def _copy_records(self) -> int:
        begin = position = self._backup.store.tip.position
        last = await self._reader.records(position - 1, position) if position else Records([])
        self._backup.check_end(last, self._origin.head)
        waiting: list[tuple[bytes, bytes | None]] = []
        size_bytes = 0
        while position < self._origin.head:
            part = await self._reader.records(position, self._origin.head)
            waiting += part.records
            size_bytes += sum(len(raw) for raw, _ in part.records)
            position += len(part.records)
            if size_bytes >= REWRITE_BATCH_BYTES or position == self._origin.head:  # a commit waits for the disk
                self._backup.add(waiting, self._now_ms())
                waiting, size_bytes = [], 0
            self._progress("events", position - begin, self._origin.head - begin)
        return position - begin

    async def _copy_contents(self) -> int:
        copied = 0
        after: Pair = ("", "")
        while True:
            page = await self._reader.owners(*after)
            theirs = [(owner, digest.hex()) for owner, digest in page.owners]
            through = theirs[-1] if page.more else None
            new = self._backup.compare_owners(after, theirs, through)
            copied += await self._fetch(self._backup.missing(new), copied)
            self._backup.add_owners(new)
            if through is None:
                return copied
            after = through

    async def _fetch(self, digests: Sequence[str], copied: int) -> int:
        done = size_bytes = 0
        waiting: dict[str, bytes] = {}
        while done < len(digests):
            part = await self._reader.contents(digests[done : done + BACKUP_CONTENTS_MAX])
            waiting |= {digest.hex(): stored for digest, stored in part.contents}
            size_bytes += sum(len(stored) for _, stored in part.contents)
            done += part.done
            if size_bytes >= REWRITE_BATCH_BYTES or done == len(digests):
                self._backup.add_contents(waiting)
                waiting, size_bytes = {}, 0
            self._progress("contents", copied + done, max(self._origin.contents, copied + len(digests)))
        return done

    async def _copy_files(self) -> int:
        here = self._backup.list_files()
        after, copied, seen = "", 0, 0
        while True:
            page = await self._reader.files(after)
            for file in page.files:
                if here.pop(file.path, None) != file:
                    copied += await self._copy_file(file)
            seen += len(page.files)
            self._progress("files", seen, seen + page.more)
            if not page.more:
                break
            after = page.files[-1].path
        for path in here:
            self._backup.remove_file(path)
        return copied

    async def _copy_file(self, file: BackupFile) -> bool:
        chunks: list[bytes] = []
        while True:
            chunk = await self._reader.file(file.path, sum(map(len, chunks)))
            if chunk is None:
                return False  # it was removed meanwhile
            chunks.append(chunk.content)
            if chunk.end:
                break
        self._backup.write_file(file.path, chunks, file.modified_ns)
        return True

    async def _erase(self) -> int:
        erased = 0
        after: str | None = ""
        while after is not None:
            page = await self._reader.erased(after)
            erased += sum(self._backup.erase(stream, through, self._now_ms()) for stream, through in page.streams)
            after = page.next
        return erased

    async def _verify(self) -> VerificationResult:
        walk = verifying(StoredLog(self._backup.store, make_registry()))
        end = self._backup.store.tip.position
        for step in range(end + 2):
            try:
                next(walk)
            except StopIteration as over:
                self._progress("verified", end, end)
                result: VerificationResult = over.value
                return result
            self._progress("verified", min(end, step * VERIFY_PAGE_EVENTS), end)
            await trio.lowlevel.checkpoint()
        raise AssertionError("a verification ends")
