"""What can be chosen before there is a session, through the gateway: branches, offers, directories by name."""

from pathlib import Path
from typing import Any

import pytest
import trio

from fleet.limits import OFFERS_DELAY_S, OFFERS_FRESH_S
from tests.gateway.machine import PLAIN, REPOSITORY, Api, Machine

NOTHING: dict[str, Any] = {"asOf": None, "instanceId": None, "agents": [], "commands": [], "models": []}


async def branches(api: Api, query: str = "") -> list[dict[str, Any]]:
    answer = await api.send("GET", f"/api/repositories/branches?path={REPOSITORY}{query}")
    assert answer.status == 200, answer
    assert int(answer.headers["fleet-position"]) == api.fleet.log.head()
    found: list[dict[str, Any]] = answer.json
    return found


async def offers(api: Api, directory: str | None = None) -> dict[str, Any]:
    answer = await api.send("GET", f"/api/offers?directory={directory}" if directory else "/api/offers")
    assert answer.status == 200, answer
    found: dict[str, Any] = answer.json
    return found


async def test_branches_say_where_they_are_checked_out(machine: Machine, api: Api) -> None:
    repository = machine.files.repositories[REPOSITORY]
    repository.remotes["origin/main"] = repository.branches["main"]
    item = await api.session(REPOSITORY, isolationStrategy="worktree", branch="topic")
    found = {branch["name"]: branch for branch in await branches(api)}
    assert found["main"] == {
        "name": "main",
        "kind": "local",
        "current": True,
        "checkedOutAt": REPOSITORY,
        "committedAt": "1970-01-01T00:00:00.000Z",
        "commit": repository.branches["main"],
    }
    assert (found["topic"]["current"], found["topic"]["checkedOutAt"]) == (False, item["directory"])
    assert (found["origin/main"]["kind"], found["origin/main"]["checkedOutAt"]) == ("remote", None)
    assert [branch["name"] for branch in await branches(api, "&query=TOP")] == ["topic"]
    assert await branches(api, "&query=--upload-pack") == []
    page = await api.send("GET", f"/api/repositories/branches?path={REPOSITORY}&limit=1&offset=1")
    assert (len(page.json), page.headers["x-total-count"]) == (1, "3")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (f"path={PLAIN}", "not_a_repository"),
        ("path=/nowhere", "directory_missing"),
        ("", "invalid"),
        ("path=", "invalid"),
        (f"path={REPOSITORY}&query={'x' * 201}", "invalid"),
        (f"path={REPOSITORY}&limit=0", "invalid"),
        (f"path={REPOSITORY}&ref=main", "invalid"),
    ],
)
async def test_a_bad_query_for_branches_is_refused(api: Api, query: str, code: str) -> None:
    refused = (await api.send("GET", f"/api/repositories/branches?{query}")).problem(422, code)
    assert refused["field"] in ("path", "query", "limit", "ref")
    if code == "not_a_repository":
        assert (refused["field"], bool(refused["hint"])) == ("path", True)


async def test_repositories_keep_to_the_roots_that_a_client_chose(machine: Machine, api: Api) -> None:
    below = f"{REPOSITORY}/src"
    machine.files.directories.add(below)
    await api.send("POST", "/api/workspace-roots", {"path": below})
    for path in (REPOSITORY, below):  # the repository is outside
        refused = await api.send("GET", f"/api/repositories/branches?path={path}")
        assert refused.problem(422, "directory_outside_roots")["field"] == "path"
    outside = await api.send("GET", f"/api/offers?directory={REPOSITORY}")
    assert outside.problem(422, "directory_outside_roots")["field"] == "directory"
    assert await offers(api, below) == NOTHING


async def test_nothing_is_offered_before_an_instance_was_asked(api: Api) -> None:
    assert await offers(api) == await offers(api, REPOSITORY) == NOTHING
    refused = await api.send("GET", "/api/offers?directory=/nowhere")
    assert refused.problem(422, "directory_missing")["field"] == "directory"


async def test_offers_of_a_repository_are_those_of_its_own_instance(machine: Machine, api: Api) -> None:
    plain = await api.session(PLAIN)
    await trio.sleep(1)
    worktree = await api.session(REPOSITORY, isolationStrategy="worktree")
    found = await offers(api, REPOSITORY)
    assert found["instanceId"] == worktree["instanceId"]
    assert found["asOf"] is not None
    assert [agent["name"] for agent in found["agents"]] == ["build", "general"]
    assert [command["name"] for command in found["commands"]] == ["init", "review", "compact"]
    assert [model["modelID"] for model in found["models"]] == ["one"]
    assert (await offers(api, PLAIN))["instanceId"] == plain["instanceId"]
    other = f"{PLAIN}/other"
    machine.files.directories.add(other)
    assert (await offers(api, other))["instanceId"] == worktree["instanceId"]  # any: nothing is known of it
    assert await offers(api) == await offers(api, other)


async def test_what_was_learnt_is_known_when_the_instance_is_gone(api: Api) -> None:
    item = await api.session(REPOSITORY)
    await trio.sleep(OFFERS_DELAY_S + 1)  # no client has asked
    await api.send("DELETE", f"/api/sessions/{item['id']}")
    await api.fleet.views.instances.wait(item["instanceId"], lambda state: state.phase == "stopped")
    known = await offers(api, REPOSITORY)
    assert (known["instanceId"], len(known["models"])) == (item["instanceId"], 1)
    await trio.sleep(OFFERS_FRESH_S + 1)
    assert await offers(api, REPOSITORY) == await offers(api, PLAIN) == known


async def test_an_answer_that_is_old_is_asked_for_again_and_kept_where_that_fails(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY)
    first = await offers(api, REPOSITORY)
    await trio.sleep(OFFERS_FRESH_S / 2)
    assert await offers(api, REPOSITORY) == first
    await trio.sleep(OFFERS_FRESH_S)
    second = await offers(api, REPOSITORY)
    assert second["asOf"] > first["asOf"]
    await trio.sleep(OFFERS_FRESH_S + 1)
    machine.world.hang(item["instanceId"])
    assert await offers(api, REPOSITORY) == second


async def test_an_instance_is_asked_about_no_directory_but_its_sessions_own(machine: Machine, api: Api) -> None:
    item = await api.session(PLAIN)
    strange = f"{PLAIN}/strange"
    machine.files.directories.add(strange)
    assert (await offers(api, strange))["instanceId"] == item["instanceId"]
    assert machine.world.asked_about <= {PLAIN}


async def test_directories_are_found_by_name(machine: Machine, api: Api, tmp_path: Path) -> None:
    root = tmp_path.resolve()
    for name in ("code/shop", "code/workshop", ".hidden/shop"):
        (root / name).mkdir(parents=True)
    answer = await api.send("GET", f"/api/directories?path={root}&query=shop")
    assert [entry["path"] for entry in answer.json["entries"]] == [f"{root}/code/shop", f"{root}/code/workshop"]
    assert (answer.json["total"], answer.json["isTruncated"], answer.json["path"]) == (2, False, str(root))
    page = await api.send("GET", f"/api/directories?path={root}&query=shop&limit=1&offset=1")
    assert [entry["name"] for entry in page.json["entries"]] == ["workshop"]
    for bad in ("query=", f"query={'x' * 201}"):
        assert (await api.send("GET", f"/api/directories?path={root}&{bad}")).problem(422, "invalid")[
            "field"
        ] == "query"
    await api.send("POST", "/api/workspace-roots", {"path": PLAIN})
    answer = await api.send("GET", f"/api/directories?path={root}&query=shop")
    answer.problem(422, "directory_outside_roots")
