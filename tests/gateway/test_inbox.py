"""What waits for a person: the inbox, notifications and their marks, the list of callbacks, the summary."""

from typing import Any

import pytest
import trio

from tests.gateway.machine import NOWHERE, PLAIN, REPOSITORY, Api, Machine


async def unread(api: Api) -> int:
    count: int = (await api.send("GET", "/api/notifications/unread-count")).json["count"]
    return count


async def test_the_inbox_holds_what_waits_oldest_first(api: Api) -> None:
    failed = await api.session(initialPrompt="fail", title="Fails")
    await api.settled(failed["id"])
    asks = await api.session(initialPrompt="question", title="Asks")
    await api.fleet.views.sessions.wait(asks["id"], lambda s: bool(s.requests))
    answer = await api.send("GET", "/api/inbox")
    assert answer.headers["x-total-count"] == "2"
    assert [(item["kind"], item["title"]) for item in answer.json] == [("failure", "Fails"), ("question", "Asks")]
    assert "Invalid API key" in answer.json[0]["detail"]
    assert answer.json[0]["at"] < answer.json[1]["at"]
    assert (await api.send("GET", "/api/inbox?all=1")).problem(422, "invalid")["field"] == "all"
    await api.prompt(failed["id"], "better")
    assert [item["kind"] for item in (await api.send("GET", "/api/inbox")).json] == ["question"]


@pytest.mark.parametrize("query", ["", "?cleanupWorkspace=true"])
async def test_a_stopped_session_waits_for_no_person(api: Api, query: str) -> None:
    failed = await api.session(REPOSITORY, isolationStrategy="worktree", initialPrompt="fail")
    await api.settled(failed["id"])
    paused = await api.session(initialPrompt="turn:2", budget={"tokens": 1})
    await api.fleet.views.sessions.wait(paused["id"], lambda s: s.usage.exceeded is not None)
    assert [item["kind"] for item in (await api.send("GET", "/api/inbox")).json] == ["failure", "budget"]
    for item in (failed, paused):
        assert (await api.send("DELETE", f"/api/sessions/{item['id']}{query}")).status == 200
    assert (await api.send("GET", "/api/inbox")).json == []


async def test_a_used_up_budget_stays_where_it_is_in_the_inbox(api: Api) -> None:
    paused = await api.session(initialPrompt="turn:2", budget={"tokens": 1})
    await api.fleet.views.sessions.wait(paused["id"], lambda s: s.usage.exceeded is not None)
    (before,) = (await api.send("GET", "/api/inbox")).json
    for n in range(3):
        await api.send("PATCH", f"/api/sessions/{paused['id']}", {"title": f"Other {n}"})
    (after,) = (await api.send("GET", "/api/inbox")).json
    assert (after["at"], after["title"]) == (before["at"], "Other 2")


async def test_notifications_are_listed_counted_and_read(api: Api) -> None:
    first, second = await api.session(), await api.session()
    for item, text in ((first, "one"), (second, "fail"), (first, "two")):
        await api.prompt(item["id"], text)
    answer = await api.send("GET", "/api/notifications")
    assert answer.headers["x-total-count"] == "3"
    assert [(each["sessionId"], each["kind"], each["read"]) for each in answer.json] == [
        (first["id"], "finished", False),
        (second["id"], "error", False),
        (first["id"], "finished", False),
    ]
    assert await unread(api) == 3
    page = await api.send("GET", "/api/notifications?limit=1&offset=1")
    assert (page.json, page.headers["x-total-count"]) == ([answer.json[1]], "3")
    own = (await api.send("GET", f"/api/notifications?session={first['opencodeId']}")).json
    assert own == [answer.json[0], answer.json[2]]

    path = f"/api/notifications/{answer.json[0]['id']}"
    for _ in range(2):
        assert (await api.send("PATCH", path, {"read": True})).status == 204
    assert await unread(api) == 2
    left = await api.send("GET", "/api/notifications?unread=true")
    assert left.json == [answer.json[1], answer.json[2]]
    for _ in range(2):
        everything = await api.send("POST", "/api/notifications/read", Idempotency_Key="all")
        assert (everything.status, everything.body) == (204, b"")
    assert await unread(api) == 0
    assert all(each["read"] for each in (await api.send("GET", "/api/notifications")).json)
    await api.prompt(first["id"], "three")
    assert await unread(api) == 1


@pytest.mark.parametrize("known", ["x", "x:1", f"{NOWHERE}:1", "{0}:x", "{0}:99", "{0}:0", "{0}:-1", "{0}:"])
async def test_unknown_notification_is_not_found(api: Api, known: str) -> None:
    item = await api.session(initialPrompt="one")
    await api.settled(item["id"])
    refused = await api.send("PATCH", f"/api/notifications/{known.format(item['id'])}", {"read": True})
    refused.problem(404, "notification_not_found")
    assert await unread(api) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("GET", "/notifications?limit=0", None, "limit"),
        ("GET", "/notifications?unread=maybe", None, "unread"),
        ("GET", "/notifications?since=1", None, "since"),
        ("GET", "/callbacks?status=lost", None, "status"),
        ("GET", "/notifications/unread-count?x=1", None, "x"),
        ("PATCH", "/notifications/x:1", {"read": False}, "read"),
        ("PATCH", "/notifications/x:1", {"seen": True}, "seen"),
    ],
)
async def test_invalid_queries_and_bodies_of_the_inbox_are_refused(
    api: Api, method: str, path: str, body: Any, field: str
) -> None:
    assert (await api.send(method, f"/api{path}", body)).problem(422, "invalid")["field"] == field


async def test_notifications_of_an_unknown_session(api: Api) -> None:
    (await api.send("GET", f"/api/notifications?session={NOWHERE}")).problem(404, "session_not_found")


async def test_the_summary_counts(machine: Machine, api: Api) -> None:
    empty = (await api.send("GET", "/api/fleet/summary")).json
    assert (empty["sessions"], empty["instances"], empty["memoryBytes"], empty["position"]) == ({}, 0, 0, 0)
    busy = await api.session(PLAIN, initialPrompt="hang")
    idle = await api.session(REPOSITORY, initialPrompt="turn:2")
    done = await api.settled(idle["id"])
    await api.send("POST", f"/api/sessions/{busy['id']}/prompt", {"text": "later"})
    summary = (await api.send("GET", "/api/fleet/summary")).json
    assert summary["sessions"] == {"active": 1, "idle": 1}
    assert (summary["instances"], summary["queued"], summary["openRequests"]) == (2, 1, 0)
    assert summary["memoryBytes"] == sum(process.memory_bytes for process in machine.world.living())
    assert summary["tokens"] == done["tokens"]
    assert summary["tokens"]["input"] == 200
    assert summary["costUsd"] == done["costUsd"] == pytest.approx(0.002)
    assert summary["position"] == api.fleet.log.head()
    await trio.sleep(90)
    later = (await api.send("GET", "/api/fleet/summary")).json
    assert 90 <= later["uptimeSeconds"] - summary["uptimeSeconds"] < 91


async def test_nothing_is_left_of_an_erased_session(api: Api) -> None:
    item = await api.session(initialPrompt="fail")
    await api.settled(item["id"])
    assert await unread(api) == 1
    assert (await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true")).status == 200
    assert await unread(api) == 0
    for path in ("/inbox", "/notifications", "/callbacks", "/sessions", "/sessions/history"):
        assert (await api.send("GET", f"/api{path}")).json == []
    assert (await api.send("GET", "/api/fleet/summary")).json["sessions"] == {}
