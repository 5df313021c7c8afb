"""Requests have names, and what follows from one is found by it: in answers, in log lines, in events."""

from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from tests.gateway.machine import PLAIN, Api, Machine
from tests.gateway.sockets import connected
from tests.gateway.test_webhooks import URL, delivered, registered_id

MERGE = [structlog.contextvars.merge_contextvars]


async def correlations(api: Api, after: int = 0) -> dict[str, set[str | None]]:
    events = (await api.send("GET", f"/api/log?after={after}&limit=200")).json
    found: dict[str, set[str | None]] = {}
    for event in events:
        found.setdefault(event["type"], set()).add(event["correlationId"])
    return found


async def test_request_keeps_the_id_that_the_caller_gives(api: Api) -> None:
    answer = await api.send("GET", "/api/sessions", X_Request_Id="my-request.1")
    assert answer.headers["x-request-id"] == "my-request.1"
    refused = await api.send("GET", "/api/sessions/none", X_Request_Id="r2")
    assert (refused.status, refused.headers["x-request-id"]) == (404, "r2")


@pytest.mark.parametrize("given", ["", "two words", "x" * 101, "naïve", "a,b"])
async def test_invalid_request_id_is_replaced(api: Api, given: str) -> None:
    first = (await api.send("GET", "/api/sessions", X_Request_Id=given)).headers["x-request-id"]
    second = (await api.send("GET", "/api/sessions")).headers["x-request-id"]
    assert given != first != second
    assert len(first) == len(second) == 36


async def test_every_event_that_a_request_causes_has_its_id(api: Api) -> None:
    await api.send("POST", "/api/sessions", {"directory": PLAIN}, X_Request_Id="make")
    made = await correlations(api)
    assert {"session.created", "workspace.ready", "instance.ready", "instance.session-attached"} < made.keys()
    assert set[str | None]().union(*made.values()) == {"make"}, made
    head = api.fleet.log.head()
    session_id = (await api.send("GET", "/api/sessions")).json[0]["id"]
    await api.send("POST", f"/api/sessions/{session_id}/prompt", {"text": "bash"}, X_Request_Id="ask")
    await api.settled(session_id)
    asked = await correlations(api, head)
    assert {"session.prompt-accepted", "session.part-recorded", "session.turn-ended"} < asked.keys()
    assert set[str | None]().union(*asked.values()) == {"ask"}, asked


async def test_a_webhook_message_belongs_to_the_session_that_it_reports(machine: Machine, api: Api) -> None:
    item = await api.session()
    webhook_id = await registered_id(api)
    await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "hello"}, X_Request_Id="ask")
    await machine.sender.received(1)
    await delivered(api, webhook_id)
    log = (await api.send("GET", "/api/log?limit=200")).json
    sent = [event for event in log if event["type"].startswith("webhook.deliver")]
    assert [event["correlationId"] for event in sent] == ["ask", "ask"]
    told = log[int(sent[0]["causationId"].removeprefix("@")) - 1]
    assert told["type"] == "session.turn-ended"


async def test_a_message_that_is_tried_again_after_a_restart_is_what_it_was(machine: Machine) -> None:
    machine.sender.script[URL] = ["absent"]
    async with machine.fleet(killed=True) as api:
        item = await api.session()
        webhook_id = await registered_id(api)
        await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "hello"}, X_Request_Id="ask")
        await api.fleet.views.webhooks.wait(webhook_id, lambda s: bool(s.open) and s.open[0].attempts == 2)
    machine.sender.script[URL] = [200]
    async with machine.fleet() as api:
        await delivered(api, webhook_id)
        log = (await api.send("GET", "/api/log?limit=200")).json
        made = next(event for event in log if event["type"] == "webhook.delivery-succeeded")
        assert made["correlationId"] == "ask"
        assert log[int(made["causationId"].removeprefix("@")) - 1]["type"] == "webhook.delivery-ordered"


async def test_effects_after_a_restart_have_the_id_of_their_request(machine: Machine) -> None:
    """What is left undone then is done because of what ordered it, and not because of what happened last."""
    async with machine.fleet() as api:
        parent = await api.session()
        order = {"directory": PLAIN, "onComplete": {"notifySessionId": parent["id"]}}
        child = (await api.send("POST", "/api/sessions", order)).json["session"]["id"]
        await api.send("DELETE", f"/api/sessions/{parent['id']}")
        await api.send("POST", f"/api/sessions/{child}/prompt", {"text": "one"}, X_Request_Id="prompted")
        await api.fleet.views.sessions.wait(child, lambda s: any(c.status == "undelivered" for c in s.callbacks.sent))
        await api.send("PATCH", f"/api/sessions/{child}", {"title": "Another"}, X_Request_Id="later")
    async with machine.fleet() as api:
        await api.send("POST", f"/api/sessions/{parent['id']}/resume")
        await api.fleet.views.sessions.wait(parent["id"], lambda s: s.turns > 0)
        log = (await api.send("GET", "/api/log?limit=200")).json
        (told,) = (event for event in log if event["type"] == "session.prompt-accepted" and child in event["actor"])
        assert told["correlationId"] == "prompted"
        ordered = log[int(told["causationId"].removeprefix("@")) - 1]
        assert (ordered["type"], ordered["stream"]) == ("session.callback-ordered", f"session-{child}")


async def test_each_command_of_a_websocket_has_a_name_of_its_own(api: Api) -> None:
    """The handshake may have had one: it is not theirs."""
    async with api.listen() as port, connected(port, [(b"X-Request-Id", b"handshake")]) as client:
        for _ in range(2):
            assert (await client.command("POST", "/api/sessions", {"directory": PLAIN}))["type"] == "reply"
    named = (await correlations(api))["session.created"]
    assert len(named) == 2
    assert not named & {None, "handshake"}


async def test_log_lines_of_a_request_and_its_effects_have_its_id(machine: Machine, api: Api) -> None:
    machine.sender.script["https://hooks.example/x"] = [500]
    with capture_logs(MERGE) as lines:
        await api.send("POST", "/api/webhooks", {"url": "https://hooks.example/x"}, X_Request_Id="make")
        webhook_id = (await api.send("GET", "/api/webhooks", X_Request_Id="look")).json[0]["id"]
        await api.send("POST", f"/api/webhooks/{webhook_id}/test?", X_Request_Id="try")
    effect = _only(lines, "webhook_not_delivered")
    assert (effect["request_id"], effect["stream"]) == ("try", f"webhook-{webhook_id}")
    assert effect["causation_id"].startswith("@")
    requests = {line["request_id"]: line for line in lines if line["event"] == "request"}
    assert {name: line["log_level"] for name, line in requests.items()} == {
        "make": "info",
        "look": "debug",
        "try": "info",
    }
    assert (requests["make"]["method"], requests["make"]["path"], requests["make"]["status"]) == (
        "POST",
        "/api/webhooks",
        200,
    )
    assert requests["make"]["took_ms"] >= 0


async def test_an_actor_does_not_keep_the_name_of_who_brought_it_up(api: Api) -> None:
    """What it does later belongs to another caller."""
    with capture_logs(MERGE) as lines:
        await api.send("POST", "/api/sessions", {"directory": PLAIN}, X_Request_Id="make")
        session_id = (await api.send("GET", "/api/sessions")).json[0]["id"]
        actor = api.fleet.context.actors.sessions._entries[session_id].resident  # pyright: ignore[reportPrivateUsage] - to spoil it
        actor._decide = _broken  # type: ignore[attr-defined]  # a bug in the core
        await api.send("POST", f"/api/sessions/{session_id}/prompt", {"text": "x"}, X_Request_Id="break")
    crash = _only(lines, "child_crashed")
    assert "request_id" not in crash
    notes = [note for error in _flat(crash["exc_info"]) for note in getattr(error, "__notes__", ())]
    assert any("SubmitPrompt" in note and "correlation_id='break'" in note for note in notes)


def _broken(*_: object) -> None:
    raise RuntimeError("a bug")


def _flat(error: BaseException) -> list[BaseException]:
    inner: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    return [error, *(each for group in inner for each in _flat(group))]


def _only(lines: Any, event: str) -> dict[str, Any]:
    (found,) = [line for line in lines if line["event"] == event]
    line: dict[str, Any] = found
    return line
