"""Budgets: a session that has used up its own pauses between turns and asks; it never stops in the middle."""

from typing import Any

import pytest

from fleet.wire.bodies import BudgetBody
from tests.gateway.machine import PLAIN, Api


async def waiting_for_budget(api: Api) -> list[dict[str, Any]]:
    return [item for item in (await api.send("GET", "/api/inbox")).json if item["kind"] == "budget"]


@pytest.mark.parametrize(
    ("budget", "more", "what"),
    [
        ({"usd": 0.002}, {"usd": 1.0}, "USD"),
        ({"tokens": 200}, {"tokens": 10_000}, "tokens"),
        ({"minutes": 0.5}, {"minutes": 600.0}, "minutes"),
        ({"usd": 0.002, "tokens": 10_000}, None, "USD"),
    ],
)
async def test_a_used_up_budget_pauses_the_queue_until_it_is_raised(
    api: Api, budget: dict[str, Any], more: dict[str, Any] | None, what: str
) -> None:
    item = await api.session(initialPrompt="turn:2 bash:60", budget=budget)
    path = f"/api/sessions/{item['id']}"
    whole = {"usd": None, "tokens": None, "minutes": None}
    assert item["budget"] == {**whole, **budget}
    await api.send("POST", f"{path}/prompt", {"text": "second"})
    paused = await api.fleet.views.sessions.wait(item["id"], lambda s: s.usage.exceeded is not None)
    assert (paused.phase, paused.last_outcome, paused.turns) == ("idle", "finished", 1)
    assert len((await api.send("GET", f"{path}/queue")).json) == 1
    (entry,) = await waiting_for_budget(api)
    assert (entry["sessionId"], what in entry["detail"]) == (item["id"], True)
    kinds = [each["kind"] for each in (await api.send("GET", "/api/notifications")).json]
    assert kinds.count("budget") == 1
    assert (await api.send("POST", f"{path}/prompt", {"text": "third"})).status == 204
    assert len((await api.send("GET", f"{path}/queue")).json) == 2

    answer = await api.send("PATCH", path, {"budget": more})
    assert answer.json["budget"] == (None if more is None else {**whole, **more})
    assert await waiting_for_budget(api) == []
    done = await api.settled(item["id"])
    assert (done["turns"], done["status"]) == (3, "idle")


async def test_a_budget_that_is_set_later_holds_from_then_on(api: Api) -> None:
    item = await api.session(initialPrompt="first")
    await api.settled(item["id"])
    path = f"/api/sessions/{item['id']}"
    assert (await api.send("PATCH", path, {"budget": {"tokens": 1}})).status == 200
    assert len(await waiting_for_budget(api)) == 1
    await api.send("POST", f"{path}/prompt", {"text": "second"})
    held = (await api.send("GET", path)).json
    assert (held["status"], held["turns"], held["queued"]) == ("idle", 1, 1)
    assert (await api.send("PATCH", path, {"title": "Other"})).json["budget"]["tokens"] == 1
    assert (await api.send("PATCH", path, {"budget": None})).json["budget"] is None
    assert (await api.settled(item["id"]))["turns"] == 2


@pytest.mark.parametrize(
    ("budget", "field"),
    [
        ({"usd": -1}, "budget.usd"),
        ({"tokens": 1.5}, "budget.tokens"),
        ({"minutes": "many"}, "budget.minutes"),
        ({"euro": 1}, "budget.euro"),
        ([], "budget"),
    ],
)
async def test_what_is_no_budget(api: Api, budget: Any, field: str) -> None:
    refused = await api.send("POST", "/api/sessions", {"directory": "/home/user/plain", "budget": budget})
    assert refused.problem(422, "invalid")["field"] == field
    item = await api.session()
    refused = await api.send("PATCH", f"/api/sessions/{item['id']}", {"budget": budget})
    assert refused.problem(422, "invalid")["field"] == field


async def test_a_repeated_patch_does_not_bring_an_old_budget_back(api: Api) -> None:
    item = await api.session()
    path = f"/api/sessions/{item['id']}"
    first = {"title": "First", "budget": {"usd": 1.0}}
    assert (await api.send("PATCH", path, first, Idempotency_Key="k")).json["budget"]["usd"] == 1.0
    assert (await api.send("PATCH", path, {"budget": {"usd": 5.0}}, Idempotency_Key="m")).json["budget"]["usd"] == 5.0
    again = await api.send("PATCH", path, first, Idempotency_Key="k")
    assert (again.status, again.json["budget"]["usd"]) == (200, 1.0)  # the first answer, and no change
    assert (await api.send("GET", path)).json["budget"]["usd"] == 5.0
    refused = await api.send("PATCH", path, {"budget": {"usd": 6.0}}, Idempotency_Key="m")
    refused.problem(422, "idempotency_conflict")
    assert (await api.send("GET", path)).json["budget"]["usd"] == 5.0


@pytest.mark.parametrize("budget", [{"tokens": 10**20}, {"usd": 1e13}, {"minutes": 1e300}, {"tokens": -1}])
async def test_a_budget_that_is_no_bound_is_refused(api: Api, budget: dict[str, Any]) -> None:
    (name,) = budget
    refused = await api.send("POST", "/api/sessions", {"directory": PLAIN, "budget": budget})
    assert refused.problem(422, "invalid")["field"] == f"budget.{name}"
    item = await api.session()
    refused = await api.send("PATCH", f"/api/sessions/{item['id']}", {"budget": budget})
    assert refused.problem(422, "invalid")["field"] == f"budget.{name}"


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
async def test_a_client_does_not_send_what_json_cannot_say(number: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        BudgetBody(usd=number)
