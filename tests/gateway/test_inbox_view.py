"""The inbox view of the WebSocket, what an item of the inbox knows, and that nothing is answered twice."""

from typing import Any

import msgspec
import pytest
import trio

from fleet.actors.runtime.aggregate import Deliver
from fleet.client import FleetClient
from fleet.core.session.report_commands import ReportRequestOpened
from fleet.limits import FLEET_ITEM_INTERVAL_S
from fleet.ports import OpenRequest, Part
from tests.gateway.door import PLAIN, REPOSITORY, Door, Machine
from tests.gateway.sockets import Client, connected

ONCE = {"reply": "once"}


async def asking(door: Door, word: str = "ask", **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a session that waits for a person, and its request."""
    item = await door.session(initialPrompt=word, **fields)
    state = await door.fleet.views.sessions.wait(item["id"], lambda s: bool(s.requests))
    (request,) = (await door.knock("GET", f"/api/sessions/{state.id}/requests")).json
    return item, request


async def newest(client: Client, seconds: float = 1.0) -> list[dict[str, Any]]:
    """Return the frames of the inbox that come within this time."""
    frames: list[dict[str, Any]] = []
    with trio.move_on_after(seconds):
        while True:
            frames.append(await client.frame())
    return [frame for frame in frames if frame["type"] == "inbox"]


async def test_the_whole_inbox_is_sent_at_first_and_after_each_change(door: Door) -> None:
    failed = await door.session(initialPrompt="fail", title="Fails")
    await door.settled(failed["id"])
    async with door.listen() as port, connected(port) as client:
        await client.send("subscribe", "i", view="inbox")
        first, live = await client.until("live", "i")
        assert first == {"type": "inbox", "id": "i", "position": door.fleet.log.head(), "items": first["items"]}
        assert live == {"type": "live", "id": "i", "position": first["position"]}
        assert first["items"] == (await door.knock("GET", "/api/inbox")).json
        item, request = await asking(door)
        (*_, told) = await newest(client)
        assert told["items"] == (await door.knock("GET", "/api/inbox")).json
        assert [each["kind"] for each in told["items"]] == ["failure", "permission"]
        await door.knock("POST", f"/api/sessions/{item['id']}/requests/{request['id']}", ONCE)
        (*_, told) = await newest(client)
        assert [each["kind"] for each in told["items"]] == ["failure"]
        await door.knock("DELETE", f"/api/sessions/{failed['id']}?permanent=true")
        (*_, told) = await newest(client)
        assert told["items"] == []
        assert told["position"] == door.fleet.log.head()


async def test_readers_of_the_inbox_get_no_other_changes(door: Door) -> None:
    item = await door.session()
    async with door.listen() as port, connected(port) as client:
        await client.send("subscribe", "i", view="inbox")
        await client.until("live", "i")
        await door.prompt(item["id"], "turn:3")
        await door.knock("PATCH", f"/api/sessions/{item['id']}", {"title": "Other"})
        assert await newest(client) == []


async def test_many_changes_are_sent_at_most_four_times_a_second(door: Door) -> None:
    item, _ = await asking(door)
    async with door.listen() as port, connected(port) as client:
        await client.send("subscribe", "i", view="inbox")
        await client.until("live", "i")
        frames: list[dict[str, Any]] = []
        async with trio.open_nursery() as nursery:

            async def rename() -> None:
                for number in range(100):
                    await door.knock("PATCH", f"/api/sessions/{item['id']}", {"title": f"Title {number}"})
                    await trio.sleep(0.01)

            nursery.start_soon(rename)
            frames = await newest(client, 3)
        assert 4 <= len(frames) <= 2 + 1.2 / FLEET_ITEM_INTERVAL_S
        assert frames[-1]["items"][0]["title"] == "Title 99"


async def test_a_second_reader_takes_no_news_from_the_first(door: Door) -> None:
    async with door.listen() as port, connected(port) as one, connected(port) as two:
        await one.send("subscribe", "i", view="inbox")
        await one.until("live", "i")
        await asking(door)
        await two.send("subscribe", "i", view="inbox")
        assert [len(frame.get("items", ())) for frame in await two.until("live", "i")] == [1, 0]
        (*_, told) = await newest(one)
        assert told["items"] == (await door.knock("GET", "/api/inbox")).json


async def test_an_item_knows_where_it_comes_from(door: Door) -> None:
    fields = {"isolationStrategy": "worktree", "branch": "fix"}
    item, request = await asking(door, "ask for the\nkey", directory=REPOSITORY, **fields)
    (shown,) = (await door.knock("GET", "/api/inbox")).json
    assert shown["id"] == f"{item['id']}:{request['id']}"
    assert shown["request"]["id"] == request["id"]
    assert shown["context"] == {
        "turn": 1,
        "prompt": "ask for the key",
        "directory": item["directory"],
        "repository": REPOSITORY,
        "branch": "fix",
        "tool": None,
    }
    assert shown["webhookId"] is None


async def test_a_request_shows_the_call_that_it_is_about(door: Door) -> None:
    item = await door.session(initialPrompt="hang")
    await door.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    body = {"id": "prt_1", "type": "tool", "callID": "call_1", "tool": "edit", "state": {"input": {"x": "y" * 9000}}}
    part = Part("prt_1", item["opencodeId"], "msg_1", "tool", finished=False, raw=msgspec.json.encode(body))
    door.fleet.inflight.part(item["id"], part)
    asked = msgspec.json.encode({"permission": "edit", "patterns": ["a"], "tool": {"callID": "call_1"}})
    command = ReportRequestOpened(request=OpenRequest("per_1", item["opencodeId"], "permission", asked), at_ms=1)
    await door.fleet.context.actors.sessions.ask(item["id"], Deliver(command))
    (shown,) = (await door.knock("GET", "/api/inbox")).json
    tool = shown["context"]["tool"]
    assert (tool["callID"], tool["truncated"]) == ("call_1", True)
    assert len(tool["state"]["input"]["x"]) < 9000
    async with door.listen() as port, FleetClient(f"http://127.0.0.1:{port}") as fleet:
        (read,) = await fleet.inbox()
    assert read.context is not None
    assert msgspec.json.decode(read.context.tool) == tool


async def test_a_new_failure_is_another_item(door: Door) -> None:
    item = await door.session(initialPrompt="fail")
    await door.settled(item["id"])
    (first,) = (await door.knock("GET", "/api/inbox")).json
    await door.prompt(item["id"], "fail")
    (second,) = (await door.knock("GET", "/api/inbox")).json
    assert first["id"] != second["id"]


async def test_of_two_answers_at_once_the_second_is_refused_and_names_the_first(door: Door) -> None:
    item, request = await asking(door)
    path = f"/api/sessions/{item['id']}/requests/{request['id']}"
    answers: list[Any] = []

    async def reply(body: dict[str, str]) -> None:
        answers.append(await door.knock("POST", path, body))

    async with trio.open_nursery() as nursery:
        for body in (ONCE, ONCE, {"reply": "reject"}):
            nursery.start_soon(reply, body)
    assert sorted(answer.status for answer in answers) == [204, 409, 409]
    for answer in answers:
        if answer.status == 409:
            problem = answer.problem(409, "request_answered")
            assert (problem["answeredBy"], problem["reply"]) in (("local", "once"), ("local", "reject"))
            assert problem["at"].endswith("Z")


@pytest.mark.parametrize("killed", [False, True])
async def test_the_answer_to_a_request_is_known_after_the_turn_and_a_restart(machine: Machine, killed: bool) -> None:
    async with machine.fleet(killed=killed) as door:
        item, request = await asking(door, "question")
        path = f"/api/sessions/{item['id']}/requests/{request['id']}"
        assert (await door.knock("POST", path, {"answers": [["Postgres"]]})).status == 204
        await door.settled(item["id"])
        (await door.knock("POST", path, {"answers": [["SQLite"]]})).problem(409, "request_answered")
    async with machine.fleet() as door:
        problem = (await door.knock("POST", path, {"reply": "reject"})).problem(409, "request_answered")
        assert (problem["answeredBy"], problem["reply"]) == ("local", "Postgres")
    assert item["directory"] == PLAIN
