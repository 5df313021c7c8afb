"""Long responses, each on its own connection: how it is opened, and how it fails."""

import ssl
from collections.abc import Mapping
from contextlib import closing

import h11
import httpx
import trio

from fleet.client.errors import error_of
from fleet.http1 import BrokenConnectionError, HttpConnection, TcpStream
from fleet.limits import CLIENT_CONNECT_S, PROBLEM_BYTES_MAX

LOST = (
    BrokenConnectionError,
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.TooSlowError,
    h11.RemoteProtocolError,
)
"""How a connection fails."""


async def open_response(url: httpx.URL, headers: Mapping[str, str]) -> HttpConnection:
    """Send a GET, and return the connection on which the body comes. Raises `FleetError`, or one of `LOST`."""
    with trio.fail_after(CLIENT_CONNECT_S):
        connection = HttpConnection(await connect(url), (("Host", url.netloc.decode("ascii")), *headers.items()))
        try:
            head = await connection.ask("GET", url.raw_path)
        except BaseException:
            connection.close()
            raise
    if head.status_code == 200:
        return connection
    content = bytearray()
    with closing(connection), trio.fail_after(CLIENT_CONNECT_S):
        while len(content) < PROBLEM_BYTES_MAX and (chunk := await connection.receive()):
            content += chunk
    raise error_of(httpx.Response(head.status_code, headers=list(head.headers), content=bytes(content)))


async def connect(url: httpx.URL) -> TcpStream:
    """Open a connection to the host of an address. Raises one of `LOST`."""
    secure = url.scheme == "https"
    connection = await trio.open_tcp_stream(url.host, url.port or (443 if secure else 80))
    if not secure:
        return connection
    return trio.SSLStream(connection, ssl.create_default_context(), server_hostname=url.host, https_compatible=True)
