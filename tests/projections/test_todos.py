"""The agent's list of things to do, from the recorded transcript."""

from typing import Any

import msgspec

from fleet.core.session.turn_events import MessageRecorded, PartRecorded
from fleet.projections.transcripts import Transcripts, TranscriptTodo
from tests.projections.sessions_log import SessionsLog


async def wrote(
    world: SessionsLog, number: int, *todos: Any, status: str = "completed", opencode_id: str = "ses_one"
) -> None:
    """Record a message in which the agent writes its list."""
    message_id = f"msg_{number}"
    body = {
        "id": f"prt_{number}",
        "type": "tool",
        "tool": "todowrite",
        "state": {"status": status, "input": {"todos": todos}},
    }
    part = msgspec.Raw(msgspec.json.encode(body))
    message = MessageRecorded(
        message_id=message_id,
        opencode_id=opencode_id,
        role="assistant",
        at_ms=1,
        body=msgspec.Raw(b"{}"),
        created_ms=number,
    )
    await world.append(
        "one", message, PartRecorded(part_id=f"prt_{number}", message_id=message_id, type="tool", at_ms=1, body=part)
    )


async def todos(world: SessionsLog, at: int | None = None) -> list[TranscriptTodo]:
    return await Transcripts(world.log).todos("session-one", at)


async def begun() -> SessionsLog:
    world = SessionsLog()
    await world.create("one", "A task")
    await world.prompt("one", "p1", "Plan it")
    return world


async def test_the_newest_list_is_the_list() -> None:
    world = await begun()
    assert await todos(world) == []
    await wrote(world, 1, {"content": "Read", "status": "in_progress", "priority": "high"})
    assert await todos(world) == [TranscriptTodo("Read", "in_progress", "high")]
    await wrote(world, 2, {"content": "Read", "status": "completed"}, {"content": "Write"})
    assert await todos(world) == [TranscriptTodo("Read", "completed"), TranscriptTodo("Write", "pending")]
    await wrote(world, 3)
    assert await todos(world) == []


async def test_failed_or_unreadable_calls_do_not_change_the_list() -> None:
    world = await begun()
    await wrote(world, 1, {"content": "Read"})
    await wrote(world, 2, {"content": "Never"}, status="error")
    await wrote(world, 3, "not a todo")
    assert await todos(world) == [TranscriptTodo("Read")]


async def test_the_list_of_a_sub_agent_is_its_own() -> None:
    world = await begun()
    await wrote(world, 1, {"content": "Read"})
    await wrote(world, 2, {"content": "Look"}, opencode_id="ses_of_a_sub_agent")
    assert await todos(world) == [TranscriptTodo("Read")]


async def test_the_list_as_it_was_at_a_position() -> None:
    world = await begun()
    was: list[tuple[int, list[TranscriptTodo]]] = []
    for number, content in enumerate(("Read", "Write", "Test"), 1):
        await wrote(world, number, {"content": content})
        await wrote(world, number, {"content": "Never"}, status="running")
        was.append((world.log.head(), await todos(world)))
    await wrote(world, 1, {"content": "Late"})
    assert [await todos(world, position) for position, _ in was] == [found for _, found in was]
    assert await todos(world, 0) == []
