"""The audit log over HTTP."""

from typing import Any

import pytest

from tests.gateway.door import Door, Machine


async def test_the_log_is_read_page_by_page(door: Door) -> None:
    session = await door.session(title="A task")
    head = door.tree.log.head()
    position = 0
    found: list[dict[str, Any]] = []
    while page := (answer := await door.knock("GET", f"/api/log?after={position}&limit=3")).json:
        assert answer.headers["x-total-count"] == str(head)
        assert len(page) <= 3
        found += page
        position = page[-1]["position"]
    assert [event["position"] for event in found] == list(range(1, head + 1))
    (created,) = [event for event in found if event["type"] == "session.created"]
    assert created["stream"] == f"session-{session['id']}"
    assert created["data"]["title"] == "A task"
    assert created["data"]["session_id"] == session["id"]
    assert (created["version"], created["erased"]) == (1, False)


async def test_one_event(door: Door) -> None:
    await door.session()
    head = door.tree.log.head()
    listed = (await door.knock("GET", f"/api/log?after={head - 1}")).json
    assert (await door.knock("GET", f"/api/log/{head}")).json == listed[0]
    for position in (0, head + 1, 10**30):
        (await door.knock("GET", f"/api/log/{position}")).problem(404, "event_not_found")


@pytest.mark.parametrize("query", ["after=-1", f"after={2**63}", "limit=0", "limit=201", "before=3"])
async def test_wrong_pages_are_refused(door: Door, query: str) -> None:
    (await door.knock("GET", f"/api/log?{query}")).problem(422, "invalid")


async def test_a_whole_log_is_proven(door: Door) -> None:
    session = await door.session()
    for _ in range(12):  # more events than one step of the verification
        await door.prompt(session["id"], "again")
    found = (await door.knock("GET", "/api/log/verify")).json
    assert (found["intact"], found["firstBreak"], found["erased"]) == (True, None, 0)
    assert found["events"] == door.tree.log.head() > 128
    assert len(found["digest"]) == 64


async def test_a_changed_event_is_found(machine: Machine, door: Door) -> None:
    await door.session(title="Harmless")
    (created,) = [event for event in door.tree.log.read_all() if event.type == "session.created"]
    raw = machine.disk.records[created.position - 1]
    machine.disk.records[created.position - 1] = raw.replace(b"Harmless", b"Harmful!")
    found = (await door.knock("GET", "/api/log/verify")).json
    assert found["intact"] is False
    assert found["firstBreak"]["position"] == created.position
    assert found["events"] == created.position - 1
    assert "payload" in found["firstBreak"]["reason"]


async def test_an_erased_event_says_so(door: Door) -> None:
    session = await door.session(title="Secret")
    assert (await door.knock("DELETE", f"/api/sessions/{session['id']}?permanent=true")).status == 200
    events = (await door.knock("GET", "/api/log?limit=200")).json
    of_session = [event for event in events if event["stream"] == f"session-{session['id']}"]
    assert of_session
    assert all(event["erased"] and event["data"] == {} for event in of_session)
    found = (await door.knock("GET", "/api/log/verify")).json
    assert (found["intact"], found["erased"]) == (True, len(of_session))
