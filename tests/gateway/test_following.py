"""Turns that go on although nothing is heard of them, and turns that are given up although OpenCode would go on."""

from typing import Any

import trio
from msgspec.structs import replace

from fleet.limits import TURN_POLL_S, TURN_SILENCE_S
from tests.gateway.door import Door, Machine


def leave_running(door: Door) -> None:
    door.tree.context.policy = replace(door.tree.context.policy, leave_running=True)


def tools(door: Door, item: dict[str, Any]) -> list[str]:
    """Return OpenCode's JSON of the tools that run as far as a reader who comes now is told."""
    parts = door.tree.context.inflight.snapshot(frozenset((item["id"],)))[item["id"]]
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
    async with machine.fleet() as door:
        leave_running(door)
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
    process = machine.world.process(item["instanceId"])
    streams, process._streams = process._streams, []
    await door.knock("POST", f"/api/sessions/{item['id']}/prompt", {"text": f"bash:{TURN_SILENCE_S * 4:.0f}"})
    await trio.sleep(TURN_SILENCE_S * 1.5)
    process._streams = streams
    assert (await door.knock("GET", f"/api/sessions/{item['id']}")).json["status"] == "active"
    assert (await door.settled(item["id"]))["outcome"] == "finished"


async def test_what_happened_while_the_stream_was_broken_is_logged_at_once(machine: Machine, door: Door) -> None:
    item = await running_tool(door, "turn:2 bash:60")
    process = machine.world.process(item["instanceId"])
    streams, process._streams = process._streams, []
    await trio.sleep(80)  # the first tool has ended, the second runs
    for stream in streams:
        stream.close()
    await trio.sleep(TURN_POLL_S)
    (shown,) = tools(door, item)
    logged = [e for e in door.tree.log.read_stream(f"session-{item['id']}") if e.type == "session.part-recorded"]
    assert [each.event.type for each in logged].count("tool") == 1
    assert '"running"' in shown
    assert (await door.settled(item["id"]))["outcome"] == "finished"
    assert tools(door, item) == []
