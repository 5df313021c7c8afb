"""The blob store in memory, for tests: on the `MemoryDisk` of the log, which survives a simulated crash.

Like `MemoryLog` it has a checkpoint before and one after the instant at which data becomes durable.
"""

from collections.abc import Collection, Sequence

import trio

from fleet.errors import Unavailable
from fleet.events.blobs import BlobStatistics, check_owner, check_put, name_of, pack, unpack
from tests.fakes.memory_log import MemoryDisk


class MemoryBlobs:
    """`Blobs` on a `MemoryDisk`, which refuses writes when it is full. After `crash` it accepts nothing more."""

    def __init__(self, disk: MemoryDisk) -> None:
        self._disk = disk
        self._crashed = False
        self._puts = self._repeated = self._content_bytes = 0

    def crash(self) -> None:
        """Simulate that the process is killed: running writes never become durable."""
        self._crashed = True

    async def put(self, owner: str, contents: Sequence[bytes]) -> list[str]:
        """See `Blobs`."""
        check_put(owner, contents)
        digests = [name_of(content) for content in contents]
        await self._reach_disk()
        if (self._disk.full or self._disk.low) and contents:
            raise Unavailable("disk_full", "the disk of the event log is full", retry_after_s=10)
        for digest, content in zip(digests, contents, strict=True):
            self._puts += 1
            self._repeated += digest in self._disk.blobs
            if digest not in self._disk.blobs:
                self._disk.blobs[digest] = pack([content])[0]
                self._content_bytes += len(content)
            self._disk.owned.setdefault(owner, {})[digest] = None
        await trio.lowlevel.checkpoint()
        return digests

    def get(self, digest: str) -> bytes | None:
        """See `Blobs`."""
        stored = self._disk.blobs.get(digest)
        return None if stored is None else unpack(digest, stored)

    def owned(self, owner: str) -> list[str]:
        """See `Blobs`."""
        return sorted(self._disk.owned.get(owner, ()))

    def owns(self, owner: str, digest: str) -> bool:
        """See `Blobs`."""
        return digest in self._disk.owned.get(owner, ())

    def owners_after(self, owner: str, digest: str, limit: int) -> list[tuple[str, str]]:
        """See `Blobs`."""
        pairs = ((each, name) for each, names in self._disk.owned.items() for name in names)
        return [pair for pair in sorted(pairs) if pair > (owner, digest)][:limit]

    def stored(self, digest: str) -> bytes | None:
        """See `Blobs`."""
        return self._disk.blobs.get(digest)

    async def discard(self, owner: str, digests: Collection[str]) -> None:
        """See `Blobs`."""
        check_owner(owner)
        await self._reach_disk()
        own = self._disk.owned.get(owner, {})
        for digest in digests:
            if own.pop(digest, self) is None and not any(digest in others for others in self._disk.owned.values()):
                del self._disk.blobs[digest]
        if not own:
            self._disk.owned.pop(owner, None)
        await trio.lowlevel.checkpoint()

    async def forget(self, owner: str) -> None:
        """See `Blobs`."""
        await self.discard(owner, self.owned(owner))

    def statistics(self) -> BlobStatistics:
        """See `Blobs`."""
        stored_bytes = sum(len(stored) for stored in self._disk.blobs.values())
        return BlobStatistics(len(self._disk.blobs), self._puts, self._repeated, self._content_bytes, stored_bytes)

    async def _reach_disk(self) -> None:
        await trio.lowlevel.checkpoint()
        if self._crashed:
            raise Unavailable("log_unavailable", "the process of this store was killed")
