"""Forks: the files are those of the message where the conversation is cut, or the fork is refused."""

from typing import Any

import pytest
import trio

from tests.fakes.opencode import ImportFault
from tests.gateway.machine import PLAIN, REPOSITORY, Api, Machine
from tests.gateway.test_diffs import begun, changed, write


async def forked(machine: Machine, api: Api, item: dict[str, Any], **fields: str) -> tuple[str | None, set[str]]:
    """Fork a session; return the first message that did not come along, and the names of its files."""
    answer = await api.send("POST", f"/api/sessions/{item['id']}/fork", fields)
    assert answer.status == 200, answer
    fork = answer.json["session"]
    state = api.fleet.views.sessions.get(fork["id"])
    assert state is not None
    assert state.settings.origin is not None
    return state.settings.origin.message_id, set(machine.files.contents.get(fork["directory"], ()))


def prompt_of(api: Api, item: dict[str, Any]) -> str:
    """Return the message of the running turn."""
    state = api.fleet.views.sessions.get(item["id"])
    assert state is not None
    assert state.turn is not None
    return state.turn.message_id


@pytest.mark.parametrize("strategy", ["existing", "worktree", "clone"])
async def test_a_session_that_works_is_forked_before_its_turn(machine: Machine, api: Api, strategy: str) -> None:
    item = await api.session(REPOSITORY, isolationStrategy=strategy)
    await changed(machine, api, item, a_txt=b"1\n")
    await begun(api, item["id"], "hang")
    write(machine, item, b_txt=b"2\n")
    expected = (prompt_of(api, item), {"a.txt"})
    assert await forked(machine, api, item, isolationStrategy="worktree") == expected
    await api.send("POST", f"/api/sessions/{item['id']}/abort")
    assert await forked(machine, api, item, isolationStrategy="clone") == (None, {"a.txt", "b.txt"})


async def test_a_fork_at_a_prompt_that_steered_begins_with_the_turn(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    await changed(machine, api, item, a_txt=b"1\n")
    await begun(api, item["id"], "bash:20")
    began = prompt_of(api, item)
    body = {"text": "and that", "delivery": "steer"}
    assert (await api.send("POST", f"/api/sessions/{item['id']}/prompt", body)).status == 204
    state = await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and bool(s.turn.steering))
    assert state.turn is not None
    steered = str(state.turn.steering[0].message_id)
    write(machine, item, b_txt=b"2\n")
    await api.settled(item["id"])
    assert await forked(machine, api, item, messageId=steered) == (began, {"a.txt"})


async def test_a_fork_includes_changes_by_a_person_before_the_turn(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY)
    await changed(machine, api, item, a_txt=b"1\n")
    write(machine, item, person_txt=b"by hand\n")
    await trio.sleep(1)
    await begun(api, item["id"], "bash:5")
    message = prompt_of(api, item)
    await api.settled(item["id"])
    fork = await forked(machine, api, item, messageId=message, isolationStrategy="worktree")
    assert fork == (message, {"a.txt", "person.txt"})


async def test_a_fork_of_a_worktree_does_not_land_beside_its_files(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    await changed(machine, api, item, a_txt=b"1\n")
    refused = await api.send("POST", f"/api/sessions/{item['id']}/fork", {"isolationStrategy": "existing"})
    assert refused.problem(422, "invalid")["field"] == "isolationStrategy"


async def written(api: Api, session_id: str) -> None:
    """Wait until a tree was taken after a call that has written."""
    tree = None
    while tree is None or tree.part_id is None:
        await trio.sleep(0.05)
        tree = await api.fleet.change_records.tree(f"session-{session_id}")


async def test_a_fork_without_a_snapshot_of_its_moment_has_the_files_of_the_last_one_before_and_says_so(
    machine: Machine, api: Api
) -> None:
    machine.world.disk = machine.files
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    await begun(api, item["id"], "turn:3 write")
    await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "bash:5"})
    with trio.fail_after(30):
        await written(api, item["id"])
    machine.files.directories.discard(item["directory"])  # the end of the turn finds no directory
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turns == 2 and s.turn is not None)
    second = prompt_of(api, item)
    path = f"/api/sessions/{item['id']}/fork"
    await api.settled(item["id"])
    last = (await api.fleet.change_records.tree(f"session-{item['id']}")) or pytest.fail("no tree was taken")
    assert last.part_id is not None
    for body in ({"messageId": second}, {}):
        fork = (await api.send("POST", path, body)).json
        assert (fork["filesAsOf"], "notes.txt" in machine.files.contents[fork["session"]["directory"]]) == (
            last.position,
            True,
        )
    machine.files.directories.add(item["directory"])
    write(machine, item, a_txt=b"1\n")
    fork = (await api.send("POST", path, {})).json
    assert (fork["filesAsOf"], "a.txt" in machine.files.contents[fork["session"]["directory"]]) == (None, True)


async def test_a_fork_of_a_directory_that_never_had_a_snapshot_is_refused(machine: Machine, api: Api) -> None:
    machine.files.tree_fault = "tree_too_large"
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    await begun(api, item["id"], "bash:5")
    message = prompt_of(api, item)
    await api.settled(item["id"])
    path = f"/api/sessions/{item['id']}/fork"
    (await api.send("POST", path, {"messageId": message})).problem(410, "tree_gone")
    machine.files.directories.discard(item["directory"])
    (await api.send("POST", path, {})).problem(410, "workspace_gone")


async def test_a_fork_that_shares_the_directory_has_all_of_the_conversation(machine: Machine, api: Api) -> None:
    item = await api.session()
    await begun(api, item["id"], "hang")
    write(machine, item, a_txt=b"1\n")
    assert await forked(machine, api, item) == (None, {"a.txt"})
    assert PLAIN in machine.files.contents


@pytest.mark.parametrize("fault", ["refused", "silent"])
async def test_a_fork_that_failed_at_first_has_the_whole_conversation_once_it_is_resumed(
    machine: Machine, api: Api, fault: ImportFault
) -> None:
    item = await api.session(REPOSITORY)
    for text in ("one", "write two"):
        await begun(api, item["id"], text)
        await api.settled(item["id"])
    machine.world.import_faults.append(fault)
    refused = await api.send("POST", f"/api/sessions/{item['id']}/fork", {})
    fork = refused.problem(502, "opencode_refused")["sessionId"]
    assert await said(api, fork) == []
    assert (await api.send("POST", f"/api/sessions/{fork}/resume")).status == 200
    assert await said(api, fork) == await said(api, item["id"]) != []
    assert len(machine.world.store.sessions) == 2


async def said(api: Api, session_id: str) -> list[list[str]]:
    """Return the texts of a session's messages."""
    messages = (await api.send("GET", f"/api/sessions/{session_id}/messages")).json["messages"]
    return [[part["text"] for part in message["parts"] if part["type"] == "text"] for message in messages]


async def test_copies_of_a_fork_are_marked_in_the_log(api: Api) -> None:
    item = await api.session(REPOSITORY)
    await api.prompt(item["id"], "One")
    fork = (await api.send("POST", f"/api/sessions/{item['id']}/fork", {})).json["session"]["id"]
    await api.prompt(fork, "Two")
    events = [each for each in api.fleet.log.read_stream(f"session-{fork}") if hasattr(each.event, "copied")]
    begun = next(
        each.position for each in api.fleet.log.read_stream(f"session-{fork}") if each.type == "session.prompt-accepted"
    )
    assert {each.event.copied for each in events if each.position < begun} == {True}
    assert {each.event.copied for each in events if each.position > begun} == {False}
