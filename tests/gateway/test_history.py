"""The history route: past sessions found by words, status and time."""

from typing import Any

import pytest

from fleet.limits import HISTORY_PAGE_DEFAULT
from tests.fakes.clock import let_pass
from tests.gateway.door import Door, Machine


async def found(door: Door, query: str = "") -> list[str]:
    """Return the titles of a search's page."""
    answer = await door.knock("GET", f"/api/sessions/history{query}")
    assert answer.status == 200, answer
    return [item["title"] for item in answer.json]


async def test_words_are_found_in_titles_prompts_and_answers(door: Door) -> None:
    titled = await door.session(title="Implement auth module")
    asked = await door.session(title="Other", initialPrompt="please mind the auth header")
    await door.settled(asked["id"])
    answer = await door.knock("GET", "/api/sessions/history?search=auth")
    assert answer.headers["x-total-count"] == "2"
    kinds = {item["id"]: item["snippet"]["kind"] for item in answer.json}
    assert kinds[titled["id"]] == "title"
    assert kinds[asked["id"]] in ("prompt", "answer")
    snippet = next(item["snippet"] for item in answer.json if item["id"] == asked["id"])
    assert [snippet["text"][start:end] for start, end in snippet["hits"]] == ["auth"]
    assert await found(door, "?search=auth%20module") == ["Implement auth module"]
    assert await found(door, "?search=nowhere") == []
    assert await found(door, '?search=%22auth%20OR%20(*:NEAR"') == []
    await door.knock("PATCH", f"/api/sessions/{titled['id']}", {"title": "Renamed"})
    assert await found(door, "?search=auth") == ["Other"]
    assert await found(door, "?search=renamed") == ["Renamed"]


async def test_tool_output_is_found(door: Door) -> None:
    item = await door.session(title="Shell", initialPrompt="bash:1")
    await door.settled(item["id"])
    (hit,) = (await door.knock("GET", "/api/sessions/history?search=half%20done")).json
    assert (hit["id"], hit["snippet"]["kind"]) == (item["id"], "tool")


async def test_status_and_pages_newest_first(door: Door) -> None:
    made = [await door.session(title=f"Session {n}") for n in range(HISTORY_PAGE_DEFAULT + 2)]
    titles = [item["title"] for item in reversed(made)]
    assert await found(door) == titles[:HISTORY_PAGE_DEFAULT]
    assert await found(door, "?limit=2&offset=1") == titles[1:3]
    assert await found(door, f"?offset={HISTORY_PAGE_DEFAULT}") == titles[HISTORY_PAGE_DEFAULT:]
    assert await found(door, "?offset=999") == []
    assert (await door.knock("GET", "/api/sessions/history?limit=1")).headers["x-total-count"] == str(len(made))
    await door.knock("DELETE", f"/api/sessions/{made[3]['id']}")
    assert await found(door, "?status=stopped") == ["Session 3"]
    assert await found(door, "?status=stopped,idle&limit=100") == titles
    assert await found(door, "?status=completed") == []
    assert await found(door, "?search=session&status=stopped") == ["Session 3"]


async def test_from_and_to_are_days_or_times_of_the_creation(door: Door) -> None:
    early = await door.session(title="Early")
    await let_pass(3 * 24 * 3600)
    late = await door.session(title="Late")
    assert await found(door) == ["Late", "Early"]
    day, other_day = early["createdAt"][:10], late["createdAt"][:10]
    assert await found(door, f"?from={day}&to={day}") == ["Early"]
    assert await found(door, f"?from={other_day}") == ["Late"]
    assert await found(door, f"?to={other_day}") == ["Late", "Early"]
    assert await found(door, f"?from={early['createdAt']}&to={early['createdAt']}") == ["Early"]
    assert await found(door, f"?from={other_day}&to={day}") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=yesterday", "from"),
        ("from=2026-13-01", "from"),
        ("from=2026-02-30", "from"),
        ("to=2026-01-01T00:00:00", "to"),
        ("to=", "to"),
        ("from_=2026-01-01", "from_"),
        ("status=busy", "status"),
        ("status=", "status"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("offset=-1", "offset"),
        ("offset=99999999999", "offset"),
        (f"search={'x' * 201}", "search"),
        ("q=auth", "q"),
        ("search=a&search=b", "search"),
    ],
)
async def test_invalid_history_query_is_refused(door: Door, query: str, field: str) -> None:
    await door.session()
    refused = await door.knock("GET", f"/api/sessions/history?{query}")
    assert refused.problem(422, "invalid")["field"] == field


async def test_an_erased_session_is_not_found(machine: Machine) -> None:
    async with machine.fleet() as door:
        kept = await door.session(title="Kept", initialPrompt="auth")
        gone: dict[str, Any] = await door.session(title="Gone", initialPrompt="auth")
        for item in (kept, gone):
            await door.settled(item["id"])
        assert await found(door, "?search=auth") == ["Gone", "Kept"]
        await door.knock("DELETE", f"/api/sessions/{gone['id']}?permanent=true")
        answer = await door.knock("GET", "/api/sessions/history?search=auth")
        assert ([item["title"] for item in answer.json], answer.headers["x-total-count"]) == (["Kept"], "1")
        assert await found(door) == ["Kept"]
    async with machine.fleet() as door:
        assert await found(door, "?search=auth") == ["Kept"]
        assert await found(door, "?status=completed") == ["Kept"]
