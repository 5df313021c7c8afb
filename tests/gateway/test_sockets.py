"""The WebSocket: many subscriptions and every command, over one connection, and no mistake of one hurts the rest."""

from typing import Any

import pytest

from tests.gateway.machine import NOWHERE, PLAIN, REPOSITORY, Api, Machine
from tests.gateway.sockets import connected

FOLLOW = b'{"type":"subscribe","id":"a","sessions":"*"}'


def positions(frames: list[dict[str, Any]], frame_id: str) -> list[int]:
    return [frame["position"] for frame in frames if frame["type"] == "event" and frame["id"] == frame_id]


async def test_a_subscription_begins_with_a_snapshot_and_says_when_it_is_live(api: Api) -> None:
    item = await api.session()
    async with api.listen() as port, connected(port) as client:
        head = api.fleet.log.head()
        await client.send("subscribe", "a", sessions=[item["opencodeId"]], after=0)
        frames = await client.until("live")
        shown: dict[str, Any] = {"sessionId": item["id"], "status": "idle", "parts": []}
        assert frames[0] == {"type": "snapshot", "id": "a", "snapshot": {"position": head, "sessions": [shown]}}
        assert frames[-1] == {"type": "live", "id": "a", "position": head}
        own = api.fleet.log.read_stream(f"session-{item['id']}")
        assert positions(frames, "a") == [event.position for event in own]
        logged = (await api.send("GET", "/api/log?after=0")).json
        told = [{**frame["event"]} for frame in frames if frame["type"] == "event"]
        assert [(t["position"], t["data"]) for t in told] == [
            (entry["position"], entry["data"]) for entry in logged if entry["stream"] == f"session-{item['id']}"
        ]
        await api.prompt(item["id"], "Hello")
        frames = await client.until("event", event="session.turn-ended")
    assert frames[0]["event"]["type"] == "session.prompt-accepted"
    signals = [frame for frame in frames if frame["type"] == "signal"]
    assert {frame["id"] for frame in signals} == {"a"}
    assert {frame["signal"]["sessionId"] for frame in signals} == {item["id"]}
    assert "delta" in {frame["signal"]["type"] for frame in signals}


async def test_one_socket_follows_some_sessions_and_everything(api: Api) -> None:
    one, two, three = [await api.session() for _ in range(3)]
    async with api.listen() as port, connected(port) as client:
        head = api.fleet.log.head()
        await client.send("subscribe", "pair", sessions=[one["id"], two["id"]])
        await client.send("subscribe", "all", sessions="*", after=0)
        frames = await client.until("live", "all")
        assert positions(frames, "all") == list(range(1, head + 1))
        for item in (three, one, two):
            await api.prompt(item["id"], "Go")
        for _ in range(5):
            frames += await client.until("event", event="session.turn-ended")
    streams = {f["event"]["stream"] for f in frames if f["type"] == "event" and f["id"] == "pair"}
    assert streams == {f"session-{item['id']}" for item in (one, two)}
    assert positions(frames, "all") == list(range(1, len(positions(frames, "all")) + 1))


async def test_an_ended_subscription_sends_no_more_frames(api: Api) -> None:
    item = await api.session()
    async with api.listen() as port, connected(port) as client:
        for frame_id in ("a", "b"):
            await client.send("subscribe", frame_id, sessions=[item["id"]])
            await client.until("live", frame_id)
        assert await client.ask("unsubscribe", "a") == {"type": "reply", "id": "a", "status": 204}
        await api.prompt(item["id"], "Hello")
        frames = await client.until("event", "b", "session.turn-ended")
        assert {frame["id"] for frame in frames} == {"b"}
        assert (await client.ask("unsubscribe", "a"))["code"] == "subscription_not_found"
        await client.send("subscribe", "a", sessions="*", after=0)
        assert positions(await client.until("live", "a"), "a")[0] == 1
    assert api.fleet.inflight.readers() == 0


async def test_a_client_resumes_over_a_restart_of_the_server(machine: Machine) -> None:
    async with machine.fleet() as api:
        item = await api.session()
        await api.prompt(item["id"], "turn:2")
        async with api.listen() as port, connected(port) as client:
            await client.send("subscribe", "a", sessions="*", after=0)
            before = positions(await client.until("live"), "a")
    cut = before[len(before) // 2]
    async with machine.fleet() as api, api.listen() as port, connected(port) as client:
        await client.send("subscribe", "a", sessions="*", after=cut)
        after = positions(await client.until("live"), "a")
        assert after == list(range(cut + 1, api.fleet.log.head() + 1))


async def test_every_command_of_rest(api: Api) -> None:
    async with api.listen() as port, connected(port) as client:
        created = await client.command("POST", "/api/sessions", {"directory": PLAIN})
        assert (created["type"], created["status"]) == ("reply", 200)
        session_id = created["body"]["session"]["id"]
        path = f"/api/sessions/{session_id}"
        prompted = await client.command("POST", f"{path}/prompt", {"text": "Hello"})
        assert prompted == {"type": "reply", "id": "command", "status": 204, "position": prompted["position"]}
        await api.settled(session_id)
        patched = await client.command("PATCH", f"{path}?instanceId={created['body']['instanceId']}", {"title": "New"})
        assert patched["body"] == (await api.send("GET", "/api/sessions")).json[0]
        assert patched["body"]["title"] == "New"
        assert (await client.command("POST", f"{path}/abort"))["body"]["outcome"]
        ended = await client.command("DELETE", f"{path}?permanent=true")
        assert ended["status"] == 200
    (await api.send("GET", path)).problem(410, "erased")


async def test_what_rest_refuses_is_an_error_with_the_same_problem(api: Api) -> None:
    item = await api.session()
    async with api.listen() as port, connected(port) as client:
        for method, path, body in (
            ("POST", f"/api/sessions/{NOWHERE}/prompt", {"text": "x"}),
            ("POST", f"/api/sessions/{item['id']}/prompt", {"text": ""}),
            ("POST", f"/api/sessions/{item['id']}/prompt", {"txt": ""}),
            ("POST", "/api/sessions", {"directory": "/nowhere"}),
            ("POST", "/api/nothing", None),
            ("PUT", "/api/sessions", None),
        ):
            answer = await api.send(method, path, body)
            error = await client.command(method, path, body)
            assert error["type"] == "error"
            assert (error["status"], error["code"]) == (answer.status, answer.json["code"])
            assert error["problem"] == answer.json


async def test_an_idempotency_key_holds_over_rest_and_websocket(api: Api) -> None:
    body = {"directory": PLAIN, "title": "Once"}
    first = await api.send("POST", "/api/sessions", body, Idempotency_Key="k")
    async with api.listen() as port, connected(port) as client:
        again = await client.command("POST", "/api/sessions", body, idempotencyKey="k")
        other = await client.command("POST", "/api/sessions", {**body, "title": "Twice"}, idempotencyKey="k")
    assert again["body"] == first.json
    assert other["code"] == "idempotency_conflict"


async def test_commands_for_one_session_keep_their_order(api: Api) -> None:
    one, two = await api.session(), await api.session()
    async with api.listen() as port, connected(port) as client:
        for number in range(20):
            for item in (one, two):
                body = {"text": f"bash:600 {number}"}
                path = f"/api/sessions/{item['id']}/prompt"
                await client.send("command", f"{item['id']}:{number}", method="POST", path=path, body=body)
        replies = [await client.frame() for _ in range(40)]
    assert {reply["type"] for reply in replies} == {"reply"}
    for item in (one, two):
        queue = (await api.send("GET", f"/api/sessions/{item['id']}/queue")).json
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
    api: Api, message: str | bytes, code: str, field: str | None
) -> None:
    await api.session()
    head = api.fleet.log.head()
    async with api.listen() as port, connected(port) as client:
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
        assert api.fleet.inflight.readers() == 1
    assert api.fleet.log.head() == head


async def test_two_repositories_are_served_side_by_side(api: Api) -> None:
    """Creating takes its time: one does not wait for the other."""
    async with api.listen() as port, connected(port) as client:
        for name in ("one", "two"):
            body = {"directory": REPOSITORY, "isolationStrategy": "worktree", "title": name}
            await client.send("command", name, method="POST", path="/api/sessions", body=body)
        replies = {frame["id"]: frame for frame in [await client.frame(), await client.frame()]}
        assert {reply["body"]["session"]["title"] for reply in replies.values()} == {"one", "two"}
