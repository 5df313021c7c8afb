"""The fake hosts behave as the design says of real ones: leases, silence and loss, reservations, and what travels."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from trio.abc import Clock

from fleet.errors import Rejected, Unavailable
from fleet.ports import (
    Endpoint,
    EngineDown,
    EngineUp,
    HostEvent,
    HostLost,
    HostSilent,
    HostUp,
    Need,
    Prompt,
    WorkspaceSpec,
)
from tests.contracts.hosts_contract import ManyHostsContract
from tests.contracts.hosts_contract import World as HostsWorld
from tests.fakes.cluster import LEASE_S, MARGIN_S, SILENT_S, Autoscaler, FakeCluster
from tests.fakes.hosts import FakeHosts
from tests.fakes.machine import CALL_TIMEOUT_S

ORDER = WorkspaceSpec("w1", "worktree", "/src/shop", "/fleet/workspaces/w1/shop", "fleet/x")


@asynccontextmanager
async def two_nodes(**options: Any) -> AsyncGenerator[FakeCluster]:
    async with trio.open_nursery() as nursery:
        cluster = FakeCluster(nursery, **options)
        cluster.local.disk.add_repository("/src/shop")
        cluster.add("n1", cpus=2, labels={"gpu": "true"})
        cluster.add("n2", cpus=2)
        yield cluster
        nursery.cancel_scope.cancel()


async def nothing(reason: str) -> None:
    await trio.lowlevel.checkpoint()


async def events_of(hosts: FakeHosts, seconds: float) -> list[HostEvent]:
    told: list[HostEvent] = []
    async with hosts.watch() as events:
        with trio.move_on_after(seconds):
            async for event in events:
                told.append(event)
    return told


async def start_process(hosts: FakeHosts, name: str = "n1") -> None:
    machine = hosts.cluster.machines[name]
    machine.disk.directories.add("/hosts/n1/workspaces/w1/shop")
    opencode = hosts.host(name).opencode
    identity = await opencode.spawn("i1", "/hosts/n1/workspaces/w1/shop")
    await opencode.wait_ready("i1", identity)


# --------------------------------------------------------------------------------------------------- silence and loss


async def test_a_machine_that_is_cut_off_is_silent_and_then_lost(autojump_clock: Clock) -> None:
    async with two_nodes() as cluster:
        hosts = FakeHosts(cluster)
        cluster.machines["n1"].cut()
        told = await events_of(hosts, LEASE_S + MARGIN_S + 1)
        assert [(type(event), getattr(event, "name", "")) for event in told] == [
            *[(HostUp, "")] * 3,
            (HostSilent, "n1"),
            (HostLost, "n1"),
        ]


async def test_a_process_ends_before_its_machine_is_called_lost(autojump_clock: Clock) -> None:
    async with two_nodes() as cluster:
        hosts = FakeHosts(cluster)
        await start_process(hosts)
        cut_s = trio.current_time()
        cluster.machines["n1"].cut()
        await trio.sleep(LEASE_S - 0.1)
        assert len(cluster.machines["n1"].world.living()) == 1
        await trio.sleep(0.2)
        (process,) = cluster.machines["n1"].world.processes
        assert process.end_s == cut_s + LEASE_S


async def test_processes_live_on_while_the_cable_is_out_for_a_short_time(autojump_clock: Clock) -> None:
    async with two_nodes() as cluster:
        hosts = FakeHosts(cluster)
        await start_process(hosts)
        cluster.machines["n1"].cut()
        await trio.sleep(LEASE_S - 1)
        cluster.machines["n1"].mend()
        await trio.sleep(LEASE_S)
        assert len(cluster.machines["n1"].world.living()) == 1


async def test_the_lease_ends_while_no_fleet_runs(autojump_clock: Clock) -> None:
    async with two_nodes() as cluster:
        hosts = FakeHosts(cluster)
        await start_process(hosts)
        hosts.close()
        await trio.sleep(LEASE_S + 1)
        assert cluster.machines["n1"].world.living() == ()


async def test_a_new_fleet_waits_for_the_whole_grace_before_it_calls_a_machine_lost(autojump_clock: Clock) -> None:
    async with two_nodes() as cluster:
        FakeHosts(cluster).close()
        cluster.machines["n1"].power_off()
        await trio.sleep(LEASE_S * 2)
        hosts = FakeHosts(cluster)
        told = await events_of(hosts, LEASE_S + MARGIN_S - 1)
        assert [type(event) for event in told] == [HostUp, HostUp, HostSilent]
        assert [type(event) for event in await events_of(hosts, 2)] == [HostUp, HostSilent, HostUp, HostLost]


async def test_a_machine_that_returns_has_another_epoch_and_its_files(autojump_clock: Clock) -> None:
    async with two_nodes() as cluster:
        hosts = FakeHosts(cluster)
        await hosts.host("n1").workspaces.prepare(ORDER)
        machine = cluster.machines["n1"]
        before = machine.info.epoch
        machine.power_off()
        await trio.sleep(SILENT_S + 1)
        machine.power_on()
        await trio.sleep(1)
        assert machine.info.epoch != before
        assert await hosts.host("n1").workspaces.fault(ORDER) is None


async def test_an_engine_that_is_down_is_reported_and_answers_nothing(autojump_clock: Clock) -> None:
    async with two_nodes() as cluster:
        hosts = FakeHosts(cluster)
        async with hosts.watch() as events:
            assert [type(await anext(events)) for _ in range(3)] == [HostUp] * 3
            cluster.engine_down()
            assert isinstance(await anext(events), EngineDown)
            with pytest.raises(Unavailable, match="engine"):
                await hosts.reserve("s1", Need(), (), nothing)
            with pytest.raises(Unavailable, match="n1"):
                await hosts.host("n1").opencode.find()
            cluster.engine_back()
            assert isinstance(await anext(events), EngineUp)


# --------------------------------------------------------------------------------------------------------------- calls


async def test_a_call_to_a_machine_that_does_not_answer_fails_in_time(autojump_clock: Clock) -> None:
    async with two_nodes() as cluster:
        hosts = FakeHosts(cluster)
        cluster.machines["n1"].cut()
        started_s = trio.current_time()
        with pytest.raises(Unavailable) as caught:
            await hosts.host("n1").opencode.find()
        assert caught.value.code == "host_unreachable"
        assert trio.current_time() - started_s == CALL_TIMEOUT_S


async def test_a_call_may_be_carried_out_although_it_fails(autojump_clock: Clock) -> None:
    async with two_nodes() as cluster:
        hosts = FakeHosts(cluster)
        cluster.machines["n1"].lost_answers = 1.0
        cluster.machines["n1"].disk.directories.add("/src/shop")
        with pytest.raises(Unavailable):
            await hosts.host("n1").opencode.spawn("i1", "/src/shop")
        assert len(cluster.machines["n1"].world.living()) == 1


async def test_a_call_continues_after_the_kill_of_its_fleet(autojump_clock: Clock) -> None:
    async with two_nodes() as cluster:
        hosts = FakeHosts(cluster)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hosts.host("n1").opencode.spawn, "i1", "/src/shop")
            await trio.sleep(0.01)
            hosts.close()
            nursery.cancel_scope.cancel()
        await trio.sleep(1)
        assert len(cluster.machines["n1"].world.living()) == 1


async def test_a_machine_without_power_carries_nothing_out(autojump_clock: Clock) -> None:
    async with two_nodes() as cluster:
        hosts = FakeHosts(cluster)
        async with trio.open_nursery() as nursery:

            async def spawn() -> None:
                with pytest.raises(Unavailable):
                    await hosts.host("n1").opencode.spawn("i1", "/src/shop")

            nursery.start_soon(spawn)
            await trio.sleep(0.01)
            cluster.machines["n1"].power_off()
        assert cluster.machines["n1"].world.living() == ()


async def test_what_opencode_says_while_the_cable_is_out_arrives_later_if_it_is_out_for_a_short_time(
    autojump_clock: Clock,
) -> None:
    async with two_nodes() as cluster:
        hosts = FakeHosts(cluster)
        await start_process(hosts)
        machine = cluster.machines["n1"]
        (process,) = machine.world.living()
        endpoint = Endpoint(process.port, machine.world.version)
        async with hosts.host("n1").opencode.connect("i1", endpoint) as client, client.events() as events:
            await client.create_session("ses_1", "/hosts/n1/workspaces/w1/shop")
            await client.prompt("ses_1", "/hosts/n1/workspaces/w1/shop", Prompt("msg_1", ("prt_1",), "hello"))
            await anext(events)
            machine.cut()
            await trio.sleep(5)
            machine.mend()
            assert await anext(events) is not None
            machine.cut()
            with pytest.raises(Unavailable):
                await client.health()


# -------------------------------------------------------------------------------------------------------- reservations


async def test_a_slot_keeps_its_host_until_it_is_released(autojump_clock: Clock) -> None:
    async with two_nodes() as cluster:
        hosts = FakeHosts(cluster)
        assert await hosts.reserve("s1", Need(cpus=1), ("n2",), nothing) == "n2"
        assert await FakeHosts(cluster).reserve("s1", Need(cpus=1), ("n1",), nothing) == "n2"
        assert await hosts.slots() == {"s1": "n2"}
        await hosts.release("s1")
        await hosts.release("s1")
        assert await hosts.slots() == {}


async def test_a_session_without_room_waits_and_says_why(autojump_clock: Clock) -> None:
    async with two_nodes() as cluster:
        hosts = FakeHosts(cluster)
        reasons: list[str] = []

        async def delayed(reason: str) -> None:
            await trio.lowlevel.checkpoint()
            reasons.append(reason)

        await hosts.reserve("s1", Need(host="n1", cpus=2), (), nothing)
        got: list[str] = []
        async with trio.open_nursery() as nursery:

            async def reserve() -> None:
                got.append(await hosts.reserve("s2", Need(labels={"gpu": "true"}, cpus=1), (), delayed))

            nursery.start_soon(reserve)
            await trio.sleep(5)
            assert got == []
            await hosts.release("s1")
        assert got == ["n1"]
        assert reasons == ["room on any host, gpu=true, 1 cores, 0 MiB"]


@pytest.mark.parametrize(
    ("need", "code"),
    [
        (Need(host="n9"), "host_unknown"),
        (Need(labels={"gpu": "false"}), "host_unsuitable"),
        (Need(host="n1", cpus=3), "host_unsuitable"),
    ],
)
async def test_a_need_that_no_host_can_fulfil_is_refused(need: Need, code: str, autojump_clock: Clock) -> None:
    async with two_nodes() as cluster:
        with pytest.raises(Rejected) as caught:
            await FakeHosts(cluster).reserve("s1", need, (), nothing)
        assert caught.value.code == code


async def test_an_autoscaler_brings_a_machine_and_removes_it_when_it_is_empty(autojump_clock: Clock) -> None:
    async with two_nodes() as cluster:
        cluster.autoscaler = Autoscaler(cpus=16)
        hosts = FakeHosts(cluster)
        assert await hosts.reserve("s1", Need(cpus=12), (), nothing) == "elastic-1"
        await trio.sleep(300)
        assert not cluster.machines["elastic-1"].gone
        await hosts.release("s1")
        await trio.sleep(300)
        assert cluster.machines["elastic-1"].gone


# --------------------------------------------------------------------------------------------------------- what travels


async def test_trees_and_kept_work_are_on_the_head_when_they_are_returned(autojump_clock: Clock) -> None:
    async with two_nodes() as cluster:
        host = FakeHosts(cluster).host("n1")
        prepared = await host.workspaces.prepare(ORDER)
        assert prepared.directory == "/hosts/n1/workspaces/w1/shop"
        assert prepared.repository == "/src/shop/.git"
        machine = cluster.machines["n1"]
        machine.disk.contents[prepared.directory] = {"a": b"1"}
        tree = await host.trees.take("w1", prepared.directory)
        kept = await host.removals.keep(ORDER)
        machine.power_off()
        machine.wipe()
        assert cluster.local.disk.trees["w1"][tree] == {"a": b"1"}
        other = FakeHosts(cluster).host("n2")
        await other.removals.restore(ORDER, kept)
        assert cluster.machines["n2"].disk.contents["/hosts/n2/workspaces/w1/shop"] == {"a": b"1"}


async def test_what_has_not_been_transferred_is_lost_with_the_machine(autojump_clock: Clock) -> None:
    async with two_nodes() as cluster:
        host = FakeHosts(cluster).host("n1")
        machine = cluster.machines["n1"]
        prepared = await host.workspaces.prepare(ORDER)
        machine.transfer_s = 5.0
        async with trio.open_nursery() as nursery:

            async def take() -> None:
                with pytest.raises(Unavailable):
                    await host.trees.take("w1", prepared.directory)

            nursery.start_soon(take)
            await trio.sleep(1)
            machine.power_off()
        assert cluster.local.disk.trees == {}


class TestFakeHosts(ManyHostsContract):
    @pytest.fixture
    async def world(self) -> AsyncGenerator[HostsWorld]:
        async with trio.open_nursery() as nursery:
            cluster = FakeCluster(nursery)
            for name in ("n1", "n2"):
                cluster.add(name, cpus=4)
            yield cast("HostsWorld", SimpleNamespace(hosts=FakeHosts(cluster)))
            nursery.cancel_scope.cancel()
