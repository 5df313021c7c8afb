"""Where sessions work when there are other hosts: who gets room, who waits for it, and what comes back."""

from collections.abc import AsyncGenerator

import pytest
import trio

from fleet.actors.caller import Caller
from fleet.actors.usecases.sessions import NewSession
from fleet.core.session.state import State
from fleet.core.session.values import SessionSettings
from fleet.errors import Problem, Rejected
from fleet.limits import HOST_TRIES_S
from fleet.ports import LOCAL
from tests.fakes.cluster import FakeCluster
from tests.gateway.machine import PLAIN, REPOSITORY, Api, Machine


@pytest.fixture
async def cluster(machine: Machine) -> AsyncGenerator[FakeCluster]:
    """Two hosts beside the server's machine, each with room for two sessions."""
    machine.files.add_repository("/home/user/other")
    async with trio.open_nursery() as nursery:
        machine.cluster = FakeCluster(nursery, disk=machine.files)
        machine.cluster.add("n1", cpus=2, labels={"gpu": "true"})
        machine.cluster.add("n2", cpus=2)
        yield machine.cluster
        nursery.cancel_scope.cancel()


@pytest.fixture
async def wide(machine: Machine, cluster: FakeCluster) -> AsyncGenerator[Api]:
    """A Fleet on these hosts."""
    assert machine.cluster is cluster
    async with machine.fleet() as api:
        yield api


def worktree(**settings: object) -> NewSession:
    return NewSession(REPOSITORY, SessionSettings(title="", strategy="worktree", **settings))  # type: ignore[arg-type] # any field


async def create(api: Api, new: NewSession) -> State:
    return (await api.fleet.sessions.create(new, Caller("local"))).session


def host_of(api: Api, session: State) -> str:
    return api.fleet.context.host_of(session.workspace_id).name


async def test_sessions_of_a_repository_share_a_process_on_its_host_and_overflow_to_the_next(
    cluster: FakeCluster, wide: Api
) -> None:
    first, second, third = [await create(wide, worktree()) for _ in range(3)]
    hosts = [host_of(wide, each) for each in (first, second, third)]
    assert (hosts[0], len(set(hosts))) == (hosts[1], 2)
    assert LOCAL not in hosts
    assert first.opencode.instance_id == second.opencode.instance_id != third.opencode.instance_id
    assert sorted(len(node.world.living()) for node in cluster.nodes) == [1, 1]


async def test_a_session_waits_for_room_and_says_so(wide: Api) -> None:
    sessions = [await create(wide, worktree()) for _ in range(4)]
    async with trio.open_nursery() as nursery:
        late: list[State] = []

        async def fifth() -> None:
            late.append(await create(wide, worktree()))

        nursery.start_soon(fifth)
        with trio.fail_after(10):
            while len(wide.fleet.views.sessions) == 4:  # noqa: ASYNC110 - the id is not known yet
                await trio.sleep(0.1)
            waiting = await wide.fleet.views.sessions.wait(
                wide.fleet.views.sessions.ids()[-1], lambda s: "waits for" in s.evidence
            )
        assert waiting.phase == "created"
        await wide.send("DELETE", f"/api/sessions/{sessions[2].id}")
    assert host_of(wide, late[0]) == host_of(wide, sessions[2])


async def test_session_that_waits_for_room_gets_none_on_a_host_that_is_drained_meanwhile(wide: Api) -> None:
    first = await create(wide, worktree(host="n1", cpus=2.0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(create, wide, worktree(host="n1", cpus=1.0))
        await trio.sleep(1)
        await wide.fleet.hosts.drain("n1", Caller("local"))
        await wide.send("DELETE", f"/api/sessions/{first.id}")
        await trio.sleep(60)
        waiting = wide.fleet.views.sessions.get(wide.fleet.views.sessions.ids()[-1])
        assert waiting is not None
        assert waiting.provisioning == "workspace"
        await wide.fleet.hosts.undrain("n1", Caller("local"))
    assert host_of(wide, waiting) == "n1"


async def test_a_host_can_be_named_and_what_cannot_be_is_refused_at_once(wide: Api) -> None:
    assert host_of(wide, await create(wide, worktree(host="n2"))) == "n2"
    assert host_of(wide, await create(wide, worktree(host_labels={"gpu": "true"}))) == "n1"
    assert host_of(wide, await create(wide, worktree(host=LOCAL))) == LOCAL
    before = wide.fleet.log.head()
    for new, code in (
        (worktree(host="n9"), "host_unknown"),
        (worktree(cpus=64.0), "host_unsuitable"),
        (worktree(host_labels={"disk": "fast"}), "host_unsuitable"),
        (NewSession(PLAIN, SessionSettings(title="", strategy="existing", host="n1")), "host_unsuitable"),
    ):
        with pytest.raises(Rejected) as refused:
            await create(wide, new)
        assert (refused.value.code, refused.value.field) == (code, "host")
    assert wide.fleet.log.head() == before


async def test_an_existing_directory_is_worked_in_where_it_is(machine: Machine, wide: Api) -> None:
    item = await wide.session(PLAIN)
    assert len(machine.world.living()) == 1
    assert wide.fleet.context.host_of(item["workspaceId"]).name == LOCAL


async def test_work_is_saved_here_before_a_turn_is_reported_as_over(machine: Machine, wide: Api) -> None:
    session = await create(wide, worktree())
    item = await wide.prompt(session.id, "write")
    assert item["turns"] == 1
    workspace = wide.fleet.views.workspaces.get(session.workspace_id)
    assert workspace is not None
    assert workspace.saved is not None
    assert machine.files.kept[session.workspace_id].commit == workspace.saved.commit


async def test_diff_of_a_turn_waits_for_a_host_that_is_silent_for_a_moment(cluster: FakeCluster, wide: Api) -> None:
    session = await create(wide, worktree())
    node = cluster.machines[host_of(wide, session)]
    await wide.send("POST", f"/api/sessions/{session.id}/prompt", {"text": "turn:2 write"})
    await wide.fleet.views.sessions.wait(session.id, lambda s: s.turn is not None and s.turn.delivered)
    node.lost_calls = 1.0
    await trio.sleep(20)
    node.lost_calls = 0.0
    ended = await wide.fleet.views.sessions.wait(session.id, lambda s: s.turns == 1 and s.turn is None)
    assert ended.snapshots.totals is not None
    assert ended.snapshots.totals.files == 2


async def test_a_fork_works_on_the_host_of_its_origin(wide: Api) -> None:
    session = await create(wide, worktree(host_labels={"gpu": "true"}))
    await wide.prompt(session.id, "hello")
    fork = (await wide.send("POST", f"/api/sessions/{session.id}/fork", {})).json["session"]
    assert wide.fleet.context.host_of(fork["workspaceId"]).name == "n1"


async def test_room_that_no_session_needs_is_released(cluster: FakeCluster, wide: Api) -> None:
    session = await create(wide, worktree())
    assert list(cluster.slots) == [session.id]
    await wide.send("DELETE", f"/api/sessions/{session.id}")
    await trio.sleep(10)
    assert not cluster.slots


async def test_work_of_a_turn_that_is_stopped_is_saved_too(wide: Api) -> None:
    session = await create(wide, worktree())
    await wide.send("POST", f"/api/sessions/{session.id}/prompt", {"text": "bash:600"})
    await wide.fleet.views.sessions.wait(session.id, lambda s: s.turn is not None and s.turn.delivered)
    await wide.send("DELETE", f"/api/sessions/{session.id}")
    workspace = wide.fleet.views.workspaces.get(session.workspace_id)
    assert workspace is not None
    assert workspace.saved is not None
    assert workspace.saved.ref is None  # the turn had written nothing


async def test_workspace_is_made_on_another_host_when_the_chosen_one_does_not_answer(
    cluster: FakeCluster, wide: Api
) -> None:
    cluster.machines["n1"].lost_calls = 1.0
    session = await create(wide, worktree())
    assert (session.phase, host_of(wide, session)) == ("idle", "n2")
    workspace = wide.fleet.views.workspaces.get(session.workspace_id)
    assert workspace is not None
    assert [(left.spec.host, left.made) for left in workspace.left] == [("n1", False)]
    cluster.machines["n1"].lost_calls = 0.0
    await trio.sleep(10)
    workspace = wide.fleet.views.workspaces.get(session.workspace_id)
    assert workspace is not None
    assert (workspace.left, cluster.machines["n1"].disk.checkouts) == ((), {})


async def test_session_waits_for_a_host_that_was_chosen_by_name_and_says_so(cluster: FakeCluster, wide: Api) -> None:
    node = cluster.machines["n1"]
    node.lost_calls = 1.0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(create, wide, worktree(host="n1"))
        await trio.sleep(40)
        waiting = wide.fleet.views.sessions.get(wide.fleet.views.sessions.ids()[-1])
        assert waiting is not None
        assert (waiting.phase, "waits for a host that answers" in waiting.evidence) == ("created", True)
        node.lost_calls = 0.0
    ready = wide.fleet.views.sessions.get(waiting.id)
    assert ready is not None
    assert (ready.phase, host_of(wide, ready)) == ("idle", "n1")


async def test_creation_fails_with_the_reason_when_no_host_answers_for_long(cluster: FakeCluster, wide: Api) -> None:
    for node in cluster.nodes:
        node.lost_calls = 1.0
    with pytest.raises(Problem):  # the request ends, and the creation continues
        await create(wide, worktree())
    with trio.fail_after(HOST_TRIES_S + 120):
        failed = await wide.fleet.views.sessions.wait(wide.fleet.views.sessions.ids()[-1], lambda s: s.phase == "error")
    assert failed.failure is not None
    assert (failed.failure.code, failed.failure.step) == ("host_unreachable", "workspace")


async def test_a_turn_that_fails_on_a_host_with_a_full_disk_says_so(machine: Machine, cluster: FakeCluster) -> None:
    cluster.machines["n1"].disk_free_bytes = 1
    async with machine.fleet() as api:
        session = await create(api, worktree(host="n1"))
        failed = await api.prompt(session.id, "fail")
    assert failed["status"] == "error"
    assert failed["failure"]["code"] == "disk_full"
    assert failed["failure"]["detail"].startswith("the disk of the host n1 is full: ")
