"""The contract of the blob store, which holds large contents by digest, and the code that its implementations share.

A blob is named by the SHA-256 of its content, in hex, and stored once, compressed. It exists as long as it has an
owner: a stream whose events name it. Contents are stored durably right before the event that names them is appended, so
no transaction over both is needed. A crash in between leaves a blob that no event names; it is harmless, and `owned`
finds it.

lmdb_blobs.py implements the contract on disk, tests/fakes/memory_blobs.py for tests. Erasing a stream: `Log.erase`,
then `forget`.
"""

import hashlib
import re
from collections.abc import Collection, Sequence
from typing import Final, Protocol

import msgspec
import zstandard

from fleet.errors import Problem
from fleet.limits import BLOB_BYTES_MAX, BLOB_PUT_BYTES_MAX, STREAM_NAME_BYTES_MAX

_LEVEL: Final = 3  # zstd's default: a quarter of the size of source code, at some 300 MB/s


class BlobStatistics(msgspec.Struct, frozen=True):
    """How many blobs there are, and the bytes that they take: as they are (of those put since the start), and stored.

    `puts` and `repeated` count contents since the start, the latter those that were there already.
    """

    blobs: int
    puts: int
    repeated: int
    content_bytes: int
    stored_bytes: int


class CorruptBlob(Problem):
    """A blob that is there, but is not what its digest says; `what` continues the sentence after the digest."""

    def __init__(self, digest: str, what: str) -> None:
        hint = "Restore the data directory from a backup."
        super().__init__("content_damaged", f"The stored content {digest} {what}.", hint=hint)


class Blobs(Protocol):
    """A store of contents by digest, each with its owners."""

    async def put(self, owner: str, contents: Sequence[bytes]) -> list[str]:
        """Keep `contents` for `owner` and return their digests, in order, when they are durable: all or none.

        Existing contents are not stored again. Raises ValueError for an owner that cannot be a stream's name and for
        contents beyond `BLOB_BYTES_MAX` each or `BLOB_PUT_BYTES_MAX` together; `Unavailable` disk_full.
        """
        ...

    def get(self, digest: str) -> bytes | None:
        """Return the content, checked against its digest; None where there is none. May be called in any thread.

        Raises `CorruptBlob`.
        """
        ...

    def owned(self, owner: str) -> list[str]:
        """Return the digests that `owner` owns, sorted: those that none of its events names may be discarded."""
        ...

    def owns(self, owner: str, digest: str) -> bool:
        """Return whether `owner` owns the content of this digest, 64 characters in hex."""
        ...

    def owners_after(self, owner: str, digest: str, limit: int) -> list[tuple[str, str]]:
        """Return at most `limit` pairs of owner and digest beyond this one, in the order of their bytes."""
        ...

    def stored(self, digest: str) -> bytes | None:
        """Return the content as it is stored, compressed and not checked; None where there is none.

        Raises `CorruptBlob`.
        """
        ...

    async def discard(self, owner: str, digests: Collection[str]) -> None:
        """Take these from `owner`, durably. A blob without an owner is deleted. Raises `Unavailable` disk_full."""
        ...

    async def forget(self, owner: str) -> None:
        """Remove everything from `owner`, durably. Raises `Unavailable` disk_full."""
        ...

    def statistics(self) -> BlobStatistics:
        """Return what is stored."""
        ...


def name_of(content: bytes) -> str:
    """Return the digest by which a content is found."""
    return hashlib.sha256(content).hexdigest()


def is_name(digest: str) -> bool:
    """Return whether a content can have this name."""
    return re.fullmatch("[0-9a-f]{64}", digest) is not None


def check_put(owner: str, contents: Sequence[bytes]) -> None:
    """Raise ValueError for what no store takes."""
    check_owner(owner)
    sizes_bytes = [len(content) for content in contents]
    if max(sizes_bytes, default=0) > BLOB_BYTES_MAX:
        raise ValueError(f"a content of {max(sizes_bytes)} bytes: a blob holds up to {BLOB_BYTES_MAX}, cut it before")
    if sum(sizes_bytes) > BLOB_PUT_BYTES_MAX:
        raise ValueError(f"{sum(sizes_bytes)} bytes in one put: put up to {BLOB_PUT_BYTES_MAX} at a time")


def check_owner(owner: str) -> None:
    """Raise ValueError for what cannot be a stream's name."""
    name = owner.encode()
    if not name or len(name) > STREAM_NAME_BYTES_MAX or b"\0" in name:
        raise ValueError(f"owner {owner!r}: use the name of the stream, 1 to {STREAM_NAME_BYTES_MAX} bytes without NUL")


def pack(contents: Sequence[bytes]) -> list[bytes]:
    """Compress each content. Costs time without the interpreter lock: call it in a thread."""
    compress = zstandard.ZstdCompressor(level=_LEVEL).compress
    return [compress(content) for content in contents]


def unpack(digest: str, stored: bytes) -> bytes:
    """Return the content of a stored blob. Raises `CorruptBlob`."""
    try:
        # The frame says how large the content is: damage must not make us allocate what it likes.
        if zstandard.frame_content_size(stored) > BLOB_BYTES_MAX:
            raise CorruptBlob(digest, "claims to be larger than any")
        content = zstandard.ZstdDecompressor().decompress(stored)
    except zstandard.ZstdError as error:
        raise CorruptBlob(digest, f"is damaged ({error})") from error
    if name_of(content) != digest:
        raise CorruptBlob(digest, "does not match its digest")
    return content
