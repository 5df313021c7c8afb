"""What is bounded at a WebSocket, who may open one and what for, and what is left when it ends."""

from pathlib import Path
from typing import Any

import pytest
import trio

from fleet.gateway.server.guard import Guard
from fleet.limits import (
    BODY_BYTES_MAX,
    HEADER_BYTES_MAX,
    HEARTBEAT_S,
    SIGNAL_BUFFER_MAX,
    SOCKET_COMMANDS_MAX,
    SOCKET_FRAME_BYTES_MAX,
    SOCKET_SUBSCRIPTIONS_MAX,
    STREAM_WRITE_TIMEOUT_S,
    TOKEN_POLL_S,
)
from fleet.ports import PartDelta
from tests.gateway.keys import Keys
from tests.gateway.machine import PLAIN, Api, Machine
from tests.gateway.raw_socket import CLOSE, PING, PONG, TEXT, frame, raw_socket, refusal
from tests.gateway.sockets import connected

FOLLOW = b'{"type":"subscribe","id":"a","sessions":"*"}'


def positions(frames: list[dict[str, Any]], frame_id: str) -> list[int]:
    return [frame["position"] for frame in frames if frame["type"] == "event" and frame["id"] == frame_id]


async def test_subscriptions_are_bounded(api: Api) -> None:
    async with api.listen() as port, connected(port) as client:
        for number in range(SOCKET_SUBSCRIPTIONS_MAX):
            await client.send("subscribe", str(number), sessions="*")
        await client.send("subscribe", "more", sessions="*")
        frames = await client.until("error")
        assert (frames[-1]["id"], frames[-1]["code"]) == ("more", "invalid")
        assert "the limit is" in frames[-1]["problem"]["detail"]
        assert api.fleet.inflight.readers() == SOCKET_SUBSCRIPTIONS_MAX


async def test_commands_at_a_time_are_bounded(api: Api) -> None:
    item = await api.session(initialPrompt="bash:600")
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    async with api.listen() as port, connected(port) as client:
        path = f"/api/sessions/{item['id']}/abort"
        for number in range(SOCKET_COMMANDS_MAX + 1):
            await client.send("command", str(number), method="POST", path=path)
        frames = [await client.frame() for _ in range(SOCKET_COMMANDS_MAX + 1)]
        refused = [frame for frame in frames if frame["type"] == "error"]
        assert [(frame["id"], frame["code"]) for frame in refused] == [(str(SOCKET_COMMANDS_MAX), "overloaded")]
        assert refused[0]["retryAfterS"] == 1
        assert (await client.command("POST", path))["type"] == "reply"


async def test_streams_are_bounded(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.gateway.live.reader.STREAMS_OPEN_MAX", 2)
    async with api.listen() as port, connected(port) as client:
        async with api.follow(port, "/api/events") as stream:
            await stream.frame()
            status, said = await refusal(port)
            assert status == 503
            assert '"overloaded"' in said
            async with await trio.open_tcp_stream("127.0.0.1", port) as connection:
                await connection.send_all(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answer = await connection.receive_some()
            assert answer.startswith(b"HTTP/1.1 503")
            assert b"retry-after: 5" in answer.lower()
        await client.ask("ping", "a")
        async with connected(port) as other:
            await other.ask("ping", "a")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 101),
        ({"Origin": "http://127.0.0.1:{port}"}, 101),
        ({"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}, 101),
        ({"Host": "localhost:{port}", "Origin": "http://localhost:{port}"}, 101),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": "http://localhost:{port}"}, 403),
        ({"Origin": "ws://127.0.0.1:{port}"}, 403),
        ({"Origin": "https://127.0.0.1:{port}"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"X-Forwarded-For": "10.0.0.1"}, 403),
        ({"Padding": "x" * HEADER_BYTES_MAX}, 431),
    ],
)
async def test_the_handshake_passes_the_same_gate_as_requests(api: Api, headers: dict[str, str], status: int) -> None:
    async with api.listen() as port:
        sent = [(name, value.replace("{port}", str(port))) for name, value in headers.items()]
        got, said = await refusal(port, sent)
        assert got == status
        if status != 101:
            assert "application/problem+json" in said
            assert '"code":' in said


async def test_commands_carry_what_the_handshake_said_of_the_client(api: Api) -> None:
    async with api.listen() as port:
        own = [(b"Origin", b"http://127.0.0.1:%d" % port), (b"Sec-Fetch-Site", b"same-origin")]
        async with connected(port, own) as client:
            assert (await client.command("POST", "/api/sessions", {"directory": PLAIN}))["status"] == 200


async def test_a_plain_request_is_asked_to_upgrade(api: Api) -> None:
    (await api.send("GET", "/api/ws")).problem(426, "upgrade_required")


async def test_a_reader_that_falls_behind_gets_its_cursor_and_misses_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = await api.session()
    async with api.listen() as port, connected(port) as client:
        with monkeypatch.context() as patch:
            patch.setattr("fleet.events.feed.FEED_BUFFER_BYTES_MAX", 1)
            await client.send("subscribe", "a", sessions="*")
            await client.until("live")
        before = api.fleet.log.head()
        await api.prompt(item["id"], "Hello")
        frames = await client.until("lagging")
        seen = [before, *positions(frames, "a")]
        assert frames[-1] == {"type": "lagging", "id": "a", "after": seen[-1]}
        assert api.fleet.inflight.readers() == 0
        await client.send("subscribe", "a", sessions="*", after=seen[-1])
        seen += positions(await client.until("live"), "a")
        assert seen == list(range(before, api.fleet.log.head() + 1))


async def test_dropped_signals_are_followed_by_a_snapshot(api: Api) -> None:
    item = await api.session()
    async with api.listen() as port, connected(port) as client:
        await client.send("subscribe", "a", sessions=[item["id"]])
        await client.until("live")
        for n in range(SIGNAL_BUFFER_MAX + 1):
            api.fleet.inflight.delta(item["id"], PartDelta(item["opencodeId"], "msg_x", "prt_x", "text", str(n)))
        assert (await client.frame())["type"] == "snapshot"


async def test_a_quiet_socket_is_pinged(api: Api) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        began = trio.current_time()
        for _ in range(10):
            assert await socket.receive() == (PING, b"")
            await socket.send(PONG)
        assert 10 * HEARTBEAT_S <= trio.current_time() - began < 11 * HEARTBEAT_S


async def test_client_that_disconnects_leaves_nothing_behind(api: Api) -> None:
    async with api.listen() as port:
        async with connected(port) as client:
            await client.send("subscribe", "a", sessions="*")
            await client.until("live")
        async with raw_socket(port) as (socket, _):
            await socket.send(TEXT, FOLLOW)
            assert await socket.receive()  # and goes without a word
        await trio.sleep(1)
        assert api.fleet.inflight.readers() == 0
        assert len(api.fleet.feed.statistics()) == 1


async def test_shutdown_closes_the_websocket(api: Api) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await socket.send(TEXT, FOLLOW)
        assert await socket.receive()
        began = trio.current_time()
        api.closing.set()
        while (received := await socket.receive()) is not None and received.opcode == TEXT:
            pass
        assert received is not None
        assert received.close_code == 1001
        assert trio.current_time() - began < 1
        await socket.send(CLOSE, received.payload)
        assert await socket.receive() is None
    assert api.fleet.inflight.readers() == 0


async def test_client_that_does_not_read_replies_is_not_read_either(api: Api) -> None:
    """What it is owed is bounded, and so is what it can send: in the end its own writes wait."""
    many = frame(TEXT, b'{"type":"ping","id":"%s"}' % (b"x" * 64)) * 1000
    async with api.listen() as port, raw_socket(port) as (socket, _):
        with trio.move_on_after(STREAM_WRITE_TIMEOUT_S / 2) as waited:
            for _ in range(1000):
                await socket.stream.send_all(many)
        assert waited.cancelled_caught


@pytest.mark.trio(run=trio.run)
async def test_a_message_that_is_too_large_is_refused(api: Api) -> None:
    async with api.listen() as port, raw_socket(port) as (socket, _):
        await socket.send(TEXT, b"x" * (SOCKET_FRAME_BYTES_MAX + 1))
        received = await socket.receive()
        assert received is not None
        assert received.close_code == 1009
        assert await socket.receive() is None
    async with api.listen() as port, connected(port) as client:
        body = {"directory": PLAIN, "title": "x" * (BODY_BYTES_MAX - 100)}
        assert (await client.command("POST", "/api/sessions", body))["code"] == "invalid"
        body["title"] += "x" * 200
        assert (await client.command("POST", "/api/sessions", body))["code"] == "too_large"


async def test_a_viewer_reads_and_orders_nothing_and_a_revoked_token_reads_no_more(
    machine: Machine, tmp_path: Path
) -> None:
    keys = Keys(tmp_path / "data", machine)
    operator, viewer = keys.new("ci"), keys.new("eyes", "viewer")
    async with machine.fleet() as tree_only:
        api = Api(tree_only.fleet, Guard(machine.clock, keys.file))
        create = {"directory": PLAIN}
        async with api.listen() as port:
            assert (await refusal(port))[0] == 401
            async with connected(port, [(b"Authorization", b"Bearer %s" % operator.encode())]) as client:
                assert (await client.command("POST", "/api/sessions", create))["status"] == 200
            events = api.fleet.log.read_all()
            assert {e.cause.actor for e in events if e.type == "session.created"} == {"token:ci"}
            head = api.fleet.log.head()
            async with raw_socket(port, [("Authorization", f"Bearer {viewer}")]) as (socket, _):
                await socket.send(TEXT, FOLLOW)
                received = await socket.receive()
                assert received is not None
                assert b'"snapshot"' in received.payload
                await socket.send(
                    TEXT, b'{"type":"command","id":"c","method":"POST","path":"/api/sessions","body":{"directory":"/"}}'
                )
                while received is not None and b'"error"' not in received.payload:
                    received = await socket.receive()
                assert received is not None
                assert b'"read_only"' in received.payload
                assert api.fleet.log.head() == head
                keys.revoke("eyes")
                began = trio.current_time()
                while received is not None:
                    received = await socket.receive()
                assert trio.current_time() - began <= 2 * TOKEN_POLL_S
        assert api.fleet.inflight.readers() == 0
