"""The routes about the fleet as a whole."""

from fleet import __version__
from fleet.ports import Exit
from tests.fakes.opencode_process import FakeProcess
from tests.gateway.door import NOWHERE, REPOSITORY, Door, Machine


async def test_health_and_readiness_are_ok(door: Door) -> None:
    await door.session()
    for path in ("/api/healthz", "/api/readyz"):
        answer = await door.knock("GET", path)
        assert answer.status == 200
        position = door.fleet.log.head()
        assert answer.json == {"status": "ok", "version": __version__, "position": position, "reasons": []}


async def test_not_ready_is_no_200(door: Door) -> None:
    door.fleet.ready = False
    answer = await door.knock("GET", "/api/readyz")
    assert (answer.status, answer.json["status"]) == (503, "starting")
    assert (await door.knock("GET", "/api/healthz")).status == 200


async def test_readiness_is_degraded_on_a_full_disk(machine: Machine, door: Door) -> None:
    machine.disk.low = True
    answer = await door.knock("GET", "/api/readyz")
    assert (answer.status, answer.json["status"]) == (200, "degraded")
    assert "disk" in answer.json["reasons"][0]
    machine.disk.low = False
    assert (await door.knock("GET", "/api/readyz")).json["status"] == "ok"


async def test_instances_are_the_processes_that_run(machine: Machine, door: Door) -> None:
    assert (await door.knock("GET", "/api/instances")).json == []
    first = await door.session(REPOSITORY, isolationStrategy="worktree")
    second = await door.session(REPOSITORY)
    answer = await door.knock("GET", "/api/instances")
    (instance,) = answer.json
    assert answer.headers["x-total-count"] == "1"
    assert instance["status"] == "ready"
    assert sorted(instance["sessions"]) == sorted([first["id"], second["id"]])
    assert instance["pid"] == machine.world.living()[0].identity.pid
    assert instance["memoryBytes"] > 0
    assert first["instanceId"] == second["instanceId"] == instance["id"]
    for item in (first, second):
        await door.knock("DELETE", f"/api/sessions/{item['id']}")
    await door.fleet.views.instances.wait(instance["id"], lambda s: s.phase == "stopped")
    assert (await door.knock("GET", "/api/instances")).json == []
    ended = (await door.knock("GET", f"/api/instances/{instance['id']}")).json
    assert (ended["status"], ended["sessions"], ended["stopReason"]) == ("stopped", [], "unused")
    assert machine.world.living() == ()


async def test_every_process_there_ever_was_and_what_became_of_it(machine: Machine, door: Door) -> None:
    first = await door.session(REPOSITORY)
    await door.knock("DELETE", f"/api/sessions/{first['id']}")
    await door.fleet.views.instances.wait(first["instanceId"], lambda s: s.phase == "stopped")
    second = await door.session(REPOSITORY)
    machine.world.living()[0].die(Exit(signal=9))
    await door.fleet.views.instances.wait(second["instanceId"], lambda s: s.phase == "lost" and s.swept)
    third = await door.session(REPOSITORY)
    answer = await door.knock("GET", "/api/instances?all=true")
    assert answer.headers["x-total-count"] == "3"
    alive, lost, stopped = answer.json
    assert [item["id"] for item in answer.json] == [each["instanceId"] for each in (third, second, first)]
    assert (alive["status"], alive["endedAt"], alive["exit"], alive["steps"]) == ("ready", None, None, [])
    assert (lost["status"], lost["exit"], lost["memoryBytes"]) == ("lost", {"code": None, "signal": 9}, None)
    assert (stopped["status"], stopped["stopReason"], stopped["exit"]) == ("stopped", "unused", None)
    assert stopped["steps"] == [{"step": "term", "pids": [stopped["pid"]]}]
    assert stopped["createdAt"] < stopped["endedAt"]
    page = await door.knock("GET", "/api/instances?all=true&limit=1&offset=1")
    assert page.json == [lost]
    assert (await door.knock("GET", f"/api/instances/{lost['id']}")).json == lost


async def test_an_orphan_is_a_process_that_no_instance_owns(machine: Machine, door: Door) -> None:
    session = await door.session(REPOSITORY)
    assert (await door.knock("GET", "/api/instances/orphans")).json == []
    machine.world.processes.append(FakeProcess(machine.world, NOWHERE, REPOSITORY, None))
    (orphan,) = (await door.knock("GET", "/api/instances/orphans")).json
    assert orphan == {"pid": machine.world.processes[-1].identity.pid, "instanceId": NOWHERE, "server": True}
    assert orphan["pid"] != (await door.knock("GET", f"/api/instances/{session['instanceId']}")).json["pid"]
    machine.world.processes[-1].die(Exit(signal=9))
    assert (await door.knock("GET", "/api/instances/orphans")).json == []


async def test_a_clone_has_a_process_of_its_own(door: Door) -> None:
    first = await door.session(REPOSITORY)
    assert (await door.session(REPOSITORY, isolationStrategy="clone"))["instanceId"] != first["instanceId"]


async def test_workspaces_are_listed_with_their_sessions(door: Door) -> None:
    shared = await door.session(REPOSITORY)
    again = await door.session(REPOSITORY)
    own = await door.session(REPOSITORY, isolationStrategy="worktree", branch="topic")
    listed = {item["id"]: item for item in (await door.knock("GET", "/api/workspaces")).json}
    assert listed.keys() == {shared["workspaceId"], own["workspaceId"]}
    assert sorted(listed[shared["workspaceId"]]["sessions"]) == sorted([shared["id"], again["id"]])
    workspace = (await door.knock("GET", f"/api/workspaces/{own['workspaceId']}")).json
    assert (workspace["status"], workspace["branch"], workspace["sourceDirectory"]) == ("ready", "topic", REPOSITORY)
    assert workspace["directory"] == own["directory"]


async def test_unknown_instance_or_workspace_is_not_found(door: Door) -> None:
    problem = (await door.knock("GET", f"/api/instances/{NOWHERE}")).problem(404, "instance_not_found")
    assert problem["title"].startswith("There is no such instance"), "it speaks of no session"
    (await door.knock("GET", f"/api/workspaces/{NOWHERE}")).problem(404, "workspace_not_found")
