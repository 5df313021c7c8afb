"""Turns that continue although nothing is heard of them, and turns that end although OpenCode would continue."""

from typing import Any

import pytest
import trio

from fleet.limits import TURN_POLL_S, TURN_RETRY_S, TURN_SILENCE_S, TURN_UNKNOWN_STEPS_MAX
from tests.fakes.opencode_store import StoredMessage
from tests.gateway.machine import Api, Machine


def tools(api: Api, item: dict[str, Any]) -> list[str]:
    """Return OpenCode's JSON of the running tools, as a new reader gets it."""
    parts = api.fleet.context.inflight.snapshot(frozenset((item["id"],)))[item["id"]]
    return [bytes(part.body).decode() for part in parts if part.type == "tool" and part.body is not None]


async def running_tool(api: Api, text: str) -> dict[str, Any]:
    """Create a session whose turn has come as far as its tool."""
    item = await api.session(initialPrompt=text)
    with trio.fail_after(60):
        while True:
            if tools(api, item):
                return item
            await trio.sleep(0.1)


async def test_a_silent_tool_is_not_given_up_after_a_restart(machine: Machine) -> None:
    async with machine.fleet(killed=True) as api:
        item = await running_tool(api, f"bash:{TURN_SILENCE_S * 4:.0f}")
    async with machine.fleet() as api:
        await trio.sleep(TURN_POLL_S)
        (shown,) = tools(api, item)
        assert '"running"' in shown
        await trio.sleep(TURN_SILENCE_S * 1.5)
        assert (await api.send("GET", f"/api/sessions/{item['id']}")).json["status"] == "active"
        assert (await api.settled(item["id"]))["outcome"] == "finished"
        assert tools(api, item) == []


async def test_a_silent_tool_is_not_given_up_when_its_beginning_was_missed(machine: Machine, api: Api) -> None:
    item = await api.session()
    await api.prompt(item["id"], "bash:20")
    process = machine.world.process(item["instanceId"])
    streams, process._streams = process._streams, []
    await api.send("POST", f"/api/sessions/{item['id']}/prompt", {"text": f"bash:{TURN_SILENCE_S * 4:.0f}"})
    await trio.sleep(TURN_SILENCE_S * 1.5)
    process._streams = streams
    assert (await api.send("GET", f"/api/sessions/{item['id']}")).json["status"] == "active"
    assert (await api.settled(item["id"]))["outcome"] == "finished"


async def test_messages_during_a_lost_stream_are_logged_when_it_returns(machine: Machine, api: Api) -> None:
    item = await running_tool(api, "turn:2 bash:60")
    process = machine.world.process(item["instanceId"])
    streams, process._streams = process._streams, []
    await trio.sleep(80)  # the first tool has ended, the second runs
    for stream in streams:
        stream.close()
    await trio.sleep(TURN_POLL_S)
    (shown,) = tools(api, item)
    logged = [e for e in api.fleet.log.read_stream(f"session-{item['id']}") if e.type == "session.part-recorded"]
    assert [each.event.type for each in logged].count("tool") == 1
    assert '"running"' in shown
    assert (await api.settled(item["id"]))["outcome"] == "finished"
    assert tools(api, item) == []


async def test_a_tool_that_an_earlier_process_left_behind_does_not_run(machine: Machine, api: Api) -> None:
    item = await api.session(initialPrompt="hang")
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    named = {"sessionID": item["opencodeId"], "messageID": "msg_left"}
    part = {"id": "prt_left", **named, "type": "tool", "tool": "bash", "state": {"status": "running"}}
    info = {"id": "msg_left", **named, "role": "assistant", "time": {"created": process_since_ms(api, item) - 1}}
    machine.world.store.add(StoredMessage(info, {"prt_left": part}))
    machine.world.drop_events(item["instanceId"])
    await trio.sleep(TURN_POLL_S)
    assert tools(api, item) == []
    assert await given_up(machine, api, item) == "turn_silent"


def process_since_ms(api: Api, item: dict[str, Any]) -> int:
    state = api.fleet.views.instances.get(item["instanceId"])
    assert state is not None
    return state.created_at_ms


async def given_up(machine: Machine, api: Api, item: dict[str, Any]) -> str:
    """Wait until the turn has failed, insist that OpenCode works on it no more, and return why."""
    with trio.fail_after(TURN_SILENCE_S * 4):
        failed = await api.settled(item["id"])
    assert (failed["status"], failed["outcome"]) == ("error", "error")
    assert machine.world.process(item["instanceId"]).turns == {}
    (failure,) = [
        e.event for e in api.fleet.log.read_stream(f"session-{item['id']}") if e.type == "session.turn-failed"
    ]
    assert failure.detail in failed["evidence"]
    return str(failure.code)


async def test_a_model_that_never_answers_is_given_up(machine: Machine, api: Api) -> None:
    began_s = trio.current_time()
    assert await given_up(machine, api, await api.session(initialPrompt="hang")) == "turn_silent"
    assert TURN_SILENCE_S <= trio.current_time() - began_s < TURN_SILENCE_S * 1.1


async def test_steps_that_end_for_no_known_reason_are_given_up(machine: Machine, api: Api) -> None:
    item = await api.session(initialPrompt="unknown")
    assert await given_up(machine, api, item) == "turn_loops"
    assert sum(machine.world.model_calls.values()) > TURN_UNKNOWN_STEPS_MAX


@pytest.mark.parametrize("who", ["", "task ", "task task "])
async def test_retries_without_end_are_given_up(machine: Machine, api: Api, who: str) -> None:
    began_s = trio.current_time()
    item = await api.session(initialPrompt=f"{who}retry:20")
    assert await given_up(machine, api, item) == "turn_retries"
    assert TURN_RETRY_S <= trio.current_time() - began_s < TURN_RETRY_S * 1.1
    assert sum(machine.world.finished_turns.values()) == 0


@pytest.mark.parametrize("who", ["", "task "])
async def test_retries_that_end_are_forgotten(api: Api, who: str) -> None:
    began_s = trio.current_time()
    item = await api.session(initialPrompt=f"{who}retry:8 bash:{TURN_RETRY_S * 2:.0f}")
    assert (await api.settled(item["id"]))["outcome"] == "finished"
    assert trio.current_time() - began_s > TURN_RETRY_S * 2


@pytest.mark.parametrize("who", ["", "task "])
async def test_a_wait_for_the_next_retry_is_seen_after_a_restart(machine: Machine, who: str) -> None:
    async with machine.fleet(killed=True) as api:
        item = await api.session(initialPrompt=f"{who}retry:20")
        await trio.sleep(2.0**9 + 10)  # the next retry comes after another 2**9 s
    async with machine.fleet() as api:
        began_s = trio.current_time()
        assert await given_up(machine, api, item) == "turn_retries"
        assert trio.current_time() - began_s < TURN_RETRY_S * 1.1


@pytest.mark.parametrize("who", ["", "task "])
async def test_retries_that_ended_during_a_lost_stream_do_not_count(machine: Machine, api: Api, who: str) -> None:
    item = await api.session(initialPrompt=f"{who}retry:5 bash:{TURN_RETRY_S * 2:.0f}")
    await trio.sleep(2.0**5 + 10)
    process = machine.world.process(item["instanceId"])
    streams, process._streams = process._streams, []
    await trio.sleep(2.0**5)
    for stream in streams:
        stream.close()
    assert (await api.settled(item["id"]))["outcome"] == "finished"


async def test_a_prompt_that_opencode_does_not_keep_does_not_hold_a_turn_that_hangs(api: Api) -> None:
    """Each try to send it into the turn was a sign of life of that turn."""
    item = await api.session()
    path = f"/api/sessions/{item['id']}"
    await api.send("POST", f"{path}/prompt", {"text": "hang"})
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    await api.send("POST", f"{path}/prompt", {"text": "Look", "agent": "nobody"})
    (prompt,) = (await api.send("GET", f"{path}/queue")).json
    assert (await api.send("POST", f"{path}/queue/{prompt['id']}/steer")).status == 204
    with trio.fail_after(TURN_SILENCE_S * 2):
        await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is None)
    assert (await api.send("GET", path)).json["failure"]["code"] == "turn_silent"
    assert [each["id"] for each in (await api.send("GET", f"{path}/queue")).json] == [prompt["id"]]


async def test_no_model_names_a_session_whose_first_prompt_was_not_sent(machine: Machine, api: Api) -> None:
    item = await api.session()
    machine.world.refusals = 2  # of the title, and of the title before the prompt
    failed = await api.prompt(item["id"], "hello")
    assert (failed["outcome"], failed["failure"]["code"], machine.world.refusals) == ("error", "opencode_refused", 0)
    assert (await api.prompt(item["id"], "hello again"))["outcome"] == "finished"
    assert machine.world.named_by_model == []
