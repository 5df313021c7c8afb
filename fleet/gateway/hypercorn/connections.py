"""Closes client connections in the cases for which Hypercorn has no setting.

Rules kept here: a connection speaks HTTP/1.1 or WebSocket; after each response it is closed, or waits for the next
request for a limited time; a connection whose client has disconnected ends, even if it waits for something.
"""

from typing import Any, Final, cast

import h11
import trio
from hypercorn.events import Closed, Event
from hypercorn.protocol.h11 import H11Protocol

_protocol: Final = cast("Any", H11Protocol)
_handle: Final = _protocol.handle
_maybe_recycle: Final = _protocol._maybe_recycle


def install() -> None:
    """Have Hypercorn keep the rules."""
    _protocol._check_protocol = _stay_with_http_1
    _protocol._maybe_recycle = _recycle
    _protocol.handle = _handle_and_let_go


async def _stay_with_http_1(_protocol: object, _request: object) -> None:
    """Stand for the server's look whether a client wants HTTP/2 on its clear connection: none does.

    The server keeps a connection that changes to HTTP/2 and then is silent, without a limit.
    """


async def _recycle(protocol: H11Protocol) -> None:
    """End an answer whole.

    The server first tells the application that the exchange is over; the framework then cancels the task of the
    request, which is this one, before the connection is closed or its idle time begins.
    """
    with trio.CancelScope(shield=True):
        await _maybe_recycle(protocol)


async def _handle_and_let_go(protocol: H11Protocol, event: Event) -> None:
    """End a connection that is closed while bytes that came early, after a request, wait for the end of its response.

    The task that would read on waits for that end, and nothing wakes it.
    """
    await _handle(protocol, event)
    connection = protocol.connection
    if isinstance(event, Closed) and isinstance(connection, h11.Connection) and connection.trailing_data[0]:
        nursery: trio.Nursery | None = cast("Any", protocol.task_group)._nursery
        if nursery is not None:
            nursery.cancel_scope.cancel()
