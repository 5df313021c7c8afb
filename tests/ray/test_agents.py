"""Agents on a real cluster: calls, cancellation, and what survives the end of an agent, a sidecar and a server."""

import hashlib
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
import trio

from fleet.adapters.ray.calls import EXPIRED, Remote
from fleet.adapters.ray.engine import Engine, UnreachableError, sidecar
from fleet.adapters.ray.frames import Adopt, FilePart, Nodes, PortCall, Release, Reserve, decode_cluster, decode_slot
from fleet.errors import StartupError
from fleet.ports import EngineDown, EngineUp
from tests.patience import PATIENCE_S
from tests.ray.conftest import RayCluster
from tests.ray.opener import Echo

OPENER = "tests.ray.opener:open_echo"


@asynccontextmanager
async def connected(
    cluster: RayCluster, namespace: str = "echo"
) -> AsyncGenerator[tuple[Engine, Remote, list[EngineUp | EngineDown]]]:
    """Run an engine; return it, the echo on n1, and what the engine reports."""
    reports: list[EngineUp | EngineDown] = []
    engine = Engine(sidecar(cluster.address, cluster.environment, namespace, OPENER), reports.append)

    async def send(name: str, body: bytes, limit_s: float | None) -> bytes:
        return await engine.order(PortCall("n1", "echo", name, body, limit_s))

    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        await engine.order(Adopt("n1", b""))
        yield engine, Remote(Echo, send), reports
        nursery.cancel_scope.cancel()


async def again(echo: Remote) -> int:
    """Return the pid of the agent as soon as it answers."""
    with trio.fail_after(PATIENCE_S):
        while True:
            try:
                return int(await echo.call("pid"))
            except UnreachableError:
                await trio.sleep(0.1)
    raise AssertionError


async def test_calls_of_an_agent_return_end_and_are_cancelled(cluster: RayCluster) -> None:
    async with connected(cluster) as (_, echo, _):
        assert await echo.call("repeat", "x" * (8 << 20)) == "x" * (8 << 20)
        assert await echo.call_within(0.05, "wait") is EXPIRED
        with trio.move_on_after(0.1):
            await echo.call("wait")
        with trio.fail_after(30):
            while await echo.call("cancelled") < 2:  # noqa: ASYNC110 - the agent is another process
                await trio.sleep(0.05)


async def test_the_sidecar_reads_the_last_argument_of_a_call_from_a_file(cluster: RayCluster, tmp_path: Path) -> None:
    file, content = tmp_path / "pack", os.urandom(3 << 20)
    file.write_bytes(content)
    async with connected(cluster) as (engine, _, _):
        for path, offset in ((file, 0), (file, 5), (file, 2 << 20), (file, 4 << 20), (tmp_path / "missing", 0)):
            part = FilePart(str(path), offset, 2 << 20)

            async def send(name: str, body: bytes, limit_s: float | None, last: FilePart = part) -> bytes:
                return await engine.order(PortCall("n1", "echo", name, body, limit_s, last))

            asked = Remote(Echo, send).call("digest", "It is ", memoryview(b""))
            if path == file:
                assert await asked == "It is " + hashlib.sha256(content[offset:][: 2 << 20]).hexdigest()
                continue
            with pytest.raises(UnreachableError, match="cannot read"):
                await asked


async def test_room_is_reserved_on_the_named_host_and_given_back(cluster: RayCluster) -> None:
    async with connected(cluster) as (engine, _, _):
        answer = await engine.order(Reserve("s1@n2", 1.0, 100, {"fleet-host": "n2"}, 10.0))
        assert decode_slot(answer).is_placed
        held = decode_cluster(await engine.order(Nodes(with_slots=True))).slots
        assert (held["s1@n2"].host, held["s1@n2"].cpus, held["s1@n2"].memory_mb) == ("n2", 1.0, 100)
        await engine.order(Release("s1@n2"))
        await engine.order(Release("s1@n2"))
        assert decode_cluster(await engine.order(Nodes(with_slots=True))).slots == {}


async def test_copy_of_a_server_has_reservations_of_its_own_for_the_same_sessions(cluster: RayCluster) -> None:
    reserve = Reserve("s1@n2", 1.0, 100, {"fleet-host": "n2"}, 10.0)
    async with connected(cluster) as (engine, _, _), connected(cluster, "copy") as (copy, _, _):
        for each in (engine, copy):
            assert decode_slot(await each.order(reserve)).is_placed
        for each in (engine, copy):
            held = decode_cluster(await each.order(Nodes(with_slots=True))).slots
            assert sorted(slot.is_own for slot in held.values()) == [False, True]
            assert held["s1@n2"].is_own
            assert {(slot.host, slot.cpus) for slot in held.values()} == {("n2", 1.0)}
        await copy.order(Release("s1@n2"))
        (left,) = decode_cluster(await copy.order(Nodes(with_slots=True))).slots.values()
        assert not left.is_own
        await engine.order(Release("s1@n2"))


async def test_an_agent_that_is_killed_starts_again_by_itself(cluster: RayCluster) -> None:
    async with connected(cluster) as (_, echo, _):
        before = await again(echo)
        os.kill(before, signal.SIGKILL)
        with trio.fail_after(PATIENCE_S):
            while (now := await again(echo)) == before:  # noqa: ASYNC110 - likewise
                await trio.sleep(0.05)
        assert now != before


async def test_another_sidecar_and_another_server_find_the_same_agent(cluster: RayCluster) -> None:
    async with connected(cluster) as (engine, echo, reports):
        agent = await again(echo)
        (own,) = [each for each in psutil.Process().children() if "fleet.adapters.ray.sidecar" in each.cmdline()]
        own.kill()
        with trio.fail_after(PATIENCE_S):
            while not isinstance(reports[-1], EngineUp) or len(reports) < 3:  # noqa: ASYNC110 - likewise
                await trio.sleep(0.05)
        assert reports == [EngineUp(), EngineDown("its process has ended"), EngineUp()]
        await engine.order(Adopt("n1", b""))
        assert await again(echo) == agent
    async with connected(cluster) as (_, echo, _):
        assert await again(echo) == agent


async def test_a_server_without_the_token_is_not_connected(cluster: RayCluster) -> None:
    environment = {**cluster.environment, "RAY_AUTH_MODE": "disabled"}
    engine = Engine(sidecar(cluster.address, environment, "echo", OPENER), lambda _: None)
    with pytest.RaisesGroup(pytest.RaisesGroup(pytest.RaisesExc(StartupError, match="RAY_AUTH_MODE"))):
        async with trio.open_nursery() as nursery:
            await nursery.start(engine.run)
