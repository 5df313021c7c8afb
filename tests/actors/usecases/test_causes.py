"""Every event says who caused it: people by tokens, sessions, processes, policies, and the system for the rest."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import trio

from fleet.gateway.server.guard import Guard
from fleet.limits import IDLE_TIMEOUT_S
from tests.gateway.door import PLAIN, REPOSITORY, Door, Machine
from tests.gateway.test_tokens import Keys, bearer


async def events(door: Door, token: str, stream: str) -> list[dict[str, Any]]:
    """Return the events of a stream, as an auditor reads them."""
    log = (await door.knock("GET", "/api/log?limit=200", **bearer(token))).json
    return [event for event in log if event["stream"] == stream]


async def test_events_name_their_actor_and_cause(machine: Machine, tmp_path: Path) -> None:
    keys = Keys(tmp_path, machine)
    ann, ben = keys.new("ann"), keys.new("ben")
    async with machine.fleet() as running:
        door = Door(running.fleet, Guard(machine.clock, keys.file))
        made = await door.knock("POST", "/api/sessions", {"directory": PLAIN}, **bearer(ann))
        parent = made.json["session"]["id"]
        body = {"directory": REPOSITORY, "onComplete": {"notifySessionId": parent}, "initialPrompt": "Work"}
        child = (await door.knock("POST", "/api/sessions", body, **bearer(ben))).json["session"]["id"]
        await door.fleet.views.sessions.wait(parent, lambda s: s.turns > 0 and s.turn is None)
        await door.knock("PATCH", f"/api/sessions/{child}", {"title": "Done"}, **bearer(ann))
        await trio.sleep(2 * IDLE_TIMEOUT_S)
        await door.knock("DELETE", f"/api/sessions/{child}", **bearer(ben))

        of_child, of_parent = await events(door, ann, f"session-{child}"), await events(door, ann, f"session-{parent}")
        by = {event["type"]: event["actor"] for event in of_child}
        assert by["session.created"] == "token:ben"
        assert by["session.edited"] == "token:ann"
        assert by["session.completed"] == "policy:idle"
        assert by["session.stop-requested"] == "token:ben"
        accepted = next(event for event in of_parent if event["type"] == "session.prompt-accepted")
        assert accepted["actor"] == f"session:{child}"
        everything = (await door.knock("GET", "/api/log?limit=200", **bearer(ann))).json
        for event in everything:
            who, _, which = event["actor"].partition(":")
            assert who in ("token", "session", "instance", "policy", "system"), event
            assert bool(which) == (who != "system"), event
            if who == "system":  # and it can be followed to somebody
                assert event["causationId"].startswith("@"), event


async def test_without_tokens_it_is_this_machines_user(door: Door) -> None:
    await door.session()
    (first, *_) = (await door.knock("GET", "/api/log")).json
    assert first["actor"] == "local"


async def test_a_change_of_a_workspace_names_the_session_that_asked_for_it(machine: Machine, door: Door) -> None:
    asker, item = await door.session(), await door.session(REPOSITORY, isolationStrategy="worktree")
    path, moved = f"/api/workspaces/{item['workspaceId']}", "/home/user/moved"
    machine.files.repositories[moved] = replace(machine.files.repositories.pop(REPOSITORY), top=moved)
    machine.files.directories ^= {REPOSITORY, moved}
    for body in ({"title": "The login"}, {"sourceDirectory": moved}):
        assert (await door.knock("PATCH", path, body, Fleet_Session=asker["id"])).status == 200
    log = (await door.knock("GET", "/api/log?limit=200&type=workspace.edited,workspace.rebound")).json
    assert [event["causationId"] for event in log] == [f"session:{asker['id']}"] * 2
