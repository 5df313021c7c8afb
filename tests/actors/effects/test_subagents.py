"""Sub-agents: what they ask reaches the person, what they cost is paid once, and they are given up like any session."""

from typing import Any

import pytest
import trio

from fleet.actors.effects.opencode_messages import read_since
from fleet.core.session.turn_events import PartRecorded
from fleet.limits import TRANSCRIPT_KNOWN_MAX, TURN_POLL_S
from tests.fakes.opencode_turn import STEP_COST_USD
from tests.gateway.machine import Api, Frame, Machine

STEPS = TRANSCRIPT_KNOWN_MAX + 50


def paid(item: dict[str, Any]) -> float:
    """Return the number of model calls that the session has paid."""
    return round(float(item["costUsd"]) / STEP_COST_USD, 3)


async def test_a_sub_agent_s_messages_are_paid_once(machine: Machine, api: Api) -> None:
    item = await api.session()
    assert paid(await api.prompt(item["id"], f"task turn:{STEPS}")) == 2 + STEPS
    for more in (1, 2, 3):
        assert paid(await api.prompt(item["id"], "Hello")) == 2 + STEPS + more
    assert paid(await api.prompt(item["id"], "task Again")) == 2 + STEPS + 3 + 3
    assert sum(machine.world.model_calls.values()) == 2 + STEPS + 3 + 3


async def test_messages_of_a_session_are_charged_once_beside_those_of_sub_agents(api: Api) -> None:
    item = await api.session()
    await api.prompt(item["id"], "turn:5")
    await api.prompt(item["id"], f"task turn:{STEPS}")
    before = await api.prompt(item["id"], "Hello")
    assert (await api.send("DELETE", f"/api/sessions/{item['id']}")).status == 200
    ended = (await api.send("GET", f"/api/sessions/{item['id']}")).json
    assert (paid(ended), ended["tokens"]) == (paid(before), before["tokens"])
    assert (await api.send("POST", f"/api/sessions/{item['id']}/resume")).status == 200
    after = await api.prompt(item["id"], "Hello")
    assert paid(after) == paid(before) + 1


async def test_messages_of_a_sub_agent_during_a_lost_stream_are_charged(machine: Machine, api: Api) -> None:
    item = await api.session()
    process = machine.world.process(item["instanceId"])
    streams, process._streams = process._streams, []
    assert paid(await api.prompt(item["id"], "task task turn:70")) == 2 + 2 + 70
    process._streams = streams


async def test_only_the_new_messages_of_a_sub_agent_that_continues_are_read(machine: Machine, api: Api) -> None:
    item = await api.session()
    await api.prompt(item["id"], "turn:70")
    client = api.fleet.context.connections.current(item["instanceId"])
    assert client is not None
    for text, told in (("Hello", 2), ("turn:70", 71)):
        since_ms = machine.world.now_ms()
        await api.prompt(item["id"], text)
        assert len(await read_since(client, item["opencodeId"], since_ms)) == told


@pytest.mark.parametrize("end", ["stopped", "killed", "killed and stopped"])
async def test_messages_of_a_sub_agent_in_an_interrupted_turn_are_charged(machine: Machine, api: Api, end: str) -> None:
    item = await api.session()
    await api.prompt(item["id"], "task turn:3")
    process = machine.world.process(item["instanceId"])
    process._streams = []
    await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "task turn:9 bash:20"})
    await trio.sleep(50)
    said = [message.info["cost"] for message in machine.world.store.messages.values() if message.is_completed]
    assert len(said) == 5 + 2
    if "killed" in end:
        machine.world.kill(item["instanceId"])
        await api.fleet.views.sessions.wait(item["id"], lambda s: s.phase == "disconnected")
    if "stopped" in end:
        assert (await api.send("DELETE", f"/api/sessions/{item['id']}")).status == 200
    assert (await api.send("POST", f"/api/sessions/{item['id']}/resume")).status == 200
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.phase == "idle")
    assert paid(await api.settled(item["id"])) == 7


@pytest.mark.parametrize("who", ["task ", "task task "])
async def test_a_request_of_a_sub_agent_is_found_when_its_event_was_missed(
    machine: Machine, api: Api, who: str
) -> None:
    items = [await api.session() for _ in range(2)]
    process = machine.world.process(items[0]["instanceId"])
    streams, process._streams = process._streams, []
    answers: dict[str, dict[str, Any]] = {"ask": {"reply": "once"}, "question": {"answers": [["Red"]]}}
    for item, word in zip(items, answers, strict=True):
        await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": who + word})
    for item, (word, answer) in zip(items, answers.items(), strict=True):
        with trio.fail_after(TURN_POLL_S * 3):
            await api.fleet.views.sessions.wait(item["id"], lambda s: bool(s.requests))
        path = f"/api/sessions/{item['id']}/requests"
        (request,) = (await api.send("GET", path)).json
        assert (request["kind"] == "permission") is (word == "ask")
        assert request["opencodeId"] not in {each["opencodeId"] for each in items}
        assert (await api.send("POST", f"{path}/{request['id']}", answer)).status == 204
    for item in items:
        assert (await api.settled(item["id"]))["outcome"] == "finished"
    process._streams = streams


def conversations(frames: list[Frame], event: str) -> set[str]:
    return {frame.data["conversation"] for frame in frames if frame.event == event}


async def test_live_events_of_a_sub_agent_reach_the_readers_of_its_session(api: Api) -> None:
    item, other = await api.session(), await api.session()
    async with api.listen() as port:
        path = f"/api/sessions/{item['id']}/events"
        async with api.follow(port, path) as stream, api.follow(port, f"/api/sessions/{other['id']}/events") as apart:
            await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "task bash:1"})
            frames = await stream.until("session.turn-ended")
            await api.prompt(other["id"], "Hello")
            assert conversations(await apart.until("session.turn-ended"), "delta") == {other["opencodeId"]}
    listed = (await api.send("GET", f"/api/sessions/{item['id']}/conversations")).json
    own, subagent = (each["id"] for each in listed)
    assert own == item["opencodeId"]
    assert conversations(frames, "delta") == conversations(frames, "part") == {own, subagent}
    logged = [frame.data["data"] for frame in frames if frame.event == "session.part-recorded"]
    assert {part["opencode_id"] for part in logged} == {own, subagent}
    assert all(part["body"]["sessionID"] == part["opencode_id"] for part in logged)


async def test_a_sub_agent_s_parts_are_recorded_as_they_end_and_once(machine: Machine, api: Api) -> None:
    item = await api.session()
    await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": "task turn:3 bash:30"})
    await trio.sleep(40)
    path = f"/api/sessions/{item['id']}/messages?conversation="
    _, running = (await api.send("GET", f"/api/sessions/{item['id']}/conversations")).json
    assert (running["parentId"], running["agent"]) == (item["opencodeId"], "general")
    said = (await api.send("GET", f"{path}{running['id']}")).json["messages"]
    assert "half done" in str(said)
    done = await api.settled(item["id"])
    said = (await api.send("GET", f"{path}{running['id']}")).json["messages"]
    stored = machine.world.store.transcript(running["id"])
    assert [message["info"]["id"] for message in said] == [message.id for message in stored]
    assert [message["parts"] for message in said] == [list(message.parts.values()) for message in stored]
    stream = api.fleet.log.read_stream(api.fleet.views.sessions.stream(item["id"]))
    parts = [(each.event.part_id, bytes(each.event.body)) for each in stream if isinstance(each.event, PartRecorded)]
    assert len(parts) == len(set(parts)), "a part was recorded twice"
    assert paid(done) == 2 + 3


async def test_a_restart_shows_what_a_sub_agent_is_doing(machine: Machine) -> None:
    async with machine.fleet(killed=True) as api:
        item = await api.session(initialPrompt="task turn:2 bash:60")
        await trio.sleep(20)
    async with machine.fleet() as api:
        await trio.sleep(TURN_POLL_S + 5)
        _, subagent = (await api.send("GET", f"/api/sessions/{item['id']}/conversations")).json
        open_parts = api.fleet.inflight.snapshot(frozenset((item["id"],)))[item["id"]]
        assert {part.conversation for part in open_parts} == {item["opencodeId"], subagent["id"]}
        assert paid(await api.settled(item["id"])) == 2 + 2
