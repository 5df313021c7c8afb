"""`/api/workspaces/{id}`: its title, how it stands now, and its removal, which loses nothing."""

from dataclasses import replace
from typing import Any

import pytest
import trio

from fleet.errors import Unavailable
from fleet.ports import NotCarried
from tests.gateway.machine import NOWHERE, PLAIN, REPOSITORY, Api, Machine


async def worked(machine: Machine, api: Api, strategy: str = "worktree") -> tuple[dict[str, Any], str]:
    """Create a session with uncommitted work, and return its item and its workspace's path."""
    item = await api.session(REPOSITORY, isolationStrategy=strategy, branch="topic")
    machine.files.contents[item["directory"]] = {"notes.txt": b"not committed\n"}
    return item, f"/api/workspaces/{item['workspaceId']}"


@pytest.mark.parametrize("strategy", ["worktree", "clone"])
async def test_workspace_is_erased_with_its_session_and_its_work_stays_in_the_repository(
    machine: Machine, api: Api, strategy: str
) -> None:
    item, path = await worked(machine, api, strategy)
    ended = (await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true")).json["workspace"]
    assert (ended["kept"]["ref"], ended["kept"]["branch"]) == (f"refs/fleet/kept/{item['workspaceId']}", None)
    for method, address in (("GET", path), ("DELETE", path), ("POST", f"{path}/restore")):
        gone = (await api.send(method, address)).problem(410, "erased")
        assert (gone["erasedBy"], ended["kept"]["ref"] in gone["hint"]) == ("local", True)
    assert (await api.send("GET", "/api/workspaces")).json == []
    assert machine.files.kept[item["workspaceId"]].contents == {"notes.txt": b"not committed\n"}
    logged = (await api.send("GET", "/api/log/export")).body
    assert item["branch"].encode() not in logged


async def test_workspace_is_erased_at_the_next_start_if_a_crash_came_before(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with machine.fleet() as api:
        item, path = await worked(machine, api)

        async def never(*_: Any) -> None:
            raise Unavailable("interrupted", "the process was killed")

        with monkeypatch.context() as patched:
            patched.setattr("fleet.actors.usecases.removal.forget_workspace", never)
            (await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true")).problem(503, "interrupted")
        assert (await api.send("GET", path)).json["status"] == "removed"
    async with machine.fleet() as api:
        (await api.send("GET", path)).problem(410, "erased")
        assert item["branch"].encode() not in (await api.send("GET", "/api/log/export")).body


async def test_what_force_has_left_can_be_removed_when_it_is_not_busy_any_more(machine: Machine, api: Api) -> None:
    item, path = await worked(machine, api)
    machine.files.busy[item["directory"]] = [4711]
    await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true&force=true")
    assert "4711" in (await api.send("DELETE", path)).problem(409, "workspace_busy")["detail"]
    assert (await api.send("GET", path)).json["status"] == "ready"
    del machine.files.busy[item["directory"]]
    assert (await api.send("DELETE", path)).json["status"] == "removed"
    assert machine.files.kept[item["workspaceId"]].contents == {"notes.txt": b"not committed\n"}


async def test_a_workspace_is_removed_after_the_stop_and_restored_with_the_session(machine: Machine, api: Api) -> None:
    item, path = await worked(machine, api)
    head = api.fleet.log.head()
    refused = (await api.send("DELETE", path)).problem(409, "workspace_busy")
    assert item["id"] in refused["detail"]
    assert api.fleet.log.head() == head
    await api.send("DELETE", f"/api/sessions/{item['id']}")
    removed = (await api.send("DELETE", path)).json
    assert (removed["status"], removed["sessions"]) == ("removed", [])
    (await api.send("POST", f"/api/sessions/{item['id']}/resume")).problem(410, "workspace_gone")
    await api.send("POST", f"{path}/restore")
    assert (await api.send("POST", f"/api/sessions/{item['id']}/resume")).status == 200
    (await api.send("DELETE", path)).problem(409, "workspace_busy")


async def test_a_workspace_in_which_a_session_of_another_one_works_stays(machine: Machine, api: Api) -> None:
    item, path = await worked(machine, api)
    guest = await api.session(item["directory"])
    await api.send("DELETE", f"/api/sessions/{item['id']}")
    assert guest["id"] in (await api.send("DELETE", path)).problem(409, "workspace_busy")["detail"]
    await api.send("DELETE", f"/api/sessions/{guest['id']}?cleanupWorkspace=true")
    assert (await api.send("DELETE", path)).json["status"] == "removed"


async def test_a_directory_that_was_there_before_is_not_removed(api: Api) -> None:
    item = await api.session(PLAIN)
    await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true")
    refused = await api.send("DELETE", f"/api/workspaces/{item['workspaceId']}")
    assert PLAIN in refused.problem(409, "workspace_existing")["detail"]


async def test_a_repeated_removal_removes_nothing_that_was_restored_since(machine: Machine, api: Api) -> None:
    item, path = await worked(machine, api)
    await api.send("DELETE", f"/api/sessions/{item['id']}")
    assert (await api.send("DELETE", path, Idempotency_Key="d")).json["status"] == "removed"
    await api.send("POST", f"{path}/restore")
    assert (await api.send("DELETE", path, Idempotency_Key="d")).status == 200
    assert item["directory"] in machine.files.directories


async def test_a_title_is_given_and_taken(machine: Machine) -> None:
    async with machine.fleet() as api:
        _, path = await worked(machine, api)
        assert (await api.send("GET", path)).json["title"] is None
        answer = await api.send("PATCH", path, {"title": "The login"})
        assert (answer.status, answer.json["title"]) == (200, "The login")
        assert int(answer.headers["fleet-position"]) == api.fleet.log.head()
        for body, field in (({}, "title"), ({"title": ""}, "title"), ({"title": "x", "branch": "y"}, "branch")):
            assert (await api.send("PATCH", path, body)).problem(422, "invalid")["field"] == field
    async with machine.fleet() as api:
        (listed,) = (await api.send("GET", "/api/workspaces")).json
        assert listed["title"] == "The login"
        assert (await api.send("PATCH", path, {"title": None})).json["title"] is None


async def test_workspace_has_its_current_branch_and_whether_it_is_dirty(machine: Machine, api: Api) -> None:
    clean = await api.session(REPOSITORY, isolationStrategy="worktree")
    stands = (await api.send("GET", f"/api/workspaces/{clean['workspaceId']}")).json
    assert (stands["currentBranch"], stands["dirty"]) == (clean["branch"], False)
    item, path = await worked(machine, api)
    machine.files.switched[item["directory"]] = "side"
    stands = (await api.send("GET", path)).json
    assert (stands["branch"], stands["currentBranch"], stands["dirty"]) == ("topic", "side", True)
    await api.send("DELETE", f"/api/sessions/{item['id']}?cleanupWorkspace=true")
    stands = (await api.send("GET", path)).json
    assert (stands["branch"], stands["currentBranch"], stands["dirty"]) == ("topic", None, None)
    plain = await api.session(PLAIN)
    stands = (await api.send("GET", f"/api/workspaces/{plain['workspaceId']}")).json
    assert (stands["currentBranch"], stands["dirty"]) == (None, None)
    listed = (await api.send("GET", "/api/workspaces")).json
    assert all("dirty" not in each for each in listed)  # a list is not worth a look at every checkout


async def test_a_checkout_that_cannot_be_looked_at_is_shown_all_the_same(machine: Machine, api: Api) -> None:
    item, path = await worked(machine, api)
    machine.files.directories.discard(item["directory"])
    answer = await api.send("GET", path)
    assert (answer.status, answer.json["dirty"]) == (200, None)


async def test_what_did_not_come_along_is_listed(machine: Machine, api: Api) -> None:
    lacking = NotCarried("hooks", "The hooks of the repository are not in the clone.")
    machine.files.repositories[REPOSITORY].not_carried = (lacking,)
    _, path = await worked(machine, api, "clone")
    expected = [{"what": "hooks", "detail": "The hooks of the repository are not in the clone."}]
    assert (await api.send("GET", path)).json["notCarried"] == expected
    assert (await api.send("GET", "/api/workspaces")).json[0]["notCarried"] == expected
    plain = await api.session(PLAIN)
    assert (await api.send("GET", f"/api/workspaces/{plain['workspaceId']}")).json["notCarried"] == []


@pytest.mark.parametrize("strategy", ["worktree", "clone", "existing"])
async def test_a_directory_that_was_deleted_is_missing_and_its_session_takes_no_prompt(
    machine: Machine, api: Api, strategy: str
) -> None:
    item = await api.session(REPOSITORY, isolationStrategy=strategy)
    path, session = f"/api/workspaces/{item['workspaceId']}", f"/api/sessions/{item['id']}"
    machine.files.directories.discard(item["directory"])
    refused = (await api.send("POST", f"{session}/prompt", {"text": "Go on"})).problem(410, "workspace_gone")
    assert item["directory"] in refused["detail"]
    assert ("restore" in refused["hint"]) == (strategy != "existing")
    shown = (await api.send("GET", session)).json
    assert shown["evidence"].startswith("the workspace is missing")
    assert shown["queued"] == 0
    workspace = (await api.send("GET", path)).json
    assert (workspace["status"], workspace["dirty"]) == ("missing", None)
    assert "is missing" in workspace["failure"]
    if strategy == "existing":
        machine.files.directories.add(item["directory"])
    else:
        assert (await api.send("POST", f"{path}/restore")).json["status"] == "ready"
        assert item["directory"] in machine.files.directories
    assert (await api.send("POST", f"{session}/prompt", {"text": "Go on"})).status == 204
    assert "missing" not in (await api.send("GET", session)).json["evidence"]


async def test_what_is_left_of_a_deleted_worktree_stays_where_it_cannot_be_made_again(
    machine: Machine, api: Api
) -> None:
    item, path = await worked(machine, api)
    machine.files.checkouts[item["workspaceId"]].work.append("commit c0ffee")
    machine.files.directories -= {item["directory"], REPOSITORY}
    assert (await api.send("GET", path)).json["status"] == "missing"
    (await api.send("POST", f"{path}/restore")).problem(422, "directory_missing")
    assert "could not be made again" in (await api.send("GET", path)).json["failure"]
    machine.files.directories.add(REPOSITORY)
    assert (await api.send("POST", f"{path}/restore")).json["status"] == "ready"
    assert machine.files.checkouts[item["workspaceId"]].work == ["commit c0ffee"]


async def test_a_directory_that_is_deleted_in_a_turn_is_found_missing_at_its_end(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    for text in ("Do it", "And more"):
        await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": text})
    machine.files.directories.discard(item["directory"])
    shown = await api.settled(item["id"])
    assert "the workspace is missing" in shown["evidence"]
    assert shown["failure"]["code"] == "workspace_gone"


async def test_a_resume_of_a_session_whose_workspace_is_missing_says_what_helps(machine: Machine, api: Api) -> None:
    item, _ = await worked(machine, api)
    await api.send("DELETE", f"/api/sessions/{item['id']}")
    machine.files.directories.discard(item["directory"])
    refused = (await api.send("POST", f"/api/sessions/{item['id']}/resume")).problem(410, "workspace_gone")
    assert "restore" in refused["hint"]


async def test_a_worktree_whose_project_was_moved_is_bound_again(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    path, session = f"/api/workspaces/{item['workspaceId']}", f"/api/sessions/{item['id']}"
    moved = "/home/user/moved"
    machine.files.repositories[moved] = replace(machine.files.repositories.pop(REPOSITORY), top=moved)
    machine.files.directories ^= {REPOSITORY, moved}
    machine.files.cut_off.add(item["directory"])
    assert "git does not work" in (await api.send("GET", path)).json["failure"]
    assert "git does not work" in (await api.send("GET", session)).json["evidence"]
    refused = await api.send("PATCH", path, {"sourceDirectory": REPOSITORY})
    assert refused.problem(422, "directory_missing")["field"] == "sourceDirectory"
    other = machine.files.add_repository("/home/user/other").top
    (await api.send("PATCH", path, {"sourceDirectory": other})).problem(422, "source_unrelated")
    for _ in range(2):
        bound = (await api.send("PATCH", path, {"sourceDirectory": moved})).json
        assert (bound["sourceDirectory"], bound["failure"], bound["title"]) == (moved, None, None)
    assert "git does not work" not in (await api.send("GET", session)).json["evidence"]
    await api.send("DELETE", session)
    assert (await api.send("POST", f"{session}/resume")).status == 200


@pytest.mark.parametrize("strategy", ["worktree", "clone"])
async def test_a_workspace_is_never_its_own_source(machine: Machine, api: Api, strategy: str) -> None:
    item = await api.session(REPOSITORY, isolationStrategy=strategy)
    above = await api.session(item["directory"], isolationStrategy=strategy)
    path = f"/api/workspaces/{item['workspaceId']}"
    for source in (item["directory"], above["directory"]):
        refused = (await api.send("PATCH", path, {"sourceDirectory": source})).problem(422, "invalid")
        assert (refused["field"], "made from this workspace" in refused["detail"]) == ("sourceDirectory", True)
    assert (await api.send("GET", path)).json["sourceDirectory"] == REPOSITORY


async def test_workspaces_that_are_bound_to_each_other_at_once_make_no_ring(api: Api) -> None:
    one, other = [await api.session(REPOSITORY, isolationStrategy="worktree") for _ in range(2)]
    statuses: list[int] = []

    async def bind(item: dict[str, Any], source: str) -> None:
        bound = await api.send("PATCH", f"/api/workspaces/{item['workspaceId']}", {"sourceDirectory": source})
        statuses.append(bound.status)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(bind, one, other["directory"])
        nursery.start_soon(bind, other, one["directory"])
    assert sorted(statuses) == [200, 422]


async def test_a_session_whose_project_was_moved_resumes_in_its_workspace(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY, isolationStrategy="clone")
    session = f"/api/sessions/{item['id']}"
    await api.send("DELETE", session)
    del machine.files.repositories[REPOSITORY]
    machine.files.directories.discard(REPOSITORY)
    assert (await api.send("POST", f"{session}/resume")).status == 200


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PATCH", {"title": "x"}), ("DELETE", None)])
async def test_unknown_workspace_is_not_found(api: Api, method: str, body: Any) -> None:
    (await api.send(method, f"/api/workspaces/{NOWHERE}", body)).problem(404, "workspace_not_found")
