"""The history route: past sessions found by words, status and time."""

from typing import Any

import pytest

from fleet.limits import HISTORY_PAGE_DEFAULT
from tests.fakes.clock import let_pass
from tests.gateway.machine import Api, Machine


async def found(api: Api, query: str = "") -> list[str]:
    """Return the titles of a search's page."""
    answer = await api.send("GET", f"/api/sessions/history{query}")
    assert answer.status == 200, answer
    return [item["title"] for item in answer.json]


async def test_words_are_found_in_titles_prompts_and_answers(api: Api) -> None:
    titled = await api.session(title="Implement auth module")
    asked = await api.session(title="Other", initialPrompt="please mind the auth header")
    await api.settled(asked["id"])
    answer = await api.send("GET", "/api/sessions/history?search=auth")
    assert answer.headers["x-total-count"] == "2"
    kinds = {item["id"]: item["snippet"]["kind"] for item in answer.json}
    assert kinds[titled["id"]] == "title"
    assert kinds[asked["id"]] in ("prompt", "answer")
    snippet = next(item["snippet"] for item in answer.json if item["id"] == asked["id"])
    assert [snippet["text"][start:end] for start, end in snippet["hits"]] == ["auth"]
    assert await found(api, "?search=auth%20module") == ["Implement auth module"]
    assert await found(api, "?search=nowhere") == []
    assert await found(api, '?search=%22auth%20OR%20(*:NEAR"') == []
    await api.send("PATCH", f"/api/sessions/{titled['id']}", {"title": "Renamed"})
    assert await found(api, "?search=auth") == ["Other"]
    assert await found(api, "?search=renamed") == ["Renamed"]


async def test_tool_output_is_found(api: Api) -> None:
    item = await api.session(title="Shell", initialPrompt="bash:1")
    await api.settled(item["id"])
    (hit,) = (await api.send("GET", "/api/sessions/history?search=half%20done")).json
    assert (hit["id"], hit["snippet"]["kind"]) == (item["id"], "tool")


async def test_status_and_pages_newest_first(api: Api) -> None:
    made = [await api.session(title=f"Session {n}") for n in range(HISTORY_PAGE_DEFAULT + 2)]
    titles = [item["title"] for item in reversed(made)]
    assert await found(api) == titles[:HISTORY_PAGE_DEFAULT]
    assert await found(api, "?limit=2&offset=1") == titles[1:3]
    assert await found(api, f"?offset={HISTORY_PAGE_DEFAULT}") == titles[HISTORY_PAGE_DEFAULT:]
    assert await found(api, "?offset=999") == []
    assert (await api.send("GET", "/api/sessions/history?limit=1")).headers["x-total-count"] == str(len(made))
    await api.send("DELETE", f"/api/sessions/{made[3]['id']}")
    assert await found(api, "?status=stopped") == ["Session 3"]
    assert await found(api, "?status=stopped,idle&limit=100") == titles
    assert await found(api, "?status=completed") == []
    assert await found(api, "?search=session&status=stopped") == ["Session 3"]


async def test_from_and_to_are_days_or_times_of_the_creation(api: Api) -> None:
    early = await api.session(title="Early")
    await let_pass(3 * 24 * 3600)
    late = await api.session(title="Late")
    assert await found(api) == ["Late", "Early"]
    day, other_day = early["createdAt"][:10], late["createdAt"][:10]
    assert await found(api, f"?from={day}&to={day}") == ["Early"]
    assert await found(api, f"?from={other_day}") == ["Late"]
    assert await found(api, f"?to={other_day}") == ["Late", "Early"]
    assert await found(api, f"?from={early['createdAt']}&to={early['createdAt']}") == ["Early"]
    assert await found(api, f"?from={other_day}&to={day}") == []


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
async def test_invalid_history_query_is_refused(api: Api, query: str, field: str) -> None:
    await api.session()
    refused = await api.send("GET", f"/api/sessions/history?{query}")
    assert refused.problem(422, "invalid")["field"] == field


async def test_an_erased_session_is_not_found(machine: Machine) -> None:
    async with machine.fleet() as api:
        kept = await api.session(title="Kept", initialPrompt="auth")
        gone: dict[str, Any] = await api.session(title="Gone", initialPrompt="auth")
        for item in (kept, gone):
            await api.settled(item["id"])
        assert await found(api, "?search=auth") == ["Gone", "Kept"]
        await api.send("DELETE", f"/api/sessions/{gone['id']}?permanent=true")
        answer = await api.send("GET", "/api/sessions/history?search=auth")
        assert ([item["title"] for item in answer.json], answer.headers["x-total-count"]) == (["Kept"], "1")
        assert await found(api) == ["Kept"]
    async with machine.fleet() as api:
        assert await found(api, "?search=auth") == ["Kept"]
        assert await found(api, "?status=completed") == ["Kept"]
