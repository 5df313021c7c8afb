"""Content encodings: which one a response gets by `Accept-Encoding` (RFC 9110, 12.5.3), and gzip for large JSON.

JSON is compressed for clients on other machines only: on loopback the bytes cost nothing, and the work would.
"""

import re
import zlib
from collections.abc import Collection
from typing import Final, cast

import trio
from quart import Response, request
from quart_trio import QuartTrio

from fleet.limits import GZIP_BYTES_MIN, GZIP_LEVEL
from fleet.loopback import is_loopback

IDENTITY: Final = "identity"
_PREFERENCE: Final = ("br", "gzip", IDENTITY)
"""Where the client has no preference: the smallest first."""
_WEIGHT: Final = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)
_BARELY: Final = 0.0001  # below every weight that a client can write, and above 0, which refuses
_GZIP_WRAPPER: Final = 16 + zlib.MAX_WBITS


def best_encoding(accepted: str, offered: Collection[str]) -> str:
    """Return the encoding of `offered` that an `Accept-Encoding` of `accepted` prefers.

    `identity` is used where the client accepts none of them: its bytes are better than no answer.
    """
    weights = _weights(accepted)
    anything = weights.get("*", 0.0)
    if IDENTITY not in weights and "*" not in weights:
        weights[IDENTITY] = _BARELY
    ranked = [(weights.get(name, anything), name) for name in _PREFERENCE if name in offered]
    best = max((weight for weight, _ in ranked), default=0.0)
    return next((name for weight, name in ranked if weight == best > 0), IDENTITY)


def _weights(accepted: str) -> dict[str, float]:
    """Return how much the client wants each encoding; an entry that makes no sense counts as refused."""
    weights: dict[str, float] = {}
    for entry in accepted.lower().split(","):
        name, given, weight = (part.strip() for part in entry.partition(";"))
        if name:
            read = _WEIGHT.fullmatch(weight)
            weights["gzip" if name == "x-gzip" else name] = float(read[1]) if read else 0.0 if given else 1.0
    return weights


def compress_json(app: QuartTrio) -> None:
    """Send large JSON as gzip to clients that take it. Install it first: it has to see the finished response."""

    @app.after_request
    async def compress(response: Response) -> Response:
        size = cast("int | None", response.content_length)  # none on streams
        if size is None or size <= GZIP_BYTES_MIN or not response.is_json or is_loopback(request.remote_addr or ""):
            return response
        response.headers["Vary"] = "Accept-Encoding"
        if best_encoding(request.headers.get("Accept-Encoding", ""), ("gzip", IDENTITY)) == "gzip":
            body = await response.get_data(as_text=False)
            # In a thread, which holds no lock meanwhile: 1 MB takes about 10 ms.
            response.set_data(await trio.to_thread.run_sync(gzipped, body))
            response.headers["Content-Encoding"] = "gzip"
        return response


def gzipped(body: bytes) -> bytes:
    """Return the bytes as gzip, without a time in them."""
    deflate = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP_WRAPPER)
    return deflate.compress(body) + deflate.flush()
