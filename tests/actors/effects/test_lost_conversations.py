"""A session whose conversation OpenCode has lost: its turn ends, prompts are refused, and it can begin a new one."""

from typing import Any

import pytest
import structlog.testing
import trio

from fleet.core.session.state import State
from tests.fakes.opencode_host import NOWHERE
from tests.gateway.machine import Api, Machine
from tests.gateway.test_diffs import begun


def state_of(api: Api, item: dict[str, Any]) -> State:
    state = api.fleet.views.sessions.get(item["id"])
    assert state is not None
    return state


async def lost(machine: Machine, api: Api, prompt: str = "hello") -> dict[str, Any]:
    """Return a session whose conversation was deleted in OpenCode after a turn."""
    item = await api.session()
    await api.prompt(item["id"], prompt)
    machine.world.delete_session(item["opencodeId"])
    return item


async def test_a_turn_ends_at_once_when_its_conversation_is_gone(machine: Machine, api: Api) -> None:
    item = await api.session()
    await begun(api, item["id"], "bash:20")
    with structlog.testing.capture_logs() as logged:
        machine.world.delete_session(item["opencodeId"])
        with trio.fail_after(10):
            ended = await api.settled(item["id"])
    assert (ended["status"], ended["failure"]["code"]) == ("error", "session_gone")
    assert item["opencodeId"] in ended["failure"]["detail"]
    assert [entry["code"] for entry in logged if "code" in entry] == ["session_gone"]


async def test_an_abort_ends_at_once_when_the_conversation_is_gone(machine: Machine, api: Api) -> None:
    item = await api.session()
    await begun(api, item["id"], "bash:20")
    machine.world.delete_session(item["opencodeId"])
    with trio.fail_after(10):
        aborted = await api.send("POST", f"/api/sessions/{item['id']}/abort")
    assert aborted.json["outcome"] in ("ended", "nothing_to_abort")


async def test_prompts_are_refused_once_the_conversation_is_known_to_be_gone(machine: Machine, api: Api) -> None:
    item = await lost(machine, api)
    failed = await api.prompt(item["id"], "are you there?")
    assert failed["failure"]["code"] == "session_gone"
    for body in ({"text": "again"}, {"text": "again", "resume": True}):
        refused = await api.send("POST", f"/api/sessions/{item['id']}/prompt", body)
        assert "fresh" in refused.problem(410, "session_gone")["hint"]
    resumed = await api.send("POST", f"/api/sessions/{item['id']}/resume")
    assert "fresh" in resumed.problem(410, "session_gone")["hint"]


async def test_a_session_begins_a_new_conversation_in_its_workspace(machine: Machine, api: Api) -> None:
    item = await lost(machine, api)
    await api.prompt(item["id"], "are you there?")
    path = f"/api/sessions/{item['id']}"
    resumed = (await api.send("POST", f"{path}/resume", {"fresh": True})).json["session"]
    assert resumed["opencodeId"] not in (None, item["opencodeId"])
    assert resumed["directory"] == item["directory"]
    done = await api.prompt(item["id"], "and now?")
    assert (done["status"], done["outcome"], done["turns"]) == ("idle", "finished", 3)
    assert await said(api, path) == ["and now?", "You said: and now?"]
    assert await said(api, f"{path}?conversation={item['opencodeId']}") == ["hello", "You said: hello"]
    assert (await api.send("GET", f"/api/sessions/{item['opencodeId']}")).json["id"] == item["id"]


async def test_a_transcript_is_that_of_the_conversation_of_its_time(machine: Machine, api: Api) -> None:
    item = await lost(machine, api)
    before = api.fleet.log.head()
    await api.prompt(item["id"], "are you there?")
    await api.send("POST", f"/api/sessions/{item['id']}/resume", {"fresh": True})
    assert await said(api, f"/api/sessions/{item['id']}") == []
    assert await said(api, f"/api/sessions/{item['id']}?at={before}") == ["hello", "You said: hello"]


@pytest.mark.parametrize("how", ["crash", "delete"])
async def test_a_lost_turn_does_not_continue_in_a_new_conversation(machine: Machine, api: Api, how: str) -> None:
    item = await api.session()
    await begun(api, item["id"], "bash:20")
    await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "later"})
    machine.world.kill(item["instanceId"])
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.phase == "disconnected")
    if how == "delete":
        machine.world.delete_session(item["opencodeId"])
    assert (await api.send("POST", f"/api/sessions/{item['id']}/resume", {"fresh": True})).status == 200
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.phase == "idle")
    state = state_of(api, item)
    assert (state.last_outcome, state.queue.paused, [prompt.text for prompt in state.queue.prompts]) == (
        "interrupted",
        True,
        ["later"],
    )
    await api.prompt(item["id"], "go on")
    assert [text for text in await said(api, f"/api/sessions/{item['id']}") if "said" not in text] == [
        "later",
        "go on",
    ]


async def test_a_session_that_rests_or_works_keeps_its_conversation(api: Api) -> None:
    item = await api.session()
    path = f"/api/sessions/{item['id']}/resume"
    (await api.send("POST", path, {"fresh": True})).problem(409, "session_active")
    await begun(api, item["id"], "hang")
    (await api.send("POST", path, {"fresh": True})).problem(409, "session_active")
    assert (await api.send("GET", f"/api/sessions/{item['id']}")).json["opencodeId"] == item["opencodeId"]


async def said(api: Api, path: str) -> list[str]:
    """Return the texts of a session's messages."""
    where, _, query = path.partition("?")
    messages = (await api.send("GET", f"{where}/messages?{query}")).json["messages"]
    return [part["text"] for message in messages for part in message["parts"] if part["type"] == "text"]


async def test_conversation_whose_directory_is_elsewhere_now_follows_at_a_resume(machine: Machine, api: Api) -> None:
    """As in a data directory that was restored to another place."""
    item = await api.session()
    await api.prompt(item["id"], "hello")
    await api.send("DELETE", f"/api/sessions/{item['id']}")
    machine.world.store.sessions[item["opencodeId"]]["directory"] = f"{NOWHERE}/project"
    assert (await api.send("POST", f"/api/sessions/{item['id']}/resume")).status == 200
    assert machine.world.store.sessions[item["opencodeId"]]["directory"] == item["directory"]
    assert (await api.prompt(item["id"], "again"))["outcome"] == "finished"
