"""Every event says who caused it: people by tokens, sessions, processes, policies, and the system for the rest."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import trio

from fleet.gateway.server.guard import Guard
from fleet.limits import IDLE_TIMEOUT_S
from tests.gateway.keys import Keys, bearer
from tests.gateway.machine import PLAIN, REPOSITORY, Api, Machine


async def events(api: Api, token: str, stream: str) -> list[dict[str, Any]]:
    """Return the events of a stream, as an auditor reads them."""
    log = (await api.send("GET", "/api/log?limit=200", **bearer(token))).json
    return [event for event in log if event["stream"] == stream]


async def test_events_name_their_actor_and_cause(machine: Machine, tmp_path: Path) -> None:
    keys = Keys(tmp_path, machine)
    ann, ben = keys.new("ann"), keys.new("ben")
    async with machine.fleet() as running:
        api = Api(running.fleet, Guard(machine.clock, keys.file))
        made = await api.send("POST", "/api/sessions", {"directory": PLAIN}, **bearer(ann))
        parent = made.json["session"]["id"]
        body = {"directory": REPOSITORY, "onComplete": {"notifySessionId": parent}, "initialPrompt": "Work"}
        child = (await api.send("POST", "/api/sessions", body, **bearer(ben))).json["session"]["id"]
        await api.fleet.views.sessions.wait(parent, lambda s: s.turns > 0 and s.turn is None)
        await api.send("PATCH", f"/api/sessions/{child}", {"title": "Done"}, **bearer(ann))
        await trio.sleep(2 * IDLE_TIMEOUT_S)
        await api.send("DELETE", f"/api/sessions/{child}", **bearer(ben))

        of_child, of_parent = await events(api, ann, f"session-{child}"), await events(api, ann, f"session-{parent}")
        by = {event["type"]: event["actor"] for event in of_child}
        assert by["session.created"] == "token:ben"
        assert by["session.edited"] == "token:ann"
        assert by["session.completed"] == "policy:idle"
        assert by["session.stop-requested"] == "token:ben"
        accepted = next(event for event in of_parent if event["type"] == "session.prompt-accepted")
        assert accepted["actor"] == f"session:{child}"
        everything = (await api.send("GET", "/api/log?limit=200", **bearer(ann))).json
        for event in everything:
            who, _, which = event["actor"].partition(":")
            assert who in ("token", "session", "instance", "policy", "system"), event
            assert bool(which) == (who != "system"), event
            if who == "system":  # and it can be followed to a person
                assert event["causationId"].startswith("@"), event


OF_ALL_TURNS = {"session.turn-started", "session.prompt-delivered", "session.message-recorded", "session.part-recorded"}


async def test_every_event_of_a_turn_leads_to_the_person_who_prompted_it(machine: Machine, tmp_path: Path) -> None:
    """Carol's prompt waits while Alice's turn runs and Bob aborts that; a restart changes nothing."""
    keys = Keys(tmp_path, machine)
    tokens = {name: keys.new(name) for name in ("alice", "bob", "carol")}

    async def order(api: Api, name: str, path: str, body: dict[str, Any], request: str) -> Any:
        return await api.send("POST", path, body, **bearer(tokens[name]), X_Request_ID=request)

    async with machine.fleet(killed=True) as running:
        api = Api(running.fleet, Guard(machine.clock, keys.file))
        body = {"directory": PLAIN, "initialPrompt": "bash:600"}
        made = await order(api, "alice", "/api/sessions", body, "r-alice")
        session_id = made.json["session"]["id"]
        path = f"/api/sessions/{session_id}"
        await api.fleet.views.sessions.wait(session_id, lambda s: s.turn is not None and s.turn.delivered)
        assert (await order(api, "carol", f"{path}/prompt", {"text": "ask"}, "r-carol")).status == 204
    async with machine.fleet() as running:
        api = Api(running.fleet, Guard(machine.clock, keys.file))
        await api.fleet.views.sessions.wait(session_id, lambda s: s.opencode.instance_id is not None)
        assert (await order(api, "bob", f"{path}/abort", {}, "r-bob")).status in (200, 204)
        await api.fleet.views.sessions.wait(session_id, lambda s: s.turn is None)
        assert (await order(api, "bob", f"{path}/prompt", {"text": "Go on"}, "r-on")).status == 204
        asking = await api.fleet.views.sessions.wait(session_id, lambda s: bool(s.requests))
        answer = f"{path}/requests/{asking.requests[0].id}"
        assert (await order(api, "alice", answer, {"reply": "once"}, "r-answer")).status == 204
        await api.fleet.views.sessions.wait(session_id, lambda s: s.turns == 3 and s.turn is None)
        log = await events(api, tokens["alice"], f"session-{session_id}")

    by_position = {f"@{event['position']}": event for event in log}
    number, seen = 0, dict[int, set[str]]()
    for event in log:
        way = [event]
        while (cause := by_position.get(way[-1]["causationId"] or "")) is not None:
            way.append(cause)
        number += event["type"] == "session.turn-started"
        if event["type"] == "session.turn-ended" and number == 1:
            assert (event["actor"], event["correlationId"]) == ("token:bob", "r-bob")
            assert [each["type"] for each in way] == ["session.turn-ended", "session.abort-requested"]
        elif event["type"] in {*OF_ALL_TURNS, "session.turn-ended", "session.request-opened"}:
            person, request = {1: ("alice", "r-alice"), 2: ("carol", "r-carol"), 3: ("bob", "r-on")}[number]
            end = (way[-1]["type"], way[-1]["actor"], event["correlationId"])
            assert end == ("session.prompt-accepted", f"token:{person}", request), way
            seen.setdefault(number, set()).add(event["type"])
    assert all(seen[each] >= OF_ALL_TURNS for each in (1, 2, 3))
    assert "session.request-opened" in seen[2]


async def test_without_tokens_it_is_this_machines_user(api: Api) -> None:
    await api.session()
    (first, *_) = (await api.send("GET", "/api/log")).json
    assert first["actor"] == "local"


async def test_a_change_of_a_workspace_names_the_session_that_asked_for_it(machine: Machine, api: Api) -> None:
    asker, item = await api.session(), await api.session(REPOSITORY, isolationStrategy="worktree")
    path, moved = f"/api/workspaces/{item['workspaceId']}", "/home/user/moved"
    machine.files.repositories[moved] = replace(machine.files.repositories.pop(REPOSITORY), top=moved)
    machine.files.directories ^= {REPOSITORY, moved}
    for body in ({"title": "The login"}, {"sourceDirectory": moved}):
        assert (await api.send("PATCH", path, body, Fleet_Session=asker["id"])).status == 200
    log = (await api.send("GET", "/api/log?limit=200&type=workspace.edited,workspace.rebound")).json
    assert [event["causationId"] for event in log] == [f"session:{asker['id']}"] * 2
