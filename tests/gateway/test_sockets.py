"""The WebSocket: many subscriptions and every command, over one connection, and nobody's mistake hurts the rest."""

from typing import Any

import pytest
import trio

from fleet.limits import (
    BODY_BYTES_MAX,
    HEADER_BYTES_MAX,
    HEARTBEAT_S,
    SIGNAL_BUFFER_MAX,
    SOCKET_COMMANDS_MAX,
    SOCKET_FRAME_BYTES_MAX,
    SOCKET_SUBSCRIPTIONS_MAX,
    STREAM_WRITE_TIMEOUT_S,
)
from fleet.ports import PartDelta
from tests.gateway.door import NOWHERE, PLAIN, REPOSITORY, Door, Machine
from tests.gateway.raw_socket import CLOSE, PING, PONG, TEXT, frame, raw_socket, refusal
from tests.gateway.sockets import connected

FOLLOW = b'{"type":"subscribe","id":"a","sessions":"*"}'


def positions(frames: list[dict[str, Any]], frame_id: str) -> list[int]:
    return [frame["position"] for frame in frames if frame["type"] == "event" and frame["id"] == frame_id]


async def test_a_subscription_begins_with_a_snapshot_and_says_when_it_is_live(door: Door) -> None:
    item = await door.session()
    async with door.listen() as port, connected(port) as client:
        head = door.tree.log.head()
        await client.send("subscribe", "a", sessions=[item["opencodeId"]], after=0)
        frames = await client.until("live")
        shown: dict[str, Any] = {"sessionId": item["id"], "status": "idle", "parts": []}
        assert frames[0] == {"type": "snapshot", "id": "a", "snapshot": {"position": head, "sessions": [shown]}}
        assert frames[-1] == {"type": "live", "id": "a", "position": head}
        own = door.tree.log.read_stream(f"session-{item['id']}")
        assert positions(frames, "a") == [event.position for event in own]
        logged = (await door.knock("GET", "/api/log?after=0")).json
        told = [{**frame["event"]} for frame in frames if frame["type"] == "event"]
        assert [(t["position"], t["data"]) for t in told] == [
            (entry["position"], entry["data"]) for entry in logged if entry["stream"] == f"session-{item['id']}"
        ]
        await door.prompt(item["id"], "Hello")
        frames = await client.until("event", event="session.turn-ended")
    assert frames[0]["event"]["type"] == "session.prompt-accepted"
    signals = [frame for frame in frames if frame["type"] == "signal"]
    assert {frame["id"] for frame in signals} == {"a"}
    assert {frame["signal"]["sessionId"] for frame in signals} == {item["id"]}
    assert "delta" in {frame["signal"]["type"] for frame in signals}


async def test_one_socket_follows_some_sessions_and_everything(door: Door) -> None:
    one, two, three = [await door.session() for _ in range(3)]
    async with door.listen() as port, connected(port) as client:
        head = door.tree.log.head()
        await client.send("subscribe", "pair", sessions=[one["id"], two["id"]])
        await client.send("subscribe", "all", sessions="*", after=0)
        frames = await client.until("live", "all")
        assert positions(frames, "all") == list(range(1, head + 1))
        for item in (three, one, two):
            await door.prompt(item["id"], "Go")
        for _ in range(5):
            frames += await client.until("event", event="session.turn-ended")
    streams = {f["event"]["stream"] for f in frames if f["type"] == "event" and f["id"] == "pair"}
    assert streams == {f"session-{item['id']}" for item in (one, two)}
    assert positions(frames, "all") == list(range(1, len(positions(frames, "all")) + 1))


async def test_an_ended_subscription_tells_nothing_more(door: Door) -> None:
    item = await door.session()
    async with door.listen() as port, connected(port) as client:
        for frame_id in ("a", "b"):
            await client.send("subscribe", frame_id, sessions=[item["id"]])
            await client.until("live", frame_id)
        assert await client.ask("unsubscribe", "a") == {"type": "reply", "id": "a", "status": 204}
        await door.prompt(item["id"], "Hello")
        frames = await client.until("event", "b", "session.turn-ended")
        assert {frame["id"] for frame in frames} == {"b"}
        assert (await client.ask("unsubscribe", "a"))["code"] == "subscription_not_found"
        await client.send("subscribe", "a", sessions="*", after=0)
        assert positions(await client.until("live", "a"), "a")[0] == 1
    assert door.tree.inflight.readers() == 0


async def test_a_client_goes_on_where_it_left_over_a_restart(machine: Machine) -> None:
    async with machine.fleet() as door:
        item = await door.session()
        await door.prompt(item["id"], "turn:2")
        async with door.listen() as port, connected(port) as client:
            await client.send("subscribe", "a", sessions="*", after=0)
            before = positions(await client.until("live"), "a")
    cut = before[len(before) // 2]
    async with machine.fleet() as door, door.listen() as port, connected(port) as client:
        await client.send("subscribe", "a", sessions="*", after=cut)
        after = positions(await client.until("live"), "a")
        assert after == list(range(cut + 1, door.tree.log.head() + 1))


async def test_every_command_of_rest(door: Door) -> None:
    async with door.listen() as port, connected(port) as client:
        created = await client.command("POST", "/api/sessions", {"directory": PLAIN})
        assert (created["type"], created["status"]) == ("reply", 200)
        session_id = created["body"]["session"]["id"]
        path = f"/api/sessions/{session_id}"
        prompted = await client.command("POST", f"{path}/prompt", {"text": "Hello"})
        assert prompted == {"type": "reply", "id": "command", "status": 204, "position": prompted["position"]}
        await door.settled(session_id)
        patched = await client.command("PATCH", f"{path}?instanceId={created['body']['instanceId']}", {"title": "New"})
        assert (
            patched["body"]
            == (await door.knock("GET", path)).json | {key: patched["body"][key] for key in patched["body"]}
            or patched["body"]["title"] == "New"
        )
        assert (await client.command("POST", f"{path}/abort"))["body"]["outcome"]
        ended = await client.command("DELETE", f"{path}?permanent=true")
        assert ended["status"] == 200
    (await door.knock("GET", path)).problem(404, "session_not_found")


async def test_what_rest_refuses_is_an_error_with_the_same_problem(door: Door) -> None:
    item = await door.session()
    async with door.listen() as port, connected(port) as client:
        for method, path, body in (
            ("POST", f"/api/sessions/{NOWHERE}/prompt", {"text": "x"}),
            ("POST", f"/api/sessions/{item['id']}/prompt", {"text": ""}),
            ("POST", f"/api/sessions/{item['id']}/prompt", {"txt": ""}),
            ("POST", "/api/sessions", {"directory": "/nowhere"}),
            ("POST", "/api/nothing", None),
            ("PUT", "/api/sessions", None),
        ):
            answer = await door.knock(method, path, body)
            error = await client.command(method, path, body)
            assert error["type"] == "error"
            assert (error["status"], error["code"]) == (answer.status, answer.json["code"])
            assert error["problem"] == answer.json


async def test_a_key_counts_whichever_door_it_comes_through(door: Door) -> None:
    body = {"directory": PLAIN, "title": "Once"}
    first = await door.knock("POST", "/api/sessions", body, Idempotency_Key="k")
    async with door.listen() as port, connected(port) as client:
        again = await client.command("POST", "/api/sessions", body, idempotencyKey="k")
        other = await client.command("POST", "/api/sessions", {**body, "title": "Twice"}, idempotencyKey="k")
    assert again["body"] == first.json
    assert other["code"] == "idempotency_conflict"


async def test_commands_for_one_session_keep_their_order(door: Door) -> None:
    one, two = await door.session(), await door.session()
    async with door.listen() as port, connected(port) as client:
        for number in range(20):
            for item in (one, two):
                body = {"text": f"bash:600 {number}"}
                path = f"/api/sessions/{item['id']}/prompt"
                await client.send("command", f"{item['id']}:{number}", method="POST", path=path, body=body)
        replies = [await client.frame() for _ in range(40)]
    assert {reply["type"] for reply in replies} == {"reply"}
    for item in (one, two):
        queue = (await door.knock("GET", f"/api/sessions/{item['id']}/queue")).json
        assert [prompt["text"] for prompt in queue] == [f"bash:600 {number}" for number in range(1, 20)]


@pytest.mark.parametrize(
    ("message", "code", "field"),
    [
        ("", "bad_json", None),
        ("{", "bad_json", None),
        (
            '{"type": "command", "id": "a", "method": "POST", "path": "/api/x", "body": ' + "[" * 5000,
            "bad_json",
            None,
        ),
        ("[]", "invalid", None),
        ("{}", "invalid", "type"),
        ('{"type": "event", "id": "a"}', "invalid", "type"),
        ('{"type": "ping"}', "invalid", "id"),
        ('{"type": "ping", "id": ""}', "invalid", "id"),
        ('{"type": "ping", "id": 7}', "invalid", "id"),
        ('{"type": "ping", "id": "%s"}' % ("x" * 65), "invalid", "id"),
        ('{"type": "ping", "id": "a", "more": 1}', "invalid", "more"),
        ('{"type": "subscribe", "id": "a"}', "invalid", "sessions"),
        ('{"type": "subscribe", "id": "a", "sessions": "x"}', "invalid", "sessions"),
        ('{"type": "subscribe", "id": "a", "sessions": []}', "invalid", "sessions"),
        ('{"type": "subscribe", "id": "a", "sessions": ["x"]}', "session_not_found", None),
        ('{"type": "subscribe", "id": "a", "sessions": "*", "after": -1}', "invalid", "after"),
        ('{"type": "subscribe", "id": "a", "sessions": "*", "after": 99999}', "invalid", "after"),
        ('{"type": "subscribe", "id": "taken", "sessions": "*"}', "invalid", "id"),
        ('{"type": "command", "id": "a", "method": "GET", "path": "/api/events"}', "invalid", "method"),
        ('{"type": "command", "id": "a", "method": "POST", "path": "api/sessions"}', "invalid", "path"),
        ('{"type": "command", "id": "a", "method": "POST", "path": "/api/ x\\r\\n"}', "invalid", "path"),
        ('{"type": "command", "id": "a", "method": "POST", "path": "/api/x", "idempotencyKey": ""}', "invalid", None),
        (b'{"type": "ping", "id": "a"}', "invalid", None),
        (b"", "invalid", None),
    ],
)
async def test_a_frame_that_is_none_is_answered_and_nothing_else_happens(
    door: Door, message: str | bytes, code: str, field: str | None
) -> None:
    await door.session()
    head = door.tree.log.head()
    async with door.listen() as port, connected(port) as client:
        await client.send("subscribe", "taken", sessions="*")
        await client.until("live")
        await client.raw(message)
        error = await client.frame()
        assert (error["type"], error["code"]) == ("error", code)
        assert error["problem"]["code"] == code
        assert error["problem"]["status"] == error["status"]
        if field is not None:
            assert error["problem"]["field"] == field
        assert (await client.ask("ping", "p")) == {"type": "reply", "id": "p", "status": 204}
        assert door.tree.inflight.readers() == 1
    assert door.tree.log.head() == head


async def test_subscriptions_are_bounded(door: Door) -> None:
    async with door.listen() as port, connected(port) as client:
        for number in range(SOCKET_SUBSCRIPTIONS_MAX):
            await client.send("subscribe", str(number), sessions="*")
        await client.send("subscribe", "more", sessions="*")
        frames = await client.until("error")
        assert (frames[-1]["id"], frames[-1]["code"]) == ("more", "invalid")
        assert "at most" in frames[-1]["problem"]["detail"]
        assert door.tree.inflight.readers() == SOCKET_SUBSCRIPTIONS_MAX


async def test_commands_at_a_time_are_bounded(door: Door) -> None:
    item = await door.session(initialPrompt="bash:600")
    await door.tree.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    async with door.listen() as port, connected(port) as client:
        path = f"/api/sessions/{item['id']}/abort"
        for number in range(SOCKET_COMMANDS_MAX + 1):
            await client.send("command", str(number), method="POST", path=path)
        frames = [await client.frame() for _ in range(SOCKET_COMMANDS_MAX + 1)]
        refused = [frame for frame in frames if frame["type"] == "error"]
        assert [(frame["id"], frame["code"]) for frame in refused] == [(str(SOCKET_COMMANDS_MAX), "overloaded")]
        assert refused[0]["retryAfterS"] == 1
        assert (await client.command("POST", path))["type"] == "reply"


async def test_streams_are_bounded(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.gateway.reading.STREAMS_OPEN_MAX", 2)
    async with door.listen() as port, connected(port) as client:
        async with door.follow(port, "/api/events") as stream:
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
async def test_the_handshake_passes_the_same_gate_as_requests(door: Door, headers: dict[str, str], status: int) -> None:
    async with door.listen() as port:
        sent = [(name, value.replace("{port}", str(port))) for name, value in headers.items()]
        got, said = await refusal(port, sent)
        assert got == status
        if status != 101:
            assert "application/problem+json" in said
            assert '"code":' in said


async def test_commands_carry_what_the_handshake_said_of_the_client(door: Door) -> None:
    async with door.listen() as port:
        own = [(b"Origin", b"http://127.0.0.1:%d" % port), (b"Sec-Fetch-Site", b"same-origin")]
        async with connected(port, own) as client:
            assert (await client.command("POST", "/api/sessions", {"directory": PLAIN}))["status"] == 200


async def test_a_plain_request_is_told_to_upgrade(door: Door) -> None:
    (await door.knock("GET", "/api/ws")).problem(426, "upgrade_required")


async def test_a_reader_that_falls_behind_is_told_its_cursor_and_misses_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = await door.session()
    async with door.listen() as port, connected(port) as client:
        with monkeypatch.context() as patch:
            patch.setattr("fleet.events.feed.FEED_BUFFER_BYTES_MAX", 1)
            await client.send("subscribe", "a", sessions="*")
            await client.until("live")
        before = door.tree.log.head()
        await door.prompt(item["id"], "Hello")
        frames = await client.until("lagging")
        seen = [before, *positions(frames, "a")]
        assert frames[-1] == {"type": "lagging", "id": "a", "after": seen[-1]}
        assert door.tree.inflight.readers() == 0
        await client.send("subscribe", "a", sessions="*", after=seen[-1])
        seen += positions(await client.until("live"), "a")
        assert seen == list(range(before, door.tree.log.head() + 1))


async def test_dropped_signals_are_followed_by_a_snapshot(door: Door) -> None:
    item = await door.session()
    async with door.listen() as port, connected(port) as client:
        await client.send("subscribe", "a", sessions=[item["id"]])
        await client.until("live")
        for n in range(SIGNAL_BUFFER_MAX + 1):
            door.tree.inflight.delta(item["id"], PartDelta(item["opencodeId"], "msg_x", "prt_x", "text", str(n)))
        assert (await client.frame())["type"] == "snapshot"


async def test_a_quiet_socket_is_pinged(door: Door) -> None:
    async with door.listen() as port, raw_socket(port) as (socket, _):
        began = trio.current_time()
        for _ in range(10):
            assert await socket.receive() == (PING, b"")
            await socket.send(PONG)
        assert 10 * HEARTBEAT_S <= trio.current_time() - began < 11 * HEARTBEAT_S


async def test_a_client_that_goes_leaves_nothing(door: Door) -> None:
    async with door.listen() as port:
        async with connected(port) as client:
            await client.send("subscribe", "a", sessions="*")
            await client.until("live")
        async with raw_socket(port) as (socket, _):
            await socket.send(TEXT, FOLLOW)
            assert await socket.receive()  # and goes without a word
        await trio.sleep(1)
        assert door.tree.inflight.readers() == 0
        assert len(door.tree.feed.statistics()) == 1


async def test_a_shutdown_closes_it(door: Door) -> None:
    async with door.listen() as port, raw_socket(port) as (socket, _):
        await socket.send(TEXT, FOLLOW)
        assert await socket.receive()
        began = trio.current_time()
        door.closing.set()
        while (received := await socket.receive()) is not None and received.opcode == TEXT:
            pass
        assert received is not None
        assert received.close_code == 1001
        assert trio.current_time() - began < 1
        await socket.send(CLOSE, received.payload)
        assert await socket.receive() is None
    assert door.tree.inflight.readers() == 0


async def test_a_client_that_reads_no_answers_is_not_listened_to(door: Door) -> None:
    """What it is owed is bounded, and so is what it can send: in the end its own writes wait."""
    many = frame(TEXT, b'{"type":"ping","id":"%s"}' % (b"x" * 64)) * 1000
    async with door.listen() as port, raw_socket(port) as (socket, _):
        with trio.move_on_after(STREAM_WRITE_TIMEOUT_S / 2) as waited:
            for _ in range(1000):
                await socket.stream.send_all(many)
        assert waited.cancelled_caught


@pytest.mark.trio(run=trio.run)
async def test_a_message_that_is_too_large_is_refused(door: Door) -> None:
    async with door.listen() as port, raw_socket(port) as (socket, _):
        await socket.send(TEXT, b"x" * (SOCKET_FRAME_BYTES_MAX + 1))
        received = await socket.receive()
        assert received is not None
        assert received.close_code == 1009
        assert await socket.receive() is None
    async with door.listen() as port, connected(port) as client:
        body = {"directory": PLAIN, "title": "x" * (BODY_BYTES_MAX - 100)}
        assert (await client.command("POST", "/api/sessions", body))["code"] == "invalid"
        body["title"] += "x" * 200
        assert (await client.command("POST", "/api/sessions", body))["code"] == "too_large"


async def test_two_repositories_are_served_side_by_side(door: Door) -> None:
    """Creating takes its time: one does not wait for the other."""
    async with door.listen() as port, connected(port) as client:
        for name in ("one", "two"):
            body = {"directory": REPOSITORY, "isolationStrategy": "worktree", "title": name}
            await client.send("command", name, method="POST", path="/api/sessions", body=body)
        replies = {frame["id"]: frame for frame in [await client.frame(), await client.frame()]}
        assert {reply["body"]["session"]["title"] for reply in replies.values()} == {"one", "two"}
