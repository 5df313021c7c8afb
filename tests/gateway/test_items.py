"""What an item of a session says: what it works on, with which model, how far that is, and what it does now."""

from typing import Any

import msgspec
import pytest
import trio

from fleet.ports import Part, PartDelta
from tests.gateway.machine import PLAIN, REPOSITORY, Api, Machine


async def shown(api: Api, session_id: str) -> dict[str, Any]:
    """Return the session's item, the same wherever it is shown."""
    await trio.sleep(1)  # what is asked of OpenCode is known by then
    (listed,) = [item for item in (await api.send("GET", "/api/sessions")).json if item["id"] == session_id]
    detail = (await api.send("GET", f"/api/sessions/{session_id}")).json
    assert {name: detail[name] for name in listed} == listed
    return dict(listed)


async def busy(api: Api, text: str, **fields: Any) -> str:
    """Return the id of a session whose turn runs."""
    item = await api.session(initialPrompt=text, **fields)
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    return str(item["id"])


async def test_a_new_session_has_done_nothing_yet(api: Api) -> None:
    model = {"providerID": "scripted", "modelID": "one"}
    made = await api.session(REPOSITORY, isolationStrategy="worktree", agent="build", model=model)
    item = await shown(api, made["id"])
    assert (item["agent"], item["model"], item["repository"]) == ("build", model, REPOSITORY)
    nothing = ("contextTokens", "contextLimit", "lastTurn", "queuePaused", "activity")
    assert {name: item[name] for name in nothing} == dict.fromkeys(nothing)
    assert (item["runningMs"], item["rehearsal"]) == (0, False)
    assert (await shown(api, (await api.session(PLAIN))["id"]))["repository"] is None


async def test_a_turn_says_when_it_began_how_it_ended_and_what_the_context_holds(api: Api) -> None:
    session_id = await busy(api, "bash:10")
    item = await shown(api, session_id)
    assert item["lastTurn"] == {**item["lastTurn"], "number": 1, "endedAt": None, "outcome": None}
    await api.settled(session_id)
    item = await shown(api, session_id)
    turn = item["lastTurn"]
    assert (turn["number"], turn["outcome"]) == (1, "finished")
    assert turn["startedAt"] < turn["endedAt"]
    assert item["runningMs"] >= 10_000
    assert (item["contextTokens"], item["contextLimit"]) == (130, 200_000)


async def test_the_limit_of_a_model_is_asked_once_its_process_answers(machine: Machine) -> None:
    async with machine.fleet() as api:
        item = await api.session()
        await api.prompt(item["id"], "Hello")
    async with machine.fleet() as api:
        assert (await shown(api, item["id"]))["contextLimit"] is None
        await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "Again", "resume": True})
        await api.fleet.views.sessions.wait(item["id"], lambda s: s.turns == 2 and s.turn is None)
        assert (await shown(api, item["id"]))["contextLimit"] == 200_000


async def test_what_it_does_is_the_part_in_flight_and_then_the_last_line(api: Api) -> None:
    session_id = await busy(api, "bash:20 please")
    activity = (await shown(api, session_id))["activity"]
    assert (activity["kind"], activity["tool"]) == ("tool", "bash")
    await api.settled(session_id)
    activity = (await shown(api, session_id))["activity"]
    assert (activity["kind"], activity["text"]) == ("text", "You said: bash:20 please")


async def test_a_text_is_shown_line_by_line_as_it_is_written(api: Api) -> None:
    session_id = await busy(api, "hang")
    state = api.fleet.views.sessions.get(session_id)
    assert state is not None
    assert (await shown(api, session_id))["activity"]["kind"] == "prompt"
    body = msgspec.json.encode({"id": "p", "type": "reasoning", "text": "", "time": {"start": 1}})
    api.fleet.inflight.part(
        session_id, Part("p", state.opencode.session_id, "m", "reasoning", finished=False, raw=body, text="")
    )
    assert (await shown(api, session_id))["activity"]["kind"] == "prompt"
    for piece, line in (("Hm, ", "Hm,"), ("well", "Hm, well"), ("\n", "Hm, well"), ("So", "So")):
        api.fleet.inflight.delta(session_id, PartDelta(state.opencode.session_id, "m", "p", "text", piece))
        activity = (await shown(api, session_id))["activity"]
        assert (activity["kind"], activity["text"], activity["tool"]) == ("reasoning", line, None)
    await api.send("POST", f"/api/sessions/{session_id}/abort")
    assert (await shown(api, session_id))["activity"]["kind"] == "prompt"


@pytest.mark.parametrize(("word", "text", "tool"), [("ask", "*", "bash"), ("question", "?", None)])
async def test_a_request_is_what_it_waits_for(api: Api, word: str, text: str, tool: str | None) -> None:
    session_id = await busy(api, word)
    await api.fleet.views.sessions.wait(session_id, lambda s: bool(s.requests))
    activity = (await shown(api, session_id))["activity"]
    assert (activity["kind"], activity["text"], activity["tool"]) == ("request", text, tool)


async def test_a_prompt_that_waits_for_its_session_is_shown(api: Api) -> None:
    item = await api.session(initialPrompt="First\nline")
    activity = (await api.send("GET", f"/api/sessions/{item['id']}")).json["activity"]
    assert (activity["kind"], activity["text"]) == ("prompt", "First line")


@pytest.mark.parametrize("killed", [False, True])
async def test_the_last_line_survives_a_restart(machine: Machine, killed: bool) -> None:
    async with machine.fleet(killed=killed) as api:
        item = await api.session()
        await api.prompt(item["id"], "Remember")
        before = (await shown(api, item["id"]))["activity"]
    async with machine.fleet() as api:
        assert (await shown(api, item["id"]))["activity"] == before
    machine.views = type(machine.views)()  # folded from the log again
    async with machine.fleet() as api:
        assert (await shown(api, item["id"]))["activity"] == before


async def test_an_earlier_moment_shows_what_was_then(api: Api) -> None:
    item = await api.session()
    await api.prompt(item["id"], "One")
    position = api.fleet.log.head()
    await busy(api, "hang")
    await api.prompt(item["id"], "Two")
    then = (await api.send("GET", f"/api/sessions/{item['id']}?at={position}")).json
    assert (then["activity"]["text"], then["lastTurn"]["number"]) == ("You said: One", 1)


async def test_an_item_says_why_prompts_wait(api: Api) -> None:
    session_id = await busy(api, "hang")
    await api.send("POST", f"/api/sessions/{session_id}/prompt", {"text": "Later"})
    assert (await shown(api, session_id))["queuePaused"] is None
    await api.send("POST", f"/api/sessions/{session_id}/abort")
    item = await shown(api, session_id)
    assert (item["queued"], item["queuePaused"]) == (1, "the last turn was aborted: a further prompt starts them")


@pytest.mark.parametrize(
    "path",
    [
        "/sessions",
        "/sessions/history",
        "/sessions/{id}/children",
        "/sessions/{id}/queue",
        "/sessions/{id}/requests",
        "/sessions/{id}/todos",
        "/sessions/{id}/diffs",
        "/sessions/{id}/turns",
        "/sessions/{id}/conversations",
        "/inbox",
        "/callbacks",
        "/notifications",
        "/instances",
        "/instances/orphans",
        "/instances/{instance}/agents",
        "/instances/{instance}/commands",
        "/instances/{instance}/models",
        "/instances/{instance}/find/files?query=a",
        "/workspaces",
        "/webhooks",
        "/workspace-roots",
        "/log",
        "/directories",
    ],
)
async def test_every_list_says_as_of_which_position(api: Api, path: str) -> None:
    item = await api.session()
    before = api.fleet.log.head()
    answer = await api.send("GET", "/api" + path.format(id=item["id"], instance=item["instanceId"]))
    assert answer.status == 200
    assert before <= int(answer.headers["fleet-position"]) <= api.fleet.log.head()  # Fleet itself records meanwhile
