"""Access by tokens: who needs one, what a viewer may do, and how soon a token that was revoked is refused."""

from pathlib import Path

import h11
import pytest
import trio
from structlog.testing import capture_logs

from fleet.gateway.server.guard import Guard
from fleet.gateway.server.tokens import local_token
from fleet.limits import (
    LOGIN_FAILURE_REFILL_S,
    LOGIN_FAILURES_MAX,
    TOKEN_POLL_S,
)
from tests.gateway.keys import Keys, bearer, browse, keys, locked, public
from tests.gateway.machine import PLAIN, Api, Machine
from tests.gateway.test_problems import raw

__all__ = ["keys", "locked", "public"]  # fixtures


async def test_token_is_required_once_one_exists(locked: Api, keys: Keys) -> None:
    assert (await locked.send("GET", "/api/sessions")).status == 200
    token = keys.new("ci")
    answer = await locked.send("GET", "/api/sessions")
    assert "fleet token" in answer.problem(401, "token_required")["hint"]
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (await locked.send("GET", "/api/sessions", **bearer(token))).status == 200


async def test_token_is_required_after_all_have_expired_or_were_revoked(locked: Api, keys: Keys) -> None:
    keys.new("ci")
    keys.new("short", lifetime_s=1)
    keys.revoke("ci")
    await trio.sleep(2)
    (await locked.send("GET", "/api/sessions")).problem(401, "token_required")


async def test_the_log_names_the_token_of_each_caller(locked: Api, keys: Keys) -> None:
    token = keys.new("ci")
    answer = await locked.send("POST", "/api/sessions", {"directory": PLAIN}, **bearer(token))
    assert answer.status == 200
    (event, *_) = (await locked.send("GET", "/api/log", **bearer(token))).json
    assert event["actor"] == "token:ci"
    assert (await locked.send("GET", "/api/caller", **bearer(token))).json == {"actor": "token:ci", "role": "operator"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/sessions", {"directory": PLAIN}),
        ("PATCH", "/api/sessions/{id}", {"title": "Mine"}),
        ("POST", "/api/sessions/{id}/prompt", {"text": "x"}),
        ("POST", "/api/sessions/{id}/command", {"command": "x"}),
        ("POST", "/api/sessions/{id}/abort", None),
        ("POST", "/api/sessions/{id}/resume", None),
        ("POST", "/api/sessions/{id}/fork", {}),
        ("DELETE", "/api/sessions/{id}", None),
        ("DELETE", "/api/sessions/{id}/queue/x", None),
        ("POST", "/api/notifications/read", None),
        ("POST", "/api/nothing", None),
    ],
)
async def test_a_viewer_can_change_nothing(locked: Api, keys: Keys, method: str, path: str, body: object) -> None:
    operator, viewer = keys.new("me"), keys.new("wall", "viewer")
    created = await locked.send("POST", "/api/sessions", {"directory": PLAIN}, **bearer(operator))
    path, head = path.format(id=created.json["session"]["id"]), locked.fleet.log.head()
    (await locked.send(method, path, body, **bearer(viewer))).problem(403, "read_only")
    assert locked.fleet.log.head() == head


async def test_every_write_refuses_a_viewer(locked: Api, keys: Keys) -> None:
    """Also those that are still to be written: what the application has is asked."""
    viewer = keys.new("wall", "viewer")
    changing = [
        (method, rule.rule.replace("<int:", "<"))
        for rule in locked.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}
        if rule.rule != "/logout"
    ]
    assert len(changing) > 10
    for method, path in changing:
        (await locked.send(method, path, **bearer(viewer))).problem(403, "read_only")


async def test_a_viewer_can_read_everything(locked: Api, keys: Keys) -> None:
    viewer = keys.new("wall", "viewer")
    for path in ("/api/sessions", "/api/log", "/api/inbox", "/api/openapi.json"):
        assert (await locked.send("GET", path, **bearer(viewer))).status == 200


@pytest.mark.parametrize(
    "shown",
    [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer fleet_0_x",
        "Bearer fleet__",
        "bearer \xff\xfe",
        "Bearer {id}",
        "Bearer {token}x",
        "Bearer {token} {token}",
    ],
)
async def test_malformed_or_unknown_token_is_refused(locked: Api, keys: Keys, shown: str) -> None:
    token = keys.new("ci")
    text = shown.format(token=token, id="_".join(token.split("_", 2)[:2]) + "_")
    answer = await locked.send("GET", "/api/sessions", Authorization=text)
    answer.problem(401, "token_invalid")
    assert token.encode() not in answer.body


async def test_revoked_token_is_refused_at_once(locked: Api, keys: Keys) -> None:
    token, other = keys.new("stolen"), keys.new("me")
    assert (await locked.send("GET", "/api/sessions", **bearer(token))).status == 200
    keys.revoke("stolen")
    problem = (await locked.send("GET", "/api/sessions", **bearer(token))).problem(401, "token_invalid")
    assert "revoked" in problem["detail"]
    assert (await locked.send("GET", "/api/sessions", **bearer(other))).status == 200


async def test_an_expired_token_is_refused(locked: Api, keys: Keys) -> None:
    token = keys.new("ci", lifetime_s=60)
    assert (await locked.send("GET", "/api/sessions", **bearer(token))).status == 200
    await trio.sleep(60)
    assert (
        "expired"
        in (await locked.send("GET", "/api/sessions", **bearer(token))).problem(401, "token_invalid")["detail"]
    )


@pytest.mark.parametrize("end", ["revoked", "expired"])
async def test_an_open_stream_ends_with_its_token(locked: Api, keys: Keys, end: str) -> None:
    token, other = keys.new("ci", lifetime_s=100), keys.new("me")
    async with (
        locked.listen() as port,
        locked.follow(port, "/api/events", **bearer(token)) as stream,
        locked.follow(port, "/api/events", **bearer(other)) as stays,
    ):
        assert (await stream.frame()).event == "snapshot"
        if end == "revoked":
            keys.revoke("ci")
        began = trio.current_time()
        with pytest.raises(h11.RemoteProtocolError):  # cut off: the answer has no end
            await stream.frame()
        assert trio.current_time() - began <= (0 if end == "revoked" else 100) + 2 * TOKEN_POLL_S
        assert (await stays.frame()).event == "snapshot"
        await locked.send("POST", "/api/sessions", {"directory": PLAIN}, **bearer(other))
        assert (await stays.frame()).id == 1


async def test_failed_logins_of_each_client_are_limited(locked: Api, keys: Keys) -> None:
    token = keys.new("ci")
    with capture_logs() as logs:
        for _ in range(LOGIN_FAILURES_MAX):
            (await locked.send("GET", "/api/sessions", **bearer("wrong"))).problem(401, "token_invalid")
        answers = [await locked.send("GET", "/api/sessions", **bearer("wrong")) for _ in range(50)]
    for answer in answers:
        answer.problem(429, "too_many_attempts")
    assert int(answers[0].headers["retry-after"]) == LOGIN_FAILURE_REFILL_S
    assert len([log for log in logs if log["event"] == "token_refused"]) == LOGIN_FAILURES_MAX
    assert "wrong" not in str(logs)
    # A valid token is not a guess, and other clients may have the same address.
    assert (await locked.send("GET", "/api/sessions", **bearer(token))).status == 200
    await trio.sleep(LOGIN_FAILURE_REFILL_S)
    (await locked.send("GET", "/api/sessions", **bearer("wrong"))).problem(401, "token_invalid")


async def test_one_kind_of_secret_is_not_accepted_for_another(locked: Api, keys: Keys) -> None:
    token = keys.new("me")
    code = keys.link("me")
    (await locked.send("GET", "/api/sessions", **bearer(code))).problem(401, "token_invalid")
    (await locked.send("GET", "/api/sessions", Cookie=f"fleet={token}")).problem(401, "token_invalid")
    (await locked.send("GET", f"/login?code={token}")).problem(403, "link_invalid")
    _, cookie = await browse(locked, code)
    (await locked.send("GET", "/api/sessions", **bearer(cookie.partition("=")[2]))).problem(401, "token_invalid")


async def test_server_that_other_machines_can_reach_needs_a_token(public: Api, keys: Keys) -> None:
    (await public.send("GET", "/api/sessions")).problem(401, "token_required")
    token = keys.new("me")
    (await public.send("GET", "/api/sessions", Host="192.168.1.7:3000")).problem(401, "token_required")
    (await public.send("GET", "/api/sessions", X_Forwarded_For="10.0.0.1")).problem(403, "forbidden_origin")
    there = {"Host": "192.168.1.7:3000", **bearer(token)}
    assert (await public.send("GET", "/api/sessions", **there)).status == 200
    assert (await public.send("GET", "/api/sessions", X_Forwarded_For="10.0.0.1", **there)).status == 200
    keys.file.change(lambda register: (type(register)(), None))
    (await public.send("GET", "/api/sessions", **there)).problem(401, "token_invalid")
    (await public.send("GET", "/api/sessions")).problem(401, "token_required")


async def test_damaged_tokens_admit_no_client(locked: Api, keys: Keys, tmp_path: Path) -> None:
    token = keys.new("me")
    (tmp_path / "data" / "tokens.json").write_text("{")
    for headers in ({}, bearer(token), {"Cookie": "fleet=x"}):
        (await locked.send("GET", "/api/sessions", **headers)).problem(503, "tokens_unreadable")
    (await locked.send("GET", "/login?code=x")).problem(503, "tokens_unreadable")


async def test_this_machines_user_is_admitted_by_the_data_directory(
    machine: Machine, keys: Keys, tmp_path: Path
) -> None:
    keys.new("me")
    with local_token(tmp_path) as text:
        async with machine.fleet() as running:
            api = Api(running.fleet, Guard(machine.clock, keys.file, local=text))
            shown = await api.send("GET", "/api/caller", **bearer(text))
            assert shown.json == {"actor": "local", "role": "operator"}
            (await api.send("GET", "/api/caller", **bearer(text + "x"))).problem(401, "token_invalid")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("", 401),
        ("Authorization: Bearer {token}\r\n", 404),
        ("Authorization: Bearer wrong\r\n", 401),
        ("Authorization: Bearer {token}\r\nOrigin: http://localhost\r\n", 404),
        ("Authorization: Bearer {token}\r\nOrigin: http://evil.example\r\n", 403),
        ("Authorization: Bearer {token}\r\nSec-Fetch-Site: cross-site\r\n", 403),
        ("Host: evil.example\r\n", 403),
        ("X-Forwarded-For: 10.0.0.1\r\n", 403),
    ],
)
async def test_websockets_follow_the_same_rules_of_access(locked: Api, keys: Keys, headers: str, status: int) -> None:
    """An address without a WebSocket: a client that may pass gets that response."""
    token = keys.new("me")
    host = "" if headers.startswith("Host") else "Host: localhost\r\n"
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    request = f"GET /api/nothing HTTP/1.1\r\n{host}{upgrade}{key}{headers.format(token=token)}\r\n"
    answer = await raw(locked, request.encode())
    assert answer.status == status, answer
