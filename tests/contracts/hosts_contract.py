"""What every implementation of the `Hosts` port keeps. Subclass it and give it a `world` fixture.

`HostsContract` is for all of them; `ManyHostsContract` is for those with the hosts n1 and n2, which have 4 cores each.
"""

from typing import Protocol

import pytest
import trio

from fleet.errors import Rejected
from fleet.ports import LOCAL, HostEvent, Hosts, HostUp, Need


class World(Protocol):
    """Hosts that are connected."""

    @property
    def hosts(self) -> Hosts: ...


async def nothing(reason: str) -> None:
    await trio.lowlevel.checkpoint()


async def first_events(hosts: Hosts, number: int) -> list[HostEvent]:
    """Return what a new reader gets first."""
    found: list[HostEvent] = []
    async with hosts.watch() as events:
        while len(found) < number:
            found.append(await anext(events))
    return found


class HostsContract:
    async def test_the_machine_of_the_server_is_always_a_host(self, world: World) -> None:
        assert world.hosts.host(LOCAL).name == LOCAL
        assert world.hosts.host(LOCAL) is world.hosts.host(LOCAL)
        assert await world.hosts.reserve("s1", Need(host=LOCAL), (), nothing) == LOCAL
        assert await world.hosts.slots() == {} or set((await world.hosts.slots()).values()) != {LOCAL}

    async def test_a_name_that_no_host_has_is_refused(self, world: World) -> None:
        with pytest.raises(Rejected, match="host_unknown"):
            world.hosts.host("n9")
        for refused in (world.hosts.require(Need(host="n9")), world.hosts.reserve("s1", Need(host="n9"), (), nothing)):
            with pytest.raises(Rejected, match="host_unknown"):
                await refused

    async def test_labels_that_no_host_has_are_refused(self, world: World) -> None:
        need = Need(labels={"colour": "green"})
        for refused in (world.hosts.require(need), world.hosts.reserve("s1", need, (), nothing)):
            with pytest.raises(Rejected, match="host_unsuitable"):
                await refused

    async def test_a_slot_that_nothing_holds_can_be_released(self, world: World) -> None:
        await world.hosts.release("s1")
        assert "s1" not in await world.hosts.slots()


class ManyHostsContract(HostsContract):
    async def test_a_reader_gets_the_state_of_each_host_first(self, world: World) -> None:
        for _ in range(2):
            events = await first_events(world.hosts, 3)
            assert {each.info.name for each in events if isinstance(each, HostUp)} >= {"n1", "n2"}

    async def test_a_host_is_called_by_its_name(self, world: World) -> None:
        assert [world.hosts.host(name).name for name in ("n1", "n2")] == ["n1", "n2"]

    async def test_a_slot_keeps_its_host_until_it_is_released(self, world: World) -> None:
        need = Need(cpus=3)
        assert await world.hosts.reserve("s1", need, ("n2",), nothing) == "n2"
        assert await world.hosts.reserve("s1", need, ("n1",), nothing) == "n2"
        assert (await world.hosts.slots())["s1"] == "n2"
        await world.hosts.release("s1")
        assert await world.hosts.reserve("s1", need, ("n1",), nothing) == "n1"
        await world.hosts.release("s1")

    async def test_preferred_hosts_come_first_unless_they_are_full_or_avoided(self, world: World) -> None:
        need = Need(cpus=3)
        assert await world.hosts.reserve("s1", need, ("n2", "n1"), nothing) == "n2"
        assert await world.hosts.reserve("s2", need, ("n2", "n1"), nothing) == "n1"
        await world.hosts.release("s1")
        avoiding = Need(cpus=1, avoid=frozenset({"n2"}))
        assert await world.hosts.reserve("s1", avoiding, ("n2",), nothing) == "n1"
        for slot in ("s1", "s2"):
            await world.hosts.release(slot)

    async def test_the_server_is_for_those_that_name_it(self, world: World) -> None:
        placed = [await world.hosts.reserve(f"s{each}", Need(cpus=1), (), nothing) for each in range(4)]
        assert set(placed) <= {"n1", "n2"}
        for each in range(4):
            await world.hosts.release(f"s{each}")

    async def test_more_than_any_host_has_is_refused(self, world: World) -> None:
        with pytest.raises(Rejected, match="host_unsuitable"):
            await world.hosts.require(Need(cpus=500))
        with pytest.raises(Rejected, match="host_unsuitable"):
            await world.hosts.require(Need(host="n1", memory_mb=1 << 20))

    async def test_a_slot_without_room_says_so_and_gets_it_when_there_is_some(self, world: World) -> None:
        await world.hosts.reserve("s1", Need(host="n1", cpus=3), (), nothing)
        delayed, placed = trio.Event(), list[str]()

        async def on_delay(reason: str) -> None:
            assert "n1" in reason
            delayed.set()
            await trio.lowlevel.checkpoint()

        async def reserve() -> None:
            placed.append(await world.hosts.reserve("s2", Need(host="n1", cpus=2), (), on_delay))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(reserve)
            await delayed.wait()
            assert placed == []
            await world.hosts.release("s1")
        assert placed == ["n1"]
        await world.hosts.release("s2")
