"""Tunnels: a port of the server's loopback address leads to OpenCode on a host, through its agent.

It is for networks in which the server cannot reach OpenCode on a host. Each connection is a stream of calls: bytes in
one direction, and a wait for bytes in the other.
"""

import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, cast

import trio

from fleet.adapters.ray.calls import EXPIRED, Remote
from fleet.adapters.ray.link import HostLink
from fleet.errors import Problem
from fleet.limits import HOST_PIECE_BYTES, HOST_SILENT_S, HOST_WAIT_S
from fleet.ports import Endpoint

_ADDRESS: Final = "127.0.0.1"


@asynccontextmanager
async def tunnel(link: HostLink, endpoint: Endpoint) -> AsyncGenerator[Endpoint]:
    """Listen while the block runs, and forward each connection to the endpoint on the host."""
    (listener,) = await trio.open_tcp_listeners(0, host=_ADDRESS)
    forward = partial(_forward, link.port("tunnel"), endpoint)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(trio.serve_listeners, forward, [listener]))
        yield Endpoint(listener.socket.getsockname()[1], endpoint.version)
        nursery.cancel_scope.cancel()


async def _forward(agent: Remote, endpoint: Endpoint, near: trio.SocketStream) -> None:
    stream = uuid.uuid4().hex
    with suppress(Problem, trio.BrokenResourceError, trio.ClosedResourceError):
        try:
            await agent.call("dial", stream, endpoint.address, endpoint.port)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_up, agent, stream, near, nursery.cancel_scope)
                await _down(agent, stream, near)
                nursery.cancel_scope.cancel()
        except* (Problem, trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(near)
            with trio.move_on_after(HOST_SILENT_S, shield=True), suppress(Problem):
                await agent.call("hang_up", stream)


async def _up(agent: Remote, stream: str, near: trio.SocketStream, both: trio.CancelScope) -> None:
    while data := await near.receive_some(HOST_PIECE_BYTES):
        await agent.call("send", stream, bytes(data))
    both.cancel()


async def _down(agent: Remote, stream: str, near: trio.SocketStream) -> None:
    while True:
        data = await agent.call_within(HOST_WAIT_S, "receive", stream)
        if data is EXPIRED:
            continue
        if not data:
            return
        await near.send_all(cast("bytes", data))
