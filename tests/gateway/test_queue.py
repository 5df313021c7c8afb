"""The queue through the gateway: what waits, by whom, and what can be done with it."""

from typing import Any

import pytest
import trio

from tests.fakes.opencode_store import StoredMessage
from tests.gateway.machine import Api, Machine

MODEL = {"providerID": "rehearsal", "modelID": "rehearsal"}


async def working(api: Api, text: str = "bash:20", *waiting: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """Have a session work while these prompts wait; return its path and its queue."""
    item = await api.session()
    path = f"/api/sessions/{item['id']}"
    await api.send("POST", f"{path}/prompt", {"text": text})
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    for body in waiting or ({"text": "Write it"},):
        assert (await api.send("POST", f"{path}/{'command' if 'command' in body else 'prompt'}", body)).status == 204
    return path, (await api.send("GET", f"{path}/queue")).json


def asked(machine: Machine) -> list[StoredMessage]:
    return [message for message in machine.world.store.messages.values() if message.is_user]


async def test_the_queue_says_what_waits_and_who_gave_it(api: Api) -> None:
    attachment = {"mime": "text/plain", "filename": "a.txt", "data": "aGk="}
    prompt = {"text": "Write it", "agent": "plan", "model": MODEL, "attachments": [attachment]}
    _, (first, second) = await working(api, "bash:20", prompt, {"command": "review", "arguments": "all"})
    assert (first["text"], first["agent"], first["model"], first["attachments"]) == ("Write it", "plan", MODEL, 1)
    assert (first["command"], first["actor"]) == (None, "local")
    assert (second["text"], second["command"], second["model"]) == ("all", "review", None)


async def test_a_waiting_prompt_is_edited(machine: Machine, api: Api) -> None:
    path, (prompt,) = await working(api)
    answer = await api.send("PATCH", f"{path}/queue/{prompt['id']}", {"text": "Read that"})
    assert (answer.status, int(answer.headers["fleet-position"])) == (204, api.fleet.log.head())
    (edited,) = (await api.send("GET", f"{path}/queue")).json
    assert edited == {**prompt, "text": "Read that"}
    for word, kinds in (("that", ["prompt"]), ("write", [])):
        found = (await api.send("GET", f"/api/sessions/history?search={word}")).json
        assert [item["snippet"]["kind"] for item in found] == kinds
    await api.settled(path.rpartition("/")[2])
    assert [message.text for message in asked(machine)] == ["bash:20", "Read that"]
    turns = (await api.send("GET", f"{path}/turns")).json
    assert [turn["prompt"] for turn in turns] == ["bash:20", "Read that"]


async def test_a_waiting_prompt_is_sent_into_the_turn_that_runs(machine: Machine, api: Api) -> None:
    path, (first, second) = await working(api, "bash:20", {"text": "One"}, {"text": "Two"})
    assert (await api.send("POST", f"{path}/queue/{second['id']}/steer")).status == 204
    assert [each["id"] for each in (await api.send("GET", f"{path}/queue")).json] == [first["id"]]
    done = await api.settled(path.rpartition("/")[2])
    assert done["turns"] == 2
    assert [message.text for message in asked(machine)] == ["bash:20", "Two", "One"]
    turns = (await api.send("GET", f"{path}/turns")).json
    assert [[each["prompt"] for each in turn["steered"]] for turn in turns] == [["Two"], []]


async def test_the_same_key_changes_the_queue_once(api: Api) -> None:
    path, (first, second) = await working(api, "bash:20", {"text": "One"}, {"text": "Two"})
    edit = f"{path}/queue/{first['id']}"
    assert (await api.send("PATCH", edit, {"text": "A"}, Idempotency_Key="k1")).status == 204
    assert (await api.send("PATCH", edit, {"text": "B"})).status == 204
    before = api.fleet.log.head()
    assert (await api.send("PATCH", edit, {"text": "A"}, Idempotency_Key="k1")).status == 204
    conflict = await api.send("PATCH", edit, {"text": "C"}, Idempotency_Key="k1")
    conflict.problem(422, "idempotency_conflict")
    assert api.fleet.log.head() == before
    for _ in range(2):
        assert (await api.send("POST", f"{path}/queue/{second['id']}/steer", Idempotency_Key="k2")).status == 204
    assert (await api.send("GET", f"{path}/queue")).json[0]["text"] == "B"
    await trio.sleep(10)
    (turn,) = (await api.send("GET", f"{path}/turns")).json
    assert len(turn["steered"]) == 1


async def test_the_same_key_changes_the_queue_once_after_a_crash(machine: Machine) -> None:
    async with machine.fleet(killed=True) as api:
        path, (prompt,) = await working(api, "bash:60")
        steer = f"{path}/queue/{prompt['id']}/steer"
        assert (await api.send("POST", steer, Idempotency_Key="k")).status == 204
    async with machine.fleet() as api:
        assert (await api.send("POST", steer, Idempotency_Key="k")).status == 204
        await api.settled(path.rpartition("/")[2])
        (turn,) = (await api.send("GET", f"{path}/turns")).json
        assert [each["prompt"] for each in turn["steered"]] == ["Write it"]
    assert [message.text for message in asked(machine)] == ["bash:60", "Write it"]


@pytest.mark.parametrize(
    ("method", "action", "body", "status", "code"),
    [
        ("PATCH", "", {"text": " "}, 422, "prompt_empty"),
        ("PATCH", "", {"text": "x" * (1 << 20) + "y"}, 413, "too_large"),
        ("PATCH", "", {}, 422, "invalid"),
        ("PATCH", "", {"text": "x", "agent": "plan"}, 422, "invalid"),
        ("POST", "/steer", {"text": "x"}, 422, "invalid"),
    ],
)
async def test_a_refused_change_of_the_queue_changes_nothing(
    api: Api, method: str, action: str, body: Any, status: int, code: str
) -> None:
    path, (prompt,) = await working(api)
    before = api.fleet.log.head()
    (await api.send(method, f"{path}/queue/{prompt['id']}{action}", body)).problem(status, code)
    assert api.fleet.log.head() == before
    assert (await api.send("GET", f"{path}/queue")).json == [prompt]


async def test_a_prompt_that_does_not_wait_is_not_found(api: Api) -> None:
    path, (prompt,) = await working(api, "bash:5")
    await api.settled(path.rpartition("/")[2])
    for name in (prompt["id"], "nobody"):
        (await api.send("PATCH", f"{path}/queue/{name}", {"text": "x"})).problem(404, "prompt_not_found")
        (await api.send("POST", f"{path}/queue/{name}/steer")).problem(404, "prompt_not_found")


async def test_without_a_turn_that_takes_it_a_prompt_waits_on(api: Api) -> None:
    path, (prompt,) = await working(api, "bash:20")
    await api.send("POST", f"{path}/abort")
    problem = (await api.send("POST", f"{path}/queue/{prompt['id']}/steer")).problem(409, "turn_not_steerable")
    assert "no turn runs" in problem["detail"]
    assert (await api.send("GET", f"{path}/queue")).json == [prompt]
