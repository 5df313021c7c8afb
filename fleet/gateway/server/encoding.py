"""Content encodings: the choice by `Accept-Encoding` (RFC 9110, 12.5.3), and gzip for large JSON.

JSON is compressed for clients on other machines only: on loopback the bytes cost nothing, and the work would.
"""

import zlib
from collections.abc import Collection
from typing import Final, cast

import trio
from quart import Request, Response
from werkzeug.http import parse_accept_header

from fleet.limits import GZIP_BYTES_MIN, GZIP_LEVEL
from fleet.network import is_loopback

IDENTITY: Final = "identity"
_PREFERENCE: Final = ("br", "gzip", IDENTITY)
"""Where the client has no preference: the smallest first."""
_GZIP_WRAPPER: Final = 16 + zlib.MAX_WBITS


def best_encoding(accepted: str, offered: Collection[str]) -> str:
    """Return the encoding of `offered` that an `Accept-Encoding` of `accepted` prefers.

    `identity` is used where the client accepts none of them: its bytes are better than no response.
    """
    weights = parse_accept_header(accepted.lower().replace("x-gzip", "gzip"))
    best = max((name for name in _PREFERENCE if name in offered), key=weights.quality, default=IDENTITY)
    return best if weights.quality(best) > 0 else IDENTITY


async def compress_json(request: Request, response: Response) -> None:
    """Make large JSON gzip for a client that takes it. Call it last: it has to see the finished response."""
    size = cast("int | None", response.content_length)  # none on streams
    if size is None or size <= GZIP_BYTES_MIN or not response.is_json or is_loopback(request.remote_addr or ""):
        return
    response.headers["Vary"] = "Accept-Encoding"
    if best_encoding(request.headers.get("Accept-Encoding", ""), ("gzip", IDENTITY)) == "gzip":
        body = await response.get_data(as_text=False)
        # In a thread, which holds no lock meanwhile: 1 MB takes about 10 ms.
        response.set_data(await trio.to_thread.run_sync(gzipped, body))
        response.headers["Content-Encoding"] = "gzip"


def gzipped(body: bytes) -> bytes:
    """Return the bytes as gzip, without a time in them."""
    deflate = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP_WRAPPER)
    return deflate.compress(body) + deflate.flush()
