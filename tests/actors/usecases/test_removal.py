"""DELETE in all its forms: nothing that a person made goes without being kept, and what is erased is gone."""

import itertools
from typing import Any

import pytest
import trio

from fleet.errors import Unavailable
from fleet.limits import DIRECTORY_RELEASE_S
from tests.gateway.machine import NOWHERE, PLAIN, REPOSITORY, Api, Machine

FLAGS = list(itertools.product((False, True), repeat=3))


def query(cleanup: bool, permanent: bool, force: bool) -> str:
    named = (("cleanupWorkspace", cleanup), ("permanent", permanent), ("force", force))
    return "&".join(f"{name}={'true' if value else 'false'}" for name, value in named)


async def worked(machine: Machine, api: Api, strategy: str, **fields: Any) -> dict[str, Any]:
    """Create a session that has worked in its directory."""
    item = await api.session(REPOSITORY, isolationStrategy=strategy, **fields)
    machine.files.contents[item["directory"]] = {"notes.txt": b"not committed\n"}
    return await api.prompt(item["id"], "work")


@pytest.mark.parametrize(("cleanup", "permanent", "force"), FLAGS)
@pytest.mark.parametrize("strategy", ["worktree", "clone"])
async def test_a_worktree_or_clone_is_removed_on_request(
    machine: Machine, api: Api, strategy: str, cleanup: bool, permanent: bool, force: bool
) -> None:
    item = await worked(machine, api, strategy)
    path = f"/api/sessions/{item['id']}"
    answer = await api.send("DELETE", f"{path}?instanceId={item['instanceId']}&{query(cleanup, permanent, force)}")
    assert answer.status == 200
    assert int(answer.headers["fleet-position"]) == api.fleet.log.head()
    ended = answer.json
    assert ended["erased"] is permanent
    assert ended["session"] is None if permanent else ended["session"]["status"] == "stopped"
    removed = cleanup or permanent
    workspace = ended["workspace"]
    assert (workspace["id"], workspace["removed"]) == (item["workspaceId"], removed)
    assert (item["directory"] in machine.files.directories) is not removed
    if removed:
        assert workspace["reason"] is None
        assert workspace["kept"]["ref"] == f"refs/fleet/kept/{item['workspaceId']}"
        assert machine.files.kept[item["workspaceId"]].contents == {"notes.txt": b"not committed\n"}
    else:
        assert (workspace["reason"], workspace["kept"]) == ("it was not asked for", None)
        assert machine.files.contents[item["directory"]] == {"notes.txt": b"not committed\n"}
    again = await api.send("DELETE", f"{path}?{query(cleanup, permanent, force)}")
    if permanent:
        again.problem(410, "erased")
        assert (await api.send("GET", path)).problem(410, "erased")["erasedBy"] == "local"
        (await api.send("POST", f"{path}/resume")).problem(410, "erased")
    else:
        assert again.json == ended
    await api.fleet.views.instances.wait(item["instanceId"], lambda s: s.phase == "stopped")
    assert machine.world.living() == ()


@pytest.mark.parametrize(("cleanup", "permanent", "force"), FLAGS)
async def test_an_existing_directory_is_never_removed(
    machine: Machine, api: Api, cleanup: bool, permanent: bool, force: bool
) -> None:
    item = await worked(machine, api, "existing")
    ended = (await api.send("DELETE", f"/api/sessions/{item['id']}?{query(cleanup, permanent, force)}")).json
    assert ended["erased"] is permanent
    assert ended["session"] is None if permanent else ended["session"]["status"] == "stopped"
    assert ended["workspace"]["removed"] is False
    expected = (
        "Fleet did not make the directory: Fleet never removes it" if cleanup or permanent else "it was not asked for"
    )
    assert ended["workspace"]["reason"] == expected
    assert machine.files.contents[REPOSITORY] == {"notes.txt": b"not committed\n"}
    assert REPOSITORY in machine.files.directories


@pytest.mark.parametrize("answered", [True, False])
async def test_a_repeated_request_removes_nothing_from_a_session_that_is_back(
    machine: Machine, api: Api, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    item = await worked(machine, api, "worktree")
    path = f"/api/sessions/{item['id']}"

    async def lost(*_: Any) -> None:
        raise Unavailable("interrupted", "the process was killed")

    with monkeypatch.context() as patched:
        if not answered:
            patched.setattr(api.fleet.stored_responses, "keep", lost)
        first = await api.send("DELETE", f"{path}?cleanupWorkspace=true", Idempotency_Key="the same")
    await api.send("POST", f"/api/workspaces/{item['workspaceId']}/restore")
    assert (await api.send("POST", f"{path}/resume")).status == 200
    again = (await api.send("DELETE", f"{path}?cleanupWorkspace=true", Idempotency_Key="the same")).json
    if answered:
        assert again == first.json
    else:
        assert (again["workspace"]["removed"], again["workspace"]["reason"]) == (False, "the session was resumed since")
    assert item["directory"] in machine.files.directories
    assert (await api.send("GET", f"/api/workspaces/{item['workspaceId']}")).json["sessions"] == [item["id"]]


async def test_a_shared_directory_stays_with_the_others(machine: Machine, api: Api) -> None:
    first, second = await api.session(), await api.session()
    ended = (await api.send("DELETE", f"/api/sessions/{first['id']}?permanent=true")).json
    assert (ended["erased"], ended["workspace"]["removed"]) == (True, False)
    assert "1 other session" in ended["workspace"]["reason"]
    assert (await api.prompt(second["id"], "still here"))["outcome"] == "finished"
    assert PLAIN in machine.files.directories


@pytest.mark.parametrize("flag", ["cleanupWorkspace", "permanent"])
async def test_a_worktree_in_which_another_session_works_stays(machine: Machine, api: Api, flag: str) -> None:
    owner = await worked(machine, api, "worktree")
    guest = await api.session(owner["directory"])
    assert (guest["isolationStrategy"], guest["directory"]) == ("existing", owner["directory"])
    ended = (await api.send("DELETE", f"/api/sessions/{owner['id']}?{flag}=true")).json
    assert ended["workspace"]["removed"] is False
    assert "other session" in ended["workspace"]["reason"]
    assert owner["directory"] in machine.files.directories
    assert (await api.prompt(guest["id"], "still here"))["outcome"] == "finished"
    assert (await api.send("GET", f"/api/workspaces/{owner['workspaceId']}")).json["sessions"] == []
    await api.send("DELETE", f"/api/sessions/{guest['id']}?permanent=true")
    if flag == "cleanupWorkspace":
        ended = (await api.send("DELETE", f"/api/sessions/{owner['id']}?{flag}=true")).json
        assert ended["workspace"]["removed"] is True
        assert machine.files.kept[owner["workspaceId"]].contents == {"notes.txt": b"not committed\n"}


async def test_a_clone_of_which_a_worktree_was_made_stays(machine: Machine, api: Api) -> None:
    clone = await worked(machine, api, "clone")
    await api.session(clone["directory"], isolationStrategy="worktree")
    ended = (await api.send("DELETE", f"/api/sessions/{clone['id']}?permanent=true")).json
    assert (ended["erased"], ended["workspace"]["removed"]) == (True, False)
    assert "1 other session" in ended["workspace"]["reason"]
    assert clone["directory"] in machine.files.directories


@pytest.mark.parametrize("flag", ["cleanupWorkspace", "permanent"])
@pytest.mark.parametrize("strategy", ["worktree", "clone"])
async def test_a_busy_workspace_stays_and_nothing_is_lost(machine: Machine, api: Api, strategy: str, flag: str) -> None:
    item = await worked(machine, api, strategy)
    path = f"/api/sessions/{item['id']}"
    machine.files.busy[item["directory"]] = [4711]
    refused = (await api.send("DELETE", f"{path}?{flag}=true")).problem(409, "workspace_busy")
    assert "4711" in refused["detail"]
    assert "force" in refused["hint"]
    assert (await api.send("GET", path)).json["status"] == "stopped"
    assert machine.files.contents[item["directory"]] == {"notes.txt": b"not committed\n"}
    shown = (await api.send("GET", f"/api/workspaces/{item['workspaceId']}")).json
    assert (shown["status"], "4711" in shown["failure"]) == ("ready", True)
    assert len((await api.send("GET", f"{path}/diffs")).json) == 1

    del machine.files.busy[item["directory"]]
    ended = (await api.send("DELETE", f"{path}?{flag}=true")).json
    assert (ended["workspace"]["removed"], ended["erased"]) == (True, flag == "permanent")
    assert machine.files.kept[item["workspaceId"]].contents == {"notes.txt": b"not committed\n"}


@pytest.mark.parametrize("flag", ["cleanupWorkspace", "permanent"])
async def test_force_ends_the_session_and_leaves_the_busy_workspace(machine: Machine, api: Api, flag: str) -> None:
    item = await worked(machine, api, "worktree")
    machine.files.busy[item["directory"]] = [4711]
    ended = (await api.send("DELETE", f"/api/sessions/{item['id']}?{flag}=true&force=true")).json
    assert (ended["erased"], ended["workspace"]["removed"]) == (flag == "permanent", False)
    assert "4711" in ended["workspace"]["reason"]
    assert machine.files.contents[item["directory"]] == {"notes.txt": b"not committed\n"}
    assert item["directory"] in machine.files.directories


async def test_a_workspace_that_a_process_writes_into_is_not_removed(machine: Machine, api: Api) -> None:
    item = await worked(machine, api, "worktree")
    written: list[bytes] = [b""]

    async def write() -> None:
        while True:
            written[0] += b"more\n"
            machine.files.contents[item["directory"]] = {"notes.txt": written[0]}
            await trio.sleep(0.004)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        refused = await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true")
        nursery.cancel_scope.cancel()
    refused.problem(409, "workspace_dirty")
    assert machine.files.contents[item["directory"]] == {"notes.txt": written[0]}
    assert (await api.send("GET", f"/api/sessions/{item['id']}")).json["status"] == "stopped"
    assert (await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true")).json["erased"] is True
    assert machine.files.kept[item["workspaceId"]].contents == {"notes.txt": written[0]}


async def test_a_shared_process_releases_a_directory_that_is_removed(machine: Machine, api: Api) -> None:
    item, other = await worked(machine, api, "worktree"), await api.session(REPOSITORY)
    assert item["instanceId"] == other["instanceId"]
    assert (await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "ask"})).status == 204
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.phase == "waiting_input")
    process = machine.world.process(item["instanceId"])
    assert process.requests_in(item["directory"], "permission")
    ended = (await api.send("DELETE", f"/api/sessions/{item['id']}?cleanupWorkspace=true")).json
    assert ended["workspace"]["removed"] is True
    await trio.sleep(DIRECTORY_RELEASE_S)
    assert process.requests_in(item["directory"], "permission") == []
    assert (await api.prompt(other["id"], "still here"))["outcome"] == "finished"


async def test_what_a_turn_changed_that_was_ended_in_the_middle_is_in_its_diff(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    assert (await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "hang"})).status == 204
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    machine.files.contents[item["directory"]] = {"notes.txt": b"half\n"}
    ended = (await api.send("DELETE", f"/api/sessions/{item['id']}?cleanupWorkspace=true")).json
    assert ended["session"]["changes"] == {"files": 1, "additions": 1, "deletions": 0}
    for asked in ("", "?turn=1"):
        (change,) = (await api.send("GET", f"/api/sessions/{item['id']}/diffs{asked}")).json
        assert (change["file"], change["after"]) == ("notes.txt", "half\n")


@pytest.mark.parametrize("strategy", ["worktree", "clone"])
async def test_a_removed_workspace_is_restored_and_the_session_resumes(
    machine: Machine, api: Api, strategy: str
) -> None:
    item = await worked(machine, api, strategy)
    path, workspace = f"/api/sessions/{item['id']}", f"/api/workspaces/{item['workspaceId']}"
    refused = await api.send("POST", f"{workspace}/restore")
    assert refused.json["status"] == "ready"  # it is there: nothing to do
    await api.send("DELETE", f"{path}?cleanupWorkspace=true")
    assert (await api.send("GET", workspace)).json["status"] == "removed"
    gone = (await api.send("POST", f"{path}/resume")).problem(410, "workspace_gone")
    assert gone["sessionId"] == item["id"]
    assert f"POST {workspace}/restore" in gone["hint"]
    for _ in range(2):
        restored = await api.send("POST", f"{workspace}/restore")
        assert (restored.status, restored.json["status"]) == (200, "ready")
    assert machine.files.contents[item["directory"]] == {"notes.txt": b"not committed\n"}
    resumed = (await api.send("POST", f"{path}/resume")).json
    assert resumed["session"]["opencodeId"] == item["opencodeId"]
    assert (await api.prompt(item["id"], "again"))["turns"] == 2


async def test_what_cannot_be_restored(machine: Machine, api: Api) -> None:
    (await api.send("POST", f"/api/workspaces/{NOWHERE}/restore")).problem(404, "workspace_not_found")
    item = await worked(machine, api, "worktree", branch="topic")
    await api.send("DELETE", f"/api/sessions/{item['id']}?cleanupWorkspace=true")
    machine.files.repositories[REPOSITORY].branches["topic"] = "f" * 40
    path = f"/api/workspaces/{item['workspaceId']}"
    (await api.send("POST", f"{path}/restore")).problem(422, "branch_exists")
    assert (await api.send("GET", path)).json["status"] == "removed"
    del machine.files.repositories[REPOSITORY].branches["topic"]
    assert (await api.send("POST", f"{path}/restore")).status == 200


async def test_a_working_session_is_aborted_first(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY, isolationStrategy="worktree", initialPrompt="bash:600")
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "never"})
    ended = (await api.send("DELETE", f"/api/sessions/{item['id']}?cleanupWorkspace=true")).json
    assert (ended["session"]["outcome"], ended["session"]["queued"]) == ("aborted", 0)
    assert ended["workspace"]["removed"] is True
    assert machine.world.orphans == []


@pytest.mark.parametrize("name", ["permanent", "cleanupWorkspace", "force"])
async def test_flags_are_true_or_false(api: Api, name: str) -> None:
    item = await api.session()
    for value in ("yes", "", "2"):
        refused = await api.send("DELETE", f"/api/sessions/{item['id']}?{name}={value}")
        assert refused.problem(422, "invalid")["field"] == name
    assert (await api.send("GET", f"/api/sessions/{item['id']}")).json["status"] == "idle"


async def test_no_reader_gets_what_was_erased(machine: Machine, api: Api) -> None:
    item = await api.session(title="A title", initialPrompt="unspeakable")
    await api.settled(item["id"])
    async with api.listen() as port:
        async with api.follow(port, "/api/events?after=0") as stream:
            before = await stream.until("session.turn-ended")
        assert "unspeakable" in str(before)
        await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true")
        recorded = before[-1].id
        async with api.follow(port, "/api/events?after=0") as stream:
            after = await stream.until("session.erased")
    assert recorded is not None
    logged = [frame for frame in after if frame.id is not None]
    assert [frame.id for frame in logged][:recorded] == list(range(1, recorded + 1))
    assert "unspeakable" not in str(after)
    assert "A title" not in str(after)


async def test_an_erased_session_stays_erased(machine: Machine) -> None:
    async with machine.fleet() as api:
        item = await worked(machine, api, "worktree")
        assert (await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true")).json["erased"] is True
    async with machine.fleet() as api:
        (await api.send("GET", f"/api/sessions/{item['opencodeId']}/messages")).problem(404, "session_not_found")
        said = (await api.send("GET", f"/api/sessions/{item['id']}")).problem(410, "erased")
        erasure = (await api.send("GET", f"/api/log/{said['position']}")).json
        assert (erasure["type"], erasure["actor"]) == ("session.erased", said["erasedBy"])
        (await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true")).problem(410, "erased")
        assert (await api.send("GET", "/api/sessions/history")).json == []


@pytest.mark.parametrize("strategy", ["existing", "worktree"])
async def test_deletions_at_the_same_time(machine: Machine, api: Api, strategy: str) -> None:
    item = await worked(machine, api, strategy)
    answers: list[int] = []

    async def delete(flag: str) -> None:
        answer = await api.send("DELETE", f"/api/sessions/{item['id']}?{flag}=true")
        if answer.status != 200:
            assert answer.json["code"] in ("erased", "session_not_found")
        answers.append(answer.status)

    async with trio.open_nursery() as nursery:
        for flag in ("permanent", "cleanupWorkspace", "permanent"):
            nursery.start_soon(delete, flag)
    assert 200 in answers
    (await api.send("GET", f"/api/sessions/{item['id']}")).problem(410, "erased")
    assert (item["directory"] in machine.files.directories) is (strategy == "existing")


async def test_a_deletion_and_a_resume_at_the_same_time(machine: Machine, api: Api) -> None:
    item = await worked(machine, api, "worktree")
    path = f"/api/sessions/{item['id']}"
    await api.send("DELETE", path)
    answers: dict[str, Any] = {}

    async def send(method: str, where: str) -> None:
        answers[method] = await api.send(method, where)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send, "DELETE", f"{path}?cleanupWorkspace=true")
        nursery.start_soon(send, "POST", f"{path}/resume")
    there = item["directory"] in machine.files.directories
    shown = (await api.send("GET", path)).json
    assert all(answer.status in (200, 409, 410) for answer in answers.values()), answers
    if shown["status"] in ("active", "idle"):  # it is looked at what OpenCode does for it, or that is over
        assert there
    else:
        assert shown["status"] in ("stopped", "error")
    kept = machine.files.kept.get(item["workspaceId"])
    assert there or (kept is not None and kept.contents == {"notes.txt": b"not committed\n"})


async def test_a_turn_that_a_silent_opencode_works_on_is_aborted_as_soon_as_it_answers(
    machine: Machine, api: Api
) -> None:
    item, _ = await api.session(), await api.session()
    path = f"/api/sessions/{item['id']}"
    assert (await api.send("POST", f"{path}/prompt", {"text": "hang"})).status == 204
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    (process,) = machine.world.living()
    process.hang()
    ended = (await api.send("DELETE", path)).json["session"]
    assert (ended["status"], ended["outcome"]) == ("stopped", "aborted")
    assert "does not answer" in ended["evidence"]
    (await api.send("DELETE", f"{path}?permanent=true")).problem(409, "session_not_ready")
    assert process.statuses_in(PLAIN).keys() == {item["opencodeId"]}
    process.resume()
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.opencode.detaching_from is None)
    assert process.statuses_in(PLAIN) == {}
    assert (await api.send("DELETE", f"{path}?permanent=true")).json["erased"] is True
    assert machine.world.living() == (process,)


async def test_a_silent_opencode_ends_with_the_last_session_that_leaves_it(machine: Machine, api: Api) -> None:
    first, second = await api.session(), await api.session()
    await api.send("POST", f"/api/sessions/{first['id']}/prompt", {"text": "hang"})
    machine.world.living()[0].hang()
    for item in (first, second):
        assert (await api.send("DELETE", f"/api/sessions/{item['id']}")).json["session"]["status"] == "stopped"
    await api.fleet.views.instances.wait(first["instanceId"], lambda s: s.phase == "stopped")
    assert machine.world.living() == ()
    assert (await api.send("DELETE", f"/api/sessions/{first['id']}?permanent=true")).json["erased"] is True


@pytest.mark.parametrize("force", [False, True])
async def test_a_worktree_stays_while_a_silent_opencode_may_work_there(machine: Machine, api: Api, force: bool) -> None:
    item = await worked(machine, api, "worktree")
    await api.session(REPOSITORY, isolationStrategy="worktree")
    machine.world.living()[0].hang()
    ended = await api.send(
        "DELETE", f"/api/sessions/{item['id']}?cleanupWorkspace=true&force={'true' if force else 'false'}"
    )
    if force:
        assert ended.json["workspace"]["removed"] is False
        assert "does not answer" in ended.json["workspace"]["reason"]
    else:
        assert "does not answer" in ended.problem(409, "workspace_busy")["detail"]
    assert item["directory"] in machine.files.directories
