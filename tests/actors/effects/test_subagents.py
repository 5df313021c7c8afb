"""Sub-agents: what they ask reaches the person, what they cost is paid once, and they are given up like any session."""

from typing import Any

import pytest
import trio

from fleet.actors.effects.opencode_messages import read_since
from fleet.core.session.turn_events import PartRecorded
from fleet.limits import TRANSCRIPT_KNOWN_MAX, TURN_POLL_S
from tests.fakes.opencode_turn import STEP_COST_USD
from tests.gateway.door import Door, Frame, Machine

STEPS = TRANSCRIPT_KNOWN_MAX + 50


def paid(item: dict[str, Any]) -> float:
    """Return the number of model calls that the session has paid."""
    return round(float(item["costUsd"]) / STEP_COST_USD, 3)


async def test_a_sub_agent_s_messages_are_paid_once(machine: Machine, door: Door) -> None:
    item = await door.session()
    assert paid(await door.prompt(item["id"], f"task turn:{STEPS}")) == 2 + STEPS
    for more in (1, 2, 3):
        assert paid(await door.prompt(item["id"], "Hello")) == 2 + STEPS + more
    assert paid(await door.prompt(item["id"], "task Again")) == 2 + STEPS + 3 + 3
    assert sum(machine.world.model_calls.values()) == 2 + STEPS + 3 + 3


async def test_messages_of_a_session_are_charged_once_beside_those_of_sub_agents(door: Door) -> None:
    item = await door.session()
    await door.prompt(item["id"], "turn:5")
    await door.prompt(item["id"], f"task turn:{STEPS}")
    before = await door.prompt(item["id"], "Hello")
    assert (await door.knock("DELETE", f"/api/sessions/{item['id']}")).status == 200
    ended = (await door.knock("GET", f"/api/sessions/{item['id']}")).json
    assert (paid(ended), ended["tokens"]) == (paid(before), before["tokens"])
    assert (await door.knock("POST", f"/api/sessions/{item['id']}/resume")).status == 200
    after = await door.prompt(item["id"], "Hello")
    assert paid(after) == paid(before) + 1


async def test_messages_of_a_sub_agent_during_a_lost_stream_are_charged(machine: Machine, door: Door) -> None:
    item = await door.session()
    process = machine.world.process(item["instanceId"])
    streams, process._streams = process._streams, []
    assert paid(await door.prompt(item["id"], "task task turn:70")) == 2 + 2 + 70
    process._streams = streams


async def test_only_the_new_messages_of_a_sub_agent_that_continues_are_read(machine: Machine, door: Door) -> None:
    item = await door.session()
    await door.prompt(item["id"], "turn:70")
    client = door.fleet.context.connections.current(item["instanceId"])
    assert client is not None
    for text, told in (("Hello", 2), ("turn:70", 71)):
        since_ms = machine.world.now_ms()
        await door.prompt(item["id"], text)
        assert len(await read_since(client, item["opencodeId"], since_ms)) == told


@pytest.mark.parametrize("end", ["stopped", "killed", "killed and stopped"])
async def test_messages_of_a_sub_agent_in_an_interrupted_turn_are_charged(
    machine: Machine, door: Door, end: str
) -> None:
    item = await door.session()
    await door.prompt(item["id"], "task turn:3")
    process = machine.world.process(item["instanceId"])
    process._streams = []
    await door.knock("POST", f"/api/sessions/{item['id']}/prompt", {"text": "task turn:9 bash:20"})
    await trio.sleep(50)
    said = [message.info["cost"] for message in machine.world.store.messages.values() if message.is_completed]
    assert len(said) == 5 + 2
    if "killed" in end:
        machine.world.kill(item["instanceId"])
        await door.fleet.views.sessions.wait(item["id"], lambda s: s.phase == "disconnected")
    if "stopped" in end:
        assert (await door.knock("DELETE", f"/api/sessions/{item['id']}")).status == 200
    assert (await door.knock("POST", f"/api/sessions/{item['id']}/resume")).status == 200
    await door.fleet.views.sessions.wait(item["id"], lambda s: s.phase == "idle")
    assert paid(await door.settled(item["id"])) == 7


@pytest.mark.parametrize("who", ["task ", "task task "])
async def test_a_request_of_a_sub_agent_is_found_when_its_event_was_missed(
    machine: Machine, door: Door, who: str
) -> None:
    items = [await door.session() for _ in range(2)]
    process = machine.world.process(items[0]["instanceId"])
    streams, process._streams = process._streams, []
    answers: dict[str, dict[str, Any]] = {"ask": {"reply": "once"}, "question": {"answers": [["Red"]]}}
    for item, word in zip(items, answers, strict=True):
        await door.knock("POST", f"/api/sessions/{item['id']}/prompt", {"text": who + word})
    for item, (word, answer) in zip(items, answers.items(), strict=True):
        with trio.fail_after(TURN_POLL_S * 3):
            await door.fleet.views.sessions.wait(item["id"], lambda s: bool(s.requests))
        path = f"/api/sessions/{item['id']}/requests"
        (request,) = (await door.knock("GET", path)).json
        assert (request["kind"] == "permission") is (word == "ask")
        assert request["opencodeId"] not in {each["opencodeId"] for each in items}
        assert (await door.knock("POST", f"{path}/{request['id']}", answer)).status == 204
    for item in items:
        assert (await door.settled(item["id"]))["outcome"] == "finished"
    process._streams = streams


def conversations(frames: list[Frame], event: str) -> set[str]:
    return {frame.data["conversation"] for frame in frames if frame.event == event}


async def test_live_events_of_a_sub_agent_reach_the_readers_of_its_session(door: Door) -> None:
    item, other = await door.session(), await door.session()
    async with door.listen() as port:
        path = f"/api/sessions/{item['id']}/events"
        async with door.follow(port, path) as stream, door.follow(port, f"/api/sessions/{other['id']}/events") as apart:
            await door.knock("POST", f"/api/sessions/{item['id']}/prompt", {"text": "task bash:1"})
            frames = await stream.until("session.turn-ended")
            await door.prompt(other["id"], "Hello")
            assert conversations(await apart.until("session.turn-ended"), "delta") == {other["opencodeId"]}
    listed = (await door.knock("GET", f"/api/sessions/{item['id']}/conversations")).json
    own, subagent = (each["id"] for each in listed)
    assert own == item["opencodeId"]
    assert conversations(frames, "delta") == conversations(frames, "part") == {own, subagent}
    logged = [frame.data["data"] for frame in frames if frame.event == "session.part-recorded"]
    assert {part["opencode_id"] for part in logged} == {own, subagent}
    assert all(part["body"]["sessionID"] == part["opencode_id"] for part in logged)


async def test_a_sub_agent_s_parts_are_recorded_as_they_end_and_once(machine: Machine, door: Door) -> None:
    item = await door.session()
    await door.knock("POST", f"/api/sessions/{item['id']}/prompt", {"text": "task turn:3 bash:30"})
    await trio.sleep(40)
    path = f"/api/sessions/{item['id']}/messages?conversation="
    _, running = (await door.knock("GET", f"/api/sessions/{item['id']}/conversations")).json
    assert (running["parentId"], running["agent"]) == (item["opencodeId"], "general")
    said = (await door.knock("GET", f"{path}{running['id']}")).json["messages"]
    assert "half done" in str(said)
    done = await door.settled(item["id"])
    said = (await door.knock("GET", f"{path}{running['id']}")).json["messages"]
    stored = machine.world.store.transcript(running["id"])
    assert [message["info"]["id"] for message in said] == [message.id for message in stored]
    assert [message["parts"] for message in said] == [list(message.parts.values()) for message in stored]
    stream = door.fleet.log.read_stream(door.fleet.views.sessions.stream(item["id"]))
    parts = [(each.event.part_id, bytes(each.event.body)) for each in stream if isinstance(each.event, PartRecorded)]
    assert len(parts) == len(set(parts)), "a part was recorded twice"
    assert paid(done) == 2 + 3


async def test_a_restart_shows_what_a_sub_agent_is_doing(machine: Machine) -> None:
    async with machine.fleet(killed=True) as door:
        item = await door.session(initialPrompt="task turn:2 bash:60")
        await trio.sleep(20)
    async with machine.fleet() as door:
        await trio.sleep(TURN_POLL_S + 5)
        _, subagent = (await door.knock("GET", f"/api/sessions/{item['id']}/conversations")).json
        open_parts = door.fleet.inflight.snapshot(frozenset((item["id"],)))[item["id"]]
        assert {part.conversation for part in open_parts} == {item["opencodeId"], subagent["id"]}
        assert paid(await door.settled(item["id"])) == 2 + 2
