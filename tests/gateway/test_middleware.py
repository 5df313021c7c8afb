"""What holds for every response and every client: headers, how much at a time, and how long a client may take."""

from contextlib import suppress
from typing import Any

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from fleet.gateway.server import client_limits
from fleet.gateway.server.guard import Guard
from fleet.gateway.server.middleware import Message, Middleware
from fleet.limits import BODY_READ_S, CLIENT_ADDRESSES_REMEMBERED_MAX, KEEP_ALIVE_S
from tests.gateway.keys import Keys, bearer, keys, locked
from tests.gateway.machine import PLAIN, Answer, Api, Machine
from tests.gateway.test_problems import answer_of, raw

__all__ = ["keys", "locked"]  # fixtures

HTTP_2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


def protected(answer: Answer) -> bool:
    return answer.headers.items() >= ALWAYS.items()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/api/sessions", {}, 200),
        ("GET", "/api/openapi.json", {}, 200),
        ("GET", "/api/sessions", bearer("x"), 401),
        ("GET", "/api/sessions", {"Host": "evil.example"}, 403),
        ("GET", "/login?code=x", {}, 403),
        ("GET", "/nothing", {}, 404),
        ("PUT", "/api/sessions", {}, 405),
        ("POST", "/api/sessions", {}, 400),
        ("GET", "/api/sessions?limit=x", {}, 422),
    ],
)
async def test_every_answer_is_protected(
    api: Api, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = await api.send(method, path, **headers)
    assert answer.status == status
    assert protected(answer), answer.headers


async def test_response_to_a_bug_has_the_security_headers(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(api.fleet.sessions, "session", broken)
    with capture_logs() as logs:
        answer = await api.send("GET", "/api/sessions/x", Authorization="Basic a-secret", Cookie="a=a-secret")
    assert (answer.status, protected(answer)) == (500, True)
    assert "a-secret" not in str(logs)


async def test_streams_and_refused_websockets_have_the_security_headers(api: Api) -> None:
    async with api.listen() as port, api.follow(port, "/api/events") as stream:
        assert stream.headers.items() >= ALWAYS.items()
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n"
    refused = await raw(api, b"GET /api/ws HTTP/1.1\r\nHost: evil.example\r\n" + upgrade + b"\r\n")
    assert refused.status == 403
    assert refused.headers["x-content-type-options"] == "nosniff"


async def test_pages_may_load_nothing_from_other_servers(machine: Machine) -> None:
    """Also one that names no policy, as this one of another application."""

    async def page(_scope: Message, _receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"max-age=1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {}

    await Middleware(Guard(machine.clock)).around(page)({"type": "http", "client": None}, receive, send)
    headers = dict(sent[0]["headers"])
    assert headers[b"cache-control"] == b"max-age=1"
    policy = dict(part.strip().split(b" ", 1) for part in headers[b"content-security-policy"].split(b";"))
    assert policy[b"default-src"] == b"'none'"
    assert policy[b"script-src"] == policy[b"connect-src"] == policy[b"form-action"] == b"'self'"
    assert policy[b"worker-src"] == b"'self'"
    assert policy[b"frame-ancestors"] == policy[b"base-uri"] == b"'none'"
    assert (policy[b"require-trusted-types-for"], policy[b"trusted-types"]) == (b"'script'", b"fleet")
    assert b"unsafe" not in headers[b"content-security-policy"]


async def test_open_requests_of_a_client_are_limited(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_limits, "REQUESTS_PER_CLIENT_MAX", 2)
    free = trio.Event()

    async def slow(*_: Any) -> Any:
        await free.wait()
        raise ZeroDivisionError

    monkeypatch.setattr(api.fleet.sessions, "create", slow)
    with capture_logs():
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(api.send, "POST", "/api/sessions", {"directory": PLAIN})
            await trio.testing.wait_all_tasks_blocked()
            answer = await api.send("GET", "/api/sessions")
            answer.problem(429, "too_many_requests")
            assert answer.headers["retry-after"] == "1"
            free.set()
    assert (await api.send("GET", "/api/sessions")).status == 200


async def test_a_request_that_is_ended_with_its_token_is_refused(
    locked: Api, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(*_: Any) -> Any:
        keys.revoke("stolen")
        await trio.sleep_forever()

    monkeypatch.setattr(locked.fleet.sessions, "create", slow)
    stolen = bearer(keys.new("stolen"))
    body = b'{"directory": "%s"}' % PLAIN.encode()
    head = f"POST /api/sessions HTTP/1.1\r\nHost: localhost\r\nAuthorization: {stolen['Authorization']}\r\n"
    sized = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    async with locked.listen() as port, locked.follow(port, "/api/events", **stolen):
        answer = await answer_of(port, head.encode() + sized.encode() + body)
    assert "does not know whether it had an effect" in answer.problem(401, "token_invalid")["detail"]
    assert answer.headers.keys() >= ALWAYS.keys()


async def test_open_streams_of_a_client_are_limited_apart_from_its_requests(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_limits, "REQUESTS_PER_CLIENT_MAX", 1)
    monkeypatch.setattr(client_limits, "STREAMS_PER_CLIENT_MAX", 2)
    ask = b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with api.listen() as port:
        async with api.follow(port, "/api/events") as first, api.follow(port, "/api/events") as second:
            await first.frame()
            await second.frame()
            (await answer_of(port, ask)).problem(429, "too_many_streams")
            assert (await answer_of(port, ask.replace(b"/events", b"/sessions"))).status == 200
        await trio.testing.wait_all_tasks_blocked()
        async with api.follow(port, "/api/events") as third:
            assert (await third.frame()).event == "snapshot"


async def test_peers_are_forgotten() -> None:
    known = client_limits.ClientLimits()
    for n in range(CLIENT_ADDRESSES_REMEMBERED_MAX + 100):
        known.visit(str(n)).end()
    assert len(known._peers) == CLIENT_ADDRESSES_REMEMBERED_MAX


async def test_requests_that_are_refused_do_not_fill_the_log(api: Api) -> None:
    with capture_logs() as logs:
        for headers in ({"Host": "evil.example"}, {"Sec_Fetch_Site": "cross-site"}, {}, {"X_Forwarded_For": "1.1.1.1"}):
            for path in ("/api/sessions/x", "/api/nothing", "/api/sessions?limit=x"):
                assert (await api.send("GET", path, **headers)).status in (403, 404, 422)
        for headers in ({"Host": "evil.example"}, {"Sec_Fetch_Site": "cross-site"}, {"X_Forwarded_For": "1.1.1.1"}):
            (await api.send("POST", "/api/sessions", {}, **headers)).problem(403, "forbidden_origin")
    assert [log for log in logs if log["log_level"] != "debug"] == []
    assert api.fleet.log.head() == 0


# ----------------------------------------------------------------------------------------------------- slow and silent


async def _until_closed(stream: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError), trio.fail_after(60):
        while await stream.receive_some(65536):
            pass


@pytest.mark.parametrize("begin", [b"", b"G", b"GET /api/sessions HTTP/1.1\r\nHost: loc", HTTP_2])
async def test_connection_without_a_request_is_closed(api: Api, begin: bytes) -> None:
    async with api.listen() as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        began = trio.current_time()
        if begin:
            await stream.send_all(begin)
        await _until_closed(stream)
        assert trio.current_time() - began <= KEEP_ALIVE_S + 1


@pytest.mark.parametrize("host", ["localhost", "evil.example"])
@pytest.mark.parametrize(
    ("version", "field", "then", "within_s"),
    [
        ("1.1", "Connection: close", b"", 0),
        ("1.0", "Accept: */*", b"", 0),
        ("1.1", "Accept: */*", b"", KEEP_ALIVE_S),
        ("1.1", "Accept: */*", b"GET /api/sessions HTTP/1.1\r\nHost: loc", KEEP_ALIVE_S),
    ],
)
async def test_idle_connection_is_closed_after_a_response(
    api: Api, host: str, version: str, field: str, then: bytes, within_s: float
) -> None:
    async with api.listen() as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(f"GET /api/caller HTTP/{version}\r\nHost: {host}\r\n{field}\r\n\r\n".encode())
        assert (await stream.receive_some(65536)).startswith(b"HTTP/1.1 ")
        began = trio.current_time()
        if then:
            await stream.send_all(then)
        await _until_closed(stream)
        assert trio.current_time() - began <= within_s + 1


async def test_slow_headers_do_not_hold_a_connection(api: Api) -> None:
    head = b"GET /api/sessions HTTP/1.1\r\nHost: localhost\r\nX-Padding: " + b"x" * 100
    async with api.listen() as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        began = trio.current_time()
        with pytest.raises(trio.BrokenResourceError):  # noqa: PT012 - which byte it is, is not known
            for byte in head:
                await stream.send_all(bytes([byte]))
                await trio.sleep(0.5)
        assert trio.current_time() - began <= KEEP_ALIVE_S + 2


async def test_slow_body_does_not_hold_a_connection(api: Api) -> None:
    head = (
        b"POST /api/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n"
    )
    async with api.listen() as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
        began = trio.current_time()
        await stream.send_all(head + b"Content-Length: 9999\r\n\r\n")
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def dribble() -> None:
                while True:
                    await trio.sleep(1)
                    await stream.send_all(b" ")

            assert b" 408 " in await stream.receive_some(65536)
            nursery.cancel_scope.cancel()
        assert trio.current_time() - began <= BODY_READ_S + 1


async def test_slow_clients_do_not_keep_others_out(api: Api) -> None:
    async with api.listen() as port:
        slow = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(200)]
        for stream in slow:
            await stream.send_all(b"GET /api/sessions HTTP/1.1\r\nX-Slow: ")
        answer = await answer_of(port, b"GET /api/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.status == 200
        for stream in slow:
            await _until_closed(stream)
            await stream.aclose()


async def test_upgrade_to_http_2_is_ignored(api: Api) -> None:
    """The server would hold such a connection without end, and limits there are others."""
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n"
    answer = await raw(api, b"GET /api/sessions HTTP/1.1\r\nHost: localhost\r\n" + upgrade + b"\r\n")
    assert (answer.status, answer.json) == (200, [])
    assert (await raw(api, HTTP_2)).status in (403, 404)
