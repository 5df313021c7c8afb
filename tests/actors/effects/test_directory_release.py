"""A process gives back what it holds for a directory when no session works there any more, and harms no other one."""

from typing import Any

import trio

from fleet.limits import DIRECTORY_RELEASE_S
from tests.fakes.opencode_process import FakeTool
from tests.gateway.machine import PLAIN, REPOSITORY, Api, Machine


async def test_a_directory_is_released_when_its_last_session_leaves_and_others_remain(
    machine: Machine, api: Api
) -> None:
    stays = await api.session(REPOSITORY, isolationStrategy="worktree", initialPrompt="bash:60")
    first, last = [await api.session(REPOSITORY, initialPrompt="Hello") for _ in range(2)]
    assert len({each["instanceId"] for each in (stays, first, last)}) == 1
    assert (await api.send("DELETE", f"/api/sessions/{first['id']}")).status == 200
    await trio.sleep(DIRECTORY_RELEASE_S)
    assert machine.world.disposed == []
    assert (await api.settled(last["id"]))["outcome"] == "finished"
    assert (await api.send("DELETE", f"/api/sessions/{last['id']}")).status == 200
    await trio.sleep(DIRECTORY_RELEASE_S)
    assert machine.world.disposed == [(stays["instanceId"], REPOSITORY)]
    assert (await api.settled(stays["id"]))["outcome"] == "finished"
    assert (await api.send("DELETE", f"/api/sessions/{stays['id']}")).status == 200
    await api.fleet.views.instances.wait(stays["instanceId"], lambda s: s.phase == "stopped")
    assert len(machine.world.disposed) == 1  # the process goes, and all with it


async def test_a_session_that_starts_while_its_directory_is_released_loses_nothing(machine: Machine, api: Api) -> None:
    await api.session(REPOSITORY, isolationStrategy="worktree")
    for _ in range(10):
        goes = await api.session(REPOSITORY)
        assert (await api.send("DELETE", f"/api/sessions/{goes['id']}")).status == 200
        comes = await api.session(REPOSITORY, initialPrompt="bash:1")
        assert (await api.settled(comes["id"]))["outcome"] == "finished"
        assert (await api.send("DELETE", f"/api/sessions/{comes['id']}")).status == 200
        assert (await api.send("POST", f"/api/sessions/{comes['id']}/resume")).status == 200
        assert (await api.prompt(comes["id"], "bash:1"))["outcome"] == "finished"
        assert (await api.send("DELETE", f"/api/sessions/{comes['id']}")).status == 200
        await trio.sleep(DIRECTORY_RELEASE_S)
    assert len(machine.world.disposed) == 30


async def test_nothing_that_runs_there_is_touched(machine: Machine, api: Api) -> None:
    await api.session(REPOSITORY, isolationStrategy="worktree")
    goes = await api.session(REPOSITORY)
    process = machine.world.process(goes["instanceId"])
    foreign = machine.world.store.create("ses_foreign", REPOSITORY, "somebody's own", 0)
    process.set_status(foreign["id"], {"type": "busy"})
    assert (await api.send("DELETE", f"/api/sessions/{goes['id']}")).status == 200
    await trio.sleep(DIRECTORY_RELEASE_S)
    assert machine.world.disposed == []


def shell(machine: Machine, item: dict[str, Any], below: str = "") -> FakeTool:
    """Leave a shell behind in the session's directory."""
    tool = FakeTool(item["instanceId"], machine.world.new_identity(), item["directory"] + below)
    machine.world.orphans.append(tool)
    return tool


async def test_processes_that_an_ended_session_left_in_its_workspace_are_stopped(machine: Machine, api: Api) -> None:
    first, second = [await api.session(REPOSITORY, isolationStrategy="worktree") for _ in range(2)]
    assert first["instanceId"] == second["instanceId"]
    left, kept = [shell(machine, first), shell(machine, first, "/web")], shell(machine, second)
    elsewhere = FakeTool(first["instanceId"], machine.world.new_identity(), "/elsewhere")
    machine.world.orphans.append(elsewhere)
    assert (await api.send("DELETE", f"/api/sessions/{first['id']}")).status == 200
    assert machine.world.orphans == [kept, elsewhere]
    assert left[0] not in machine.world.orphans


async def test_processes_in_an_existing_directory_are_not_stopped(machine: Machine, api: Api) -> None:
    first, second = await api.session(PLAIN), await api.session(PLAIN)
    assert first["instanceId"] == second["instanceId"]
    kept = shell(machine, first)
    assert (await api.send("DELETE", f"/api/sessions/{first['id']}?cleanupWorkspace=true&force=true")).status == 200
    assert machine.world.orphans == [kept]


async def test_force_stops_processes_that_any_session_left_in_a_worktree(machine: Machine, api: Api) -> None:
    first, second = [await api.session(REPOSITORY, isolationStrategy="worktree") for _ in range(2)]
    await api.send("DELETE", f"/api/sessions/{first['id']}")
    late = shell(machine, first)
    kept = shell(machine, second)
    answer = await api.send("DELETE", f"/api/sessions/{first['id']}?cleanupWorkspace=true&force=true")
    assert (answer.status, answer.json["workspace"]["removed"]) == (200, True)
    assert machine.world.orphans == [kept]
    assert late not in machine.world.orphans
