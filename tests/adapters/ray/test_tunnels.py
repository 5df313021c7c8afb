"""A tunnel through an agent to a program on the loopback address of its machine."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import trio

from fleet.adapters.ray.calls import Served
from fleet.adapters.ray.engine import Engine
from fleet.adapters.ray.link import HostLink
from fleet.adapters.ray.machine import PORTS
from fleet.adapters.ray.served import OwnTunnels
from fleet.adapters.ray.tunnels import tunnel
from fleet.ports import Endpoint
from tests.fakes.engine import FakeBackend, MemorySidecars


async def repeat(stream: trio.SocketStream) -> None:
    """Send everything back, in capitals, and then end."""
    async for data in stream:
        await stream.send_all(bytes(data).upper())
        if bytes(data).endswith(b"bye"):
            break


@asynccontextmanager
async def program() -> AsyncGenerator[tuple[HostLink, int]]:
    """Run the program, and return the link to the host that it runs on, and its port."""
    async with trio.open_nursery() as nursery:
        tunnels = OwnTunnels()
        served = Served(PORTS, {"tunnel": tunnels})
        engine = Engine(MemorySidecars(FakeBackend({"n1": served}, nursery, in_threads=False), nursery), lambda _: None)
        await nursery.start(engine.run)
        link = HostLink("n1", engine)
        link.heard()
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(partial(trio.serve_listeners, repeat, [listener]))
        yield link, listener.socket.getsockname()[1]
        await tunnels.close()
        nursery.cancel_scope.cancel()


async def test_bytes_travel_both_ways_through_an_agent_until_the_program_closes() -> None:
    async with program() as (link, port), tunnel(link, Endpoint(port, "1.0")) as near:
        assert (near.version, near.address) == ("1.0", "127.0.0.1")
        for _ in range(2):
            async with await trio.open_tcp_stream(near.address, near.port) as stream:
                await stream.send_all(b"hello ")
                assert await stream.receive_some() == b"HELLO "
                await stream.send_all(b"good bye")
                assert b"".join([bytes(data) async for data in stream]) == b"GOOD BYE"


async def test_a_connection_to_a_port_without_a_program_is_closed() -> None:
    async with (
        program() as (link, _),
        tunnel(link, Endpoint(1, "1.0")) as near,
        await trio.open_tcp_stream(near.address, near.port) as stream,
    ):
        assert await stream.receive_some() == b""


async def test_a_tunnel_to_a_silent_host_ends_its_connections() -> None:
    async with (
        program() as (link, port),
        tunnel(link, Endpoint(port, "1.0")) as near,
        await trio.open_tcp_stream(near.address, near.port) as stream,
    ):
        await stream.send_all(b"hello ")
        assert await stream.receive_some() == b"HELLO "
        link.silent()
        assert await stream.receive_some() == b""
