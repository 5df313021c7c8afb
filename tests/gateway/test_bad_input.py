"""Requests that make no sense: each gets a problem document that says why, and none a 500."""

import json
from typing import Any

import pytest

from fleet.limits import BODY_BYTES_MAX
from tests.gateway.machine import PLAIN, Api

ROUTES_WITH_BODY = (
    ("POST", "/api/sessions", b"directory"),
    ("PATCH", "/api/sessions/{id}", b"title"),
    ("POST", "/api/sessions/{id}/prompt", b"text"),
)


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"", 400, "bad_json"),
        (b"not json", 400, "bad_json"),
        (b'{"FIELD": ', 400, "bad_json"),
        (b'{"FIELD": "a"} trailing', 400, "bad_json"),
        (b"{'FIELD': 'a'}", 400, "bad_json"),
        (b"FIELD=x&title=y", 400, "bad_json"),
        (b'{"FIELD": "\xff\xfe"}', 400, "bad_json"),
        (b'{"\xff": 1}', 400, "bad_json"),
        (b"\xff\xfe{\x00}\x00", 400, "bad_json"),
        (b'{"FIELD": NaN}', 400, "bad_json"),
        (b"[]", 422, "invalid"),
        (b"null", 422, "invalid"),
        (b"3", 422, "invalid"),
        (b'"text"', 422, "invalid"),
        (b"[" * 200_000, 422, "invalid"),
        (b'{"FIELD":' * 100_000, 422, "invalid"),
        (b'{"FIELD": "a", "x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 422, "invalid"),
    ],
)
@pytest.mark.parametrize(("method", "path", "field"), ROUTES_WITH_BODY)
async def test_a_body_that_is_no_json_object(
    api: Api, method: str, path: str, field: bytes, raw: bytes, status: int, code: str
) -> None:
    item = await api.session()
    head = api.fleet.log.head()
    answer = await api.send(method, path.format(id=item["id"]), raw.replace(b"FIELD", field))
    answer.problem(status, code)
    assert api.fleet.log.head() == head


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("", {"directory": PLAIN, "nickname": "x"}, "nickname"),
        ("", {"directory": PLAIN, "isolation_strategy": "clone"}, "isolation_strategy"),
        ("", {"directory": 7}, "directory"),
        ("", {"directory": [PLAIN]}, "directory"),
        ("", {"directory": None}, "directory"),
        ("", {"directory": PLAIN, "title": 5}, "title"),
        ("", {"directory": PLAIN, "tags": "one"}, "tags"),
        ("", {"directory": PLAIN, "tags": [""]}, "tags[0]"),
        ("", {"directory": PLAIN, "tags": ["ok", 7]}, "tags[1]"),
        ("", {"directory": PLAIN, "model": "gpt"}, "model"),
        ("", {"directory": PLAIN, "model": {"providerID": "x"}}, "model.modelID"),
        ("", {"directory": PLAIN, "model": {"providerID": "x", "modelID": "y", "z": 1}}, "model.z"),
        ("", {"directory": PLAIN, "initialPrompt": {"text": "x"}}, "initialPrompt"),
        ("/{id}/prompt", {"text": 7}, "text"),
        ("/{id}/prompt", {"text": "x", "resume": "yes"}, "resume"),
        ("/{id}/prompt", {"text": "x", "delivery": "now"}, "delivery"),
        ("/{id}/prompt", {"text": "x", "prompt": "y"}, "prompt"),
        ("/{id}/prompt", {"text": "x", "model": {"modelID": "x"}}, "model.providerID"),
    ],
)
async def test_a_wrong_field_is_named(api: Api, path: str, body: dict[str, Any], field: str) -> None:
    item = await api.session()
    head = api.fleet.log.head()
    problem = (await api.send("POST", "/api/sessions" + path.format(id=item["id"]), body)).problem(422, "invalid")
    assert problem["field"] == field
    assert problem["detail"]
    assert api.fleet.log.head() == head


async def test_texts_that_no_file_system_or_event_can_hold(api: Api) -> None:
    for body in ({"directory": "/home\0user"}, {"directory": "relative/path"}, {"directory": "/" + "x" * 100_000}):
        answer = await api.send("POST", "/api/sessions", body)
        answer.problem(422, answer.json["code"])
    lone_surrogate = b'{"directory": "%s", "title": "\\ud800"}' % PLAIN.encode()
    answer = await api.send("POST", "/api/sessions", lone_surrogate)
    answer.problem(answer.status, answer.json["code"])
    assert answer.status in (400, 422)
    assert api.fleet.log.head() == 0


async def test_a_prompt_needs_text_or_attachments(api: Api) -> None:
    item = await api.session()
    bodies: tuple[dict[str, Any], ...] = (
        {},
        {"text": ""},
        {"text": " \n\t"},
        {"attachments": []},
        {"text": "", "attachments": []},
    )
    for body in bodies:
        problem = (await api.send("POST", f"/api/sessions/{item['id']}/prompt", body)).problem(422, "prompt_empty")
        assert problem["field"] == "text"


async def test_a_body_of_20_mb_is_the_limit(api: Api) -> None:
    item = await api.session()
    path = f"/api/sessions/{item['id']}/prompt"
    too_large = json.dumps({"text": "x" * BODY_BYTES_MAX}).encode()
    problem = (await api.send("POST", path, too_large)).problem(413, "too_large")
    assert str(BODY_BYTES_MAX) in problem["detail"]
    data = "A" * (BODY_BYTES_MAX // 4 * 4 - 400)
    body = {"text": "x", "attachments": [{"mime": "image/png", "filename": "a.png", "data": data}]}
    assert (await api.send("POST", path, body)).status == 204


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/sessions/{id}/resume"),
        ("POST", "/api/sessions/{id}/abort"),
        ("POST", "/api/workspaces/{workspace}/restore"),
        ("POST", "/api/notifications/read"),
        ("DELETE", "/api/sessions/{id}"),
        ("DELETE", "/api/sessions/{id}/queue/{id}"),
    ],
)
async def test_routes_without_a_body_take_none_but_an_empty_one(api: Api, method: str, path: str) -> None:
    item = await api.session()
    path = path.format(id=item["id"], workspace=item["workspaceId"])
    head = api.fleet.log.head()
    assert (await api.send(method, path, {"nonsense": 1})).problem(422, "invalid")["field"] == "nonsense"
    (await api.send(method, path, b"nonsense")).problem(400, "bad_json")
    assert api.fleet.log.head() == head
    without, empty = await api.send(method, path), await api.send(method, path, {})
    assert without.status == empty.status


@pytest.mark.parametrize(
    "path",
    [
        "/api/sessions/{id}?at=1&at=2",
        "/api/sessions/{id}?verbose=1",
        "/api/sessions/{id}/messages?limit=x",
        "/api/sessions/{id}/messages?limit=0",
        "/api/sessions/{id}/messages?page=2",
        "/api/sessions/{id}/queue?limit=0",
        "/api/sessions/{id}/events?after=-1",
        "/api/sessions/{id}/events?after=now",
        "/api/sessions/{id}/events?since=1",
        "/api/events?after=1&after=1",
        "/api/instances?limit=0",
        "/api/workspaces?x=y",
    ],
)
async def test_wrong_query_parameters_are_named(api: Api, path: str) -> None:
    item = await api.session()
    problem = (await api.send("GET", path.format(id=item["id"]))).problem(422, "invalid")
    assert problem["field"] in path


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/sessions/{id}/abort?force=true"),
        ("POST", "/api/sessions/{id}/resume?force=true"),
        ("DELETE", "/api/sessions/{id}?forever=true"),
        ("POST", "/api/sessions?dryRun=true"),
        ("PATCH", "/api/sessions/{id}?title=x"),
        ("POST", "/api/sessions/{id}/prompt?wait=true"),
        ("DELETE", "/api/sessions/{id}/queue/x?force=true"),
    ],
)
async def test_an_order_with_an_unknown_parameter_is_not_carried_out(api: Api, method: str, path: str) -> None:
    item = await api.session()
    head = api.fleet.log.head()
    body = {"directory": PLAIN} if path.startswith("/api/sessions?") else {"text": "x"} if "prompt" in path else None
    body = {"title": "x"} if method == "PATCH" else body
    problem = (await api.send(method, path.format(id=item["id"]), body)).problem(422, "invalid")
    assert problem["field"] in path
    assert api.fleet.log.head() == head
