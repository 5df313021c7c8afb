"""Turns that continue although nothing is heard of them, and turns that end although OpenCode would continue."""

from typing import Any

import pytest
import trio

from fleet.limits import TURN_POLL_S, TURN_RETRY_S, TURN_SILENCE_S, TURN_UNKNOWN_STEPS_MAX
from tests.fakes.opencode_store import StoredMessage
from tests.gateway.door import Door, Machine


def tools(door: Door, item: dict[str, Any]) -> list[str]:
    """Return OpenCode's JSON of the running tools, as a new reader gets it."""
    parts = door.fleet.context.inflight.snapshot(frozenset((item["id"],)))[item["id"]]
    return [bytes(part.body).decode() for part in parts if part.type == "tool" and part.body is not None]


async def running_tool(door: Door, text: str) -> dict[str, Any]:
    """Create a session whose turn has come as far as its tool."""
    item = await door.session(initialPrompt=text)
    with trio.fail_after(60):
        while True:
            if tools(door, item):
                return item
            await trio.sleep(0.1)


async def test_a_silent_tool_is_not_given_up_after_a_restart(machine: Machine) -> None:
    async with machine.fleet(killed=True) as door:
        item = await running_tool(door, f"bash:{TURN_SILENCE_S * 4:.0f}")
    async with machine.fleet() as door:
        await trio.sleep(TURN_POLL_S)
        (shown,) = tools(door, item)
        assert '"running"' in shown
        await trio.sleep(TURN_SILENCE_S * 1.5)
        assert (await door.knock("GET", f"/api/sessions/{item['id']}")).json["status"] == "active"
        assert (await door.settled(item["id"]))["outcome"] == "finished"
        assert tools(door, item) == []


async def test_a_silent_tool_is_not_given_up_when_its_beginning_was_missed(machine: Machine, door: Door) -> None:
    item = await door.session()
    await door.prompt(item["id"], "bash:20")
    process = machine.world.process(item["instanceId"])
    streams, process._streams = process._streams, []
    await door.knock("POST", f"/api/sessions/{item['id']}/prompt", {"text": f"bash:{TURN_SILENCE_S * 4:.0f}"})
    await trio.sleep(TURN_SILENCE_S * 1.5)
    process._streams = streams
    assert (await door.knock("GET", f"/api/sessions/{item['id']}")).json["status"] == "active"
    assert (await door.settled(item["id"]))["outcome"] == "finished"


async def test_messages_during_a_lost_stream_are_logged_when_it_returns(machine: Machine, door: Door) -> None:
    item = await running_tool(door, "turn:2 bash:60")
    process = machine.world.process(item["instanceId"])
    streams, process._streams = process._streams, []
    await trio.sleep(80)  # the first tool has ended, the second runs
    for stream in streams:
        stream.close()
    await trio.sleep(TURN_POLL_S)
    (shown,) = tools(door, item)
    logged = [e for e in door.fleet.log.read_stream(f"session-{item['id']}") if e.type == "session.part-recorded"]
    assert [each.event.type for each in logged].count("tool") == 1
    assert '"running"' in shown
    assert (await door.settled(item["id"]))["outcome"] == "finished"
    assert tools(door, item) == []


async def test_a_tool_that_an_earlier_process_left_behind_does_not_run(machine: Machine, door: Door) -> None:
    item = await door.session(initialPrompt="hang")
    await door.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    named = {"sessionID": item["opencodeId"], "messageID": "msg_left"}
    part = {"id": "prt_left", **named, "type": "tool", "tool": "bash", "state": {"status": "running"}}
    info = {"id": "msg_left", **named, "role": "assistant", "time": {"created": process_since_ms(door, item) - 1}}
    machine.world.store.add(StoredMessage(info, {"prt_left": part}))
    machine.world.drop_events(item["instanceId"])
    await trio.sleep(TURN_POLL_S)
    assert tools(door, item) == []
    assert await given_up(machine, door, item) == "turn_silent"


def process_since_ms(door: Door, item: dict[str, Any]) -> int:
    state = door.fleet.views.instances.get(item["instanceId"])
    assert state is not None
    return state.created_at_ms


async def given_up(machine: Machine, door: Door, item: dict[str, Any]) -> str:
    """Wait until the turn has failed, insist that OpenCode works on it no more, and return why."""
    with trio.fail_after(TURN_SILENCE_S * 4):
        failed = await door.settled(item["id"])
    assert (failed["status"], failed["outcome"]) == ("error", "error")
    assert machine.world.process(item["instanceId"]).turns == {}
    (failure,) = [
        e.event for e in door.fleet.log.read_stream(f"session-{item['id']}") if e.type == "session.turn-failed"
    ]
    assert failure.detail in failed["evidence"]
    return str(failure.code)


async def test_a_model_that_never_answers_is_given_up(machine: Machine, door: Door) -> None:
    began_s = trio.current_time()
    assert await given_up(machine, door, await door.session(initialPrompt="hang")) == "turn_silent"
    assert TURN_SILENCE_S <= trio.current_time() - began_s < TURN_SILENCE_S * 1.1


async def test_steps_that_end_for_no_known_reason_are_given_up(machine: Machine, door: Door) -> None:
    item = await door.session(initialPrompt="unknown")
    assert await given_up(machine, door, item) == "turn_loops"
    assert sum(machine.world.model_calls.values()) > TURN_UNKNOWN_STEPS_MAX


@pytest.mark.parametrize("who", ["", "task ", "task task "])
async def test_retries_without_end_are_given_up(machine: Machine, door: Door, who: str) -> None:
    began_s = trio.current_time()
    item = await door.session(initialPrompt=f"{who}retry:20")
    assert await given_up(machine, door, item) == "turn_retries"
    assert TURN_RETRY_S <= trio.current_time() - began_s < TURN_RETRY_S * 1.1
    assert sum(machine.world.finished_turns.values()) == 0


@pytest.mark.parametrize("who", ["", "task "])
async def test_retries_that_end_are_forgotten(door: Door, who: str) -> None:
    began_s = trio.current_time()
    item = await door.session(initialPrompt=f"{who}retry:8 bash:{TURN_RETRY_S * 2:.0f}")
    assert (await door.settled(item["id"]))["outcome"] == "finished"
    assert trio.current_time() - began_s > TURN_RETRY_S * 2


@pytest.mark.parametrize("who", ["", "task "])
async def test_a_wait_for_the_next_retry_is_seen_after_a_restart(machine: Machine, who: str) -> None:
    async with machine.fleet(killed=True) as door:
        item = await door.session(initialPrompt=f"{who}retry:20")
        await trio.sleep(2.0**9 + 10)  # the next retry comes after another 2**9 s
    async with machine.fleet() as door:
        began_s = trio.current_time()
        assert await given_up(machine, door, item) == "turn_retries"
        assert trio.current_time() - began_s < TURN_RETRY_S * 1.1


@pytest.mark.parametrize("who", ["", "task "])
async def test_retries_that_ended_during_a_lost_stream_do_not_count(machine: Machine, door: Door, who: str) -> None:
    item = await door.session(initialPrompt=f"{who}retry:5 bash:{TURN_RETRY_S * 2:.0f}")
    await trio.sleep(2.0**5 + 10)
    process = machine.world.process(item["instanceId"])
    streams, process._streams = process._streams, []
    await trio.sleep(2.0**5)
    for stream in streams:
        stream.close()
    assert (await door.settled(item["id"]))["outcome"] == "finished"


async def test_a_prompt_that_opencode_does_not_keep_does_not_hold_a_turn_that_hangs(door: Door) -> None:
    """Each try to send it into the turn was a sign of life of that turn."""
    item = await door.session()
    path = f"/api/sessions/{item['id']}"
    await door.knock("POST", f"{path}/prompt", {"text": "hang"})
    await door.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    await door.knock("POST", f"{path}/prompt", {"text": "Look", "agent": "nobody"})
    (prompt,) = (await door.knock("GET", f"{path}/queue")).json
    assert (await door.knock("POST", f"{path}/queue/{prompt['id']}/steer")).status == 204
    with trio.fail_after(TURN_SILENCE_S * 2):
        await door.fleet.views.sessions.wait(item["id"], lambda s: s.turn is None)
    assert (await door.knock("GET", path)).json["failure"]["code"] == "turn_silent"
    assert [each["id"] for each in (await door.knock("GET", f"{path}/queue")).json] == [prompt["id"]]


async def test_no_model_names_a_session_whose_first_prompt_was_not_sent(machine: Machine, door: Door) -> None:
    item = await door.session()
    machine.world.refusals = 2  # of the title, and of the title before the prompt
    failed = await door.prompt(item["id"], "hello")
    assert (failed["outcome"], failed["failure"]["code"], machine.world.refusals) == ("error", "opencode_refused", 0)
    assert (await door.prompt(item["id"], "hello again"))["outcome"] == "finished"
    assert machine.world.named_by_model == []
