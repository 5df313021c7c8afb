"""What a permanent deletion does outside of Fleet, and what its response says about that."""

from pathlib import Path
from typing import Any

import pytest
import structlog
import trio

from fleet.core.session.decide import SESSION
from fleet.core.session.values import erased_callback
from fleet.events.verify import verify
from fleet.evidence.standalone.verify import Wrong
from fleet.evidence.standalone.verify import verify as prove_pack
from tests.actors.usecases.test_removal import worked
from tests.evidence.test_pack import unpacked
from tests.gateway.door import PLAIN, REPOSITORY, Door, Machine

TITLE = (
    "Xylophone, and a title that is so long that the sentence about the prompt ends before the id of the session does"
)


@pytest.mark.parametrize("others", [True, False])
async def test_conversation_is_deleted_from_opencode_with_its_session(
    machine: Machine, door: Door, others: bool
) -> None:
    item = await worked(machine, door, "worktree")
    if others:  # they keep a process alive
        await door.session(REPOSITORY)
    answer = await door.knock("DELETE", f"/api/sessions/{item['id']}?permanent=true")
    assert (answer.json["erased"], answer.json["left"]) == (True, [])
    assert item["opencodeId"] not in machine.world.store.sessions
    assert machine.world.forgotten == [item["directory"]]


async def test_earlier_conversation_is_deleted_while_a_new_one_has_not_been_opened(
    machine: Machine, door: Door
) -> None:
    item = await door.session(initialPrompt="Hello")
    await door.settled(item["id"])
    machine.world.kill(item["instanceId"])
    await door.fleet.views.sessions.wait(item["id"], lambda s: s.phase == "disconnected")
    machine.world.fail_next_spawn("missing")
    resumed = await door.knock("POST", f"/api/sessions/{item['id']}/resume", {"fresh": True})
    assert resumed.status >= 500
    assert await erase(door, item["id"]) == []
    assert item["opencodeId"] not in machine.world.store.sessions


async def test_conversation_that_was_created_ahead_is_deleted_with_a_session_that_never_opened_it(
    machine: Machine, door: Door
) -> None:
    other = await door.session(REPOSITORY)
    async with trio.open_nursery() as nursery:
        body = {"directory": REPOSITORY, "isolationStrategy": "worktree"}
        nursery.start_soon(door.knock, "POST", "/api/sessions", body)
        while len(machine.world.store.sessions) == 1:  # noqa: ASYNC110 - the store wakes no task
            await trio.sleep(0.001)
        machine.world.fail_next_spawn("missing")
        machine.world.kill(other["instanceId"])
    [item] = [each for each in door.fleet.views.sessions if each.id != other["id"]]
    assert (item.phase, item.opencode.session_exists) == ("error", False)
    assert item.opencode.session_id in machine.world.store.sessions
    assert await erase(door, item.id) == []
    assert list(machine.world.store.sessions) == [other["opencodeId"]]


async def test_conversation_that_is_still_being_created_ahead_is_deleted_when_it_exists(
    machine: Machine, door: Door
) -> None:
    other = await door.session(REPOSITORY)
    machine.world.create_takes_s, loads = 1.0, len(machine.world.loaded)
    async with trio.open_nursery() as nursery:
        body = {"directory": REPOSITORY, "isolationStrategy": "worktree"}
        nursery.start_soon(door.knock, "POST", "/api/sessions", body)
        while len(machine.world.loaded) == loads:  # noqa: ASYNC110 - the store wakes no task
            await trio.sleep(0.001)
        [item] = [each for each in door.fleet.views.sessions if each.id != other["id"]]
        assert await erase(door, item.id) == []
    await trio.sleep(5)
    assert list(machine.world.store.sessions) == [other["opencodeId"]]


async def test_answer_of_an_erasure_names_what_is_left_and_is_kept_without_it(machine: Machine, door: Door) -> None:
    parent = await door.session(PLAIN)
    item = await door.session(REPOSITORY, initialPrompt="Hello", onComplete={"notifySessionId": parent["id"]})
    await door.settled(item["id"])
    await door.settled(parent["id"])
    await door.knock("DELETE", f"/api/sessions/{parent['id']}")
    machine.world.delete_fault = True
    path = f"/api/sessions/{item['id']}?permanent=true"
    answer = await door.knock("DELETE", path, Idempotency_Key="k")
    conversation, callbacks = answer.json["left"]
    assert item["opencodeId"] in conversation
    assert parent["id"] in callbacks
    assert (await door.knock("DELETE", path, Idempotency_Key="k")).json == {**answer.json, "left": []}


@pytest.mark.parametrize("fault", [False, True])
async def test_copies_are_deleted_after_a_crash(machine: Machine, fault: bool) -> None:
    """Or the server's log names them, and the session is erased all the same."""
    async with machine.fleet(killed=True) as door:
        item, _ = await told(door)
        sessions = door.fleet.views.sessions
        async with trio.open_nursery() as nursery:
            nursery.start_soon(door.knock, "DELETE", f"/api/sessions/{item['id']}?permanent=true")
            while (state := sessions.get(item["id"])) is not None:
                await sessions.change_of(item["id"], state)
            nursery.cancel_scope.cancel()
    assert item["opencodeId"] in machine.world.store.sessions
    assert b"Xylophone" in b"".join(machine.disk.records)
    machine.world.delete_fault = fault
    with structlog.testing.capture_logs() as logs:
        async with machine.fleet() as door:
            (await door.knock("GET", f"/api/sessions/{item['id']}")).problem(410, "erased")
            assert door.fleet.log.is_erased(f"session-{item['id']}")
    assert (item["opencodeId"] in machine.world.store.sessions) is fault
    left = [each["left"] for each in logs if each["event"] == "erasure_left"]
    assert [item["opencodeId"] in sentences[0] for sentences in left] == [True] * fault
    assert b"Xylophone" not in b"".join(machine.disk.records)


@pytest.mark.parametrize("existed", [False, True])
async def test_branch_that_stays_is_named_as_left(machine: Machine, door: Door, existed: bool) -> None:
    branches = machine.files.repositories[REPOSITORY].branches
    if existed:
        branches["feature"] = branches["main"]
    item = await door.session(REPOSITORY, isolationStrategy="worktree", branch="feature")
    answer = await door.knock("DELETE", f"/api/sessions/{item['id']}?permanent=true")
    assert ("feature" in branches) is existed
    assert answer.json["left"] == ["the repository still has the branch feature"] * existed


async def told(door: Door) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a child and its parent, which has got the child's callback."""
    parent = await door.session(PLAIN)
    child = await door.session(
        REPOSITORY, title=TITLE, initialPrompt="unspeakable", onComplete={"notifySessionId": parent["id"]}
    )
    await door.settled(child["id"])
    await door.fleet.views.sessions.wait(parent["id"], lambda s: s.turns == 1)
    await door.settled(parent["id"])
    return child, parent


async def erase(door: Door, session_id: str) -> list[str]:
    """Erase the session and return what is left of it."""
    answer = await door.knock("DELETE", f"/api/sessions/{session_id}?permanent=true")
    assert answer.json["erased"]
    left: list[str] = answer.json["left"]
    return left


async def test_callbacks_of_an_erased_child_are_erased_in_its_parent(machine: Machine, door: Door) -> None:
    child, parent = await told(door)
    for what in ("messages", "turns"):
        assert b"Xylophone" in (await door.knock("GET", f"/api/sessions/{parent['id']}/{what}")).body
    assert await erase(door, child["id"]) == []
    assert b"Xylophone" not in (await door.knock("GET", f"/api/sessions/{parent['id']}/turns")).body
    messages = await door.knock("GET", f"/api/sessions/{parent['id']}/messages")
    assert b"Xylophone" not in messages.body
    assert f"Session {child['id']} was erased".encode() in messages.body
    item = await door.knock("GET", f"/api/sessions/{parent['id']}")
    assert b"Xylophone" not in item.body
    assert not (await door.knock("GET", "/api/sessions/history?search=Xylophone")).json
    stored = [part for message in machine.world.store.messages.values() for part in message.parts.values()]
    assert "Xylophone" not in str(stored)
    proof = verify(door.fleet.log)
    assert proof.first_break is None
    assert b"Xylophone" not in b"".join(map(bytes, machine.disk.records))
    state, folded = door.fleet.views.sessions.get(parent["id"]), SESSION.initial(parent["id"])
    for _, _, event in door.fleet.log.replay(f"session-{parent['id']}"):
        folded = SESSION.evolve(folded, event)
    assert folded == state


async def test_callback_that_waits_or_was_edited_is_erased_in_the_queue(machine: Machine, door: Door) -> None:
    parent = await door.session(PLAIN, initialPrompt="hang")
    child = await door.session(PLAIN, title=TITLE, initialPrompt="Hello", onComplete={"notifySessionId": parent["id"]})
    sessions = door.fleet.views.sessions
    await sessions.wait(parent["id"], lambda s: len(s.queue.prompts) == 1)
    prompt_id = f"callback:{child['id']}:1"
    path = f"/api/sessions/{parent['id']}/queue/{prompt_id}"
    assert (await door.knock("PATCH", path, {"text": "Xylophone in other words"}, Idempotency_Key="e")).status == 204
    assert await erase(door, child["id"]) == []
    state = sessions.get(parent["id"])
    assert state is not None
    assert [prompt.text for prompt in state.queue.prompts] == [erased_callback(child["id"])]
    assert b"Xylophone" not in b"".join(machine.disk.records)
    assert verify(door.fleet.log).first_break is None


async def test_rows_of_before_the_callbacks_were_erased_are_no_forgery(door: Door) -> None:
    """The rows of the views are written later, so a row may have a text that was erased in the event since."""
    parent = await door.session(PLAIN, initialPrompt="hang")
    child = await door.session(PLAIN, title=TITLE, initialPrompt="Hello", onComplete={"notifySessionId": parent["id"]})
    await door.fleet.views.sessions.wait(parent["id"], lambda s: len(s.queue.prompts) == 1)
    await door.fleet.runner.save()
    assert await erase(door, child["id"]) == []
    found = (await door.knock("GET", "/api/log/verify")).json
    assert found["intact"], found["firstBreak"]


async def test_forks_and_answers_lose_the_callbacks_too_and_a_grandparent_keeps_its_own(
    machine: Machine, door: Door
) -> None:
    child, parent = await told(door)
    path = f"/api/sessions/{parent['id']}"
    fork = (await door.knock("POST", f"{path}/fork", {}, Idempotency_Key="f")).json["session"]
    second = (await door.knock("POST", f"/api/sessions/{fork['id']}/fork", {})).json["session"]
    await door.knock("PATCH", path, {"tags": ["a"]}, Idempotency_Key="p")
    assert [second["id"] in sentence for sentence in await erase(door, fork["id"])] == [True]
    assert await erase(door, child["id"]) == []
    assert b"Xylophone" not in b"".join(machine.disk.records)
    assert verify(door.fleet.log).first_break is None
    await erase(door, parent["id"])
    assert verify(door.fleet.log).first_break is None
    assert (await door.settled(second["id"]))["turns"] == 0


async def test_copy_that_opencode_keeps_is_named_and_not_recorded_again(machine: Machine, door: Door) -> None:
    child, parent = await told(door)
    await door.knock("DELETE", f"/api/sessions/{parent['id']}")
    machine.world.delete_fault = True
    conversation, callbacks = await erase(door, child["id"])
    assert child["opencodeId"] in conversation
    assert parent["id"] in callbacks
    machine.world.delete_fault = False
    assert (await door.knock("POST", f"/api/sessions/{parent['id']}/resume")).status == 200
    await door.prompt(parent["id"], "Hello")
    assert b"Xylophone" not in b"".join(machine.disk.records)


async def test_pack_of_the_parent_is_proved_without_the_callbacks(door: Door, tmp_path: Path) -> None:
    child, parent = await told(door)
    await erase(door, child["id"])
    folder = await unpacked(door, parent["id"], tmp_path)
    assert not [file for file in folder.iterdir() if b"Xylophone" in file.read_bytes()]
    prove_pack(folder)
    events = folder / "events.jsonl"
    text = events.read_text()
    events.write_text(text.replace("was erased, and", "was praised, and", 1))
    with pytest.raises(Wrong, match="other data"):
        prove_pack(folder)


async def test_fork_with_its_conversation_is_named_as_left(door: Door) -> None:
    item = await door.session(PLAIN, initialPrompt="Hello")
    await door.settled(item["id"])
    fork = (await door.knock("POST", f"/api/sessions/{item['id']}/fork", {})).json["session"]
    assert await erase(door, item["id"]) == [f"session {fork['id']} is a fork of it, with a copy of its conversation"]
