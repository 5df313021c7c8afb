"""`Idempotency-Key`: the same request again gets the first response again, after all that may happen in between."""

from typing import Any

import pytest
import trio

from fleet.errors import Unavailable
from tests.gateway.door import PLAIN, REPOSITORY, Answer, Door, Machine

CREATE = {"directory": REPOSITORY, "title": "Once", "isolationStrategy": "worktree"}

GONE = {"id": (410, "erased"), "opencodeId": (404, "session_not_found")}
"""What a read of an erased session answers: its id in OpenCode was erased with it."""


async def test_a_repeated_create_makes_one_session(door: Door) -> None:
    first = await door.knock("POST", "/api/sessions", CREATE, Idempotency_Key="k")
    again = await door.knock("POST", "/api/sessions", CREATE, Idempotency_Key="k")
    assert (again.status, again.json) == (200, first.json)
    assert len((await door.knock("GET", "/api/sessions")).json) == 1
    assert (await door.knock("POST", "/api/sessions", CREATE, Idempotency_Key="l")).json != first.json


async def test_key_that_was_led_to_another_response_gets_neither(machine: Machine, door: Door) -> None:
    """Something else than Fleet has changed the table of commands."""
    for key in ("k", "l"):
        await door.knock("POST", "/api/sessions", CREATE, Idempotency_Key=key)
    one, other = (each for each in machine.disk.commands if each.startswith("answer:"))
    machine.disk.commands[other] = machine.disk.commands[one]
    (await door.knock("POST", "/api/sessions", CREATE, Idempotency_Key="l")).problem(503, "event_damaged")
    assert (await door.knock("POST", "/api/sessions", CREATE, Idempotency_Key="k")).status == 200


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
        async with door.fleet.feed.subscribe(after=0) as events:
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
    head = door.fleet.log.head()
    assert (await door.knock(method, path, other, Idempotency_Key="k")).problem(422, "idempotency_conflict")["hint"]
    (await door.knock("POST", "/api/sessions", {"directory": PLAIN}, Idempotency_Key="k")).problem(
        422, "idempotency_conflict"
    )
    assert (await door.knock(method, path, body, Idempotency_Key="k")).status == first.status
    await door.settled(item["id"])
    assert len((await door.knock("GET", "/api/sessions")).json) == 1
    assert door.fleet.log.head() >= head


async def test_a_prompt_is_accepted_once(door: Door) -> None:
    item = await door.session()
    for _ in range(3):
        path = f"/api/sessions/{item['id']}/prompt"
        assert (await door.knock("POST", path, {"text": "x"}, Idempotency_Key="k")).status == 204
    assert (await door.settled(item["id"]))["turns"] == 1


async def test_orders_without_a_body_take_a_key(door: Door) -> None:
    item = await door.session(initialPrompt="hang")
    path = f"/api/sessions/{item['id']}"
    await door.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    aborted = await door.knock("POST", f"{path}/abort", Idempotency_Key="a")
    assert aborted.json["outcome"] == "aborted"
    await door.knock("POST", f"{path}/prompt", {"text": "hang"})
    await door.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
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
    assert door.fleet.log.head() == 0


async def test_a_repetition_gets_the_first_answer_word_for_word(machine: Machine) -> None:
    async with machine.fleet() as door:
        item = await door.session(PLAIN)
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
            first.append(await door.knock(method, target, body, Idempotency_Key=f"k{number}"))
            await door.settled(item["id"])
        await door.knock("PATCH", path, {"title": "Something else"})
        head = door.fleet.log.head()
        await _repeat(door, requests, first)
        assert door.fleet.log.head() == head
    async with machine.fleet() as door:
        head = door.fleet.log.head()
        await _repeat(door, requests, first)
        assert door.fleet.log.head() == head
        assert (await door.knock("GET", path)).json["title"] == "Something else"


async def _repeat(door: Door, requests: tuple[tuple[str, str, Any], ...], first: list[Answer]) -> None:
    for number, (method, target, body) in enumerate(requests):
        again = await door.knock(method, target, body, Idempotency_Key=f"k{number}")
        assert (again.status, again.body) == (first[number].status, first[number].body), target
        for name in ("content-type", "fleet-position", "x-total-count"):
            assert again.headers.get(name) == first[number].headers.get(name), target


async def test_an_abort_of_nothing_aborts_nothing_later(door: Door) -> None:
    item = await door.session()
    path = f"/api/sessions/{item['id']}"
    first = await door.knock("POST", f"{path}/abort", Idempotency_Key="a")
    assert first.json["outcome"] == "nothing_to_abort"
    await door.knock("POST", f"{path}/prompt", {"text": "hang"})
    await door.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    assert (await door.knock("POST", f"{path}/abort", Idempotency_Key="a")).json == first.json
    assert (await door.knock("GET", path)).json["status"] == "active"


async def test_a_refused_prompt_stays_refused(door: Door) -> None:
    item = await door.session()
    path = f"/api/sessions/{item['id']}"
    await door.knock("DELETE", path)
    first = await door.knock("POST", f"{path}/prompt", {"text": "x"}, Idempotency_Key="p")
    first.problem(409, "session_stopped")
    await door.knock("POST", f"{path}/resume")
    assert (await door.knock("POST", f"{path}/prompt", {"text": "x"}, Idempotency_Key="p")).body == first.body
    assert (await door.settled(item["id"]))["turns"] == 0


async def test_an_invalid_request_can_be_corrected_under_the_same_key(door: Door) -> None:
    for body in (b"{", {"directory": 7}, {"directory": PLAIN, "nickname": "x"}):
        assert (await door.knock("POST", "/api/sessions", body, Idempotency_Key="k")).status in (400, 422)
    assert door.fleet.log.head() == 0
    assert (await door.knock("POST", "/api/sessions", {"directory": PLAIN}, Idempotency_Key="k")).status == 200


async def test_what_is_to_be_tried_again_is_tried_again(machine: Machine, door: Door) -> None:
    body = {"directory": PLAIN}
    session_ids: set[str] = set()
    for code in ("missing", "not_executable"):
        machine.world.fail_next_spawn(code)
        failed = await door.knock("POST", "/api/sessions", body, Idempotency_Key="k")
        session_ids.add(failed.problem(503, f"opencode_{code}")["sessionId"])
    (session_id,) = session_ids
    again = await door.knock("POST", "/api/sessions", body, Idempotency_Key="k")
    assert (again.status, again.json["session"]["id"]) == (200, session_id)
    assert (await door.knock("POST", "/api/sessions", body, Idempotency_Key="k")).body == again.body


async def test_an_answer_that_cannot_be_kept_is_not_given(machine: Machine, door: Door) -> None:
    item = await door.session()
    path = f"/api/sessions/{item['id']}/abort"
    machine.disk.full = True
    (await door.knock("POST", path, Idempotency_Key="a")).problem(503, "disk_full")
    machine.disk.full = False
    assert (await door.knock("POST", path, Idempotency_Key="a")).status == 200


@pytest.mark.parametrize("by", ["id", "opencodeId"])
async def test_an_erasure_is_answered_again_and_says_nothing_of_the_session(machine: Machine, by: str) -> None:
    async with machine.fleet() as door:
        item = await door.session(REPOSITORY, title="A secret title", isolationStrategy="worktree")
        path = f"/api/sessions/{item['id']}"
        await door.knock("PATCH", path, {"tags": ["a-secret-tag"]}, Idempotency_Key="t")
        target = f"/api/sessions/{item[by]}?permanent=true"
        first = await door.knock("DELETE", target, Idempotency_Key="d")
        assert (first.status, first.json["erased"], first.json["session"]) == (200, True, None)
        assert (await door.knock("DELETE", target, Idempotency_Key="d")).body == first.body
        (await door.knock("DELETE", target)).problem(*GONE[by])
        (await door.knock("DELETE", f"{target}&force=true", Idempotency_Key="d")).problem(422, "idempotency_conflict")
        (await door.knock("PATCH", path, {"tags": ["a-secret-tag"]}, Idempotency_Key="t")).problem(410, "erased")
    async with machine.fleet() as door:
        assert (await door.knock("DELETE", target, Idempotency_Key="d")).body == first.body
        assert (await door.knock("GET", "/api/log/verify")).json["intact"] is True
        logged = (await door.knock("GET", "/api/log/export")).body
        assert b"a-secret-tag" not in logged
        assert b"A secret title" not in logged


async def test_repeated_creation_of_an_erased_session_is_refused_at_once(door: Door) -> None:
    first = await door.knock("POST", "/api/sessions", CREATE, Idempotency_Key="k")
    session_id = first.json["session"]["id"]
    await door.knock("DELETE", f"/api/sessions/{session_id}?permanent=true")
    begun = trio.current_time()
    (await door.knock("POST", "/api/sessions", CREATE, Idempotency_Key="k")).problem(410, "erased")
    assert trio.current_time() - begun < 1


@pytest.mark.parametrize("by", ["id", "opencodeId"])
async def test_an_erasure_whose_answer_a_crash_took(machine: Machine, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    async with machine.fleet() as door:
        item = await door.session()
        other = await door.session(REPOSITORY)
        target = f"/api/sessions/{item[by]}?permanent=true"
        with monkeypatch.context() as patched:

            async def lost(*_: Any) -> None:
                raise Unavailable("interrupted", "the process was killed")

            patched.setattr(door.fleet.stored_responses, "keep", lost)
            (await door.knock("DELETE", target, Idempotency_Key="d")).problem(503, "interrupted")
    async with machine.fleet() as door:
        again = await door.knock("DELETE", target, Idempotency_Key="d")
        assert (again.status, again.json) == (200, {"session": None, "erased": True, "workspace": None, "left": []})
        assert (await door.knock("DELETE", target, Idempotency_Key="d")).body == again.body
        (await door.knock("DELETE", target)).problem(*GONE[by])
        assert (await door.knock("GET", f"/api/sessions/{other['id']}")).status == 200


async def test_refused_client_does_not_get_the_stored_response(door: Door) -> None:
    first = await door.knock("POST", "/api/sessions", CREATE, Idempotency_Key="k")
    assert first.status == 200
    refused = await door.knock("POST", "/api/sessions", CREATE, Idempotency_Key="k", Origin="http://elsewhere")
    refused.problem(403, "forbidden_origin")
