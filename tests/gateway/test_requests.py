"""Permission requests and questions: listed wherever a person looks, answered once."""

from typing import Any

import pytest
import trio

from fleet.limits import TURN_SILENCE_S
from tests.gateway.door import NOWHERE, REPOSITORY, Door, Machine

ONCE = {"reply": "once"}


async def asking(door: Door, word: str = "ask", **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Create a session that asks, and return it with its open request."""
    item = await door.session(initialPrompt=word, **fields)
    await door.fleet.views.sessions.wait(item["id"], lambda s: bool(s.requests))
    (request,) = (await door.knock("GET", f"/api/sessions/{item['id']}/requests")).json
    return item, request


@pytest.mark.parametrize(
    ("word", "kind", "body"),
    [
        ("ask", "permission", ONCE),
        ("ask", "permission", {"reply": "always"}),
        ("ask", "permission", {"reply": "reject", "message": "Not there"}),
        ("question", "question", {"answers": [["Red"]]}),
        ("question", "question", {"answers": [[""]]}),
        ("question", "question", {"reply": "reject"}),
    ],
)
async def test_a_request_is_listed_everywhere_until_it_is_answered(
    door: Door, word: str, kind: str, body: dict[str, Any]
) -> None:
    item, request = await asking(door, word, title="Asker")
    path = f"/api/sessions/{item['id']}"
    assert (request["kind"], request["opencodeId"], request["answered"]) == (kind, item["opencodeId"], False)
    assert request["request"]["id"] == request["id"]
    detail = (await door.knock("GET", path)).json
    assert (detail["status"], detail["openRequests"], detail["requests"]) == ("waiting_input", 1, [request])
    assert kind in detail["evidence"]
    listed = await door.knock("GET", f"/api/sessions/{item['opencodeId']}/requests")
    assert (listed.json, listed.headers["x-total-count"]) == ([request], "1")
    (waiting,) = (await door.knock("GET", "/api/inbox")).json
    assert (waiting["kind"], waiting["sessionId"], waiting["title"], waiting["request"]) == (
        kind,
        item["id"],
        "Asker",
        request,
    )
    assert (await door.knock("GET", "/api/fleet/summary")).json["openRequests"] == 1

    answered = await door.knock("POST", f"{path}/requests/{request['id']}", body)
    assert (answered.status, answered.body) == (204, b"")
    assert int(answered.headers["fleet-position"]) > 0
    assert (await door.settled(item["id"]))["outcome"] == "finished"
    assert (await door.knock("GET", f"{path}/requests")).json == []
    assert (await door.knock("GET", "/api/inbox")).json == []
    (await door.knock("POST", f"{path}/requests/{request['id']}", body)).problem(409, "request_answered")


@pytest.mark.parametrize("word", ["ask", "question"])
async def test_a_person_may_take_longer_than_a_silent_model(door: Door, word: str) -> None:
    item, request = await asking(door, word)
    await trio.sleep(TURN_SILENCE_S * 2)
    detail = (await door.knock("GET", f"/api/sessions/{item['id']}")).json
    assert (detail["status"], detail["requests"]) == ("waiting_input", [request])
    body = ONCE if word == "ask" else {"answers": [["Red"]]}
    assert (await door.knock("POST", f"/api/sessions/{item['id']}/requests/{request['id']}", body)).status == 204
    assert (await door.settled(item["id"]))["outcome"] == "finished"


async def test_unknown_request_is_not_found(door: Door) -> None:
    item, request = await asking(door)
    other = await door.session()
    for path in (
        f"/api/sessions/{item['id']}/requests/per_none",
        f"/api/sessions/{other['id']}/requests/{request['id']}",
    ):
        (await door.knock("POST", path, ONCE)).problem(404, "request_not_found")
    (await door.knock("GET", f"/api/sessions/{NOWHERE}/requests")).problem(404, "session_not_found")
    refused = await door.knock("POST", f"/api/sessions/{NOWHERE}/requests/{request['id']}", ONCE)
    refused.problem(404, "session_not_found")


async def test_an_instance_that_the_session_never_had_is_refused(door: Door) -> None:
    item, request = await asking(door)
    path = f"/api/sessions/{item['id']}"
    for method, route, body in (
        ("GET", "/requests", None),
        ("GET", "/queue", None),
        ("GET", "/children", None),
        ("GET", "/diffs", None),
        ("POST", f"/requests/{request['id']}", ONCE),
        ("POST", "/command", {"command": "init"}),
    ):
        refused = await door.knock(method, f"{path}{route}?instanceId={NOWHERE}", body)
        refused.problem(404, "instance_not_found")
    for method, route, body in (("GET", "/requests", None), ("POST", f"/requests/{request['id']}", ONCE)):
        answer = await door.knock(method, f"{path}{route}?instanceId={item['instanceId']}", body)
        assert answer.status in (200, 204)
    refused = await door.knock("POST", f"{path}/requests/{request['id']}?instanceID=x", ONCE)
    assert refused.problem(422, "invalid")["field"] == "instanceID"


@pytest.mark.parametrize(
    ("word", "body", "field"),
    [
        ("ask", {}, "reply"),
        ("ask", {"answers": [["Red"]]}, "reply"),
        ("ask", {"reply": "once", "answers": [["Red"]]}, "reply"),
        ("ask", {"reply": "never"}, "reply"),
        ("ask", {"reply": "once", "remember": True}, "remember"),
        ("question", {}, "answers"),
        ("question", {"reply": "once"}, "answers"),
        ("question", {"reply": "reject", "answers": [["Red"]]}, "answers"),
        ("question", {"answers": ["Red"]}, "answers[0]"),
        ("question", {"answers": "Red"}, "answers"),
    ],
)
async def test_an_answer_of_the_wrong_kind(door: Door, word: str, body: dict[str, Any], field: str) -> None:
    item, request = await asking(door, word)
    head = door.fleet.log.head()
    path = f"/api/sessions/{item['id']}/requests/{request['id']}"
    assert (await door.knock("POST", path, body)).problem(422, "invalid")["field"] == field
    assert door.fleet.log.head() == head


async def test_an_answer_is_given_once(machine: Machine, door: Door) -> None:
    item, request = await asking(door)
    path = f"/api/sessions/{item['id']}/requests/{request['id']}"
    machine.world.hang(item["instanceId"])
    for _ in range(2):
        assert (await door.knock("POST", path, ONCE, Idempotency_Key="k")).status == 204
    (await door.knock("POST", path, {"reply": "reject"}, Idempotency_Key="k")).problem(422, "idempotency_conflict")
    for body in (ONCE, {"reply": "reject"}):
        problem = (await door.knock("POST", path, body)).problem(409, "request_answered")
        assert (problem["answeredBy"], problem["reply"]) == ("local", "once")
    (shown,) = (await door.knock("GET", f"/api/sessions/{item['id']}/requests")).json
    assert shown["answered"] is True
    assert (await door.knock("GET", "/api/inbox")).json == []
    machine.world.resume(item["instanceId"])
    assert (await door.settled(item["id"]))["outcome"] == "finished"
    assert (await door.knock("POST", path, ONCE, Idempotency_Key="k")).status == 204
    answers = [e for e in door.fleet.log.read_stream(f"session-{item['id']}") if e.type == "session.request-answered"]
    assert len(answers) == 1


async def test_an_abort_closes_the_open_request(door: Door) -> None:
    item, request = await asking(door)
    assert (await door.knock("POST", f"/api/sessions/{item['id']}/abort")).json["outcome"] == "aborted"
    assert (await door.knock("GET", "/api/inbox")).json == []
    path = f"/api/sessions/{item['id']}/requests/{request['id']}"
    (await door.knock("POST", path, ONCE)).problem(404, "request_not_found")


async def test_a_request_whose_event_was_missed_is_found(machine: Machine, door: Door) -> None:
    item = await door.session(initialPrompt="bash:4 hang")
    await door.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    process = machine.world.process(item["instanceId"])
    streams, process._streams = process._streams, []
    machine.world.nursery.start_soon(process.ask, item["opencodeId"], "permission")
    state = await door.fleet.views.sessions.wait(item["id"], lambda s: bool(s.requests))
    assert state.phase == "waiting_input"
    process._streams = streams


async def test_a_command_is_a_turn(door: Door) -> None:
    item = await door.session()
    path = f"/api/sessions/{item['id']}/command"
    for _ in range(2):
        body = {"command": "init", "arguments": "here", "instanceId": item["instanceId"]}
        answer = await door.knock("POST", path, body, Idempotency_Key="c")
        assert (answer.status, answer.body) == (204, b"")
    assert (await door.settled(item["id"]))["turns"] == 1
    assert (await door.knock("POST", path, {"command": "init"})).status == 204
    assert (await door.settled(item["id"]))["turns"] == 2
    for body, field in (
        ({}, "command"),
        ({"command": ""}, "command"),
        ({"command": "x" * 201}, "command"),
        ({"command": "init", "arguments": 1}, "arguments"),
        ({"command": "init", "text": "x"}, "text"),
    ):
        assert (await door.knock("POST", path, body)).problem(422, "invalid")["field"] == field
    (await door.knock("POST", path, {"command": "init", "instanceId": NOWHERE})).problem(404, "instance_not_found")
    (await door.knock("POST", f"/api/sessions/{NOWHERE}/command", {"command": "x"})).problem(404, "session_not_found")
    await door.knock("DELETE", f"/api/sessions/{item['id']}")
    assert "resume" in (await door.knock("POST", path, {"command": "init"})).problem(409, "session_stopped")["hint"]


async def test_always_in_a_shared_directory_is_said_before_and_is_on_record(machine: Machine) -> None:
    async with machine.fleet() as door:
        first, second = await door.session(), await door.session()
        await door.knock("POST", f"/api/sessions/{first['id']}/prompt", {"text": "ask"})
        await door.fleet.views.sessions.wait(first["id"], lambda s: bool(s.requests))
        asked = (await door.knock("GET", f"/api/sessions/{first['id']}")).json
        assert (asked["sharing"], asked["allowed"]) == ([second["id"]], [])
        (request,) = asked["requests"]
        path = f"/api/sessions/{first['id']}/requests/{request['id']}"
        assert (await door.knock("POST", path, {"reply": "always"})).status == 204
        await door.settled(first["id"])
        third = await door.session()
        for session in (first, second, third):
            (allowed,) = (await door.knock("GET", f"/api/sessions/{session['id']}")).json["allowed"]
            assert (allowed["sessionId"], allowed["requestId"]) == (first["id"], request["id"])
            assert (allowed["permission"], allowed["patterns"]) == (
                request["request"]["permission"],
                request["request"].get("always") or request["request"]["patterns"],
            )
        page = (await door.knock("GET", "/api/log?type=instance.permission-allowed")).json
        assert [event["stream"] for event in page] == [f"instance-{first['instanceId']}"]
        elsewhere = await door.session(REPOSITORY, isolationStrategy="worktree")
        alone = (await door.knock("GET", f"/api/sessions/{elsewhere['id']}")).json
        assert (alone["sharing"], alone["allowed"]) == ([], [])
        await door.knock("DELETE", f"/api/sessions/{first['id']}")
        detail = (await door.knock("GET", f"/api/sessions/{second['id']}")).json
        assert (detail["sharing"], len(detail["allowed"])) == ([third["id"]], 1)
