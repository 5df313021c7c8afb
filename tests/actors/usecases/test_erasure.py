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
from tests.gateway.machine import PLAIN, REPOSITORY, Api, Machine

TITLE = (
    "Xylophone, and a title that is so long that the sentence about the prompt ends before the id of the session does"
)


@pytest.mark.parametrize("others", [True, False])
async def test_conversation_is_deleted_from_opencode_with_its_session(machine: Machine, api: Api, others: bool) -> None:
    item = await worked(machine, api, "worktree")
    if others:  # they keep a process alive
        await api.session(REPOSITORY)
    answer = await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true")
    assert (answer.json["erased"], answer.json["left"]) == (True, [])
    assert item["opencodeId"] not in machine.world.store.sessions
    assert machine.world.forgotten == [item["directory"]]


async def test_earlier_conversation_is_deleted_while_a_new_one_has_not_been_opened(machine: Machine, api: Api) -> None:
    item = await api.session(initialPrompt="Hello")
    await api.settled(item["id"])
    machine.world.kill(item["instanceId"])
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.phase == "disconnected")
    machine.world.fail_next_spawn("missing")
    resumed = await api.send("POST", f"/api/sessions/{item['id']}/resume", {"fresh": True})
    assert resumed.status >= 500
    assert await erase(api, item["id"]) == []
    assert item["opencodeId"] not in machine.world.store.sessions


async def test_conversation_that_was_created_ahead_is_deleted_with_a_session_that_never_opened_it(
    machine: Machine, api: Api
) -> None:
    other = await api.session(REPOSITORY)
    async with trio.open_nursery() as nursery:
        body = {"directory": REPOSITORY, "isolationStrategy": "worktree"}
        nursery.start_soon(api.send, "POST", "/api/sessions", body)
        while len(machine.world.store.sessions) == 1:  # noqa: ASYNC110 - the store wakes no task
            await trio.sleep(0.001)
        machine.world.fail_next_spawn("missing")
        machine.world.kill(other["instanceId"])
    [item] = [each for each in api.fleet.views.sessions if each.id != other["id"]]
    assert (item.phase, item.opencode.session_exists) == ("error", False)
    assert item.opencode.session_id in machine.world.store.sessions
    assert await erase(api, item.id) == []
    assert list(machine.world.store.sessions) == [other["opencodeId"]]


async def test_conversation_that_is_still_being_created_ahead_is_deleted_when_it_exists(
    machine: Machine, api: Api
) -> None:
    other = await api.session(REPOSITORY)
    machine.world.create_takes_s, loads = 1.0, len(machine.world.loaded)
    async with trio.open_nursery() as nursery:
        body = {"directory": REPOSITORY, "isolationStrategy": "worktree"}
        nursery.start_soon(api.send, "POST", "/api/sessions", body)
        while len(machine.world.loaded) == loads:  # noqa: ASYNC110 - the store wakes no task
            await trio.sleep(0.001)
        [item] = [each for each in api.fleet.views.sessions if each.id != other["id"]]
        assert await erase(api, item.id) == []
    await trio.sleep(5)
    assert list(machine.world.store.sessions) == [other["opencodeId"]]


async def test_answer_of_an_erasure_names_what_is_left_and_is_kept_without_it(machine: Machine, api: Api) -> None:
    parent = await api.session(PLAIN)
    item = await api.session(REPOSITORY, initialPrompt="Hello", onComplete={"notifySessionId": parent["id"]})
    await api.settled(item["id"])
    await api.settled(parent["id"])
    await api.send("DELETE", f"/api/sessions/{parent['id']}")
    machine.world.delete_fault = True
    path = f"/api/sessions/{item['id']}?permanent=true"
    answer = await api.send("DELETE", path, Idempotency_Key="k")
    conversation, callbacks = answer.json["left"]
    assert item["opencodeId"] in conversation
    assert parent["id"] in callbacks
    assert (await api.send("DELETE", path, Idempotency_Key="k")).json == {**answer.json, "left": []}


@pytest.mark.parametrize("fault", [False, True])
async def test_copies_are_deleted_after_a_crash(machine: Machine, fault: bool) -> None:
    """Or the server's log names them, and the session is erased all the same."""
    async with machine.fleet(killed=True) as api:
        item, _ = await told(api)
        sessions = api.fleet.views.sessions
        async with trio.open_nursery() as nursery:
            nursery.start_soon(api.send, "DELETE", f"/api/sessions/{item['id']}?permanent=true")
            while (state := sessions.get(item["id"])) is not None:
                await sessions.change_of(item["id"], state)
            nursery.cancel_scope.cancel()
    assert item["opencodeId"] in machine.world.store.sessions
    assert b"Xylophone" in b"".join(machine.disk.records)
    machine.world.delete_fault = fault
    with structlog.testing.capture_logs() as logs:
        async with machine.fleet() as api:
            (await api.send("GET", f"/api/sessions/{item['id']}")).problem(410, "erased")
            assert api.fleet.log.is_erased(f"session-{item['id']}")
    assert (item["opencodeId"] in machine.world.store.sessions) is fault
    left = [each["left"] for each in logs if each["event"] == "erasure_left"]
    assert [item["opencodeId"] in sentences[0] for sentences in left] == [True] * fault
    assert b"Xylophone" not in b"".join(machine.disk.records)


@pytest.mark.parametrize("existed", [False, True])
async def test_branch_that_stays_is_named_as_left(machine: Machine, api: Api, existed: bool) -> None:
    branches = machine.files.repositories[REPOSITORY].branches
    if existed:
        branches["feature"] = branches["main"]
    item = await api.session(REPOSITORY, isolationStrategy="worktree", branch="feature")
    answer = await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true")
    assert ("feature" in branches) is existed
    assert answer.json["left"] == ["the repository still has the branch feature"] * existed


async def told(api: Api) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a child and its parent, which has got the child's callback."""
    parent = await api.session(PLAIN)
    child = await api.session(
        REPOSITORY, title=TITLE, initialPrompt="unspeakable", onComplete={"notifySessionId": parent["id"]}
    )
    await api.settled(child["id"])
    await api.fleet.views.sessions.wait(parent["id"], lambda s: s.turns == 1)
    await api.settled(parent["id"])
    return child, parent


async def erase(api: Api, session_id: str) -> list[str]:
    """Erase the session and return what is left of it."""
    answer = await api.send("DELETE", f"/api/sessions/{session_id}?permanent=true")
    assert answer.json["erased"]
    left: list[str] = answer.json["left"]
    return left


async def test_callbacks_of_an_erased_child_are_erased_in_its_parent(machine: Machine, api: Api) -> None:
    child, parent = await told(api)
    for what in ("messages", "turns"):
        assert b"Xylophone" in (await api.send("GET", f"/api/sessions/{parent['id']}/{what}")).body
    assert await erase(api, child["id"]) == []
    assert b"Xylophone" not in (await api.send("GET", f"/api/sessions/{parent['id']}/turns")).body
    messages = await api.send("GET", f"/api/sessions/{parent['id']}/messages")
    assert b"Xylophone" not in messages.body
    assert f"Session {child['id']} was erased".encode() in messages.body
    item = await api.send("GET", f"/api/sessions/{parent['id']}")
    assert b"Xylophone" not in item.body
    assert not (await api.send("GET", "/api/sessions/history?search=Xylophone")).json
    stored = [part for message in machine.world.store.messages.values() for part in message.parts.values()]
    assert "Xylophone" not in str(stored)
    proof = verify(api.fleet.log)
    assert proof.first_break is None
    assert b"Xylophone" not in b"".join(map(bytes, machine.disk.records))
    state, folded = api.fleet.views.sessions.get(parent["id"]), SESSION.initial(parent["id"])
    for _, _, event in api.fleet.log.replay(f"session-{parent['id']}"):
        folded = SESSION.evolve(folded, event)
    assert folded == state


async def test_callback_that_waits_or_was_edited_is_erased_in_the_queue(machine: Machine, api: Api) -> None:
    parent = await api.session(PLAIN, initialPrompt="hang")
    child = await api.session(PLAIN, title=TITLE, initialPrompt="Hello", onComplete={"notifySessionId": parent["id"]})
    sessions = api.fleet.views.sessions
    await sessions.wait(parent["id"], lambda s: len(s.queue.prompts) == 1)
    prompt_id = f"callback:{child['id']}:1"
    path = f"/api/sessions/{parent['id']}/queue/{prompt_id}"
    assert (await api.send("PATCH", path, {"text": "Xylophone in other words"}, Idempotency_Key="e")).status == 204
    assert await erase(api, child["id"]) == []
    state = sessions.get(parent["id"])
    assert state is not None
    assert [prompt.text for prompt in state.queue.prompts] == [erased_callback(child["id"])]
    assert b"Xylophone" not in b"".join(machine.disk.records)
    assert verify(api.fleet.log).first_break is None


async def test_rows_of_before_the_callbacks_were_erased_are_no_forgery(api: Api) -> None:
    """The rows of the views are written later, so a row may have a text that was erased in the event since."""
    parent = await api.session(PLAIN, initialPrompt="hang")
    child = await api.session(PLAIN, title=TITLE, initialPrompt="Hello", onComplete={"notifySessionId": parent["id"]})
    await api.fleet.views.sessions.wait(parent["id"], lambda s: len(s.queue.prompts) == 1)
    await api.fleet.runner.save()
    assert await erase(api, child["id"]) == []
    found = (await api.send("GET", "/api/log/verify")).json
    assert found["intact"], found["firstBreak"]


async def test_forks_and_answers_lose_the_callbacks_too_and_a_grandparent_keeps_its_own(
    machine: Machine, api: Api
) -> None:
    child, parent = await told(api)
    path = f"/api/sessions/{parent['id']}"
    fork = (await api.send("POST", f"{path}/fork", {}, Idempotency_Key="f")).json["session"]
    second = (await api.send("POST", f"/api/sessions/{fork['id']}/fork", {})).json["session"]
    await api.send("PATCH", path, {"tags": ["a"]}, Idempotency_Key="p")
    assert [second["id"] in sentence for sentence in await erase(api, fork["id"])] == [True]
    assert await erase(api, child["id"]) == []
    assert b"Xylophone" not in b"".join(machine.disk.records)
    assert verify(api.fleet.log).first_break is None
    await erase(api, parent["id"])
    assert verify(api.fleet.log).first_break is None
    assert (await api.settled(second["id"]))["turns"] == 0


async def test_copy_that_opencode_keeps_is_named_and_not_recorded_again(machine: Machine, api: Api) -> None:
    child, parent = await told(api)
    await api.send("DELETE", f"/api/sessions/{parent['id']}")
    machine.world.delete_fault = True
    conversation, callbacks = await erase(api, child["id"])
    assert child["opencodeId"] in conversation
    assert parent["id"] in callbacks
    machine.world.delete_fault = False
    assert (await api.send("POST", f"/api/sessions/{parent['id']}/resume")).status == 200
    await api.prompt(parent["id"], "Hello")
    assert b"Xylophone" not in b"".join(machine.disk.records)


async def test_pack_of_the_parent_is_proved_without_the_callbacks(api: Api, tmp_path: Path) -> None:
    child, parent = await told(api)
    await erase(api, child["id"])
    folder = await unpacked(api, parent["id"], tmp_path)
    assert not [file for file in folder.iterdir() if b"Xylophone" in file.read_bytes()]
    prove_pack(folder)
    events = folder / "events.jsonl"
    text = events.read_text()
    events.write_text(text.replace("was erased, and", "was praised, and", 1))
    with pytest.raises(Wrong, match="other data"):
        prove_pack(folder)


async def test_fork_with_its_conversation_is_named_as_left(api: Api) -> None:
    item = await api.session(PLAIN, initialPrompt="Hello")
    await api.settled(item["id"])
    fork = (await api.send("POST", f"/api/sessions/{item['id']}/fork", {})).json["session"]
    assert await erase(api, item["id"]) == [f"session {fork['id']} is a fork of it, with a copy of its conversation"]
