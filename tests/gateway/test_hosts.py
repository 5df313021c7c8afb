"""The hosts over HTTP: what is known of each, draining, and what a silent or lost host keeps Fleet from."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
import trio

from tests.fakes.cluster import LEASE_S, MARGIN_S, SILENT_S, FakeCluster
from tests.fakes.opencode import FakeOpenCodeWorld
from tests.gateway.machine import REPOSITORY, Api, Machine


class Cluster(NamedTuple):
    """A running Fleet on `local` and two nodes."""

    machines: FakeCluster
    api: Api

    async def hosts(self) -> dict[str, dict[str, Any]]:
        answer = await self.api.send("GET", "/api/hosts")
        assert answer.headers["x-total-count"] == str(len(answer.json))
        return {each["name"]: each for each in answer.json}

    async def reasons(self) -> list[str]:
        reasons: list[str] = (await self.api.send("GET", "/api/readyz")).json["reasons"]
        return reasons


@asynccontextmanager
async def running() -> AsyncGenerator[Cluster]:
    async with trio.open_nursery() as nursery:
        machine = Machine(FakeOpenCodeWorld(nursery, lost_idle_chance=0, swallowed_term_chance=0))
        machine.cluster = FakeCluster(nursery, disk=machine.files)
        machine.cluster.add("node1", cpus=4, memory_mb=8192, labels={"gpu": "true"})
        machine.cluster.add("node2", cpus=2)
        async with machine.fleet() as api:
            await trio.sleep(1)
            yield Cluster(machine.cluster, api)
        nursery.cancel_scope.cancel()


async def test_a_fleet_without_a_cluster_has_its_own_machine(api: Api) -> None:
    await api.session()
    (local,) = (await api.send("GET", "/api/hosts")).json
    assert (local["name"], local["status"], local["draining"]) == ("local", "up", False)
    assert (local["sessions"], local["processes"]) == (1, 1)
    assert (await api.send("GET", "/api/readyz")).json["status"] == "ok"


async def test_each_host_is_listed_with_what_it_is() -> None:
    async with running() as fleet:
        hosts = await fleet.hosts()
        assert list(hosts) == ["local", "node1", "node2"]
        node = hosts["node1"]
        assert (node["status"], node["evidence"], node["cores"], node["memoryBytes"]) == ("up", "", 4.0, 8 << 30)
        assert (node["labels"], node["version"], node["epoch"]) == ({"gpu": "true"}, "1.0.0", "node1-1")
        assert node["memoryFreeBytes"] > 0
        assert node["diskFreeBytes"] > 0
        assert await fleet.reasons() == []


async def test_a_host_is_drained_and_undrained() -> None:
    async with running() as fleet:
        drained = (await fleet.api.send("POST", "/api/hosts/node1/drain")).json
        assert (drained["status"], drained["draining"]) == ("draining", True)
        assert (await fleet.hosts())["node2"]["status"] == "up"
        back = (await fleet.api.send("DELETE", "/api/hosts/node1/drain")).json
        assert (back["status"], back["draining"]) == ("up", False)
        (await fleet.api.send("POST", "/api/hosts/node9/drain")).problem(404, "host_not_found")
        (await fleet.api.send("POST", "/api/hosts/local/drain")).problem(409, "host_local")


async def test_a_session_says_where_it_works_and_what_it_asked_for(api: Api) -> None:
    plain = await api.session()
    assert (plain["host"], plain["need"]) == ("local", None)
    asked = {"host": "local", "cpus": 2, "memoryMb": 4096, "onHostLoss": "resume"}
    item = await api.session(REPOSITORY, isolationStrategy="worktree", **asked)
    assert item["host"] == "local"
    assert item["need"] == {**asked, "labels": {}}
    then = (await api.send("GET", f"/api/sessions/{item['id']}?at={api.fleet.log.head()}")).json
    assert (then["host"], then["need"]) == (item["host"], item["need"])


@pytest.mark.parametrize(
    ("field", "value"),
    [("host", ""), ("host", {}), ("host", {"gpu": 1}), ("cpus", -1), ("memoryMb", 0.5), ("onHostLoss", "move")],
)
async def test_a_wrong_wish_for_a_host_names_its_field(api: Api, field: str, value: Any) -> None:
    refused = (await api.send("POST", "/api/sessions", {"directory": REPOSITORY, field: value})).problem(422, "invalid")
    assert refused["field"].startswith(field)


async def test_a_session_on_a_node_is_counted_there_and_its_item_names_it() -> None:
    async with running() as fleet:
        item = await fleet.api.session(REPOSITORY, isolationStrategy="worktree", host={"gpu": "true"}, cpus=1)
        assert (item["host"], item["need"]["labels"]) == ("node1", {"gpu": "true"})
        assert (await fleet.api.send("GET", f"/api/workspaces/{item['workspaceId']}")).json["host"] == "node1"
        assert [each["host"] for each in (await fleet.api.send("GET", "/api/instances")).json] == ["node1"]
        hosts = await fleet.hosts()
        assert [(hosts[name]["sessions"], hosts[name]["processes"]) for name in hosts] == [(0, 0), (1, 1), (0, 0)]
        fleet.machines.machines["node1"].cut()
        await trio.sleep(LEASE_S + MARGIN_S + SILENT_S)
        lost = (await fleet.hosts())["node1"]
        assert (lost["status"], lost["sessions"], lost["processes"]) == ("lost", 1, 0)  # it can be resumed elsewhere
        assert await fleet.reasons() == []


async def test_a_session_for_a_host_that_is_not_there_is_refused_with_the_field() -> None:
    async with running() as fleet:
        for host, code in (("node9", "host_unknown"), ({"gpu": "false"}, "host_unsuitable")):
            body = {"directory": REPOSITORY, "isolationStrategy": "worktree", "host": host}
            refused = (await fleet.api.send("POST", "/api/sessions", body)).problem(422, code)
            assert refused["field"] == "host"


async def test_a_silent_host_limits_fleet_and_a_lost_one_does_not() -> None:
    async with running() as fleet:
        await fleet.api.send("POST", "/api/hosts/node1/drain")
        fleet.machines.machines["node1"].cut()
        await trio.sleep(SILENT_S + 1)
        silent = (await fleet.hosts())["node1"]
        assert b'fleet_hosts{phase="silent"} 1.0' in (await fleet.api.send("GET", "/api/metrics")).body
        assert (silent["status"], silent["draining"]) == ("silent", True)
        assert "not been heard" in silent["evidence"]
        (reason,) = await fleet.reasons()
        assert reason.startswith("the host node1 has not answered since 20")
        await trio.sleep(LEASE_S + MARGIN_S)
        assert (await fleet.hosts())["node1"]["status"] == "lost"
        assert await fleet.reasons() == []


async def test_a_lost_engine_limits_fleet() -> None:
    async with running() as fleet:
        fleet.machines.engine_down()
        await trio.sleep(1)
        assert "the engine of the hosts has not answered since" in (await fleet.reasons())[0]
        engine = (await fleet.api.send("GET", "/api/hosts/engine")).json
        assert (engine["answers"], engine["evidence"]) == (False, "the engine's process has ended")
        fleet.machines.engine_back()
        await trio.sleep(1)
        assert (await fleet.api.send("GET", "/api/hosts/engine")).json["answers"]
        assert await fleet.reasons() == []
