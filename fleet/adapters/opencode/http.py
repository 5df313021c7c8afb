"""HTTP/1.1 with the OpenCode process on a port of this machine, over keep-alive connections.

This code adds to the latency of each prompt, so a request is one write, and no other task runs between the call and
that write (ADR 0003 has the figures).
"""

from functools import partial
from typing import Final

import h11
import trio

from fleet.http1 import BrokenConnectionError, HttpConnection
from fleet.http_pool import HttpPool
from fleet.limits import OPENCODE_CONNECTIONS_KEPT_MAX, OPENCODE_REQUEST_TIMEOUT_S, OPENCODE_RESPONSE_BYTES_MAX

_ADDRESS: Final = "127.0.0.1"


def what_went_wrong(fault: Exception) -> str:
    """Describe a fault for a person as what OpenCode did; the messages of sockets and HTTP libraries do not help."""
    if isinstance(fault, BrokenConnectionError):
        return str(fault)
    if isinstance(fault, trio.TooSlowError):
        return f"it has sent no response within {OPENCODE_REQUEST_TIMEOUT_S:g} s"
    if isinstance(fault, OSError):
        return "it accepts no connections"
    return "it closed the connection before its response was complete"


async def connect(port: int, authorization: str) -> HttpConnection:
    """Open a connection to the process that listens on `port`. Raises OSError."""
    stream = await trio.open_tcp_stream(_ADDRESS, port)
    return HttpConnection(stream, (("Host", f"{_ADDRESS}:{port}"), ("Authorization", authorization)))


def media_type(head: h11.Response) -> str:
    """Return the Content-Type of a response."""
    return dict(head.headers).get(b"content-type", b"").decode("latin1")


def pool_of(port: int, authorization: str) -> HttpPool:
    """Return the connections to the process that listens on `port`; none is open yet."""
    return HttpPool(
        partial(connect, port, authorization),
        kept_max=OPENCODE_CONNECTIONS_KEPT_MAX,
        response_bytes_max=OPENCODE_RESPONSE_BYTES_MAX,
    )
