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
from tests.gateway.machine import PLAIN, REPOSITORY, Api, Machine
from tests.gateway.sockets import Client, connected

ONCE = {"reply": "once"}


async def asking(api: Api, word: str = "ask", **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a session that waits for a person, and its request."""
    item = await api.session(initialPrompt=word, **fields)
    state = await api.fleet.views.sessions.wait(item["id"], lambda s: bool(s.requests))
    (request,) = (await api.send("GET", f"/api/sessions/{state.id}/requests")).json
    return item, request


async def newest(client: Client, seconds: float = 1.0) -> list[dict[str, Any]]:
    """Return the frames of the inbox that come within this time."""
    frames: list[dict[str, Any]] = []
    with trio.move_on_after(seconds):
        while True:
            frames.append(await client.frame())
    return [frame for frame in frames if frame["type"] == "inbox"]


async def test_the_whole_inbox_is_sent_at_first_and_after_each_change(api: Api) -> None:
    failed = await api.session(initialPrompt="fail", title="Fails")
    await api.settled(failed["id"])
    async with api.listen() as port, connected(port) as client:
        await client.send("subscribe", "i", view="inbox")
        first, live = await client.until("live", "i")
        assert first == {"type": "inbox", "id": "i", "position": api.fleet.log.head(), "items": first["items"]}
        assert live == {"type": "live", "id": "i", "position": first["position"]}
        assert first["items"] == (await api.send("GET", "/api/inbox")).json
        item, request = await asking(api)
        (*_, told) = await newest(client)
        assert told["items"] == (await api.send("GET", "/api/inbox")).json
        assert [each["kind"] for each in told["items"]] == ["failure", "permission"]
        await api.send("POST", f"/api/sessions/{item['id']}/requests/{request['id']}", ONCE)
        (*_, told) = await newest(client)
        assert [each["kind"] for each in told["items"]] == ["failure"]
        await api.send("DELETE", f"/api/sessions/{failed['id']}?permanent=true")
        (*_, told) = await newest(client)
        assert told["items"] == []
        assert told["position"] == api.fleet.log.head()


async def test_readers_of_the_inbox_get_no_other_changes(api: Api) -> None:
    item = await api.session()
    async with api.listen() as port, connected(port) as client:
        await client.send("subscribe", "i", view="inbox")
        await client.until("live", "i")
        await api.prompt(item["id"], "turn:3")
        await api.send("PATCH", f"/api/sessions/{item['id']}", {"title": "Other"})
        assert await newest(client) == []


async def test_many_changes_are_sent_at_most_four_times_a_second(api: Api) -> None:
    item, _ = await asking(api)
    async with api.listen() as port, connected(port) as client:
        await client.send("subscribe", "i", view="inbox")
        await client.until("live", "i")
        frames: list[dict[str, Any]] = []
        async with trio.open_nursery() as nursery:

            async def rename() -> None:
                for number in range(100):
                    await api.send("PATCH", f"/api/sessions/{item['id']}", {"title": f"Title {number}"})
                    await trio.sleep(0.01)

            nursery.start_soon(rename)
            frames = await newest(client, 3)
        assert 4 <= len(frames) <= 2 + 1.2 / FLEET_ITEM_INTERVAL_S
        assert frames[-1]["items"][0]["title"] == "Title 99"


async def test_a_second_reader_takes_no_news_from_the_first(api: Api) -> None:
    async with api.listen() as port, connected(port) as one, connected(port) as two:
        await one.send("subscribe", "i", view="inbox")
        await one.until("live", "i")
        await asking(api)
        await two.send("subscribe", "i", view="inbox")
        assert [len(frame.get("items", ())) for frame in await two.until("live", "i")] == [1, 0]
        (*_, told) = await newest(one)
        assert told["items"] == (await api.send("GET", "/api/inbox")).json


async def test_an_item_knows_where_it_comes_from(api: Api) -> None:
    fields = {"isolationStrategy": "worktree", "branch": "fix"}
    item, request = await asking(api, "ask for the\nkey", directory=REPOSITORY, **fields)
    (shown,) = (await api.send("GET", "/api/inbox")).json
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


async def test_a_request_shows_the_call_that_it_is_about(api: Api) -> None:
    item = await api.session(initialPrompt="hang")
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    body = {"id": "prt_1", "type": "tool", "callID": "call_1", "tool": "edit", "state": {"input": {"x": "y" * 9000}}}
    part = Part("prt_1", item["opencodeId"], "msg_1", "tool", finished=False, raw=msgspec.json.encode(body))
    api.fleet.inflight.part(item["id"], part)
    asked = msgspec.json.encode({"permission": "edit", "patterns": ["a"], "tool": {"callID": "call_1"}})
    command = ReportRequestOpened(request=OpenRequest("per_1", item["opencodeId"], "permission", asked), at_ms=1)
    await api.fleet.context.actors.sessions.ask(item["id"], Deliver(command))
    (shown,) = (await api.send("GET", "/api/inbox")).json
    tool = shown["context"]["tool"]
    assert (tool["callID"], tool["truncated"]) == ("call_1", True)
    assert len(tool["state"]["input"]["x"]) < 9000
    async with api.listen() as port, FleetClient(f"http://127.0.0.1:{port}") as fleet:
        (read,) = await fleet.inbox()
    assert read.context is not None
    assert msgspec.json.decode(read.context.tool) == tool


async def test_a_new_failure_is_another_item(api: Api) -> None:
    item = await api.session(initialPrompt="fail")
    await api.settled(item["id"])
    (first,) = (await api.send("GET", "/api/inbox")).json
    await api.prompt(item["id"], "fail")
    (second,) = (await api.send("GET", "/api/inbox")).json
    assert first["id"] != second["id"]


async def test_of_two_answers_at_once_the_second_is_refused_and_names_the_first(api: Api) -> None:
    item, request = await asking(api)
    path = f"/api/sessions/{item['id']}/requests/{request['id']}"
    answers: list[Any] = []

    async def reply(body: dict[str, str]) -> None:
        answers.append(await api.send("POST", path, body))

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
    async with machine.fleet(killed=killed) as api:
        item, request = await asking(api, "question")
        path = f"/api/sessions/{item['id']}/requests/{request['id']}"
        assert (await api.send("POST", path, {"answers": [["Postgres"]]})).status == 204
        await api.settled(item["id"])
        (await api.send("POST", path, {"answers": [["SQLite"]]})).problem(409, "request_answered")
    async with machine.fleet() as api:
        problem = (await api.send("POST", path, {"reply": "reject"})).problem(409, "request_answered")
        assert (problem["answeredBy"], problem["reply"]) == ("local", "Postgres")
    assert item["directory"] == PLAIN
