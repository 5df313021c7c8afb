"""The queue through the gateway: what waits, by whom, and what can be done with it."""

from typing import Any

import pytest
import trio

from tests.fakes.opencode_store import StoredMessage
from tests.gateway.door import Door, Machine

MODEL = {"providerID": "rehearsal", "modelID": "rehearsal"}


async def working(door: Door, text: str = "bash:20", *waiting: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """Have a session work while these prompts wait; return its path and its queue."""
    item = await door.session()
    path = f"/api/sessions/{item['id']}"
    await door.knock("POST", f"{path}/prompt", {"text": text})
    await door.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    for body in waiting or ({"text": "Write it"},):
        assert (await door.knock("POST", f"{path}/{'command' if 'command' in body else 'prompt'}", body)).status == 204
    return path, (await door.knock("GET", f"{path}/queue")).json


def asked(machine: Machine) -> list[StoredMessage]:
    return [message for message in machine.world.store.messages.values() if message.is_user]


async def test_the_queue_says_what_waits_and_who_gave_it(door: Door) -> None:
    attachment = {"mime": "text/plain", "filename": "a.txt", "data": "aGk="}
    prompt = {"text": "Write it", "agent": "plan", "model": MODEL, "attachments": [attachment]}
    _, (first, second) = await working(door, "bash:20", prompt, {"command": "review", "arguments": "all"})
    assert (first["text"], first["agent"], first["model"], first["attachments"]) == ("Write it", "plan", MODEL, 1)
    assert (first["command"], first["actor"]) == (None, "local")
    assert (second["text"], second["command"], second["model"]) == ("all", "review", None)


async def test_a_waiting_prompt_is_edited(machine: Machine, door: Door) -> None:
    path, (prompt,) = await working(door)
    answer = await door.knock("PATCH", f"{path}/queue/{prompt['id']}", {"text": "Read that"})
    assert (answer.status, int(answer.headers["fleet-position"])) == (204, door.fleet.log.head())
    (edited,) = (await door.knock("GET", f"{path}/queue")).json
    assert edited == {**prompt, "text": "Read that"}
    for word, kinds in (("that", ["prompt"]), ("write", [])):
        found = (await door.knock("GET", f"/api/sessions/history?search={word}")).json
        assert [item["snippet"]["kind"] for item in found] == kinds
    await door.settled(path.rpartition("/")[2])
    assert [message.text for message in asked(machine)] == ["bash:20", "Read that"]
    turns = (await door.knock("GET", f"{path}/turns")).json
    assert [turn["prompt"] for turn in turns] == ["bash:20", "Read that"]


async def test_a_waiting_prompt_is_sent_into_the_turn_that_runs(machine: Machine, door: Door) -> None:
    path, (first, second) = await working(door, "bash:20", {"text": "One"}, {"text": "Two"})
    assert (await door.knock("POST", f"{path}/queue/{second['id']}/steer")).status == 204
    assert [each["id"] for each in (await door.knock("GET", f"{path}/queue")).json] == [first["id"]]
    done = await door.settled(path.rpartition("/")[2])
    assert done["turns"] == 2
    assert [message.text for message in asked(machine)] == ["bash:20", "Two", "One"]
    turns = (await door.knock("GET", f"{path}/turns")).json
    assert [[each["prompt"] for each in turn["steered"]] for turn in turns] == [["Two"], []]


async def test_the_same_key_changes_the_queue_once(door: Door) -> None:
    path, (first, second) = await working(door, "bash:20", {"text": "One"}, {"text": "Two"})
    edit = f"{path}/queue/{first['id']}"
    assert (await door.knock("PATCH", edit, {"text": "A"}, Idempotency_Key="k1")).status == 204
    assert (await door.knock("PATCH", edit, {"text": "B"})).status == 204
    before = door.fleet.log.head()
    assert (await door.knock("PATCH", edit, {"text": "A"}, Idempotency_Key="k1")).status == 204
    conflict = await door.knock("PATCH", edit, {"text": "C"}, Idempotency_Key="k1")
    conflict.problem(422, "idempotency_conflict")
    assert door.fleet.log.head() == before
    for _ in range(2):
        assert (await door.knock("POST", f"{path}/queue/{second['id']}/steer", Idempotency_Key="k2")).status == 204
    assert (await door.knock("GET", f"{path}/queue")).json[0]["text"] == "B"
    await trio.sleep(10)
    (turn,) = (await door.knock("GET", f"{path}/turns")).json
    assert len(turn["steered"]) == 1


async def test_the_same_key_changes_the_queue_once_after_a_crash(machine: Machine) -> None:
    async with machine.fleet(killed=True) as door:
        path, (prompt,) = await working(door, "bash:60")
        steer = f"{path}/queue/{prompt['id']}/steer"
        assert (await door.knock("POST", steer, Idempotency_Key="k")).status == 204
    async with machine.fleet() as door:
        assert (await door.knock("POST", steer, Idempotency_Key="k")).status == 204
        await door.settled(path.rpartition("/")[2])
        (turn,) = (await door.knock("GET", f"{path}/turns")).json
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
    door: Door, method: str, action: str, body: Any, status: int, code: str
) -> None:
    path, (prompt,) = await working(door)
    before = door.fleet.log.head()
    (await door.knock(method, f"{path}/queue/{prompt['id']}{action}", body)).problem(status, code)
    assert door.fleet.log.head() == before
    assert (await door.knock("GET", f"{path}/queue")).json == [prompt]


async def test_a_prompt_that_does_not_wait_is_not_found(door: Door) -> None:
    path, (prompt,) = await working(door, "bash:5")
    await door.settled(path.rpartition("/")[2])
    for name in (prompt["id"], "nobody"):
        (await door.knock("PATCH", f"{path}/queue/{name}", {"text": "x"})).problem(404, "prompt_not_found")
        (await door.knock("POST", f"{path}/queue/{name}/steer")).problem(404, "prompt_not_found")


async def test_without_a_turn_that_takes_it_a_prompt_waits_on(door: Door) -> None:
    path, (prompt,) = await working(door, "bash:20")
    await door.knock("POST", f"{path}/abort")
    problem = (await door.knock("POST", f"{path}/queue/{prompt['id']}/steer")).problem(409, "turn_not_steerable")
    assert "no turn runs" in problem["detail"]
    assert (await door.knock("GET", f"{path}/queue")).json == [prompt]
