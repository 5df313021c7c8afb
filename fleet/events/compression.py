"""Compresses the payloads of records on disk: Deflate with a dictionary of what payloads repeat.

    stored payload = raw Deflate stream | CRC-32 of that stream (4 bytes, big-endian)

The digests of a record cover the plain payload. So exports and proofs do not depend on the compression, and the
checksum covers the few bits that Deflate ignores: each changed bit of a record is found.

It runs on the event loop, so longer payloads are compressed less, and the longest, mostly attachments, not at all.
"""

import zlib
from typing import Final

from fleet.events.dictionary import DICTIONARY
from fleet.limits import COMPRESSED_BYTES_MAX, COMPRESSED_BYTES_MIN, EVENT_BYTES_MAX

_CHECKSUM_BYTES: Final = 4
_SMALL_BYTES: Final = 4096
_MIDDLE_BYTES: Final = 16384
_LEVEL: Final = 6
_FAST_LEVEL: Final = 1
_WINDOW_BITS: Final = 15


def _prepared(window_bits: int, memory: int, level: int = _LEVEL) -> "zlib._Compress":
    """Return a compressor that has read the dictionary; its copies need not do so, which is half of the time."""
    return zlib.compressobj(level, zlib.DEFLATED, -window_bits, memory, zlib.Z_DEFAULT_STRATEGY, DICTIONARY)


_SMALL: Final = _prepared(13, 6)
"""Its window holds the dictionary and a small payload. It takes a tenth of the time of the large one."""
_MIDDLE: Final = _prepared(_WINDOW_BITS, 8)
_LARGE: Final = _prepared(_WINDOW_BITS, 8, _FAST_LEVEL)
"""It takes a tenth of the time of the other level, for a fifth more bytes."""


class NotCompressed(Exception):  # noqa: N818 - it says what the bytes are
    """The bytes are not a compressed payload."""


def compress(payload: bytes) -> bytes | None:
    """Return the compressed payload; None where it is too short or too long for it, or would not become shorter."""
    if not COMPRESSED_BYTES_MIN <= len(payload) <= COMPRESSED_BYTES_MAX:
        return None
    prepared = _SMALL if len(payload) <= _SMALL_BYTES else _MIDDLE if len(payload) <= _MIDDLE_BYTES else _LARGE
    deflate = prepared.copy()
    stream = deflate.compress(payload) + deflate.flush()
    if len(stream) + _CHECKSUM_BYTES >= len(payload):
        return None
    return stream + zlib.crc32(stream).to_bytes(_CHECKSUM_BYTES, "big")


def decompress(stored: bytes) -> bytes:
    """Return the payload. Raises `NotCompressed`."""
    stream, checksum = stored[:-_CHECKSUM_BYTES], stored[-_CHECKSUM_BYTES:]
    if zlib.crc32(stream).to_bytes(_CHECKSUM_BYTES, "big") != checksum:
        raise NotCompressed("its checksum is wrong")
    inflate = zlib.decompressobj(-_WINDOW_BITS, zdict=DICTIONARY)
    try:
        payload = inflate.decompress(stream, EVENT_BYTES_MAX + 1)
    except zlib.error as error:
        raise NotCompressed(str(error)) from error
    if not inflate.eof or inflate.unused_data or len(payload) > EVENT_BYTES_MAX:
        raise NotCompressed("it is cut off or too long")
    return payload
