"""HTTP/1.1 with an OpenCode process, over keep-alive connections.

This code adds to the latency of each prompt, so a request is one write, and no other task runs between the call and
that write (ADR 0003 has the figures).
"""

from functools import partial

import h11
import trio

from fleet.http1 import BrokenConnectionError, HttpConnection
from fleet.http_pool import HttpPool
from fleet.limits import OPENCODE_CONNECTIONS_KEPT_MAX, OPENCODE_REQUEST_TIMEOUT_S, OPENCODE_RESPONSE_BYTES_MAX
from fleet.network import base_url
from fleet.ports import Endpoint


def what_went_wrong(fault: Exception) -> str:
    """Describe a fault for a person as what OpenCode did; the messages of sockets and HTTP libraries do not help."""
    if isinstance(fault, BrokenConnectionError):
        return str(fault)
    if isinstance(fault, trio.TooSlowError):
        return f"it has sent no response within {OPENCODE_REQUEST_TIMEOUT_S:g} s"
    if isinstance(fault, OSError):
        return "it accepts no connections"
    return "it closed the connection before its response was complete"


async def connect(endpoint: Endpoint, authorization: str) -> HttpConnection:
    """Open a connection to the process at `endpoint`. Raises OSError."""
    stream = await trio.open_tcp_stream(endpoint.address, endpoint.port)
    host = base_url(endpoint.address, endpoint.port).removeprefix("http://")
    return HttpConnection(stream, (("Host", host), ("Authorization", authorization)))


def media_type(head: h11.Response) -> str:
    """Return the Content-Type of a response."""
    return dict(head.headers).get(b"content-type", b"").decode("latin1")


def pool_of(endpoint: Endpoint, authorization: str) -> HttpPool:
    """Return the connections to the process at `endpoint`; none is open yet."""
    return HttpPool(
        partial(connect, endpoint, authorization),
        kept_max=OPENCODE_CONNECTIONS_KEPT_MAX,
        response_bytes_max=OPENCODE_RESPONSE_BYTES_MAX,
    )
