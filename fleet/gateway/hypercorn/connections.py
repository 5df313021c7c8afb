"""Closes client connections in the cases for which Hypercorn has no setting.

Rules kept here: a connection speaks HTTP/1.1 or WebSocket; after each response it is closed, or waits for the next
request for a limited time; a connection whose client has disconnected ends, even if it waits for something; what the
kernel takes at once is written without a switch of tasks.
"""

import os
from typing import Any, Final, cast

import h11
import trio
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer

_protocol: Final = cast("Any", H11Protocol)
_handle: Final = _protocol.handle
_maybe_recycle: Final = _protocol._maybe_recycle
_send: Final = TCPServer.protocol_send


def install() -> None:
    """Have Hypercorn keep the rules."""
    _protocol._check_protocol = _stay_with_http_1
    _protocol._maybe_recycle = _recycle
    _protocol.handle = _handle_and_let_go
    cast("Any", TCPServer).protocol_send = _send_at_once


async def _stay_with_http_1(_protocol: object, _request: object) -> None:
    """Replace the server's check for HTTP/2 on a connection without TLS: Fleet speaks none.

    The server keeps a connection that changes to HTTP/2 and then is silent, without a limit.
    """


async def _recycle(protocol: H11Protocol) -> None:
    """Complete a response.

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


async def _send_at_once(server: TCPServer, event: Event) -> None:
    """Write without waiting where the kernel takes it all; the server locks, shields and lets others run each time.

    A stream writes small pieces to many readers, and its own turns let others run (live/reader.py).
    """
    stream = cast("Any", server).stream
    if isinstance(event, RawData) and isinstance(stream, trio.SocketStream) and not server.send_lock.locked():
        try:
            written = os.write(stream.socket.fileno(), event.data)
        except OSError:  # the kernel takes nothing now, or the client has gone: the server finds out which
            written = 0
        if written == len(event.data):
            return
        event = RawData(event.data[written:])
    await _send(server, event)
