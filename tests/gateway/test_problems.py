"""What goes wrong in HTTP itself is a problem document as well, and a bug of ours shows none of our inside."""

import socket
from typing import Any

import msgspec
import pytest
import trio
from msgspec.structs import replace
from structlog.testing import capture_logs

from fleet.errors import PROBLEMS, Problem
from fleet.gateway.server.problems import problem_response
from fleet.limits import BODY_BYTES_MAX, HEADER_BYTES_MAX, HEADER_BYTES_READ_MAX
from tests.gateway.machine import PLAIN, REPOSITORY, Answer, Api, Machine


@pytest.mark.parametrize(
    "path", ["/nothing", "/api", "/api/", "/api/nothing", "/api/sessions/a/b/c", "/favicon.ico", "/api/%00"]
)
async def test_an_unknown_route(api: Api, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = await api.send(method, path)
        answer.problem(404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/sessions", "GET, HEAD, OPTIONS, POST"),
        ("DELETE", "/api/sessions", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/api/healthz", "GET, HEAD, OPTIONS"),
        ("GET", "/api/sessions/x/prompt", "OPTIONS, POST"),
        ("GET", "/api/sessions/x/abort", "OPTIONS, POST"),
        ("POST", "/api/sessions/x/events", "GET, HEAD, OPTIONS"),
        ("TRACE", "/api/sessions", "GET, HEAD, OPTIONS, POST"),
        ("BREW", "/api/sessions", "GET, HEAD, OPTIONS, POST"),
    ],
)
async def test_response_to_a_wrong_method_names_the_allowed_ones(
    api: Api, method: str, path: str, allowed: str
) -> None:
    answer = await api.send(method, path)
    answer.problem(405, "method_not_allowed")
    assert answer.headers["allow"] == allowed


async def test_head_and_options(api: Api) -> None:
    head = await raw(api, b"HEAD /api/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (head.status, head.body, head.headers["content-type"]) == (200, b"", "application/json")
    assert head.headers["x-total-count"] == "0"
    options = await raw(api, b"OPTIONS /api/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (options.status, options.body) == (200, b"")
    assert set(options.headers["allow"].upper().split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    assert "content-type" not in options.headers


async def test_a_bug_is_logged_and_shows_nothing_of_our_inside(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("a secret in the error's text")

    monkeypatch.setattr(api.fleet.sessions, "session", broken)
    with capture_logs() as logs:
        answer = await api.send("GET", "/api/sessions/x")
    problem = answer.problem(500, "internal")
    assert b"secret" not in answer.body
    assert "log" in problem["detail"]
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["request_failed"]


async def test_a_bug_in_a_nursery_is_not_swallowed(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            raise ZeroDivisionError

    monkeypatch.setattr(api.fleet.sessions, "create", broken)
    with capture_logs() as logs:
        (await api.send("POST", "/api/sessions", {"directory": PLAIN})).problem(500, "internal")
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["request_failed"]


async def test_a_problem_in_a_nursery_is_that_problem(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: Any) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            raise Problem("queue_full", "wait", retry_after_s=7)

    monkeypatch.setattr(api.fleet.sessions, "create", refused)
    answer = await api.send("POST", "/api/sessions", {"directory": PLAIN})
    answer.problem(429, "queue_full")
    assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize("code", sorted(PROBLEMS))
async def test_every_code_has_its_status_and_title(code: str) -> None:
    given = Problem(code, "what happened", field="f", hint="what to do", extra={"sessionId": "s"})
    response = problem_response(given)
    body = await response.get_data(as_text=False)
    problem = Answer(response.status_code, dict(response.headers.items(lower=True)), body).problem(
        PROBLEMS[code].status, code
    )
    assert problem["title"] == PROBLEMS[code].title
    assert (problem["field"], problem["hint"], problem["sessionId"]) == ("f", "what to do", "s")
    assert problem["type"].endswith(f":{code}")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("missing", "opencode_missing"),
        ("not_executable", "opencode_not_executable"),
        ("downgrade", "opencode_downgrade"),
        ("exits", "opencode_exited"),
        ("never_ready", "opencode_not_ready"),
        ("no_space", "disk_full"),
    ],
)
async def test_without_opencode_a_session_waits_in_error_for_a_resume(
    machine: Machine, api: Api, fault: Any, code: str
) -> None:
    machine.world.fail_next_spawn(fault)
    answer = await api.send("POST", "/api/sessions", {"directory": PLAIN, "initialPrompt": "Hello"})
    path = f"/api/sessions/{answer.problem(503, code)['sessionId']}"
    item = (await api.send("GET", path)).json
    assert (item["status"], item["failure"]["code"], item["queued"]) == ("error", code, 1)
    assert (await api.send("POST", f"{path}/resume")).status == 200
    assert (await api.settled(item["id"]))["turns"] == 1


async def test_a_start_that_meets_a_bug_fails_at_once_and_keeps_no_place(machine: Machine) -> None:
    machine.policy = replace(machine.policy, instances_max=1)
    async with machine.fleet() as api:
        machine.world.fail_next_spawn("bug")
        answer = await api.send("POST", "/api/sessions", {"directory": PLAIN})
        session_id = answer.problem(500, "internal")["sessionId"]
        assert trio.current_time() < 1
        await trio.sleep(1)
        assert [state.phase for state in api.fleet.views.instances] == ["stopped"]
        assert (await api.send("POST", f"/api/sessions/{session_id}/resume")).status == 200


@pytest.mark.parametrize("code", [code for code, kind in PROBLEMS.items() if kind.status >= 500])
async def test_a_failure_of_the_server_says_what_to_do_and_when(code: str) -> None:
    answer = problem_response(Problem(code, "what was wrong"))
    assert msgspec.json.decode(await answer.get_data())["hint"]
    assert answer.status_code == 500 or int(answer.headers["Retry-After"]) > 0


async def test_a_full_disk_changes_nothing_and_says_so(machine: Machine, api: Api) -> None:
    item = await api.session()
    machine.disk.full = True
    (await api.send("POST", "/api/sessions", {"directory": PLAIN})).problem(503, "disk_full")
    (await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "x"})).problem(503, "disk_full")
    assert (await api.send("GET", f"/api/sessions/{item['id']}")).json["turns"] == 0
    machine.disk.full = False
    assert (await api.prompt(item["id"], "x"))["outcome"] == "finished"


async def test_a_disk_that_fills_up_while_a_session_is_made_is_reported_at_once(machine: Machine, api: Api) -> None:
    async def fill_disk() -> None:
        await trio.sleep(0.2)
        machine.disk.low = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fill_disk)
        answer = await api.send("POST", "/api/sessions", {"directory": PLAIN, "initialPrompt": "x"})
    problem = answer.problem(503, "disk_full")
    assert trio.current_time() < 15
    machine.disk.low = False
    assert (await api.settled(problem["sessionId"]))["turns"] == 1


async def test_a_session_can_be_erased_on_a_full_disk(machine: Machine, api: Api) -> None:
    item = await api.prompt((await api.session(REPOSITORY, isolationStrategy="worktree"))["id"], "x")
    path = f"/api/sessions/{item['id']}"
    machine.disk.low = True
    (await api.send("POST", f"{path}/prompt", {"text": "y"})).problem(503, "disk_full")
    assert len((await api.send("GET", f"{path}/messages")).json["messages"]) > 1
    answer = await api.send("DELETE", f"{path}?permanent=true", Idempotency_Key="k")
    assert (answer.status, answer.json["erased"], answer.json["workspace"]["removed"]) == (200, True, True)
    again = await api.send("DELETE", f"{path}?permanent=true", Idempotency_Key="k")
    assert again.json == answer.json
    (await api.send("GET", path)).problem(410, "erased")
    await api.fleet.views.instances.wait(item["instanceId"], lambda s: s.phase == "stopped")


async def test_a_session_that_works_can_be_erased_on_a_full_disk(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY, isolationStrategy="worktree", initialPrompt="task")
    machine.disk.low = True
    answer = await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true")
    assert (answer.status, answer.json["erased"]) == (200, True)


@pytest.mark.parametrize("work", ["bash:600", "ask"])
async def test_turn_is_aborted_on_a_full_disk_and_its_messages_are_recorded_later(
    machine: Machine, api: Api, work: str
) -> None:
    item = await api.session(REPOSITORY, isolationStrategy="worktree")
    path = f"/api/sessions/{item['id']}"
    await api.send("POST", f"{path}/prompt", {"text": f"first {work}"})
    machine.disk.low = True
    await trio.sleep(30)
    answer = await api.send("POST", f"{path}/abort", {}, Idempotency_Key="a")
    assert (answer.status, answer.json["outcome"]) == (200, "aborted")
    lost = len((await api.send("GET", f"{path}/messages")).json["messages"])
    machine.disk.low = False
    assert (await api.prompt(item["id"], "second"))["outcome"] == "finished"
    messages = (await api.send("GET", f"{path}/messages")).json["messages"]
    assert lost < 2
    assert [message["info"]["role"] for message in messages] == ["user", "assistant"] * 2


@pytest.mark.parametrize("query", ["", "?permanent=true"])
async def test_working_session_is_stopped_on_a_full_disk(machine: Machine, api: Api, query: str) -> None:
    item = await api.session(REPOSITORY, isolationStrategy="worktree", initialPrompt="work bash:600")
    machine.disk.low = True
    await trio.sleep(30)
    answer = await api.send("DELETE", f"/api/sessions/{item['id']}{query}")
    assert (answer.status, answer.json["erased"]) == (200, bool(query))


async def answer_of(port: int, request: bytes) -> Answer:
    """Return the answer to a request on a connection of its own."""
    received = b""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(request)
        while b"\r\n\r\n" not in received:
            received += await stream.receive_some(65536)
        head, _, body = received.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        while len(body) < int(headers["content-length"]) and not request.startswith(b"HEAD"):
            body += await stream.receive_some(65536)
    return Answer(int(lines[0].split()[1]), headers, body)


async def raw(api: Api, request: bytes) -> Answer:
    """Send bytes to a real port and return the answer."""
    async with api.listen() as port:
        return await answer_of(port, request)


async def test_request_times_out_if_its_body_is_incomplete(api: Api) -> None:
    head = b"POST /api/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answer = await raw(api, head + b"Content-Length: 100\r\n\r\n{")
    answer.problem(408, "request_timeout")


@pytest.mark.parametrize("path", ["/api//sessions", "/api/sessions/", "/api/sessions//x"])
async def test_an_address_with_a_slash_too_many(api: Api, path: str) -> None:
    (await api.send("GET", path)).problem(404, "not_found")


async def test_headers_have_a_limit(api: Api) -> None:
    for size in (HEADER_BYTES_MAX, HEADER_BYTES_MAX + 20_000):
        padding = b"X-Padding: " + b"x" * size + b"\r\n"
        answer = await raw(api, b"GET /api/sessions HTTP/1.1\r\nHost: localhost\r\n" + padding + b"\r\n")
        assert str(HEADER_BYTES_MAX) in answer.problem(431, "headers_too_large")["detail"]


@pytest.mark.trio(run=trio.run)
async def test_a_body_that_says_it_is_too_large_is_not_read(api: Api) -> None:
    head = b"POST /api/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answer = await raw(api, head + b"Content-Length: %d\r\n\r\n{" % (BODY_BYTES_MAX + 1))
    assert str(BODY_BYTES_MAX) in answer.problem(413, "too_large")["detail"]


@pytest.mark.trio(run=trio.run)
async def test_a_body_without_a_length_is_cut_off_at_the_limit(api: Api) -> None:
    head = b"POST /api/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    chunk = b"%x\r\n" % (BODY_BYTES_MAX + 1) + b"x" * (BODY_BYTES_MAX + 1) + b"\r\n0\r\n\r\n"
    answer = await raw(api, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
    answer.problem(413, "too_large")


async def test_headers_beyond_all_measure_get_a_bare_answer(api: Api) -> None:
    answer = await raw(api, b"GET /api/sessions HTTP/1.1\r\nX-Padding: " + b"x" * (HEADER_BYTES_READ_MAX + 70_000))
    assert (answer.status, answer.body) == (431, b"")


async def test_a_host_that_is_no_name(api: Api) -> None:
    for host in (b"[::1", b"a b", b"\xff"):
        answer = await raw(api, b"GET /api/sessions HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
        answer.problem(403, "forbidden_origin")


async def test_a_request_without_a_host(api: Api) -> None:
    (await raw(api, b"GET /api/sessions HTTP/1.0\r\n\r\n")).problem(403, "forbidden_origin")


async def test_responses_do_not_name_the_server_software(api: Api) -> None:
    answer = await raw(api, b"GET /api/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer.status == 200
    assert "server" not in answer.headers


async def test_shutdown_leaves_no_listening_socket(api: Api) -> None:
    async with api.listen() as port, api.follow(port, "/api/events") as stream:
        await stream.frame()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.trio(run=trio.run)
async def test_an_unread_body_does_not_break_the_connection(api: Api) -> None:
    """The answer must not overtake the body: the connection's next request would hang, or find it closed."""
    head = (
        b"PUT /api/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    )
    async with api.listen() as port, await trio.open_tcp_stream("127.0.0.1", port) as connection:
        with trio.fail_after(20):
            for _ in range(20):
                await connection.send_all(head)
                await trio.sleep(0.02)
                await connection.send_all(b"{}")
                answer = b""
                while b'"method_not_allowed"' not in answer:
                    more = await connection.receive_some()
                    assert more, "the connection was closed"
                    answer += more


@pytest.mark.parametrize(
    ("method", "path", "body", "field", "values"),
    [
        (
            "POST",
            "/api/sessions",
            {"directory": PLAIN, "isolationStrategy": "x"},
            "isolationStrategy",
            "clone, existing",
        ),
        ("POST", "/api/webhooks", {"url": "https://x", "events": ["x"]}, "events[0]", "session.finished"),
    ],
)
async def test_a_refusal_of_a_value_names_the_allowed_ones(
    api: Api, method: str, path: str, body: Any, field: str, values: str
) -> None:
    problem = (await api.send(method, path, body)).problem(422, "invalid")
    assert problem["field"] == field
    assert values in problem["hint"]


async def test_unknown_path_or_method_is_named(api: Api) -> None:
    nothing = (await api.send("GET", "/api/nothing")).problem(404, "not_found")
    assert nothing["detail"] == "there is nothing at /api/nothing"
    assert "/api/docs" in nothing["hint"]
    refused = (await api.send("PUT", "/api/log")).problem(405, "method_not_allowed")
    assert refused["detail"] == "/api/log does not accept PUT"
