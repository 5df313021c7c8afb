"""The routes about the fleet as a whole."""

from fleet import __version__
from fleet.ports import Exit
from tests.fakes.opencode_process import FakeProcess
from tests.gateway.machine import NOWHERE, REPOSITORY, Api, Machine


async def test_health_and_readiness_are_ok(api: Api) -> None:
    await api.session()
    for path in ("/api/healthz", "/api/readyz"):
        answer = await api.send("GET", path)
        assert answer.status == 200
        position = api.fleet.log.head()
        assert answer.json == {"status": "ok", "version": __version__, "position": position, "reasons": []}


async def test_not_ready_is_no_200(api: Api) -> None:
    api.fleet.ready = False
    answer = await api.send("GET", "/api/readyz")
    assert (answer.status, answer.json["status"]) == (503, "starting")
    assert (await api.send("GET", "/api/healthz")).status == 200


async def test_readiness_is_degraded_on_a_full_disk(machine: Machine, api: Api) -> None:
    machine.disk.low = True
    answer = await api.send("GET", "/api/readyz")
    assert (answer.status, answer.json["status"]) == (200, "degraded")
    assert "disk" in answer.json["reasons"][0]
    machine.disk.low = False
    assert (await api.send("GET", "/api/readyz")).json["status"] == "ok"


async def test_instances_are_the_processes_that_run(machine: Machine, api: Api) -> None:
    assert (await api.send("GET", "/api/instances")).json == []
    first = await api.session(REPOSITORY, isolationStrategy="worktree")
    second = await api.session(REPOSITORY)
    answer = await api.send("GET", "/api/instances")
    (instance,) = answer.json
    assert answer.headers["x-total-count"] == "1"
    assert instance["status"] == "ready"
    assert sorted(instance["sessions"]) == sorted([first["id"], second["id"]])
    assert instance["pid"] == machine.world.living()[0].identity.pid
    assert instance["memoryBytes"] > 0
    assert first["instanceId"] == second["instanceId"] == instance["id"]
    for item in (first, second):
        await api.send("DELETE", f"/api/sessions/{item['id']}")
    await api.fleet.views.instances.wait(instance["id"], lambda s: s.phase == "stopped")
    assert (await api.send("GET", "/api/instances")).json == []
    ended = (await api.send("GET", f"/api/instances/{instance['id']}")).json
    assert (ended["status"], ended["sessions"], ended["stopReason"]) == ("stopped", [], "unused")
    assert machine.world.living() == ()


async def test_every_process_there_ever_was_and_what_became_of_it(machine: Machine, api: Api) -> None:
    first = await api.session(REPOSITORY)
    await api.send("DELETE", f"/api/sessions/{first['id']}")
    await api.fleet.views.instances.wait(first["instanceId"], lambda s: s.phase == "stopped")
    second = await api.session(REPOSITORY)
    machine.world.living()[0].die(Exit(signal=9))
    await api.fleet.views.instances.wait(second["instanceId"], lambda s: s.phase == "lost" and s.swept)
    third = await api.session(REPOSITORY)
    answer = await api.send("GET", "/api/instances?all=true")
    assert answer.headers["x-total-count"] == "3"
    alive, lost, stopped = answer.json
    assert [item["id"] for item in answer.json] == [each["instanceId"] for each in (third, second, first)]
    assert (alive["status"], alive["endedAt"], alive["exit"], alive["steps"]) == ("ready", None, None, [])
    assert (lost["status"], lost["exit"], lost["memoryBytes"]) == ("lost", {"code": None, "signal": 9}, None)
    assert (stopped["status"], stopped["stopReason"], stopped["exit"]) == ("stopped", "unused", None)
    assert stopped["steps"] == [{"step": "term", "pids": [stopped["pid"]]}]
    assert stopped["createdAt"] < stopped["endedAt"]
    page = await api.send("GET", "/api/instances?all=true&limit=1&offset=1")
    assert page.json == [lost]
    assert (await api.send("GET", f"/api/instances/{lost['id']}")).json == lost


async def test_an_orphan_is_a_process_that_no_instance_owns(machine: Machine, api: Api) -> None:
    session = await api.session(REPOSITORY)
    assert (await api.send("GET", "/api/instances/orphans")).json == []
    machine.world.processes.append(FakeProcess(machine.world, NOWHERE, REPOSITORY, None))
    (orphan,) = (await api.send("GET", "/api/instances/orphans")).json
    assert orphan == {"pid": machine.world.processes[-1].identity.pid, "instanceId": NOWHERE, "server": True}
    assert orphan["pid"] != (await api.send("GET", f"/api/instances/{session['instanceId']}")).json["pid"]
    machine.world.processes[-1].die(Exit(signal=9))
    assert (await api.send("GET", "/api/instances/orphans")).json == []


async def test_a_clone_has_a_process_of_its_own(api: Api) -> None:
    first = await api.session(REPOSITORY)
    assert (await api.session(REPOSITORY, isolationStrategy="clone"))["instanceId"] != first["instanceId"]


async def test_workspaces_are_listed_with_their_sessions(api: Api) -> None:
    shared = await api.session(REPOSITORY)
    again = await api.session(REPOSITORY)
    own = await api.session(REPOSITORY, isolationStrategy="worktree", branch="topic")
    listed = {item["id"]: item for item in (await api.send("GET", "/api/workspaces")).json}
    assert listed.keys() == {shared["workspaceId"], own["workspaceId"]}
    assert sorted(listed[shared["workspaceId"]]["sessions"]) == sorted([shared["id"], again["id"]])
    workspace = (await api.send("GET", f"/api/workspaces/{own['workspaceId']}")).json
    assert (workspace["status"], workspace["branch"], workspace["sourceDirectory"]) == ("ready", "topic", REPOSITORY)
    assert workspace["directory"] == own["directory"]


async def test_unknown_instance_or_workspace_is_not_found(api: Api) -> None:
    problem = (await api.send("GET", f"/api/instances/{NOWHERE}")).problem(404, "instance_not_found")
    assert problem["title"].startswith("There is no such instance"), "it speaks of no session"
    (await api.send("GET", f"/api/workspaces/{NOWHERE}")).problem(404, "workspace_not_found")
