"""The keys of the log's tables in LMDB (lmdb_store.py)."""

import hashlib
import struct
from collections.abc import Sequence
from typing import Final

STREAM_KEY_TAIL_BYTES: Final = 9
"""Of a key in `index`: NUL and the position."""

_COMMAND_KEY_BYTES_MAX: Final = 256  # LMDB's limit is 511; a client may choose longer ids
_HASHED: Final = b"\0"


def position_key(position: int) -> bytes:
    """Return the key in `records` of the event at this position."""
    return position.to_bytes(8, "big")


def positions_of(keys: Sequence[bytes]) -> Sequence[int]:
    """Return the positions that these keys in `records` have; many at once cost a fifth."""
    return struct.unpack(f">{len(keys)}Q", b"".join(keys))


def stream_prefix(stream: str) -> bytes:
    """Return the beginning of the keys in `index` of the stream's events; the position follows."""
    return stream.encode() + b"\0"


def command_key(command_id: str) -> bytes:
    """Return the key in `commands` of this command id."""
    # Short ids are used unchanged: Fleet's ids ascend, so neighbours share a page in the commit.
    key = command_id.encode()
    if len(key) <= _COMMAND_KEY_BYTES_MAX and key[:1] > _HASHED:
        return key
    return _HASHED + hashlib.sha256(key).digest()
