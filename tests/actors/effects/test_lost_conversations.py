"""A session whose conversation OpenCode has lost: its turn ends, prompts are refused, and it can begin a new one."""

from typing import Any

import pytest
import structlog.testing
import trio

from fleet.core.session.state import State
from tests.fakes.opencode_host import NOWHERE
from tests.gateway.door import Door, Machine
from tests.gateway.test_diffs import begun


def state_of(door: Door, item: dict[str, Any]) -> State:
    state = door.fleet.views.sessions.get(item["id"])
    assert state is not None
    return state


async def lost(machine: Machine, door: Door, prompt: str = "hello") -> dict[str, Any]:
    """Return a session whose conversation was deleted in OpenCode after a turn."""
    item = await door.session()
    await door.prompt(item["id"], prompt)
    machine.world.delete_session(item["opencodeId"])
    return item


async def test_a_turn_ends_at_once_when_its_conversation_is_gone(machine: Machine, door: Door) -> None:
    item = await door.session()
    await begun(door, item["id"], "bash:20")
    with structlog.testing.capture_logs() as logged:
        machine.world.delete_session(item["opencodeId"])
        with trio.fail_after(10):
            ended = await door.settled(item["id"])
    assert (ended["status"], ended["failure"]["code"]) == ("error", "session_gone")
    assert item["opencodeId"] in ended["failure"]["detail"]
    assert [entry["code"] for entry in logged if "code" in entry] == ["session_gone"]


async def test_an_abort_ends_at_once_when_the_conversation_is_gone(machine: Machine, door: Door) -> None:
    item = await door.session()
    await begun(door, item["id"], "bash:20")
    machine.world.delete_session(item["opencodeId"])
    with trio.fail_after(10):
        aborted = await door.knock("POST", f"/api/sessions/{item['id']}/abort")
    assert aborted.json["outcome"] in ("ended", "nothing_to_abort")


async def test_prompts_are_refused_once_the_conversation_is_known_to_be_gone(machine: Machine, door: Door) -> None:
    item = await lost(machine, door)
    failed = await door.prompt(item["id"], "are you there?")
    assert failed["failure"]["code"] == "session_gone"
    for body in ({"text": "again"}, {"text": "again", "resume": True}):
        refused = await door.knock("POST", f"/api/sessions/{item['id']}/prompt", body)
        assert "fresh" in refused.problem(410, "session_gone")["hint"]
    resumed = await door.knock("POST", f"/api/sessions/{item['id']}/resume")
    assert "fresh" in resumed.problem(410, "session_gone")["hint"]


async def test_a_session_begins_a_new_conversation_in_its_workspace(machine: Machine, door: Door) -> None:
    item = await lost(machine, door)
    await door.prompt(item["id"], "are you there?")
    path = f"/api/sessions/{item['id']}"
    resumed = (await door.knock("POST", f"{path}/resume", {"fresh": True})).json["session"]
    assert resumed["opencodeId"] not in (None, item["opencodeId"])
    assert resumed["directory"] == item["directory"]
    done = await door.prompt(item["id"], "and now?")
    assert (done["status"], done["outcome"], done["turns"]) == ("idle", "finished", 3)
    assert await said(door, path) == ["and now?", "You said: and now?"]
    assert await said(door, f"{path}?conversation={item['opencodeId']}") == ["hello", "You said: hello"]
    assert (await door.knock("GET", f"/api/sessions/{item['opencodeId']}")).json["id"] == item["id"]


async def test_a_transcript_is_that_of_the_conversation_of_its_time(machine: Machine, door: Door) -> None:
    item = await lost(machine, door)
    before = door.fleet.log.head()
    await door.prompt(item["id"], "are you there?")
    await door.knock("POST", f"/api/sessions/{item['id']}/resume", {"fresh": True})
    assert await said(door, f"/api/sessions/{item['id']}") == []
    assert await said(door, f"/api/sessions/{item['id']}?at={before}") == ["hello", "You said: hello"]


@pytest.mark.parametrize("how", ["crash", "delete"])
async def test_a_lost_turn_does_not_continue_in_a_new_conversation(machine: Machine, door: Door, how: str) -> None:
    item = await door.session()
    await begun(door, item["id"], "bash:20")
    await door.knock("POST", f"/api/sessions/{item['id']}/prompt", {"text": "later"})
    machine.world.kill(item["instanceId"])
    await door.fleet.views.sessions.wait(item["id"], lambda s: s.phase == "disconnected")
    if how == "delete":
        machine.world.delete_session(item["opencodeId"])
    assert (await door.knock("POST", f"/api/sessions/{item['id']}/resume", {"fresh": True})).status == 200
    await door.fleet.views.sessions.wait(item["id"], lambda s: s.phase == "idle")
    state = state_of(door, item)
    assert (state.last_outcome, state.queue.paused, [prompt.text for prompt in state.queue.prompts]) == (
        "interrupted",
        True,
        ["later"],
    )
    await door.prompt(item["id"], "go on")
    assert [text for text in await said(door, f"/api/sessions/{item['id']}") if "said" not in text] == [
        "later",
        "go on",
    ]


async def test_a_session_that_rests_or_works_keeps_its_conversation(door: Door) -> None:
    item = await door.session()
    path = f"/api/sessions/{item['id']}/resume"
    (await door.knock("POST", path, {"fresh": True})).problem(409, "session_active")
    await begun(door, item["id"], "hang")
    (await door.knock("POST", path, {"fresh": True})).problem(409, "session_active")
    assert (await door.knock("GET", f"/api/sessions/{item['id']}")).json["opencodeId"] == item["opencodeId"]


async def said(door: Door, path: str) -> list[str]:
    """Return the texts of a session's messages."""
    where, _, query = path.partition("?")
    messages = (await door.knock("GET", f"{where}/messages?{query}")).json["messages"]
    return [part["text"] for message in messages for part in message["parts"] if part["type"] == "text"]


async def test_conversation_whose_directory_is_elsewhere_now_follows_at_a_resume(machine: Machine, door: Door) -> None:
    """As in a data directory that was restored to another place."""
    item = await door.session()
    await door.prompt(item["id"], "hello")
    await door.knock("DELETE", f"/api/sessions/{item['id']}")
    machine.world.store.sessions[item["opencodeId"]]["directory"] = f"{NOWHERE}/project"
    assert (await door.knock("POST", f"/api/sessions/{item['id']}/resume")).status == 200
    assert machine.world.store.sessions[item["opencodeId"]]["directory"] == item["directory"]
    assert (await door.prompt(item["id"], "again"))["outcome"] == "finished"
