"""`fleet hosts` lists and drains machines, and `fleet new` asks for one."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio

from tests.cli.terminal import fleet
from tests.client.line import Line
from tests.fakes.cluster import LEASE_S, MARGIN_S, SILENT_S, FakeCluster
from tests.gateway.machine import REPOSITORY, Machine


@asynccontextmanager
async def with_node(machine: Machine) -> AsyncGenerator[tuple[FakeCluster, Line]]:
    async with trio.open_nursery() as nursery:
        machine.cluster = FakeCluster(nursery, disk=machine.files)
        machine.cluster.add("node1", cpus=4, memory_mb=8192, labels={"gpu": "true"})
        async with Line.laid(machine) as line:
            await line.start()
            yield machine.cluster, line
        nursery.cancel_scope.cancel()


async def test_hosts_are_listed_drained_and_undrained(machine: Machine) -> None:
    async with with_node(machine) as (cluster, line):
        await trio.sleep(1)
        listed = (await fleet(line, "hosts")).out
        assert listed.splitlines()[1].split()[:2] == ["local", "up"]
        assert all(word in listed.splitlines()[2] for word in ("node1", "up", "4", "of 8.0 GiB"))
        drained = await fleet(line, "hosts", "drain", "node1")
        assert drained.out == "node1 takes no further sessions; 0 sessions there\n"
        cluster.machines["node1"].cut()
        await trio.sleep(SILENT_S + 1)
        assert "silent, draining" in (await fleet(line, "hosts")).out
        assert json.loads((await fleet(line, "hosts", "--json")).out)[1]["status"] == "silent"
        assert (await fleet(line, "hosts", "undrain", "node1")).out == "node1 takes sessions again\n"
        unknown = await fleet(line, "hosts", "drain", "node9")
        assert (unknown.code, "never seen a host 'node9'" in unknown.err) == (1, True)
        assert (await fleet(line, "hosts", "drain")).code == 2
        cluster.engine_down()
        await trio.sleep(1)
        assert "No session is placed on another host." in (await fleet(line, "hosts")).out


async def test_a_new_session_asks_for_a_host_and_for_room(machine: Machine) -> None:
    async with with_node(machine) as (_, line):
        made = await fleet(
            line,
            "new",
            REPOSITORY,
            "-i",
            "worktree",
            "--host",
            "gpu=true",
            "--cpus",
            "2",
            "--memory-mb",
            "512",
            "--json",
        )
        item = json.loads(made.out)
        assert (item["host"], item["need"]["cpus"], item["need"]["memoryMb"]) == ("node1", 2, 512)
        refused = await fleet(line, "new", REPOSITORY, "-i", "worktree", "--host", "node9")
        assert (refused.code, "node9" in refused.err) == (1, True)


@pytest.mark.parametrize("given", [["--host", "a", "--host", "b"], ["--host", "a", "--host", "gpu=true"]])
async def test_host_option_is_a_name_or_labels(line: Line, given: list[str]) -> None:
    assert (await fleet(line, "new", REPOSITORY, *given)).code == 2


async def test_show_names_newer_work_that_came_back_from_a_host(machine: Machine) -> None:
    async with with_node(machine) as (cluster, line):
        session_id = (
            await fleet(line, "new", REPOSITORY, "--isolation", "worktree", "--prompt", "write", "--wait")
        ).out
        session_id = session_id.split()[0]
        state = line.api.fleet.views.sessions.get(session_id)
        assert state is not None
        node = cluster.machines["node1"]
        node.cut()
        node.disk.contents[state.directory]["unsaved.txt"] = b"newer"
        await trio.sleep(LEASE_S + MARGIN_S + 10)
        cluster.add("node2")
        await fleet(line, "resume", session_id)
        await line.api.fleet.views.sessions.wait(session_id, lambda s: s.phase == "idle")
        node.mend()
        await trio.sleep(20)
        ref = f"refs/fleet/returned/{state.workspace_id}-node1"
        assert f"newer work came back from node1: {ref}" in " ".join(
            (await fleet(line, "show", session_id)).out.split()
        )
