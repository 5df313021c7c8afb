"""Reading OpenCode's JSON: what matters is found, what is new is passed by."""

import json

import pytest

from fleet.adapters.opencode import event_wire, wire
from fleet.core.times import rfc3339
from fleet.ports import (
    Attachment,
    MessageChanged,
    Part,
    PartChanged,
    Prompt,
    RequestClosed,
    RequestOpened,
    SessionChanged,
    StatusChanged,
    Tokens,
    TurnErrored,
    TurnStatus,
)


def part(**fields: object) -> Part:
    return wire.part(json.dumps({"id": "prt", "sessionID": "ses", "messageID": "msg", **fields}).encode())


def event(name: str, properties: dict[str, object]) -> object:
    return event_wire.event(
        json.dumps({"directory": "/d", "payload": {"type": name, "properties": properties}}).encode()
    )


def test_a_message_is_read_and_kept_with_its_keys_in_order() -> None:
    raw = (
        b'{"id":"msg_a","sessionID":"ses_a","role":"assistant","parentID":"msg_u","future":{"x":1},"finish":"stop",'
        b'"time":{"created":5,"completed":9},"cost":0.5,'
        b'"tokens":{"input":1,"output":2,"reasoning":3,"cache":{"read":4,"write":5}}}'
    )
    info = wire.message_info(raw)
    assert json.loads(info.raw) == json.loads(raw)
    other_order = json.dumps(dict(reversed(json.loads(raw).items()))).encode()
    assert wire.message_info(other_order).raw == info.raw
    assert (info.id, info.session_id, info.parent_id, info.finish) == ("msg_a", "ses_a", "msg_u", "stop")
    assert (info.created_ms, info.completed_ms, info.cost_usd) == (5, 9, 0.5)
    assert info.tokens == Tokens(1, 2, 3, 4, 5)


def test_a_bare_message_has_defaults() -> None:
    info = wire.message_info(b'{"id":"msg_a","role":"user"}')
    assert (info.created_ms, info.cost_usd, info.tokens, info.error_name) == (0, 0.0, Tokens(), None)


def test_figures_of_a_provider_are_bounded() -> None:
    tokens = b'{"input":1e20,"output":-5,"reasoning":100000000000000000000,"cache":{"read":1e308}}'
    info = wire.message_info(
        b'{"id":"m","role":"assistant","cost":1e308,"time":{"created":1e300,"completed":-1},"tokens":%s}' % tokens
    )
    assert info.tokens == Tokens(10**12, 0, 10**12, 10**12, 0)
    assert (info.cost_usd, info.completed_ms) == (1e9, 0)
    assert rfc3339(info.created_ms) == "9999-12-31T23:59:59.000Z"


@pytest.mark.parametrize(
    ("error", "said"),
    [({"name": "APIError", "data": {"message": "no"}}, "no"), ({"name": "APIError", "data": ["odd"]}, ""), ({}, "")],
)
def test_errors_of_any_shape(error: object, said: str) -> None:
    info = wire.message_info(json.dumps({"id": "m", "role": "assistant", "error": error}).encode())
    assert info.error_message == said
    assert info.error_name is not None


@pytest.mark.parametrize(
    ("fields", "finished"),
    [
        ({"type": "text", "text": "of a user"}, True),
        ({"type": "text", "text": "", "time": {"start": 1}}, False),
        ({"type": "reasoning", "text": "hm", "time": {"start": 1, "end": 2}}, True),
        ({"type": "tool", "state": {"status": "pending"}}, False),
        ({"type": "tool", "state": {"status": "running"}}, False),
        ({"type": "tool", "state": {"status": "completed"}}, True),
        ({"type": "tool", "state": {"status": "error"}}, True),
        ({"type": "tool"}, False),
        ({"type": "step-finish"}, True),
        ({"type": "of the future", "state": "odd", "time": 5}, True),
    ],
)
def test_when_a_part_is_finished(fields: dict[str, object], finished: bool) -> None:
    assert part(**fields).finished is finished


def test_only_spoken_parts_have_text() -> None:
    assert part(type="text", text="hi").text == "hi"
    assert part(type="subtask", text="hi").text is None


def test_events() -> None:
    assert event("session.status", {"sessionID": "s", "status": {"type": "busy"}}) == StatusChanged(
        "s", TurnStatus("busy")
    )
    retry = {"type": "retry", "attempt": 2, "message": "later", "next": 5}
    assert event("session.status", {"sessionID": "s", "status": retry}) == StatusChanged(
        "s", TurnStatus("retry", 2, "later", 5)
    )
    assert event("session.idle", {"sessionID": "s"}) == StatusChanged("s", None)
    assert event("session.error", {"error": {"name": "X", "data": {"message": "m"}}}) == TurnErrored(None, "X", "m")
    assert event("session.deleted", {"info": {"id": "s", "parentID": "p"}}) == SessionChanged("s", "p", True)
    assert event("question.rejected", {"sessionID": "s", "requestID": "q"}) == RequestClosed("s", "q")
    assert event("of.the.future", {"x": 1}) == "of.the.future"


def test_events_of_old_versions_name_the_session_inside() -> None:
    changed = event("message.updated", {"info": {"id": "m", "role": "user", "sessionID": "s"}})
    assert isinstance(changed, MessageChanged)
    assert changed.session_id == "s"
    changed = event("message.part.updated", {"part": {"id": "p", "type": "text", "sessionID": "s", "messageID": "m"}})
    assert isinstance(changed, PartChanged)
    assert changed.session_id == "s"


def test_a_request_keeps_its_json() -> None:
    opened = event("permission.asked", {"id": "per", "sessionID": "s", "patterns": ["*"]})
    assert isinstance(opened, RequestOpened)
    assert opened.request.kind == "permission"
    assert json.loads(opened.request.raw)["patterns"] == ["*"]


def test_a_sync_event_is_passed_by() -> None:
    assert event_wire.event(b'{"payload":{"type":"sync","syncEvent":{"type":"session.created.1"}}}') == "sync"


def test_idle_sessions_are_no_status_and_unknown_ones_are_busy() -> None:
    body = b'{"a":{"type":"idle"},"b":{"type":"thinking"},"c":{"type":"retry","attempt":3}}'
    assert wire.statuses(body) == {"b": TurnStatus("busy"), "c": TurnStatus("retry", 3)}


def test_a_prompt_carries_ids_for_all_parts() -> None:
    prompt = Prompt("msg", ("prt_1", "prt_2"), "look", (Attachment("image/png", "p.png", "data:x"),), "plan", "a", "b")
    assert json.loads(wire.prompt_body(prompt)) == {
        "messageID": "msg",
        "agent": "plan",
        "model": {"providerID": "a", "modelID": "b"},
        "parts": [
            {"id": "prt_1", "type": "text", "text": "look"},
            {"id": "prt_2", "type": "file", "mime": "image/png", "filename": "p.png", "url": "data:x"},
        ],
    }


def test_refusals_of_all_shapes() -> None:
    assert wire.refusal(b'{"name":"BadRequest","data":{"message":"wrong"}}') == "wrong"
    assert wire.refusal(b'{"_tag":"UnauthorizedError","message":"who"}') == "who"
    assert wire.refusal(b"Unauthorized") == ""
