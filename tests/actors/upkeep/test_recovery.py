"""What an orderly stop leaves, and how the next start takes it up."""

import itertools
from typing import Any

import pytest
import trio
from msgspec.structs import replace

from fleet.actors.usecases import removal
from fleet.errors import Unavailable
from fleet.limits import RECOVERY_BATCH, RECOVERY_PAUSE_S
from tests.actors.usecases.test_removal import worked
from tests.gateway.machine import REPOSITORY, Machine


async def test_an_orderly_stop_ends_every_process(machine: Machine) -> None:
    async with machine.fleet() as api:
        idle = await api.session()
        working = await api.session(REPOSITORY, initialPrompt="bash:60")
        await api.fleet.views.sessions.wait(working["id"], lambda s: s.turn is not None and s.turn.delivered)
    assert machine.world.living() == ()
    assert machine.world.orphans == []
    async with machine.fleet() as api:
        statuses = [(await api.send("GET", f"/api/sessions/{each['id']}")).json["status"] for each in (idle, working)]
    assert statuses == ["completed", "disconnected"]


async def test_processes_that_are_left_running_work_on_and_are_adopted(machine: Machine) -> None:
    machine.policy = replace(machine.policy, leave_running=True)
    async with machine.fleet() as api:
        idle = await api.session()
        working = await api.session(REPOSITORY, initialPrompt="bash:60")
        await api.fleet.views.sessions.wait(working["id"], lambda s: s.turn is not None and s.turn.delivered)
    left = machine.world.living()
    machine.policy = replace(machine.policy, leave_running=False)
    assert {process.instance_id for process in left} == {idle["instanceId"], working["instanceId"]}
    async with machine.fleet() as api:
        done = await api.settled(working["id"])
        assert (done["outcome"], done["instanceId"]) == ("finished", working["instanceId"])
        assert (await api.prompt(idle["id"], "Hello"))["outcome"] == "finished"
        assert machine.world.living() == left
    assert machine.world.living() == ()


async def test_many_sessions_are_taken_up_a_few_at_a_time(machine: Machine) -> None:
    count = RECOVERY_BATCH * 3
    async with machine.fleet(killed=True) as api:
        for _ in range(count):
            await api.session(initialPrompt="hang")
    supervision, stopping = machine.supervision(), trio.Event()
    taken_up = [0]

    async def watch() -> None:
        with trio.fail_after(10):
            while taken_up[-1] < count:
                await trio.sleep(RECOVERY_PAUSE_S / 4)
                taken_up.append(supervision.fleet.context.actors.sessions.statistics().activations)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await nursery.start(supervision.run, stopping)
        stopping.set()
    assert taken_up[-1] == count
    assert max(after - before for before, after in itertools.pairwise(taken_up)) == RECOVERY_BATCH


@pytest.mark.parametrize("strategy", ["worktree", "existing"])
async def test_snapshots_of_an_erased_session_are_deleted_after_a_crash(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    async def lost(*_: Any) -> None:
        raise Unavailable("interrupted", "the process was killed")

    async with machine.fleet(killed=True) as api:
        item = await worked(machine, api, strategy)
        assert item["workspaceId"] in machine.files.trees
        with monkeypatch.context() as patched:
            patched.setattr(removal, "forget_trees", lost)
            await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true")
        assert item["workspaceId"] in machine.files.trees
    async with machine.fleet():
        assert item["workspaceId"] not in machine.files.trees
