"""Diffs: of a session, of a turn, as of a position, while a turn runs, and long after the directory is gone."""

from typing import Any

import pytest
import trio

from tests.gateway.machine import NOWHERE, PLAIN, REPOSITORY, Api, Machine


async def diffs(api: Api, session_id: str, query: str = "") -> dict[str, dict[str, Any]]:
    """Return the diff, by file."""
    answer = await api.send("GET", f"/api/sessions/{session_id}/diffs{query}")
    assert answer.status == 200, answer
    assert answer.headers["x-total-count"] == str(len(answer.json))
    assert int(answer.headers["fleet-position"]) == api.fleet.log.head()
    return {change["file"]: change for change in answer.json}


async def begun(api: Api, session_id: str, text: str) -> None:
    """Send a prompt and wait until OpenCode works on it."""
    assert (await api.send("POST", f"/api/sessions/{session_id}/prompt", {"text": text})).status == 204
    await api.fleet.views.sessions.wait(session_id, lambda s: s.turn is not None and s.turn.delivered)


async def changed(machine: Machine, api: Api, item: dict[str, Any], **files: bytes | None) -> dict[str, Any]:
    """Run a turn in which these files (dots are written `_`) get these contents; None removes one."""
    await trio.sleep(1)
    await begun(api, item["id"], "bash:5")
    write(machine, item, **files)
    return await api.settled(item["id"])


def write(machine: Machine, item: dict[str, Any], **files: bytes | None) -> None:
    contents = machine.files.contents.setdefault(item["directory"], {})
    for name, content in files.items():
        contents.pop(name.replace("_", "."), None)
        if content is not None:
            contents[name.replace("_", ".")] = content


async def test_what_was_lost_with_a_directory_is_no_change_of_the_next_turn(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    await changed(machine, api, item, a_txt=b"lost\n")
    machine.files.directories.discard(item["directory"])
    machine.files.contents.pop(item["directory"])
    await api.send("GET", f"/api/workspaces/{item['workspaceId']}")
    restored = await api.send("POST", f"/api/workspaces/{item['workspaceId']}/restore")
    assert restored.json["status"] == "ready"
    await changed(machine, api, item, b_txt=b"b\n")
    assert set(await diffs(api, item["id"], "?turn=2")) == {"b.txt"}
    assert set(await diffs(api, item["id"])) == {"b.txt"}
    await changed(machine, api, item, c_txt=b"c\n")
    taken = await api.send("GET", "/api/log?type=session.turn-snapshot-taken")
    assert len(taken.json) == 1


async def test_diffs_of_session_turns_and_positions(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    assert await diffs(api, item["id"]) == {}
    first = await changed(machine, api, item, a_txt=b"1\n2\n", b_txt=b"b\n")
    assert first["changes"] == {"files": 2, "additions": 3, "deletions": 0}
    after_first = api.fleet.log.head()
    second = await changed(machine, api, item, a_txt=b"1\n2\n3\n", b_txt=None, c_bin=b"\0")
    assert second["changes"] == {"files": 2, "additions": 3, "deletions": 0}

    whole = await diffs(api, item["id"])
    assert {name: change["status"] for name, change in whole.items()} == {"a.txt": "added", "c.bin": "added"}
    assert (whole["a.txt"]["before"], whole["a.txt"]["after"], whole["a.txt"]["additions"]) == (None, "1\n2\n3\n", 3)
    assert (whole["c.bin"]["isBinary"], whole["c.bin"]["after"], whole["c.bin"]["isTruncated"]) == (True, None, False)
    assert (whole["a.txt"]["oldFile"], whole["a.txt"]["overlapsWith"]) == (None, [])
    of_first = await diffs(api, item["id"], "?turn=1")
    assert {name: change["after"] for name, change in of_first.items()} == {"a.txt": "1\n2\n", "b.txt": "b\n"}
    of_second = await diffs(api, item["id"], f"?turn=2&instanceId={item['instanceId']}")
    assert {name: change["status"] for name, change in of_second.items()} == {
        "a.txt": "modified",
        "b.txt": "deleted",
        "c.bin": "added",
    }
    messages = (await api.send("GET", f"/api/sessions/{item['id']}/messages")).json["messages"]
    asked = [message["info"]["id"] for message in messages if message["info"]["role"] == "user"]
    assert await diffs(api, item["id"], f"?turn={asked[0]}") == of_first
    assert await diffs(api, item["id"], f"?at={after_first}") == of_first
    assert await diffs(api, item["id"], f"?turn=1&at={after_first}") == of_first
    assert await diffs(api, item["opencodeId"], "?at=0") == {}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("turn=3", "turn"),
        ("turn=msg_none", "turn"),
        ("turn=", "turn"),
        ("turn=0", "turn"),
        ("at=-1", "at"),
        ("at=now", "at"),
        ("file=a.txt", "file"),
        ("turn=2&at=1", "turn"),
    ],
)
async def test_diff_of_an_unknown_turn_position_or_session_is_refused(
    machine: Machine, api: Api, query: str, field: str
) -> None:
    item = await api.session()
    await changed(machine, api, item, a_txt=b"1\n")
    refused = await api.send("GET", f"/api/sessions/{item['id']}/diffs?{query}")
    assert refused.problem(422, "invalid")["field"] == field
    (await api.send("GET", f"/api/sessions/{NOWHERE}/diffs")).problem(404, "session_not_found")


async def test_while_a_turn_runs_the_diff_is_as_the_files_are_now(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    await changed(machine, api, item, a_txt=b"1\n")
    await begun(api, item["id"], "hang")
    write(machine, item, b_txt=b"now\n")
    assert (await diffs(api, item["id"])).keys() == {"a.txt", "b.txt"}
    assert (await diffs(api, item["id"], "?turn=1")).keys() == {"a.txt"}
    assert (await diffs(api, item["id"], "?turn=2")).keys() == {"b.txt"}
    write(machine, item, b_txt=None)
    assert (await diffs(api, item["id"])).keys() == {"a.txt"}
    write(machine, item, b_txt=b"left\n")
    await api.send("POST", f"/api/sessions/{item['id']}/abort")
    assert (await diffs(api, item["id"]))["b.txt"]["after"] == "left\n"
    assert (await diffs(api, item["id"], "?turn=2")).keys() == {"b.txt"}


async def test_a_prompt_that_steered_a_turn_names_it(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    await begun(api, item["id"], "bash:20")
    body = {"text": "and that", "delivery": "steer"}
    assert (await api.send("POST", f"/api/sessions/{item['id']}/prompt", body)).status == 204
    state = await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and bool(s.turn.steering))
    assert state.turn is not None
    steered = state.turn.steering[0].message_id
    write(machine, item, a_txt=b"1\n")
    assert (await diffs(api, item["id"], f"?turn={steered}")).keys() == {"a.txt"}
    await api.settled(item["id"])
    await changed(machine, api, item, b_txt=b"2\n")
    assert (await diffs(api, item["id"], f"?turn={steered}")) == (await diffs(api, item["id"], "?turn=1"))


async def test_texts_that_are_not_utf_8_stay_different(machine: Machine, api: Api) -> None:
    machine.files.contents[PLAIN] = {"a.txt": b"caf\xe9\n", "b.txt": b"plain\n"}
    item = await api.session()
    await changed(machine, api, item, a_txt=b"caf\xe8\n", b_txt=b"caf\xc3\xa9\n", c_txt=b"\xff\n", d_bin=b"\0")
    found = await diffs(api, item["id"])
    assert {name: (change["encoding"], change["before"], change["after"]) for name, change in found.items()} == {
        "a.txt": ("base64", "Y2Fm6Qo=", "Y2Fm6Ao="),
        "b.txt": ("utf-8", "plain\n", "café\n"),
        "c.txt": ("base64", None, "/wo="),
        "d.bin": (None, None, None),
    }


@pytest.mark.parametrize("strategy", ["existing", "worktree"])
async def test_a_diff_of_a_moment_is_not_kept(machine: Machine, api: Api, strategy: str) -> None:
    item = await api.session(REPOSITORY, isolationStrategy=strategy)
    await changed(machine, api, item, a_txt=b"1\n")
    await begun(api, item["id"], "hang")
    kept = dict(machine.disk.blobs)
    write(machine, item, a_txt=b"1\n2\n3\n")
    for query, before, additions in (("", None, 3), ("?turn=2", "1\n", 2)):
        found = (await diffs(api, item["id"], query))["a.txt"]
        assert (found["before"], found["after"], found["additions"]) == (before, "1\n2\n3\n", additions)
    assert machine.disk.blobs == kept


async def test_a_turn_ends_although_the_stored_diff_of_the_turns_before_is_damaged(machine: Machine, api: Api) -> None:
    item, _ = await api.session(), await api.session()
    await changed(machine, api, item, a_txt=b"1\n")
    machine.disk.blobs = dict.fromkeys(machine.disk.blobs, b"damaged")
    with trio.fail_after(600):
        state = await changed(machine, api, item, b_txt=b"2\n")
    assert (state["status"], state["lastTurn"]["number"]) == ("idle", 2)
    damaged = (await api.send("GET", f"/api/sessions/{item['id']}/diffs")).problem(503, "content_damaged")
    assert "is damaged" in damaged["detail"]
    assert "backup" in damaged["hint"]


async def test_changes_before_and_between_turns_belong_to_no_session(machine: Machine, api: Api) -> None:
    machine.files.contents[PLAIN] = {"old.txt": b"old\n"}
    first, second = await api.session(), await api.session()
    await changed(machine, api, first, a_txt=b"first\n")
    write(machine, first, person_txt=b"by hand\n")
    await changed(machine, api, second, b_txt=b"second\n", old_txt=b"new\n")
    await changed(machine, api, first, a_txt=b"first again\n")
    mine, theirs = await diffs(api, first["id"]), await diffs(api, second["id"])
    assert {name: (change["before"], change["after"]) for name, change in mine.items()} == {
        "a.txt": (None, "first again\n")
    }
    assert {name: change["status"] for name, change in theirs.items()} == {"b.txt": "added", "old.txt": "modified"}
    assert all(change["overlapsWith"] == [] for change in (*mine.values(), *theirs.values()))


async def test_turns_that_overlapped_say_so(machine: Machine, api: Api) -> None:
    first, second = await api.session(), await api.session()
    third = await api.session()
    await begun(api, first["id"], "bash:20")
    await begun(api, second["id"], "bash:5")
    write(machine, first, a_txt=b"whose?\n")
    assert (await diffs(api, first["id"]))["a.txt"]["overlapsWith"] == [second["id"]]
    for item in (first, second):
        await api.settled(item["id"])
    for item, other in ((first, second), (second, first)):
        assert (await diffs(api, item["id"], "?turn=1"))["a.txt"]["overlapsWith"] == [other["id"]]
    await changed(machine, api, third, c_txt=b"mine\n")
    assert {name: change["overlapsWith"] for name, change in (await diffs(api, third["id"])).items()} == {"c.txt": []}


async def test_turns_above_and_below_overlap_as_well(machine: Machine, api: Api) -> None:
    machine.files.directories |= {f"{PLAIN}/sub", f"{PLAIN}-too"}
    above, below = await api.session(), await api.session(f"{PLAIN}/sub")
    beside = await api.session(f"{PLAIN}-too")
    await begun(api, above["id"], "bash:20")
    await begun(api, below["id"], "bash:5")
    await begun(api, beside["id"], "bash:5")
    for item in (above, below):
        write(machine, item, a_txt=b"whose?\n")
    for item in (above, below, beside):
        await api.settled(item["id"])
    for item, other in ((above, below), (below, above)):
        assert (await diffs(api, item["id"]))["a.txt"]["overlapsWith"] == [other["id"]]


async def test_a_turn_that_a_lost_process_left_behind_overlaps_with_nothing(machine: Machine, api: Api) -> None:
    first, second = await api.session(), await api.session()
    await begun(api, second["id"], "hang")
    machine.world.kill(second["instanceId"])
    await api.fleet.views.sessions.wait(second["id"], lambda s: s.phase == "disconnected")
    await trio.sleep(1)
    await api.send("POST", f"/api/sessions/{first['id']}/resume")
    await changed(machine, api, first, a_txt=b"mine\n")
    assert (await diffs(api, first["id"]))["a.txt"]["overlapsWith"] == []


async def test_a_worktree_that_others_use_from_within_is_shared(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    machine.files.directories.add(f"{item['directory']}/src")
    await api.session(f"{item['directory']}/src")
    await changed(machine, api, item, a_txt=b"mine\n")
    write(machine, item, other_txt=b"theirs\n")
    await changed(machine, api, item, b_txt=b"mine\n")
    assert (await diffs(api, item["id"])).keys() == {"a.txt", "b.txt"}


async def test_an_overlap_is_not_forgotten_by_a_later_turn(machine: Machine, api: Api) -> None:
    first, second = await api.session(), await api.session()
    await begun(api, first["id"], "bash:20")
    await begun(api, second["id"], "bash:20")
    write(machine, first, a_txt=b"whose?\n")
    for item in (first, second):
        await api.settled(item["id"])
    await changed(machine, api, first, b_txt=b"mine\n")
    whole = await diffs(api, first["id"])
    assert whole["a.txt"]["overlapsWith"] == [second["id"]]


async def test_what_a_session_did_that_is_gone_is_not_the_other_s(machine: Machine, api: Api) -> None:
    first, second = await api.session(), await api.session()
    await changed(machine, api, first, a_txt=b"first\n")
    await changed(machine, api, second, b_txt=b"second\n")
    assert (await api.send("DELETE", f"/api/sessions/{second['id']}?permanent=true")).json["erased"] is True
    await changed(machine, api, first, c_txt=b"first again\n")
    assert (await diffs(api, first["id"], "?turn=2")).keys() == {"c.txt"}
    assert (await diffs(api, first["id"])).keys() == {"a.txt", "c.txt"}


async def test_diffs_outlive_process_directory_and_server(machine: Machine) -> None:
    async with machine.fleet() as api:
        item = await api.session(REPOSITORY, isolationStrategy="worktree")
        await changed(machine, api, item, a_txt=b"1\n")
        found = await diffs(api, item["id"])
        ended = await api.send("DELETE", f"/api/sessions/{item['id']}?cleanupWorkspace=true")
        assert ended.json["workspace"]["removed"] is True
        assert await diffs(api, item["id"]) == found
    machine.world.reboot()
    machine.files.trees.clear()
    async with machine.fleet() as api:
        assert await diffs(api, item["id"]) == found
        assert await diffs(api, item["id"], "?turn=1") == found
        assert found["a.txt"]["after"] == "1\n"


async def test_a_directory_of_which_no_tree_can_be_taken_costs_the_diff_alone(machine: Machine, api: Api) -> None:
    item = await api.session()
    await begun(api, item["id"], "bash:5")
    machine.files.directories.discard(PLAIN)
    assert await diffs(api, item["id"]) == {}
    done = await api.settled(item["id"])
    assert (done["outcome"], done["changes"]) == ("finished", None)
    assert await diffs(api, item["id"]) == {}
