"""`Idempotency-Key`: the same request again gets the first response again, after all that may happen in between."""

from typing import Any

import pytest
import trio

from fleet.errors import Unavailable
from tests.gateway.machine import PLAIN, REPOSITORY, Answer, Api, Machine

CREATE = {"directory": REPOSITORY, "title": "Once", "isolationStrategy": "worktree"}

GONE = {"id": (410, "erased"), "opencodeId": (404, "session_not_found")}
"""What a read of an erased session answers: its id in OpenCode was erased with it."""


async def test_a_repeated_create_makes_one_session(api: Api) -> None:
    first = await api.send("POST", "/api/sessions", CREATE, Idempotency_Key="k")
    again = await api.send("POST", "/api/sessions", CREATE, Idempotency_Key="k")
    assert (again.status, again.json) == (200, first.json)
    assert len((await api.send("GET", "/api/sessions")).json) == 1
    assert (await api.send("POST", "/api/sessions", CREATE, Idempotency_Key="l")).json != first.json


async def test_key_that_was_led_to_another_response_gets_neither(machine: Machine, api: Api) -> None:
    """Something else than Fleet has changed the table of commands."""
    for key in ("k", "l"):
        await api.send("POST", "/api/sessions", CREATE, Idempotency_Key=key)
    one, other = (each for each in machine.disk.commands if each.startswith("answer:"))
    machine.disk.commands[other] = machine.disk.commands[one]
    (await api.send("POST", "/api/sessions", CREATE, Idempotency_Key="l")).problem(503, "event_damaged")
    assert (await api.send("POST", "/api/sessions", CREATE, Idempotency_Key="k")).status == 200


async def test_two_at_once_make_one_session(api: Api) -> None:
    answers: list[Answer] = []

    async def create() -> None:
        answers.append(await api.send("POST", "/api/sessions", CREATE, Idempotency_Key="k"))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(create)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["session"]["id"] for answer in answers}) == 1
    assert len((await api.send("GET", "/api/sessions")).json) == 1


async def test_a_repeated_restore_brings_nothing_back_again(machine: Machine, api: Api) -> None:
    item = (await api.send("POST", "/api/sessions", CREATE)).json["session"]
    session, workspace = f"/api/sessions/{item['id']}", f"/api/workspaces/{item['workspaceId']}"
    await api.send("DELETE", f"{session}?cleanupWorkspace=true")
    assert (await api.send("POST", f"{workspace}/restore", Idempotency_Key="r")).json["status"] == "ready"
    await api.send("DELETE", f"{session}?cleanupWorkspace=true")
    assert (await api.send("POST", f"{workspace}/restore", Idempotency_Key="r")).status == 200
    assert item["directory"] not in machine.files.directories
    assert (await api.send("POST", f"{workspace}/restore", Idempotency_Key="s")).json["status"] == "ready"
    (await api.send("POST", f"{session}/resume", Idempotency_Key="s")).problem(422, "idempotency_conflict")


async def test_the_key_outlives_a_restart(machine: Machine) -> None:
    async with machine.fleet() as api:
        first = (await api.send("POST", "/api/sessions", CREATE, Idempotency_Key="k")).json
        path = f"/api/sessions/{first['session']['id']}"
        assert (await api.send("POST", f"{path}/prompt", {"text": "Go"}, Idempotency_Key="p")).status == 204
        await api.settled(first["session"]["id"])
    async with machine.fleet() as api:
        again = await api.send("POST", "/api/sessions", CREATE, Idempotency_Key="k")
        assert (again.status, again.json["session"]["id"]) == (200, first["session"]["id"])
        assert (await api.send("POST", f"{path}/prompt", {"text": "Go"}, Idempotency_Key="p")).status == 204
        assert (await api.settled(first["session"]["id"]))["turns"] == 1
        other = await api.send("POST", "/api/sessions", {**CREATE, "title": "Twice"}, Idempotency_Key="k")
        other.problem(422, "idempotency_conflict")
        assert len((await api.send("GET", "/api/sessions")).json) == 1


async def test_a_create_that_a_shutdown_cut_short_can_be_repeated(machine: Machine) -> None:
    async with machine.fleet() as api, trio.open_nursery() as nursery:
        nursery.start_soon(lambda: api.send("POST", "/api/sessions", CREATE, Idempotency_Key="k"))
        async with api.fleet.feed.subscribe(after=0) as events:
            await anext(aiter(events))
        nursery.cancel_scope.cancel()
    async with machine.fleet() as api:
        again = await api.send("POST", "/api/sessions", CREATE, Idempotency_Key="k")
        sessions = (await api.send("GET", "/api/sessions")).json
        assert [session["id"] for session in sessions] == [again.json.get("sessionId") or again.json["session"]["id"]]


@pytest.mark.parametrize(
    ("method", "action", "body", "other"),
    [
        ("POST", "/prompt", {"text": "x"}, {"text": "y"}),
        ("PATCH", "", {"title": "x"}, {"title": "y"}),
    ],
)
async def test_a_key_belongs_to_one_request(
    api: Api, method: str, action: str, body: dict[str, Any], other: dict[str, Any]
) -> None:
    item = await api.session()
    path = f"/api/sessions/{item['id']}{action}"
    first = await api.send(method, path, body, Idempotency_Key="k")
    head = api.fleet.log.head()
    assert (await api.send(method, path, other, Idempotency_Key="k")).problem(422, "idempotency_conflict")["hint"]
    (await api.send("POST", "/api/sessions", {"directory": PLAIN}, Idempotency_Key="k")).problem(
        422, "idempotency_conflict"
    )
    assert (await api.send(method, path, body, Idempotency_Key="k")).status == first.status
    await api.settled(item["id"])
    assert len((await api.send("GET", "/api/sessions")).json) == 1
    assert api.fleet.log.head() >= head


async def test_a_prompt_is_accepted_once(api: Api) -> None:
    item = await api.session()
    for _ in range(3):
        path = f"/api/sessions/{item['id']}/prompt"
        assert (await api.send("POST", path, {"text": "x"}, Idempotency_Key="k")).status == 204
    assert (await api.settled(item["id"]))["turns"] == 1


async def test_orders_without_a_body_take_a_key(api: Api) -> None:
    item = await api.session(initialPrompt="hang")
    path = f"/api/sessions/{item['id']}"
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    aborted = await api.send("POST", f"{path}/abort", Idempotency_Key="a")
    assert aborted.json["outcome"] == "aborted"
    await api.send("POST", f"{path}/prompt", {"text": "hang"})
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    assert (await api.send("POST", f"{path}/abort", Idempotency_Key="a")).status == 200
    assert (await api.send("GET", path)).json["status"] == "active"
    assert (await api.send("DELETE", path, Idempotency_Key="d")).json["session"]["status"] == "stopped"
    assert (await api.send("POST", f"{path}/resume", Idempotency_Key="r")).status == 200
    assert (await api.send("DELETE", path, Idempotency_Key="d")).status == 200
    assert (await api.send("GET", path)).json["status"] != "stopped"


@pytest.mark.parametrize("key", ["", "x" * 201])
async def test_keys_have_a_length(api: Api, key: str) -> None:
    problem = (await api.send("POST", "/api/sessions", CREATE, Idempotency_Key=key)).problem(422, "invalid")
    assert "200" in problem["detail"]
    assert api.fleet.log.head() == 0


async def test_a_repetition_gets_the_first_answer_word_for_word(machine: Machine) -> None:
    async with machine.fleet() as api:
        item = await api.session(PLAIN)
        path = f"/api/sessions/{item['id']}"
        requests: tuple[tuple[str, str, Any], ...] = (
            ("POST", "/api/sessions", CREATE),
            ("PATCH", path, {"title": "First"}),
            ("POST", f"{path}/abort", None),
            ("POST", f"{path}/prompt", {"text": "Go"}),
            ("POST", f"{path}/prompt", {"text": " "}),
            ("DELETE", f"{path}/queue/unknown", None),
            ("POST", f"{path}/fork", {"title": "Fork"}),
            ("POST", "/api/workspace-roots", {"path": "/nowhere"}),
            ("POST", "/api/workspace-roots", {"path": "/"}),
            ("POST", "/api/notifications/read", None),
            ("DELETE", path, None),
            ("POST", f"{path}/resume", None),
        )
        first: list[Answer] = []
        for number, (method, target, body) in enumerate(requests):
            first.append(await api.send(method, target, body, Idempotency_Key=f"k{number}"))
            await api.settled(item["id"])
        await api.send("PATCH", path, {"title": "Something else"})
        head = api.fleet.log.head()
        await _repeat(api, requests, first)
        assert api.fleet.log.head() == head
    async with machine.fleet() as api:
        head = api.fleet.log.head()
        await _repeat(api, requests, first)
        assert api.fleet.log.head() == head
        assert (await api.send("GET", path)).json["title"] == "Something else"


async def _repeat(api: Api, requests: tuple[tuple[str, str, Any], ...], first: list[Answer]) -> None:
    for number, (method, target, body) in enumerate(requests):
        again = await api.send(method, target, body, Idempotency_Key=f"k{number}")
        assert (again.status, again.body) == (first[number].status, first[number].body), target
        for name in ("content-type", "fleet-position", "x-total-count"):
            assert again.headers.get(name) == first[number].headers.get(name), target


async def test_an_abort_of_nothing_aborts_nothing_later(api: Api) -> None:
    item = await api.session()
    path = f"/api/sessions/{item['id']}"
    first = await api.send("POST", f"{path}/abort", Idempotency_Key="a")
    assert first.json["outcome"] == "nothing_to_abort"
    await api.send("POST", f"{path}/prompt", {"text": "hang"})
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    assert (await api.send("POST", f"{path}/abort", Idempotency_Key="a")).json == first.json
    assert (await api.send("GET", path)).json["status"] == "active"


async def test_a_refused_prompt_stays_refused(api: Api) -> None:
    item = await api.session()
    path = f"/api/sessions/{item['id']}"
    await api.send("DELETE", path)
    first = await api.send("POST", f"{path}/prompt", {"text": "x"}, Idempotency_Key="p")
    first.problem(409, "session_stopped")
    await api.send("POST", f"{path}/resume")
    assert (await api.send("POST", f"{path}/prompt", {"text": "x"}, Idempotency_Key="p")).body == first.body
    assert (await api.settled(item["id"]))["turns"] == 0


async def test_an_invalid_request_can_be_corrected_under_the_same_key(api: Api) -> None:
    for body in (b"{", {"directory": 7}, {"directory": PLAIN, "nickname": "x"}):
        assert (await api.send("POST", "/api/sessions", body, Idempotency_Key="k")).status in (400, 422)
    assert api.fleet.log.head() == 0
    assert (await api.send("POST", "/api/sessions", {"directory": PLAIN}, Idempotency_Key="k")).status == 200


async def test_what_is_to_be_tried_again_is_tried_again(machine: Machine, api: Api) -> None:
    body = {"directory": PLAIN}
    session_ids: set[str] = set()
    for code in ("missing", "not_executable"):
        machine.world.fail_next_spawn(code)
        failed = await api.send("POST", "/api/sessions", body, Idempotency_Key="k")
        session_ids.add(failed.problem(503, f"opencode_{code}")["sessionId"])
    (session_id,) = session_ids
    again = await api.send("POST", "/api/sessions", body, Idempotency_Key="k")
    assert (again.status, again.json["session"]["id"]) == (200, session_id)
    assert (await api.send("POST", "/api/sessions", body, Idempotency_Key="k")).body == again.body


async def test_an_answer_that_cannot_be_kept_is_not_given(machine: Machine, api: Api) -> None:
    item = await api.session()
    path = f"/api/sessions/{item['id']}/abort"
    machine.disk.full = True
    (await api.send("POST", path, Idempotency_Key="a")).problem(503, "disk_full")
    machine.disk.full = False
    assert (await api.send("POST", path, Idempotency_Key="a")).status == 200


@pytest.mark.parametrize("by", ["id", "opencodeId"])
async def test_an_erasure_is_answered_again_and_says_nothing_of_the_session(machine: Machine, by: str) -> None:
    async with machine.fleet() as api:
        item = await api.session(REPOSITORY, title="A secret title", isolationStrategy="worktree")
        path = f"/api/sessions/{item['id']}"
        await api.send("PATCH", path, {"tags": ["a-secret-tag"]}, Idempotency_Key="t")
        target = f"/api/sessions/{item[by]}?permanent=true"
        first = await api.send("DELETE", target, Idempotency_Key="d")
        assert (first.status, first.json["erased"], first.json["session"]) == (200, True, None)
        assert (await api.send("DELETE", target, Idempotency_Key="d")).body == first.body
        (await api.send("DELETE", target)).problem(*GONE[by])
        (await api.send("DELETE", f"{target}&force=true", Idempotency_Key="d")).problem(422, "idempotency_conflict")
        (await api.send("PATCH", path, {"tags": ["a-secret-tag"]}, Idempotency_Key="t")).problem(410, "erased")
    async with machine.fleet() as api:
        assert (await api.send("DELETE", target, Idempotency_Key="d")).body == first.body
        assert (await api.send("GET", "/api/log/verify")).json["intact"] is True
        logged = (await api.send("GET", "/api/log/export")).body
        assert b"a-secret-tag" not in logged
        assert b"A secret title" not in logged


async def test_repeated_creation_of_an_erased_session_is_refused_at_once(api: Api) -> None:
    first = await api.send("POST", "/api/sessions", CREATE, Idempotency_Key="k")
    session_id = first.json["session"]["id"]
    await api.send("DELETE", f"/api/sessions/{session_id}?permanent=true")
    begun = trio.current_time()
    (await api.send("POST", "/api/sessions", CREATE, Idempotency_Key="k")).problem(410, "erased")
    assert trio.current_time() - begun < 1


@pytest.mark.parametrize("by", ["id", "opencodeId"])
async def test_an_erasure_whose_answer_a_crash_took(machine: Machine, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    async with machine.fleet() as api:
        item = await api.session()
        other = await api.session(REPOSITORY)
        target = f"/api/sessions/{item[by]}?permanent=true"
        with monkeypatch.context() as patched:

            async def lost(*_: Any) -> None:
                raise Unavailable("interrupted", "the process was killed")

            patched.setattr(api.fleet.stored_responses, "keep", lost)
            (await api.send("DELETE", target, Idempotency_Key="d")).problem(503, "interrupted")
    async with machine.fleet() as api:
        again = await api.send("DELETE", target, Idempotency_Key="d")
        assert (again.status, again.json) == (200, {"session": None, "erased": True, "workspace": None, "left": []})
        assert (await api.send("DELETE", target, Idempotency_Key="d")).body == again.body
        (await api.send("DELETE", target)).problem(*GONE[by])
        assert (await api.send("GET", f"/api/sessions/{other['id']}")).status == 200


async def test_refused_client_does_not_get_the_stored_response(api: Api) -> None:
    first = await api.send("POST", "/api/sessions", CREATE, Idempotency_Key="k")
    assert first.status == 200
    refused = await api.send("POST", "/api/sessions", CREATE, Idempotency_Key="k", Origin="http://elsewhere")
    refused.problem(403, "forbidden_origin")
