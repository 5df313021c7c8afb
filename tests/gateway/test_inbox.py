"""What waits for a person: the inbox, notifications and their marks, the list of callbacks, the summary."""

from typing import Any

import pytest
import trio

from tests.gateway.door import NOWHERE, PLAIN, REPOSITORY, Door, Machine


async def unread(door: Door) -> int:
    count: int = (await door.knock("GET", "/api/notifications/unread-count")).json["count"]
    return count


async def test_the_inbox_holds_what_waits_oldest_first(door: Door) -> None:
    failed = await door.session(initialPrompt="fail", title="Fails")
    await door.settled(failed["id"])
    asks = await door.session(initialPrompt="question", title="Asks")
    await door.fleet.views.sessions.wait(asks["id"], lambda s: bool(s.requests))
    answer = await door.knock("GET", "/api/inbox")
    assert answer.headers["x-total-count"] == "2"
    assert [(item["kind"], item["title"]) for item in answer.json] == [("failure", "Fails"), ("question", "Asks")]
    assert "Invalid API key" in answer.json[0]["detail"]
    assert answer.json[0]["at"] < answer.json[1]["at"]
    assert (await door.knock("GET", "/api/inbox?all=1")).problem(422, "invalid")["field"] == "all"
    await door.prompt(failed["id"], "better")
    assert [item["kind"] for item in (await door.knock("GET", "/api/inbox")).json] == ["question"]


@pytest.mark.parametrize("query", ["", "?cleanupWorkspace=true"])
async def test_a_stopped_session_waits_for_no_person(door: Door, query: str) -> None:
    failed = await door.session(REPOSITORY, isolationStrategy="worktree", initialPrompt="fail")
    await door.settled(failed["id"])
    paused = await door.session(initialPrompt="turn:2", budget={"tokens": 1})
    await door.fleet.views.sessions.wait(paused["id"], lambda s: s.usage.exceeded is not None)
    assert [item["kind"] for item in (await door.knock("GET", "/api/inbox")).json] == ["failure", "budget"]
    for item in (failed, paused):
        assert (await door.knock("DELETE", f"/api/sessions/{item['id']}{query}")).status == 200
    assert (await door.knock("GET", "/api/inbox")).json == []


async def test_a_used_up_budget_stays_where_it_is_in_the_inbox(door: Door) -> None:
    paused = await door.session(initialPrompt="turn:2", budget={"tokens": 1})
    await door.fleet.views.sessions.wait(paused["id"], lambda s: s.usage.exceeded is not None)
    (before,) = (await door.knock("GET", "/api/inbox")).json
    for n in range(3):
        await door.knock("PATCH", f"/api/sessions/{paused['id']}", {"title": f"Other {n}"})
    (after,) = (await door.knock("GET", "/api/inbox")).json
    assert (after["at"], after["title"]) == (before["at"], "Other 2")


async def test_notifications_are_listed_counted_and_read(door: Door) -> None:
    first, second = await door.session(), await door.session()
    for item, text in ((first, "one"), (second, "fail"), (first, "two")):
        await door.prompt(item["id"], text)
    answer = await door.knock("GET", "/api/notifications")
    assert answer.headers["x-total-count"] == "3"
    assert [(each["sessionId"], each["kind"], each["read"]) for each in answer.json] == [
        (first["id"], "finished", False),
        (second["id"], "error", False),
        (first["id"], "finished", False),
    ]
    assert await unread(door) == 3
    page = await door.knock("GET", "/api/notifications?limit=1&offset=1")
    assert (page.json, page.headers["x-total-count"]) == ([answer.json[1]], "3")
    own = (await door.knock("GET", f"/api/notifications?session={first['opencodeId']}")).json
    assert own == [answer.json[0], answer.json[2]]

    path = f"/api/notifications/{answer.json[0]['id']}"
    for _ in range(2):
        assert (await door.knock("PATCH", path, {"read": True})).status == 204
    assert await unread(door) == 2
    left = await door.knock("GET", "/api/notifications?unread=true")
    assert left.json == [answer.json[1], answer.json[2]]
    for _ in range(2):
        everything = await door.knock("POST", "/api/notifications/read", Idempotency_Key="all")
        assert (everything.status, everything.body) == (204, b"")
    assert await unread(door) == 0
    assert all(each["read"] for each in (await door.knock("GET", "/api/notifications")).json)
    await door.prompt(first["id"], "three")
    assert await unread(door) == 1


@pytest.mark.parametrize("known", ["x", "x:1", f"{NOWHERE}:1", "{0}:x", "{0}:99", "{0}:0", "{0}:-1", "{0}:"])
async def test_unknown_notification_is_not_found(door: Door, known: str) -> None:
    item = await door.session(initialPrompt="one")
    await door.settled(item["id"])
    refused = await door.knock("PATCH", f"/api/notifications/{known.format(item['id'])}", {"read": True})
    refused.problem(404, "notification_not_found")
    assert await unread(door) == 1


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
    door: Door, method: str, path: str, body: Any, field: str
) -> None:
    assert (await door.knock(method, f"/api{path}", body)).problem(422, "invalid")["field"] == field


async def test_notifications_of_an_unknown_session(door: Door) -> None:
    (await door.knock("GET", f"/api/notifications?session={NOWHERE}")).problem(404, "session_not_found")


async def test_the_summary_counts(machine: Machine, door: Door) -> None:
    empty = (await door.knock("GET", "/api/fleet/summary")).json
    assert (empty["sessions"], empty["instances"], empty["memoryBytes"], empty["position"]) == ({}, 0, 0, 0)
    busy = await door.session(PLAIN, initialPrompt="hang")
    idle = await door.session(REPOSITORY, initialPrompt="turn:2")
    done = await door.settled(idle["id"])
    await door.knock("POST", f"/api/sessions/{busy['id']}/prompt", {"text": "later"})
    summary = (await door.knock("GET", "/api/fleet/summary")).json
    assert summary["sessions"] == {"active": 1, "idle": 1}
    assert (summary["instances"], summary["queued"], summary["openRequests"]) == (2, 1, 0)
    assert summary["memoryBytes"] == sum(process.memory_bytes for process in machine.world.living())
    assert summary["tokens"] == done["tokens"]
    assert summary["tokens"]["input"] == 200
    assert summary["costUsd"] == done["costUsd"] == pytest.approx(0.002)
    assert summary["position"] == door.fleet.log.head()
    await trio.sleep(90)
    later = (await door.knock("GET", "/api/fleet/summary")).json
    assert 90 <= later["uptimeSeconds"] - summary["uptimeSeconds"] < 91


async def test_nothing_is_left_of_an_erased_session(door: Door) -> None:
    item = await door.session(initialPrompt="fail")
    await door.settled(item["id"])
    assert await unread(door) == 1
    assert (await door.knock("DELETE", f"/api/sessions/{item['id']}?permanent=true")).status == 200
    assert await unread(door) == 0
    for path in ("/inbox", "/notifications", "/callbacks", "/sessions", "/sessions/history"):
        assert (await door.knock("GET", f"/api{path}")).json == []
    assert (await door.knock("GET", "/api/fleet/summary")).json["sessions"] == {}
