"""The transcript of a session: what it was at any position, in which order, and that its first fold gives way."""

from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.core.session.events import SessionResumed
from fleet.core.session.turn_events import MessageRecorded, PartRecorded
from fleet.errors import Rejected
from fleet.limits import FEED_PAGE_EVENTS
from fleet.projections.transcripts import TranscriptPage, Transcripts, Where
from tests.projections.sessions_log import SessionsLog

CONVERSATIONS = {"msg_a": "ses_one", "msg_b": "ses_one", "msg_c": "ses_one", "msg_x": "ses_sub"}
"""Which conversation each message belongs to; `ses_one` is the session's own."""
MADE_MS = {"msg_a": 3, "msg_b": 1, "msg_c": 2, "msg_x": 1}


def raw(body: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(body))


def message(message_id: str, body: int = 0, created_ms: int = 1) -> MessageRecorded:
    return MessageRecorded(
        message_id=message_id,
        opencode_id=CONVERSATIONS[message_id],
        role="user",
        at_ms=1,
        body=raw(body),
        created_ms=created_ms,
    )


def made(message_id: str, body: int) -> MessageRecorded:
    """Return a version of a message; when it was made does not change."""
    return message(message_id, body, MADE_MS[message_id])


def part(message_id: str, part_id: str, body: int = 0) -> PartRecorded:
    return PartRecorded(
        part_id=f"prt_{message_id}{part_id}", message_id=message_id, type="text", at_ms=1, body=raw(body)
    )


names = st.sampled_from(sorted(CONVERSATIONS))
events = st.one_of(
    st.builds(made, names, st.integers(0, 3)),
    st.builds(part, names, st.sampled_from("123"), st.integers(0, 3)),
)


async def session_of(*events: Any) -> SessionsLog:
    """Return a log with a session that these events have happened to."""
    world = SessionsLog()
    await world.create("one", "A task")
    for event in events:
        await world.append("one", event)
    return world


async def pages(transcripts: Transcripts, at: int | None = None) -> list[TranscriptPage | None]:
    return [await page(transcripts, conversation, at) for conversation in ("ses_one", "ses_sub")]


async def page(transcripts: Transcripts, conversation: str, at: int | None) -> TranscriptPage | None:
    """Return the newest messages of a conversation, None where it is not known or empty."""
    try:
        found = await transcripts.page("session-one", Where(2, conversation=conversation, at=at))
    except Rejected:
        return None
    return found if found.total else None


@settings(max_examples=60)
@given(st.lists(events, max_size=12))
def test_earlier_position_reads_as_it_did_then(history: list[Any]) -> None:
    async def compare() -> None:
        world = await session_of(*history)
        transcripts = Transcripts(world.log)
        begun = world.log.head() - len(history)
        for told in range(len(history) + 1):
            then = await session_of(*history[:told])
            assert await pages(transcripts, begun + told) == await pages(Transcripts(then.log))
        assert await pages(transcripts) == await pages(transcripts, world.log.head())

    trio.run(compare)


async def test_late_message_is_sorted_by_its_time() -> None:
    world = await session_of(message("msg_c", created_ms=3), message("msg_a", 1, created_ms=1))
    transcripts = Transcripts(world.log)

    async def bodies(where: Where) -> list[Any]:
        return [msgspec.json.decode(each.info) for each in (await transcripts.page("session-one", where)).messages]

    assert await bodies(Where(9)) == [1, 0]
    await world.append("one", message("msg_b", 2, created_ms=2), message("msg_a", 5, created_ms=9))
    assert await bodies(Where(9)) == [2, 0, 5]
    assert await bodies(Where(1, around="msg_b")) == [2]
    assert await bodies(Where(1, before="msg_c")) == [2]
    assert await bodies(Where(9, after="msg_b")) == [0, 5]
    with pytest.raises(KeyError, match="msg_x"):
        await bodies(Where(9, after="msg_x"))


async def test_a_conversation_that_a_resume_has_opened_is_the_sessions_own() -> None:
    resumed = SessionResumed(instance_id="instance", opencode_id="ses_sub", at_ms=1)
    world = await session_of(message("msg_a"), resumed, message("msg_x"))
    transcripts = Transcripts(world.log)
    page = await transcripts.page("session-one", Where(10))
    assert [bytes(each.info) for each in page.messages] == [bytes(message("msg_x").body)]


async def test_conversations_are_named_by_the_calls_that_started_them() -> None:
    def task(part_id: str, started: str | None, owner: str = "ses_one") -> PartRecorded:
        given = {"description": f"Do {part_id}", "subagent_type": "explore"}
        state = {"input": given, "metadata": {} if started is None else {"sessionId": started}}
        body = {"id": part_id, "type": "tool", "tool": "task", "sessionID": owner, "state": state}
        return PartRecorded(part_id=part_id, message_id="msg_a", type="tool", at_ms=1, body=raw(body))

    world = await session_of(
        message("msg_x", created_ms=8), message("msg_a"), task("p1", None), task("p2", "ses_sub"), task("p3", "ses_sub")
    )
    running = task("p4", "ses_deep", owner="ses_sub").body
    found = await Transcripts(world.log).conversations("session-one", [running, raw([]), raw({"tool": "bash"})])
    assert [(view.id, view.messages, view.created_ms) for view in found] == [
        ("ses_one", 1, 1),
        ("ses_sub", 1, 8),
        ("ses_deep", 0, None),
    ]
    assert [view.subagent and (view.subagent.parent_id, view.subagent.title) for view in found] == [
        None,
        ("ses_one", "Do p2"),
        ("ses_sub", "Do p4"),
    ]


async def test_the_first_fold_of_a_transcript_lets_other_tasks_run() -> None:
    world = await session_of(*(part("msg_a", str(n)) for n in range(10 * FEED_PAGE_EVENTS)))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        await Transcripts(world.log).page("session-one", Where(1))
        nursery.cancel_scope.cancel()
    assert turns >= 9  # one pause for each page; who runs first is left to chance


async def test_two_readers_fold_a_session_side_by_side() -> None:
    world = await session_of(message("msg_a"), *(part("msg_a", str(n)) for n in range(3 * FEED_PAGE_EVENTS)))
    transcripts = Transcripts(world.log)
    found: list[int] = []

    async def read() -> None:
        (only,) = (await transcripts.page("session-one", Where(1))).messages
        found.append(len(only.parts))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(read)
    assert found == [3 * FEED_PAGE_EVENTS] * 3
