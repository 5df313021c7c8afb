"""The engine behind real frames and pipes, with a backend of the test instead of Ray."""

import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest
import trio

from fleet.adapters.ray.calls import Remote, Served, method_of
from fleet.adapters.ray.engine import Engine, UnreachableError
from fleet.adapters.ray.frames import (
    FrameError,
    FrameSplitter,
    Nodes,
    NotConnected,
    Order,
    PortCall,
    decode_order,
    frame_of,
)
from fleet.errors import StartupError, Unavailable
from fleet.ports import EngineDown, EngineUp
from tests.fakes.engine import FakeBackend, FakeSidecars

ROOT = Path(__file__).parents[3]


class Echo(Protocol):
    async def repeat(self, text: str) -> str: ...
    async def wait(self) -> None: ...


class Wall:
    def __init__(self) -> None:
        self.waiting = trio.Event()
        self.cancelled = trio.Event()

    async def repeat(self, text: str) -> str:
        return text

    async def wait(self) -> None:
        self.waiting.set()
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            self.cancelled.set()
            raise


class Setting(NamedTuple):
    engine: Engine
    sidecars: FakeSidecars
    reports: trio.MemoryReceiveChannel[EngineUp | EngineDown]
    wall: Wall
    echo: Remote


@asynccontextmanager
async def engine() -> AsyncGenerator[Setting]:
    wall = Wall()
    async with trio.open_nursery() as nursery:
        sidecars = FakeSidecars(FakeBackend({"n1": Served({"echo": Echo}, {"echo": wall})}, nursery))
        reported, reports = trio.open_memory_channel[EngineUp | EngineDown](10)
        run = Engine(sidecars, reported.send_nowait)

        async def send(name: str, body: bytes, limit_s: float | None) -> bytes:
            return await run.order(PortCall("n1", "echo", name, body, limit_s))

        await nursery.start(run.run)
        yield Setting(run, sidecars, reports, wall, Remote(Echo, send))
        nursery.cancel_scope.cancel()


async def test_a_call_crosses_the_pipes_and_returns() -> None:
    async with engine() as setting:
        assert await setting.echo.call("repeat", "x" * 300_000) == "x" * 300_000
        assert (setting.engine.is_up, setting.engine.version) == (True, "0.0")


async def test_calls_are_answered_in_any_order() -> None:
    async with engine() as setting, trio.open_nursery() as nursery:
        nursery.start_soon(setting.echo.call, "wait")
        await setting.wall.waiting.wait()
        assert await setting.echo.call("repeat", "second") == "second"
        nursery.cancel_scope.cancel()


async def test_a_cancelled_call_is_cancelled_on_the_host() -> None:
    async with engine() as setting:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(setting.echo.call, "wait")
            await setting.wall.waiting.wait()
            nursery.cancel_scope.cancel()
        await setting.wall.cancelled.wait()


async def test_a_host_without_an_agent_is_gone() -> None:
    async with engine() as setting:
        with pytest.raises(UnreachableError) as caught:
            await setting.engine.order(PortCall("n9", "echo", "repeat", b""))
        assert caught.value.is_gone


async def test_the_end_of_the_sidecar_ends_every_wait_and_another_one_takes_over() -> None:
    async with engine() as setting:
        with pytest.RaisesGroup(pytest.RaisesExc(Unavailable, match="engine_down")):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(setting.echo.call, "wait")
                await setting.wall.waiting.wait()
                await setting.sidecars.kill()
        events = [await setting.reports.receive() for _ in range(3)]
        assert events == [EngineUp(), EngineDown("its process has ended"), EngineUp()]
        assert await setting.echo.call("repeat", "again") == "again"
        assert setting.sidecars.launched == 2


async def test_a_call_without_an_engine_fails_at_once() -> None:
    async with trio.open_nursery() as nursery:
        run = Engine(FakeSidecars(FakeBackend({}, nursery)), lambda _: None)
        with pytest.raises(Unavailable, match="has not been started yet"):
            await run.order(Nodes())


async def test_a_cluster_that_must_not_be_used_refuses_the_start() -> None:
    async with trio.open_nursery() as nursery:
        sidecars = FakeSidecars(FakeBackend({}, nursery))
        sidecars.first = NotConnected("it is open", is_final=True)
        with pytest.RaisesGroup(pytest.RaisesGroup(pytest.RaisesExc(StartupError, match="it is open"))):
            async with trio.open_nursery() as own:
                await own.start(Engine(sidecars, lambda _: None).run)


async def test_a_cluster_that_is_away_does_not_refuse_the_start() -> None:
    async with trio.open_nursery() as nursery:
        sidecars, reports = FakeSidecars(FakeBackend({}, nursery)), list[object]()
        sidecars.first = NotConnected("no answer", is_final=False)
        run = Engine(sidecars, reports.append)
        await nursery.start(run.run)
        assert reports == [EngineDown("no answer")]
        assert not run.is_up
        nursery.cancel_scope.cancel()


def test_frames_arrive_in_any_pieces() -> None:
    orders = [Order(1, Nodes()), Order(2, PortCall("n1", "echo", "repeat", b"x" * 100, 2.0))]
    data, splitter = b"".join(map(frame_of, orders)), FrameSplitter()
    bodies = [body for at in range(0, len(data), 7) for body in splitter.feed(data[at : at + 7])]
    assert [decode_order(body) for body in bodies] == orders


def test_a_frame_that_is_too_long_is_an_error() -> None:
    with pytest.raises(FrameError, match="the limit is"):
        FrameSplitter().feed(b"\xff\xff\xff\xff")
    with pytest.raises(FrameError, match="the limit is"):
        frame_of(Order(1, PortCall("n1", "echo", "repeat", bytes(65 << 20))))


def test_method_names_with_underscores_cannot_be_called() -> None:
    with pytest.raises(LookupError):
        method_of(Wall, "__init__")


def test_a_server_imports_nothing_of_the_engine_before_it_is_asked_to() -> None:
    look = "import sys, fleet.composition.server; print([name for name in sys.modules if 'ray' in name.split('.')])"
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"
