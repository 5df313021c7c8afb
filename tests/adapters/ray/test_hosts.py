"""The hosts of a cluster in virtual time: an engine of the test, with agents that answer, or not."""

from typing import Protocol

import msgspec
import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from fleet.adapters.ray.calls import Served
from fleet.adapters.ray.machine import PORTS
from fleet.errors import Rejected, Unavailable
from fleet.limits import HOST_BEAT_S, HOST_GRACE_MARGIN_S, HOST_SILENT_S
from fleet.ports import (
    LOCAL,
    EngineDown,
    Exit,
    HostLost,
    HostUp,
    Need,
    ProcessIdentity,
    Script,
    ScriptEnd,
)
from tests.adapters.ray.setting import LEASE_S, PROCESS, Setting, nothing, ready, short, told, two_hosts
from tests.fakes.agents import node_of

# ------------------------------------------------------------------------------------------------ hearing and silence


class OldMachine(Protocol):
    async def beat(self, token: str, processes: tuple[ProcessIdentity, ...]) -> dict[str, str]: ...


class OldAgent:
    """An agent of a Fleet whose heartbeats had another form."""

    async def beat(self, token: str, processes: tuple[ProcessIdentity, ...]) -> dict[str, str]:
        return {"token": token}


async def test_machines_with_the_label_become_hosts(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        events = await told(setting.hosts, 5)
        assert sorted(short(events)) == [("EngineUp", ""), ("HostUp", "n1"), ("HostUp", "n2")]
        first = next(each.info for each in events if isinstance(each, HostUp) and each.info.name == "n1")
        assert (dict(first.labels), first.cpus) == ({"gpu": "true"}, 4.0)
        assert setting.hosts.host("n1").name == "n1"
        assert setting.hosts.host(LOCAL).name == LOCAL
        with pytest.raises(Rejected, match="there is no host 'n9'"):
            setting.hosts.host("n9")


async def test_a_host_that_is_cut_off_is_silent_and_then_lost_and_comes_back(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        setting.backend.cut.add("n1")
        events = await told(setting.hosts, LEASE_S + HOST_GRACE_MARGIN_S + 20)
        assert short(events)[3:] == [("HostSilent", "n1"), ("HostLost", "n1")]
        setting.backend.cut.clear()
        assert short(await told(setting.hosts, 10))[-1] == ("HostUp", "n1")


async def leased_when_lost(setting: Setting) -> float:
    """Wait until a host is lost, and return when n1 got its last lease."""
    async with setting.hosts.watch() as events:
        async for event in events:
            if isinstance(event, HostLost):
                break
    leased_s = setting.agents["n1"].leased_s
    assert leased_s is not None
    return leased_s


async def test_a_host_without_an_answer_is_lost_when_its_grace_ends(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        await trio.sleep(5)
        setting.backend.cut.add("n1")
        leased_s = await leased_when_lost(setting)
        heard_s, grace_s = leased_s + HOST_BEAT_S, LEASE_S + HOST_GRACE_MARGIN_S
        assert grace_s <= trio.current_time() - heard_s <= grace_s + 1


async def test_no_lease_outlives_the_loss_of_its_host_even_if_heartbeats_arrive(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        setting.backend.muted.add("n1")  # heartbeats arrive, answers do not
        leased_s = await leased_when_lost(setting)
        assert leased_s + LEASE_S + HOST_GRACE_MARGIN_S <= trio.current_time()


async def test_an_agent_that_was_started_with_a_longer_grace_is_lost_later(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        setting.agents["n1"].lease_s = 1000.0
        await ready(setting)
        setting.backend.cut |= {"n1", "n2"}
        events = await told(setting.hosts, LEASE_S + HOST_GRACE_MARGIN_S + 20)
        assert ("HostLost", "n2") in short(events)
        assert ("HostLost", "n1") not in short(events)


async def test_a_call_to_a_host_that_becomes_silent_ends_and_later_ones_fail_at_once(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        setting.backend.cut.add("n1")
        began_s = trio.current_time()
        with pytest.raises(Unavailable, match=r"the host n1 does not answer: it has become silent \[host_unreach"):
            await setting.hosts.host("n1").opencode.find()
        assert trio.current_time() - began_s <= HOST_SILENT_S + 3
        began_s = trio.current_time()
        with pytest.raises(Unavailable, match="host_unreachable"):
            await setting.hosts.host("n1").opencode.find()
        assert trio.current_time() == began_s
        assert await setting.hosts.host("n2").opencode.find() == ()


async def test_nothing_is_reported_of_hosts_that_have_not_answered_since_the_start(autojump_clock: MockClock) -> None:
    async with two_hosts(expected=("n3",)) as setting:
        with pytest.raises(Unavailable, match="n3"):
            await setting.hosts.host("n3").opencode.find()
        events = await told(setting.hosts, LEASE_S + HOST_GRACE_MARGIN_S + 20)
        assert sorted(short(events)) == [("EngineUp", ""), ("HostUp", "n1"), ("HostUp", "n2")]


async def test_another_epoch_of_an_agent_is_news_and_gets_the_rehearsal_model_again(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        setting.hosts.offer_rehearsal(offered=True)
        await ready(setting)
        assert setting.agents["n1"].rehearsal is True
        setting.agents["n1"].epoch, setting.agents["n1"].rehearsal = "n1-2", None
        events = await told(setting.hosts, 5)
        assert [each.info.epoch for each in events if isinstance(each, HostUp) and each.info.name == "n1"][-1] == "n1-2"
        assert setting.agents["n1"].rehearsal is True


async def test_an_agent_of_another_version_is_replaced_once(autojump_clock: MockClock) -> None:
    async with two_hosts(version="0.0.9") as setting:
        assert sorted(short(await told(setting.hosts, 20))) == [("EngineUp", ""), ("HostUp", "n1"), ("HostUp", "n2")]
        n1 = [order.is_fresh for order in setting.backend.adopted if order.host == "n1"]
        assert n1 == [False, True]


async def test_an_agent_whose_answers_cannot_be_read_is_replaced(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        setting.backend.agents["n1"] = Served({**PORTS, "machine": OldMachine}, {"machine": OldAgent()})
        assert sorted(short(await told(setting.hosts, 20))) == [("EngineUp", ""), ("HostUp", "n1"), ("HostUp", "n2")]
        assert [order.is_fresh for order in setting.backend.adopted if order.host == "n1"] == [True]


async def test_the_engine_ends_and_its_next_process_finds_the_same_agents(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        setting.sidecars.kill()
        assert short(await told(setting.hosts, 10))[3:] == [("EngineDown", ""), ("EngineUp", "")]
        assert await setting.hosts.host("n1").opencode.find() == ()


async def test_a_call_waits_until_the_next_process_of_the_engine_has_found_the_agent(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        setting.sidecars.kill()
        assert await setting.hosts.host("n1").opencode.find() == ()
        setting.sidecars.is_away = True
        setting.sidecars.kill()
        with pytest.raises(Unavailable, match="host_unreachable"), trio.fail_after(HOST_SILENT_S + 3):
            await setting.hosts.host("n1").opencode.find()


async def test_a_sidecar_that_does_not_reach_a_machine_that_has_come_back_is_replaced_once(
    autojump_clock: MockClock,
) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        setting.backend.cut.add("n1")
        labels = {"fleet-host": "n1", "ray.io/node-id": "another"}
        setting.backend.nodes_alive = (msgspec.structs.replace(node_of("n1"), labels=labels), node_of("n2"))
        events = await told(setting.hosts, LEASE_S)
        assert short(events)[3:] == [("HostSilent", "n1"), ("EngineDown", ""), ("EngineUp", "")]
        assert [each.evidence for each in events if isinstance(each, EngineDown)] == [
            "it does not reach the agent of n1, whose machine has come back"
        ]


async def test_a_sidecar_is_replaced_when_the_head_of_the_cluster_has_been_away(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        setting.backend.is_headless = True
        assert short(await told(setting.hosts, 20))[3:] == [("EngineDown", "")]
        setting.backend.is_headless = False
        launched = setting.sidecars.launched
        assert short(await told(setting.hosts, 10))[-1] == ("EngineUp", "")
        assert setting.sidecars.launched == launched + 1
        assert await setting.hosts.host("n1").opencode.find() == ()


async def test_a_reservation_ends_when_the_head_of_the_cluster_is_away(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        setting.backend.is_headless = True
        for limit_s in (HOST_SILENT_S + 1, 0.1):  # later ones fail at once
            with trio.fail_after(limit_s), pytest.raises(Unavailable, match="the head of the cluster has not answered"):
                await setting.hosts.reserve("s1", Need(), (), nothing)
            await told(setting.hosts, HOST_SILENT_S)
        setting.backend.is_headless = False
        await told(setting.hosts, 20)
        assert await setting.hosts.reserve("s1", Need(), (), nothing) == "n1"


async def test_without_an_engine_calls_fail_and_nothing_is_placed(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        setting.sidecars.is_away = True
        setting.sidecars.kill()
        await trio.sleep(1)
        with pytest.raises(Unavailable, match="engine_down"):
            await setting.hosts.reserve("s1", Need(), (), nothing)
        with pytest.raises(Unavailable, match="engine_down"):
            await setting.hosts.slots()
        with pytest.raises(Unavailable, match="host_unreachable"):
            await setting.hosts.host("n1").opencode.find()
        assert await setting.hosts.reserve("s1", Need(host=LOCAL), (), nothing) == LOCAL


# --------------------------------------------------------------------------------------------------------- long calls


async def test_a_wait_for_the_end_of_a_process_outlasts_the_silence_of_its_host(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        found: list[Exit] = []

        async def wait() -> None:
            found.append(await setting.hosts.host("n1").opencode.wait_exit("i1", PROCESS))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.sleep(60)
            setting.backend.cut.add("n1")
            await trio.sleep(60)
            assert found == []
            setting.backend.cut.clear()
            setting.agents["n1"].exits["i1"] = Exit(code=3)
        assert found == [Exit(code=3)]


async def test_memory_is_what_the_last_heartbeat_said(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        opencode = setting.hosts.host("n1").opencode
        assert opencode.memory_bytes(PROCESS) is None
        await trio.sleep(5)
        assert (opencode.memory_bytes(PROCESS), opencode.is_suspended(PROCESS)) == (7000, False)
        assert (opencode.known_version, opencode.free_memory_bytes()) == ("1.18.33", 8 << 30)


async def test_the_output_of_a_script_arrives_once_across_a_silence(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        written: list[str] = []
        ends: list[ScriptEnd] = []
        agent = setting.agents["n1"]

        async def on_output(text: str) -> None:
            written.append(text)

        async def run() -> None:
            ends.append(await setting.hosts.host("n1").scripts.run(Script("m", "x", "/", {}, 600.0), on_output))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await trio.sleep(3)
            assert list(setting.hosts.host("n1").scripts.running) == ["m"]
            agent.scripts["m"] += "one "
            await trio.sleep(40)
            setting.backend.cut.add("n1")
            agent.scripts["m"] += "two "
            await trio.sleep(30)
            setting.backend.cut.clear()
            await trio.sleep(10)
            agent.scripts["m"] += "three"
            agent.ends["m"] = ScriptEnd(0)
        assert ("".join(written), ends) == ("one two three", [ScriptEnd(0)])
        assert agent.scripts == {}


async def test_a_script_fails_when_its_agent_was_started_again(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        with pytest.RaisesGroup(pytest.RaisesExc(Unavailable, match="started again")):
            async with trio.open_nursery() as nursery:
                run = setting.hosts.host("n1").scripts.run
                nursery.start_soon(run, Script("m", "x", "/", {}, 600.0), nothing)
                await trio.sleep(3)
                setting.agents["n1"].scripts.clear()
                await trio.sleep(60)


# --------------------------------------------------------------------------------------------------- hosts that mislead


async def test_host_that_calls_itself_by_the_name_of_another_is_still_itself(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        setting.agents["n1"].says_name = "n2"
        setting.agents["n2"].says_name = "local"
        events = await told(setting.hosts, 5)
        assert {each.info.root: each.info.name for each in events if isinstance(each, HostUp)} == {
            "/hosts/n1": "n1",
            "/hosts/n2": "n2",
        }


async def test_heartbeat_about_other_processes_makes_a_host_silent_and_harms_no_other(
    autojump_clock: MockClock,
) -> None:
    async with two_hosts() as setting:
        await ready(setting)
        setting.agents["n1"].beats_too_much = True
        events = await told(setting.hosts, HOST_SILENT_S + 5)
        assert short(events)[3:] == [("HostSilent", "n1")]
        assert await setting.hosts.host("n2").opencode.find() == ()


async def test_of_two_machines_with_one_name_the_same_is_the_host_at_each_look(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        twin = replace(node_of("n1", cpus=64.0), address="10.0.0.9")
        first = setting.backend.nodes_alive
        cores: set[float] = set()
        for nodes in ((twin, *first), (*first, twin), (twin, *first)):
            setting.backend.nodes_alive = nodes
            events = await told(setting.hosts, 5)
            cores |= {each.info.cpus for each in events[3:] if isinstance(each, HostUp) and each.info.name == "n1"}
        assert cores == {4.0}


async def test_host_without_git_gets_no_session(autojump_clock: MockClock) -> None:
    async with two_hosts() as setting:
        setting.agents["n1"].git_version = ""
        await ready(setting)
        assert await setting.hosts.reserve("s1", Need(cpus=1.0), ("n1",), nothing) == "n2"
