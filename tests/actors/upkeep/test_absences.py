"""What happens to sessions when their host is silent, lost, or back."""

from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import pytest
import trio

from fleet.actors.caller import Caller
from fleet.actors.prompt import NewPrompt
from fleet.actors.usecases.sessions import NewSession
from fleet.core.instance.state import State as Instance
from fleet.core.session.state import State
from fleet.core.session.values import OnHostLoss, SessionSettings
from fleet.errors import Problem
from tests.fakes.cluster import LEASE_S, MARGIN_S, SILENT_S, FakeCluster
from tests.fakes.machine import FakeMachine
from tests.gateway.machine import REPOSITORY, Api, Machine

LOSS_S = LEASE_S + MARGIN_S + 10
CALLER = Caller("local")


@pytest.fixture
async def cluster(machine: Machine) -> AsyncGenerator[FakeCluster]:
    """Two hosts beside the server's machine."""
    async with trio.open_nursery() as nursery:
        machine.cluster = FakeCluster(nursery, disk=machine.files)
        machine.cluster.add("n1")
        machine.cluster.add("n2")
        yield machine.cluster
        nursery.cancel_scope.cancel()


@pytest.fixture
async def wide(machine: Machine, cluster: FakeCluster) -> AsyncGenerator[Api]:
    """A Fleet on these hosts."""
    assert machine.cluster is cluster
    async with machine.fleet() as api:
        yield api


async def create(api: Api, **settings: object) -> State:
    new = NewSession(REPOSITORY, SessionSettings(title="", strategy="worktree", **settings))  # type: ignore[arg-type]  # the fields by name
    return (await api.fleet.sessions.create(new, CALLER)).session


async def prompt(api: Api, session: State, text: str) -> None:
    await api.fleet.sessions.prompt(session.id, NewPrompt(text), resume=False, caller=CALLER)


def now(api: Api, session: State) -> State:
    state = api.fleet.views.sessions.get(session.id)
    assert state is not None
    return state


def instance_of(api: Api, session: State) -> Instance:
    state = api.fleet.views.instances.get(now(api, session).opencode.instance_ids[-1])
    assert state is not None
    return state


def host_of(api: Api, session: State) -> str:
    return api.fleet.context.host_of(session.workspace_id).name


def machine_of(cluster: FakeCluster, api: Api, session: State) -> FakeMachine:
    return cluster.machines[host_of(api, session)]


async def test_a_silent_host_makes_its_sessions_unreachable_until_it_answers(cluster: FakeCluster, wide: Api) -> None:
    session = await create(wide)
    node = machine_of(cluster, wide, session)
    node.cut()
    await trio.sleep(SILENT_S + 2)
    instance = instance_of(wide, session)
    assert instance.phase == "unreachable"
    assert f"its host {node.name} has not answered since " in instance.evidence
    assert "it had not been heard for " in instance.evidence
    node.mend()
    await trio.sleep(10)
    assert instance_of(wide, session).phase == "ready"
    assert now(wide, session).phase == "idle"


async def test_a_lost_host_disconnects_its_sessions_and_leaves_a_turn_to_be_sent_again(
    cluster: FakeCluster, wide: Api
) -> None:
    idle, busy = await create(wide), await create(wide)
    await prompt(wide, busy, "bash:1000")
    await wide.fleet.views.sessions.wait(busy.id, lambda s: s.turn is not None and s.turn.delivered)
    node = machine_of(cluster, wide, busy)
    node.power_off()
    await trio.sleep(LEASE_S)
    assert (now(wide, idle).phase, now(wide, busy).phase) == ("idle", "active"), "nothing is told on silence alone"
    await trio.sleep(LOSS_S - LEASE_S)
    assert {now(wide, each).phase for each in (idle, busy)} == {"disconnected"}
    assert f"its host {node.name} is lost since " in now(wide, busy).evidence
    instance = instance_of(wide, busy)
    assert (instance.phase, instance.swept, instance.sessions) == ("lost", True, {})


@pytest.mark.parametrize("step", ["instance", "conversation"])
@pytest.mark.parametrize("on_loss", ["ask", "resume"])
async def test_a_session_whose_host_is_lost_during_its_creation_waits_for_a_person_or_begins_elsewhere(
    cluster: FakeCluster, wide: Api, step: str, on_loss: OnHostLoss
) -> None:
    node = cluster.machines["n1"]
    settings = SessionSettings(title="", strategy="worktree", host="n1", on_host_loss=on_loss)

    async def begin() -> None:
        with suppress(Problem):  # the caller does not wait for so long
            await wide.fleet.sessions.create(NewSession(REPOSITORY, settings, NewPrompt("echo")), CALLER)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(begin)
        session = await reached(wide, step)
        node.power_off()
        await trio.sleep(LEASE_S)
        waiting = now(wide, session)
        assert (waiting.phase, waiting.provisioning) == ("created", step), "nothing is concluded from silence alone"
        await trio.sleep(LOSS_S - LEASE_S)
        if on_loss == "ask":
            assert now(wide, session).phase == "disconnected"
            assert "its host n1 is lost" in now(wide, session).evidence
            await wide.fleet.sessions.resume(session.id, CALLER)
        ended = await wide.fleet.views.sessions.wait(session.id, lambda s: s.last_outcome is not None)
    assert (ended.last_outcome, ended.phase, host_of(wide, session)) == ("finished", "idle", "n2")


async def reached(api: Api, step: str) -> State:
    """Wait until a session is in this step of its creation."""
    while True:
        for session in api.fleet.views.sessions:
            if session.provisioning == step:
                return session
        await trio.sleep(0.001)


async def test_a_start_does_not_wait_for_a_host_that_is_away(machine: Machine, cluster: FakeCluster) -> None:
    async with machine.fleet(killed=True) as api:
        await trio.sleep(1)
        here, there = await create(api, host="n1"), await create(api, host="n2")
    cluster.machines["n2"].cut()
    async with machine.fleet() as api:
        await api.fleet.views.instances.wait(instance_of(api, here).id, lambda s: s.phase == "ready")
        await trio.sleep(5)
        assert api.fleet.context.connections.current(instance_of(api, here).id) is not None
        await trio.sleep(2 * SILENT_S)
        assert instance_of(api, there).phase == "unreachable"
        cluster.machines["n2"].mend()
        await trio.sleep(20)
        assert (instance_of(api, there).phase, now(api, there).phase) == ("ready", "idle")


def transcript(api: Api, session: State) -> Any:
    return api.send("GET", f"/api/sessions/{session.id}/messages?limit=100")


async def resume(api: Api, session: State) -> State:
    await api.fleet.sessions.resume(session.id, CALLER)
    return await api.fleet.views.sessions.wait(session.id, lambda s: s.phase == "idle")


async def lose(node: FakeMachine) -> None:
    node.power_off()
    await trio.sleep(LOSS_S)


async def test_a_session_of_a_lost_host_is_resumed_on_another_with_its_work_and_conversation(
    cluster: FakeCluster, wide: Api
) -> None:
    session = await create(wide)
    for text in ("write", "turn:3"):
        await prompt(wide, session, text)
        await wide.settled(session.id)
    await prompt(wide, session, "bash:1000")
    await wide.fleet.views.sessions.wait(session.id, lambda s: s.turn is not None and s.turn.delivered)
    node = machine_of(cluster, wide, session)
    await lose(node)
    before = (await transcript(wide, session)).json
    moved = await resume(wide, session)
    other = machine_of(cluster, wide, session)
    assert other is not node
    assert moved.directory.startswith(other.root)
    assert (moved.turn, moved.last_outcome) == (None, "interrupted")
    assert (await transcript(wide, session)).json == before
    assert other.disk.contents[moved.directory] == node.disk.contents[session.directory]
    assert not other.world.runs, "the interrupted prompt has not run again"
    await prompt(wide, session, "write")
    after = await wide.settled(session.id)
    assert after["status"] == "idle"
    assert len(other.world.store.transcript(moved.opencode.session_id)) > len(before["messages"])


@pytest.mark.parametrize("named", [None, "n1"])
async def test_session_of_a_host_that_is_away_is_forked_on_another_from_what_the_log_has(
    cluster: FakeCluster, wide: Api, named: str | None
) -> None:
    session = await create(wide, host=named)
    for text in ("write", "turn:3"):
        await prompt(wide, session, text)
        await wide.settled(session.id)
    node = machine_of(cluster, wide, session)
    node.power_off()
    await trio.sleep(SILENT_S + 2 if named is None else LOSS_S)
    forked = (await wide.send("POST", f"/api/sessions/{session.id}/fork", {})).json["session"]
    fork = now(wide, await wide.fleet.views.sessions.wait(forked["id"], lambda s: s.phase == "idle"))
    other = machine_of(cluster, wide, fork)
    assert other is not node
    said = [(await transcript(wide, each)).json["messages"] for each in (session, fork)]
    assert len(said[0]) == len(said[1]) > 2
    assert other.disk.contents[fork.directory] == node.disk.contents[session.directory]
    assert (await wide.prompt(fork.id, "hello"))["status"] == "idle"


async def test_a_session_may_be_resumed_by_itself(cluster: FakeCluster, wide: Api) -> None:
    session = await create(wide, on_host_loss="resume")
    node = machine_of(cluster, wide, session)
    await lose(node)
    await trio.sleep(20)
    state = now(wide, session)
    assert (state.phase, host_of(wide, session) == node.name) == ("idle", False)


async def lost_with_newer_work(cluster: FakeCluster, api: Api) -> tuple[State, FakeMachine]:
    """Return a session whose host is lost, and the host, which has a file that was never saved."""
    session = await create(api)
    await prompt(api, session, "write")
    await api.settled(session.id)
    node = machine_of(cluster, api, session)
    node.cut()
    node.disk.contents[session.directory]["unsaved.txt"] = b"newer"
    await trio.sleep(LOSS_S)
    return session, node


async def test_newer_work_on_a_host_that_comes_back_is_kept_and_the_directory_removed(
    cluster: FakeCluster, wide: Api
) -> None:
    session, node = await lost_with_newer_work(cluster, wide)
    moved = await resume(wide, session)
    node.mend()
    await trio.sleep(20)
    assert session.directory not in node.disk.directories
    assert moved.directory in machine_of(cluster, wide, session).disk.directories
    item = (await wide.send("GET", f"/api/workspaces/{session.workspace_id}")).json
    assert item["returned"] == [{"host": node.name, "ref": f"refs/fleet/returned/{session.workspace_id}-{node.name}"}]
    shown = (await wide.send("GET", f"/api/sessions/{session.id}")).json
    assert shown["returned"] == item["returned"]
    kept = cluster.local.disk.kept[f"{session.workspace_id}-{node.name}"]
    assert kept.contents["unsaved.txt"] == b"newer"


async def test_workspace_on_a_lost_host_can_be_removed_and_is_cleared_when_the_host_is_back(
    cluster: FakeCluster, wide: Api
) -> None:
    session, node = await lost_with_newer_work(cluster, wide)
    cleaned = await wide.send("DELETE", f"/api/sessions/{session.id}?cleanupWorkspace=true&force=true")
    assert (cleaned.status, cleaned.json["workspace"]["removed"]) == (200, True), cleaned
    assert session.directory in node.disk.directories
    node.mend()
    await trio.sleep(20)
    assert session.directory not in node.disk.directories
    assert cluster.local.disk.kept[session.workspace_id].contents["unsaved.txt"] == b"newer"
    assert (await wide.send("POST", f"/api/workspaces/{session.workspace_id}/restore")).status == 200
    assert node.disk.contents[session.directory]["unsaved.txt"] == b"newer"


async def test_workspace_that_was_removed_on_a_lost_host_is_restored_on_another(
    cluster: FakeCluster, wide: Api
) -> None:
    session = await create(wide)
    await prompt(wide, session, "write")
    await wide.settled(session.id)
    node = machine_of(cluster, wide, session)
    await lose(node)
    await wide.send("DELETE", f"/api/sessions/{session.id}?cleanupWorkspace=true")
    assert (await wide.send("POST", f"/api/workspaces/{session.workspace_id}/restore")).status == 200
    other = machine_of(cluster, wide, session)
    assert other is not node
    back = await resume(wide, session)
    assert other.disk.contents[back.directory] == node.disk.contents[session.directory]


async def test_erased_workspace_on_a_lost_host_is_erased_from_the_log_when_its_directory_is_gone(
    cluster: FakeCluster, wide: Api
) -> None:
    session = await create(wide)
    node = machine_of(cluster, wide, session)
    node.cut()
    await trio.sleep(LOSS_S)
    erased = (await wide.send("DELETE", f"/api/sessions/{session.id}?permanent=true")).json
    assert any(node.name in trace for trace in erased["left"]), erased
    assert wide.fleet.views.workspaces.get(session.workspace_id) is not None
    node.mend()
    await trio.sleep(20)
    assert session.directory not in node.disk.directories
    assert wide.fleet.views.workspaces.get(session.workspace_id) is None


async def test_a_workspace_that_did_not_move_continues_where_it_is(cluster: FakeCluster, wide: Api) -> None:
    session = await create(wide)
    node = machine_of(cluster, wide, session)
    node.cut()
    await trio.sleep(LOSS_S)
    node.mend()
    await trio.sleep(20)
    assert now(wide, session).phase == "disconnected"
    back = await resume(wide, session)
    assert (back.directory, host_of(wide, session)) == (session.directory, node.name)


async def test_processes_that_the_log_does_not_place_on_a_host_are_stopped(cluster: FakeCluster, wide: Api) -> None:
    node = cluster.machines["n1"]
    node.disk.directories.add("/hosts/n1/workspaces/w1/shop")
    await node.opencode.spawn("stranger", "/hosts/n1/workspaces/w1/shop")
    node.restart_agent()
    await trio.sleep(20)
    assert node.world.living() == ()


async def test_sessions_leave_a_drained_host_when_their_turns_are_over(cluster: FakeCluster, wide: Api) -> None:
    idle, busy = await create(wide), await create(wide)
    await prompt(wide, idle, "write")
    await wide.settled(idle.id)
    await prompt(wide, busy, "bash:60")
    node = machine_of(cluster, wide, busy)
    assert host_of(wide, idle) == node.name
    await wide.fleet.hosts.drain(node.name, CALLER)
    await trio.sleep(40)
    assert (host_of(wide, idle) == node.name, host_of(wide, busy)) == (False, node.name)
    other = machine_of(cluster, wide, idle)
    moved = now(wide, idle)
    assert moved.phase == "idle"
    assert other.disk.contents[moved.directory]
    await trio.sleep(120)
    assert {host_of(wide, each) for each in (idle, busy)} == {other.name}
    assert {now(wide, each).phase for each in (idle, busy)} == {"idle"}
    assert now(wide, busy).last_outcome == "finished"
    assert not node.disk.checkouts
    assert not node.world.living()


async def test_prompts_that_wait_on_a_drained_host_run_on_the_next_one(cluster: FakeCluster, wide: Api) -> None:
    session = await create(wide)
    for text in ("bash:60", "turn:3 write", "write"):
        await prompt(wide, session, text)
    node = machine_of(cluster, wide, session)
    await wide.fleet.hosts.drain(node.name, CALLER)
    moved = await wide.fleet.views.sessions.wait(session.id, lambda s: s.turns == 3 and s.turn is None)
    other = machine_of(cluster, wide, session)
    assert (other is node, moved.phase, moved.last_outcome) == (False, "idle", "finished")
    assert len(other.disk.contents[moved.directory]) > len(node.disk.contents.get(session.directory, {}))
    assert not node.world.living()


async def test_a_turn_continues_while_the_engine_is_down_for_a_short_time(cluster: FakeCluster, wide: Api) -> None:
    session = await create(wide)
    await prompt(wide, session, "bash:30")
    await wide.fleet.views.sessions.wait(session.id, lambda s: s.turn is not None and s.turn.delivered)
    cluster.engine_down()
    await trio.sleep(60)
    assert machine_of(cluster, wide, session).world.living()
    assert wide.fleet.hosts.limitations(), "it says so"
    cluster.engine_back()
    await wide.settled(session.id)
    assert (now(wide, session).phase, now(wide, session).last_outcome) == ("idle", "finished")


async def test_a_session_whose_host_is_lost_while_the_engine_is_down_is_resumed_when_it_is_back(
    cluster: FakeCluster, wide: Api
) -> None:
    session = await create(wide, on_host_loss="resume")
    node = machine_of(cluster, wide, session)
    node.power_off()
    await trio.sleep(SILENT_S + 1)
    cluster.engine_down()
    await trio.sleep(LOSS_S)
    assert now(wide, session).provisioning == "workspace"
    item = (await wide.send("GET", f"/api/sessions/{session.id}")).json
    assert item["evidence"] == "waits for the engine of the hosts, which does not answer"
    cluster.engine_back()
    resumed = await wide.fleet.views.sessions.wait(session.id, lambda s: s.phase == "idle")
    assert host_of(wide, resumed) != node.name


async def test_a_session_that_finds_no_other_host_continues_when_its_own_takes_sessions_again(
    cluster: FakeCluster, wide: Api
) -> None:
    session = await create(wide)
    for name in ("n1", "n2"):
        await wide.fleet.hosts.drain(name, CALLER)
    await trio.sleep(30)
    assert now(wide, session).provisioning == "workspace"
    await wide.fleet.hosts.undrain(host_of(wide, session), CALLER)
    back = await wide.fleet.views.sessions.wait(session.id, lambda s: s.phase == "idle")
    assert back.directory == session.directory
