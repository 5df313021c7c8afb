"""`Idempotency-Key`: the same request again gives the first answer again, whatever happened in between."""

from typing import Any

import pytest
import trio

from tests.gateway.door import PLAIN, REPOSITORY, Answer, Door, Machine

CREATE = {"directory": REPOSITORY, "title": "Once", "isolationStrategy": "worktree"}


async def test_a_repeated_create_makes_one_session(door: Door) -> None:
    first = await door.knock("POST", "/api/sessions", CREATE, Idempotency_Key="k")
    again = await door.knock("POST", "/api/sessions", CREATE, Idempotency_Key="k")
    assert (again.status, again.json) == (200, first.json)
    assert len((await door.knock("GET", "/api/sessions")).json) == 1
    assert (await door.knock("POST", "/api/sessions", CREATE, Idempotency_Key="l")).json != first.json


async def test_two_at_once_make_one_session(door: Door) -> None:
    answers: list[Answer] = []

    async def create() -> None:
        answers.append(await door.knock("POST", "/api/sessions", CREATE, Idempotency_Key="k"))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(create)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["session"]["id"] for answer in answers}) == 1
    assert len((await door.knock("GET", "/api/sessions")).json) == 1


async def test_a_repeated_restore_brings_nothing_back_again(machine: Machine, door: Door) -> None:
    item = (await door.knock("POST", "/api/sessions", CREATE)).json["session"]
    session, workspace = f"/api/sessions/{item['id']}", f"/api/workspaces/{item['workspaceId']}"
    await door.knock("DELETE", f"{session}?cleanupWorkspace=true")
    assert (await door.knock("POST", f"{workspace}/restore", Idempotency_Key="r")).json["status"] == "ready"
    await door.knock("DELETE", f"{session}?cleanupWorkspace=true")
    assert (await door.knock("POST", f"{workspace}/restore", Idempotency_Key="r")).status == 200
    assert item["directory"] not in machine.files.directories
    assert (await door.knock("POST", f"{workspace}/restore", Idempotency_Key="s")).json["status"] == "ready"
    (await door.knock("POST", f"{session}/resume", Idempotency_Key="s")).problem(422, "idempotency_conflict")


async def test_the_key_outlives_a_restart(machine: Machine) -> None:
    async with machine.fleet() as door:
        first = (await door.knock("POST", "/api/sessions", CREATE, Idempotency_Key="k")).json
        path = f"/api/sessions/{first['session']['id']}"
        assert (await door.knock("POST", f"{path}/prompt", {"text": "Go"}, Idempotency_Key="p")).status == 204
        await door.settled(first["session"]["id"])
    async with machine.fleet() as door:
        again = await door.knock("POST", "/api/sessions", CREATE, Idempotency_Key="k")
        assert (again.status, again.json["session"]["id"]) == (200, first["session"]["id"])
        assert (await door.knock("POST", f"{path}/prompt", {"text": "Go"}, Idempotency_Key="p")).status == 204
        assert (await door.settled(first["session"]["id"]))["turns"] == 1
        other = await door.knock("POST", "/api/sessions", {**CREATE, "title": "Twice"}, Idempotency_Key="k")
        other.problem(422, "idempotency_conflict")
        assert len((await door.knock("GET", "/api/sessions")).json) == 1


async def test_a_create_that_a_shutdown_cut_short_can_be_repeated(machine: Machine) -> None:
    async with machine.fleet() as door, trio.open_nursery() as nursery:
        nursery.start_soon(lambda: door.knock("POST", "/api/sessions", CREATE, Idempotency_Key="k"))
        async with door.tree.feed.subscribe(after=0) as events:
            await anext(aiter(events))
        nursery.cancel_scope.cancel()
    async with machine.fleet() as door:
        again = await door.knock("POST", "/api/sessions", CREATE, Idempotency_Key="k")
        sessions = (await door.knock("GET", "/api/sessions")).json
        assert [session["id"] for session in sessions] == [again.json.get("sessionId") or again.json["session"]["id"]]


@pytest.mark.parametrize(
    ("method", "action", "body", "other"),
    [
        ("POST", "/prompt", {"text": "x"}, {"text": "y"}),
        ("PATCH", "", {"title": "x"}, {"title": "y"}),
    ],
)
async def test_a_key_belongs_to_one_request(
    door: Door, method: str, action: str, body: dict[str, Any], other: dict[str, Any]
) -> None:
    item = await door.session()
    path = f"/api/sessions/{item['id']}{action}"
    first = await door.knock(method, path, body, Idempotency_Key="k")
    head = door.tree.log.head()
    assert (await door.knock(method, path, other, Idempotency_Key="k")).problem(422, "idempotency_conflict")["hint"]
    (await door.knock("POST", "/api/sessions", {"directory": PLAIN}, Idempotency_Key="k")).problem(
        422, "idempotency_conflict"
    )
    assert (await door.knock(method, path, body, Idempotency_Key="k")).status == first.status
    await door.settled(item["id"])
    assert len((await door.knock("GET", "/api/sessions")).json) == 1
    assert door.tree.log.head() >= head


async def test_a_prompt_is_accepted_once(door: Door) -> None:
    item = await door.session()
    for _ in range(3):
        path = f"/api/sessions/{item['id']}/prompt"
        assert (await door.knock("POST", path, {"text": "x"}, Idempotency_Key="k")).status == 204
    assert (await door.settled(item["id"]))["turns"] == 1


async def test_orders_without_a_body_take_a_key(door: Door) -> None:
    item = await door.session(initialPrompt="hang")
    path = f"/api/sessions/{item['id']}"
    await door.tree.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    aborted = await door.knock("POST", f"{path}/abort", Idempotency_Key="a")
    assert aborted.json["outcome"] == "aborted"
    await door.knock("POST", f"{path}/prompt", {"text": "hang"})
    await door.tree.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    assert (await door.knock("POST", f"{path}/abort", Idempotency_Key="a")).status == 200
    assert (await door.knock("GET", path)).json["status"] == "active"
    assert (await door.knock("DELETE", path, Idempotency_Key="d")).json["session"]["status"] == "stopped"
    assert (await door.knock("POST", f"{path}/resume", Idempotency_Key="r")).status == 200
    assert (await door.knock("DELETE", path, Idempotency_Key="d")).status == 200
    assert (await door.knock("GET", path)).json["status"] != "stopped"


@pytest.mark.parametrize("key", ["", "x" * 201])
async def test_keys_have_a_length(door: Door, key: str) -> None:
    problem = (await door.knock("POST", "/api/sessions", CREATE, Idempotency_Key=key)).problem(422, "invalid")
    assert "200" in problem["detail"]
    assert door.tree.log.head() == 0
