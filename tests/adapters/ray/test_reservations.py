"""Room on the hosts of a cluster, in virtual time."""

from collections.abc import AsyncGenerator

import pytest
import trio
from trio.testing import MockClock

from fleet import __version__
from fleet.adapters.ray.frames import Slot
from fleet.errors import Rejected, Unavailable
from fleet.limits import HOST_UNUSED_S
from fleet.ports import LOCAL, Need
from tests.adapters.ray.setting import Setting, nothing, ready, short, told, two_hosts
from tests.contracts.hosts_contract import ManyHostsContract, first_events
from tests.fakes.agents import FakeAgent, node_of


async def test_the_first_preferred_host_with_room_is_reserved_once(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        hosts = setting.hosts
        assert await hosts.reserve("s1", Need(cpus=3), ("n2", "n1"), nothing) == "n2"
        assert await hosts.reserve("s1", Need(cpus=3), ("n1",), nothing) == "n2"
        assert await hosts.reserve("s2", Need(cpus=3), ("n2", "n1"), nothing) == "n1"
        assert await hosts.slots() == {"s1": "n2", "s2": "n1"}
        await hosts.release("s1")
        await hosts.release("s1")
        assert await hosts.slots() == {"s2": "n1"}


async def test_without_a_preference_the_least_used_host_is_reserved(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        placed = [await setting.hosts.reserve(f"s{each}", Need(cpus=1), (), nothing) for each in range(4)]
        assert sorted(placed) == ["n1", "n1", "n2", "n2"]
        assert await setting.hosts.reserve("s9", Need(host=LOCAL), (), nothing) == LOCAL


async def test_room_of_another_server_is_waited_for_and_never_released(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        hosts, reasons, placed = setting.hosts, list[str](), list[str]()
        setting.backend.slots["other@n1"] = theirs = Slot(3, 512, "n1", is_placed=True, is_own=False)
        assert await hosts.slots() == {}

        async def delayed(reason: str) -> None:
            reasons.append(reason)

        async def reserve() -> None:
            placed.append(await hosts.reserve("s1", Need(host="n1", cpus=2), (), delayed))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(reserve)
            await trio.sleep(60)
            assert placed == []
            assert "; another Fleet server on this cluster has reserved 3 cores and 512 MiB there" in reasons[0]
            assert setting.backend.slots["other@n1"] == theirs
            del setting.backend.slots["other@n1"]  # of which nothing is said here
        assert placed == ["n1"]


async def test_a_host_without_room_on_its_disk_takes_no_session_until_it_has_some(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        hosts, reasons, placed = setting.hosts, list[str](), list[str]()
        setting.agents["n1"].disk_free_bytes = 1
        await ready(setting)
        assert await hosts.reserve("s1", Need(cpus=1), ("n1",), nothing) == "n2"

        async def delayed(reason: str) -> None:
            reasons.append(reason)

        async def reserve() -> None:
            placed.append(await hosts.reserve("s2", Need(host="n1"), (), delayed))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(reserve)
            await trio.sleep(20)
            assert (reasons, placed) == (["the host n1, whose disk is full"], [])
            setting.agents["n1"].disk_free_bytes = 1 << 40
        assert placed == ["n1"]


async def test_labels_names_and_drained_hosts_are_respected(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        hosts = setting.hosts
        assert await hosts.reserve("s1", Need(labels={"gpu": "true"}, cpus=1), ("n2",), nothing) == "n1"
        assert await hosts.reserve("s2", Need(host="n1", cpus=1), ("n2",), nothing) == "n1"
        assert await hosts.reserve("s3", Need(cpus=1, avoid=frozenset({"n1"})), ("n1",), nothing) == "n2"


async def test_a_need_that_no_host_can_fulfil_names_the_largest(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        with pytest.raises(
            Rejected, match="no host can give a session 64 cores; the largest, n1, has 4 cores and 8192 MiB"
        ):
            await setting.hosts.reserve("s1", Need(cpus=64), (), nothing)
        with pytest.raises(Rejected, match="with the label gpu=false"):
            await setting.hosts.require(Need(labels={"gpu": "false"}))
        with pytest.raises(Rejected, match="host_unknown"):
            await setting.hosts.require(Need(host="n9"))


async def test_a_slot_without_room_says_for_what_it_waits_and_gets_it(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        hosts, reasons, placed = setting.hosts, list[str](), list[str]()
        await hosts.reserve("s1", Need(host="n1", cpus=3), (), nothing)

        async def delayed(reason: str) -> None:
            reasons.append(reason)

        async def reserve() -> None:
            placed.append(await hosts.reserve("s2", Need(labels={"gpu": "true"}, cpus=2), (), delayed))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(reserve)
            await trio.sleep(60)
            assert (reasons, placed) == (["2 cores on a host with the label gpu=true"], [])
            await hosts.release("s1")
        assert placed == ["n1"]


async def test_a_slot_waits_for_a_named_host_that_does_not_answer(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        setting.backend.cut.add("n1")
        await trio.sleep(20)
        reasons = list[str]()

        async def delayed(reason: str) -> None:
            reasons.append(reason)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(setting.hosts.reserve, "s1", Need(host="n1"), (), delayed)
            await trio.sleep(20)
            assert reasons == ["the host n1, which does not answer"]
            setting.backend.cut.clear()
        assert await setting.hosts.slots() == {"s1": "n1"}


async def test_a_cluster_that_can_grow_is_asked_for_a_machine(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        setting.backend.has_autoscaler = True
        placed = list[str]()

        async def reserve() -> None:
            placed.append(await setting.hosts.reserve("s1", Need(cpus=8), (), nothing))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(reserve)
            await trio.sleep(20)
            assert list(setting.backend.slots) == ["s1@"]
            setting.agents["n3"] = FakeAgent("n3", __version__)
            setting.backend.nodes_alive += (node_of("n3", cpus=16.0),)
        assert placed == ["n3"]
        assert list(setting.backend.slots) == ["s1@n3"]


async def test_a_slot_that_no_longer_waits_leaves_no_reservation(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        setting.backend.has_autoscaler = True
        with trio.move_on_after(20):
            await setting.hosts.reserve("s1", Need(cpus=8), (), nothing)
        assert setting.backend.slots == {}


async def test_a_host_without_a_session_rests_so_that_its_machine_can_go(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        setting.backend.has_autoscaler = True
        await ready(setting)
        hosts = setting.hosts
        await hosts.reserve("s1", Need(host="n1"), (), nothing)
        events = await told(hosts, HOST_UNUSED_S + 20)
        assert setting.backend.dismissed == ["n2"]
        assert short(events)[-1][0] == "HostUp"  # it is not silent
        assert await hosts.reserve("s2", Need(host="n2"), (), nothing) == "n2"
        assert await hosts.host("n2").opencode.find() == ()
        await told(hosts, HOST_UNUSED_S + 20)
        assert setting.backend.dismissed == ["n2"]


async def test_a_resting_host_is_woken_by_a_call_and_lost_when_its_machine_goes(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        setting.backend.has_autoscaler = True
        await ready(setting)
        hosts = setting.hosts
        await told(hosts, HOST_UNUSED_S + 20)
        assert sorted(setting.backend.dismissed) == ["n1", "n2"]
        with pytest.raises(Unavailable, match="its agent has to be started again"):
            await hosts.host("n1").opencode.find()
        await trio.sleep(5)
        assert await hosts.host("n1").opencode.find() == ()
        setting.backend.nodes_alive = (node_of("n1", gpu="true"),)
        events = await told(hosts, 10)
        assert ("HostLost", "n2") in short(events)
        setting.backend.nodes_alive += (node_of("n2"),)
        assert ("HostUp", "n2") in short(await told(hosts, 20))


async def test_reservations_are_read_again_after_the_end_of_the_engine(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        hosts = setting.hosts
        assert await hosts.reserve("s1", Need(host="n1", cpus=3), (), nothing) == "n1"
        del setting.backend.slots["s1@n1"]  # the cluster has lost all that it knew
        assert await hosts.slots() == {"s1": "n1"}
        setting.sidecars.kill()
        await trio.sleep(10)
        assert await hosts.slots() == {}
        assert await hosts.reserve("s2", Need(host="n1", cpus=3), (), nothing) == "n1"


class TestRayHosts(ManyHostsContract):
    """The contract, with an engine of the test."""

    @pytest.fixture
    async def world(self) -> AsyncGenerator[Setting]:
        async with two_hosts() as setting:
            await first_events(setting.hosts, 3)
            yield setting
