"""Long responses, each on its own connection: how it is opened, and how it fails."""

from collections.abc import Mapping
from contextlib import closing

import trio

from fleet.client.address import Address
from fleet.client.errors import error_of
from fleet.http1 import HttpConnection
from fleet.http_pool import FAULTS, HttpResponse
from fleet.limits import CLIENT_CONNECT_S, PROBLEM_BYTES_MAX

LOST = (*FAULTS, trio.TooSlowError)
"""How a connection fails."""


async def open_response(
    address: Address, target: str, headers: Mapping[str, str], patience_s: float = CLIENT_CONNECT_S
) -> HttpConnection:
    """Send a GET, and return the connection on which the body comes. Raises `FleetError`, or one of `LOST`."""
    with trio.fail_after(patience_s):
        connection = HttpConnection(await address.connect(), (("Host", address.authority), *headers.items()))
        try:
            head = await connection.ask("GET", target)
        except BaseException:
            connection.close()
            raise
    if head.status_code == 200:
        return connection
    content = bytearray()
    with closing(connection), trio.fail_after(CLIENT_CONNECT_S):
        while len(content) < PROBLEM_BYTES_MAX and (chunk := await connection.receive()):
            content += chunk
    raise error_of(HttpResponse(head.status_code, dict(head.headers), bytes(content)))
