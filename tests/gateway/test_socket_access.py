"""WebSockets and tokens: the handshake says who it is, for every command, and as long as the token is good."""

import pytest
import trio

from fleet.gateway.server import client_limits, middleware
from fleet.limits import TOKEN_POLL_S
from tests.gateway.keys import Keys, bearer, browse, keys, locked
from tests.gateway.machine import PLAIN, Api
from tests.gateway.raw_socket import CLOSE, TEXT, raw_socket
from tests.gateway.sockets import connected
from tests.gateway.test_problems import answer_of, raw

__all__ = ["keys", "locked"]  # fixtures


def shown(text: str) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", f"Bearer {text}".encode())]


async def test_commands_are_those_of_the_token(locked: Api, keys: Keys) -> None:
    operator, viewer = keys.new("me"), keys.new("wall", "viewer")
    async with locked.listen() as port:
        async with connected(port, shown(viewer)) as client:
            refused = await client.command("POST", "/api/sessions", {"directory": PLAIN})
            assert (refused["type"], refused["problem"]["code"]) == ("error", "read_only")
        assert locked.fleet.log.head() == 0
        async with connected(port, shown(operator)) as client:
            assert (await client.command("POST", "/api/sessions", {"directory": PLAIN}))["type"] == "reply"
    (first, *_) = (await locked.send("GET", "/api/log", **bearer(operator))).json
    assert first["actor"] == "token:me"


HANDSHAKE = (
    b"GET /api/ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        (b"", "token_required"),
        (b"Authorization: Bearer wrong\r\n", "token_invalid"),
        (b"Origin: http://evil.example\r\n", "token_required"),
        (b"Sec-Fetch-Site: same-site\r\n", "forbidden_origin"),
    ],
)
async def test_handshake_without_a_valid_token_is_refused(locked: Api, keys: Keys, headers: bytes, code: str) -> None:
    keys.new("me")
    refused = await raw(locked, HANDSHAKE + b"Host: localhost\r\n" + headers + b"\r\n")
    assert refused.json["code"] == code


async def test_a_browser_is_admitted_by_its_cookie_from_its_own_page(locked: Api, keys: Keys) -> None:
    keys.new("me")
    async with locked.listen() as port:
        host = f"127.0.0.1:{port}"
        _, cookie = await browse(locked, keys.link("me"), Host=host)
        own = [(b"cookie", cookie.encode()), (b"origin", f"http://{host}".encode())]
        async with connected(port, own) as client:
            assert (await client.command("POST", "/api/sessions", {"directory": PLAIN}))["type"] == "reply"
        foreign = b"Host: %s\r\nOrigin: http://127.0.0.1:1\r\nCookie: %s\r\n\r\n" % (host.encode(), cookie.encode())
        (await answer_of(port, HANDSHAKE + foreign)).problem(403, "forbidden_origin")


async def test_a_socket_ends_with_its_token(locked: Api, keys: Keys) -> None:
    token = keys.new("stolen")
    keys.new("me")
    headers = [("Authorization", f"Bearer {token}")]
    async with locked.listen() as port, raw_socket(port, headers) as (client, _):
        await client.send(TEXT, b'{"type": "subscribe", "id": "all", "sessions": "*"}')
        keys.revoke("stolen")
        began = trio.current_time()
        while (received := await client.receive()) is not None and received.opcode != CLOSE:
            pass
        assert received is not None
        assert received.close_code == 1008
        assert trio.current_time() - began <= 2 * TOKEN_POLL_S


async def test_a_command_of_a_revoked_token_is_refused_at_once(
    locked: Api, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "TOKEN_POLL_S", 1e9)  # before the socket itself is ended
    token = keys.new("stolen")
    async with locked.listen() as port, connected(port, shown(token)) as client:
        keys.revoke("stolen")
        refused = await client.command("POST", "/api/sessions", {"directory": PLAIN})
        assert refused["problem"]["code"] == "token_invalid"
    assert locked.fleet.log.head() == 0


async def test_a_socket_is_a_stream_and_no_request(locked: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_limits, "REQUESTS_PER_CLIENT_MAX", 1)
    monkeypatch.setattr(client_limits, "STREAMS_PER_CLIENT_MAX", 2)
    async with locked.listen() as port, connected(port) as first, connected(port):
        assert (await first.command("POST", "/api/notifications/read"))["type"] == "reply"
        (await answer_of(port, HANDSHAKE + b"Host: localhost\r\n\r\n")).problem(429, "too_many_streams")
