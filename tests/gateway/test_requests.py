"""Permission requests and questions: listed wherever a person looks, answered once."""

from typing import Any

import pytest
import trio

from fleet.limits import TURN_SILENCE_S
from tests.gateway.machine import NOWHERE, REPOSITORY, Api, Machine

ONCE = {"reply": "once"}


async def asking(api: Api, word: str = "ask", **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Create a session that asks, and return it with its open request."""
    item = await api.session(initialPrompt=word, **fields)
    await api.fleet.views.sessions.wait(item["id"], lambda s: bool(s.requests))
    (request,) = (await api.send("GET", f"/api/sessions/{item['id']}/requests")).json
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
    api: Api, word: str, kind: str, body: dict[str, Any]
) -> None:
    item, request = await asking(api, word, title="Asker")
    path = f"/api/sessions/{item['id']}"
    assert (request["kind"], request["opencodeId"], request["answered"]) == (kind, item["opencodeId"], False)
    assert request["request"]["id"] == request["id"]
    detail = (await api.send("GET", path)).json
    assert (detail["status"], detail["openRequests"], detail["requests"]) == ("waiting_input", 1, [request])
    assert kind in detail["evidence"]
    listed = await api.send("GET", f"/api/sessions/{item['opencodeId']}/requests")
    assert (listed.json, listed.headers["x-total-count"]) == ([request], "1")
    (waiting,) = (await api.send("GET", "/api/inbox")).json
    assert (waiting["kind"], waiting["sessionId"], waiting["title"], waiting["request"]) == (
        kind,
        item["id"],
        "Asker",
        request,
    )
    assert (await api.send("GET", "/api/fleet/summary")).json["openRequests"] == 1

    answered = await api.send("POST", f"{path}/requests/{request['id']}", body)
    assert (answered.status, answered.body) == (204, b"")
    assert int(answered.headers["fleet-position"]) > 0
    assert (await api.settled(item["id"]))["outcome"] == "finished"
    assert (await api.send("GET", f"{path}/requests")).json == []
    assert (await api.send("GET", "/api/inbox")).json == []
    (await api.send("POST", f"{path}/requests/{request['id']}", body)).problem(409, "request_answered")


@pytest.mark.parametrize("word", ["ask", "question"])
async def test_a_person_may_take_longer_than_a_silent_model(api: Api, word: str) -> None:
    item, request = await asking(api, word)
    await trio.sleep(TURN_SILENCE_S * 2)
    detail = (await api.send("GET", f"/api/sessions/{item['id']}")).json
    assert (detail["status"], detail["requests"]) == ("waiting_input", [request])
    body = ONCE if word == "ask" else {"answers": [["Red"]]}
    assert (await api.send("POST", f"/api/sessions/{item['id']}/requests/{request['id']}", body)).status == 204
    assert (await api.settled(item["id"]))["outcome"] == "finished"


async def test_unknown_request_is_not_found(api: Api) -> None:
    item, request = await asking(api)
    other = await api.session()
    for path in (
        f"/api/sessions/{item['id']}/requests/per_none",
        f"/api/sessions/{other['id']}/requests/{request['id']}",
    ):
        (await api.send("POST", path, ONCE)).problem(404, "request_not_found")
    (await api.send("GET", f"/api/sessions/{NOWHERE}/requests")).problem(404, "session_not_found")
    refused = await api.send("POST", f"/api/sessions/{NOWHERE}/requests/{request['id']}", ONCE)
    refused.problem(404, "session_not_found")


async def test_an_instance_that_the_session_never_had_is_refused(api: Api) -> None:
    item, request = await asking(api)
    path = f"/api/sessions/{item['id']}"
    for method, route, body in (
        ("GET", "/requests", None),
        ("GET", "/queue", None),
        ("GET", "/children", None),
        ("GET", "/diffs", None),
        ("POST", f"/requests/{request['id']}", ONCE),
        ("POST", "/command", {"command": "init"}),
    ):
        refused = await api.send(method, f"{path}{route}?instanceId={NOWHERE}", body)
        refused.problem(404, "instance_not_found")
    for method, route, body in (("GET", "/requests", None), ("POST", f"/requests/{request['id']}", ONCE)):
        answer = await api.send(method, f"{path}{route}?instanceId={item['instanceId']}", body)
        assert answer.status in (200, 204)
    refused = await api.send("POST", f"{path}/requests/{request['id']}?instanceID=x", ONCE)
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
async def test_an_answer_of_the_wrong_kind(api: Api, word: str, body: dict[str, Any], field: str) -> None:
    item, request = await asking(api, word)
    head = api.fleet.log.head()
    path = f"/api/sessions/{item['id']}/requests/{request['id']}"
    assert (await api.send("POST", path, body)).problem(422, "invalid")["field"] == field
    assert api.fleet.log.head() == head


async def test_an_answer_is_given_once(machine: Machine, api: Api) -> None:
    item, request = await asking(api)
    path = f"/api/sessions/{item['id']}/requests/{request['id']}"
    machine.world.hang(item["instanceId"])
    for _ in range(2):
        assert (await api.send("POST", path, ONCE, Idempotency_Key="k")).status == 204
    (await api.send("POST", path, {"reply": "reject"}, Idempotency_Key="k")).problem(422, "idempotency_conflict")
    for body in (ONCE, {"reply": "reject"}):
        problem = (await api.send("POST", path, body)).problem(409, "request_answered")
        assert (problem["answeredBy"], problem["reply"]) == ("local", "once")
    (shown,) = (await api.send("GET", f"/api/sessions/{item['id']}/requests")).json
    assert shown["answered"] is True
    assert (await api.send("GET", "/api/inbox")).json == []
    machine.world.resume(item["instanceId"])
    assert (await api.settled(item["id"]))["outcome"] == "finished"
    assert (await api.send("POST", path, ONCE, Idempotency_Key="k")).status == 204
    answers = [e for e in api.fleet.log.read_stream(f"session-{item['id']}") if e.type == "session.request-answered"]
    assert len(answers) == 1


async def test_an_abort_closes_the_open_request(api: Api) -> None:
    item, request = await asking(api)
    assert (await api.send("POST", f"/api/sessions/{item['id']}/abort")).json["outcome"] == "aborted"
    assert (await api.send("GET", "/api/inbox")).json == []
    path = f"/api/sessions/{item['id']}/requests/{request['id']}"
    (await api.send("POST", path, ONCE)).problem(404, "request_not_found")


async def test_a_request_whose_event_was_missed_is_found(machine: Machine, api: Api) -> None:
    item = await api.session(initialPrompt="bash:4 hang")
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    process = machine.world.process(item["instanceId"])
    streams, process._streams = process._streams, []
    machine.world.nursery.start_soon(process.ask, item["opencodeId"], "permission")
    state = await api.fleet.views.sessions.wait(item["id"], lambda s: bool(s.requests))
    assert state.phase == "waiting_input"
    process._streams = streams


async def test_a_command_is_a_turn(api: Api) -> None:
    item = await api.session()
    path = f"/api/sessions/{item['id']}/command"
    for _ in range(2):
        body = {"command": "init", "arguments": "here", "instanceId": item["instanceId"]}
        answer = await api.send("POST", path, body, Idempotency_Key="c")
        assert (answer.status, answer.body) == (204, b"")
    assert (await api.settled(item["id"]))["turns"] == 1
    assert (await api.send("POST", path, {"command": "init"})).status == 204
    assert (await api.settled(item["id"]))["turns"] == 2
    for body, field in (
        ({}, "command"),
        ({"command": ""}, "command"),
        ({"command": "x" * 201}, "command"),
        ({"command": "init", "arguments": 1}, "arguments"),
        ({"command": "init", "text": "x"}, "text"),
    ):
        assert (await api.send("POST", path, body)).problem(422, "invalid")["field"] == field
    (await api.send("POST", path, {"command": "init", "instanceId": NOWHERE})).problem(404, "instance_not_found")
    (await api.send("POST", f"/api/sessions/{NOWHERE}/command", {"command": "x"})).problem(404, "session_not_found")
    await api.send("DELETE", f"/api/sessions/{item['id']}")
    assert "resume" in (await api.send("POST", path, {"command": "init"})).problem(409, "session_stopped")["hint"]


async def test_always_in_a_shared_directory_is_said_before_and_is_on_record(machine: Machine) -> None:
    async with machine.fleet() as api:
        first, second = await api.session(), await api.session()
        await api.send("POST", f"/api/sessions/{first['id']}/prompt", {"text": "ask"})
        await api.fleet.views.sessions.wait(first["id"], lambda s: bool(s.requests))
        asked = (await api.send("GET", f"/api/sessions/{first['id']}")).json
        assert (asked["sharing"], asked["allowed"]) == ([second["id"]], [])
        (request,) = asked["requests"]
        path = f"/api/sessions/{first['id']}/requests/{request['id']}"
        assert (await api.send("POST", path, {"reply": "always"})).status == 204
        await api.settled(first["id"])
        third = await api.session()
        for session in (first, second, third):
            (allowed,) = (await api.send("GET", f"/api/sessions/{session['id']}")).json["allowed"]
            assert (allowed["sessionId"], allowed["requestId"]) == (first["id"], request["id"])
            assert (allowed["permission"], allowed["patterns"]) == (
                request["request"]["permission"],
                request["request"].get("always") or request["request"]["patterns"],
            )
        page = (await api.send("GET", "/api/log?type=instance.permission-allowed")).json
        assert [event["stream"] for event in page] == [f"instance-{first['instanceId']}"]
        elsewhere = await api.session(REPOSITORY, isolationStrategy="worktree")
        alone = (await api.send("GET", f"/api/sessions/{elsewhere['id']}")).json
        assert (alone["sharing"], alone["allowed"]) == ([], [])
        await api.send("DELETE", f"/api/sessions/{first['id']}")
        detail = (await api.send("GET", f"/api/sessions/{second['id']}")).json
        assert (detail["sharing"], len(detail["allowed"])) == ([third["id"]], 1)
