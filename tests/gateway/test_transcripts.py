"""What was said in a session, as a page reads it: turns, conversations, stretches, cut parts, whole parts, files."""

import base64
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
import pytest
import trio

from fleet.actors.runtime.aggregate import Deliver
from fleet.adapters.opencode import wire
from fleet.core.session.report_commands import ReportTranscript
from fleet.events.envelope import Cause
from fleet.limits import PART_STRING_CHARS_MAX
from tests.fakes.opencode_turn import STEP_COST_USD
from tests.gateway.machine import PLAIN, Api, Machine

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
PART = {"id": "prt_1", "messageID": "msg_zz"}
LONG = "x" * (PART_STRING_CHARS_MAX + 1)


def path_of(item: dict[str, Any]) -> str:
    return f"/api/sessions/{item['id']}"


async def messages(api: Api, item: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
    answer = await api.send("GET", f"{path_of(item)}/messages{query}")
    assert answer.status == 200, answer
    found: list[dict[str, Any]] = answer.json["messages"]
    return found


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [message["info"]["id"] for message in found]


async def record(api: Api, item: dict[str, Any], *parts: dict[str, Any], info: dict[str, Any] | None = None) -> None:
    """Have the log hold a message with these parts, as if OpenCode had told of it."""
    made = {"id": "msg_zz", "sessionID": item["opencodeId"], "role": "assistant", "time": {"created": 10**13}}
    message = wire.message(msgspec.json.encode({"info": {**made, **(info or {})}, "parts": parts}))
    report = ReportTranscript(messages=(message,), at_ms=1)
    await api.fleet.context.actors.sessions.ask(item["id"], Deliver(report, Cause()))


async def test_turns_say_what_was_asked_and_what_came_of_it(machine: Machine, api: Api) -> None:
    item = await api.session()
    await api.send("POST", f"{path_of(item)}/prompt", {"text": "bash:5 Tidy\n  up"})
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    machine.files.contents[PLAIN] = {"a.txt": b"1\n2\n"}
    await api.settled(item["id"])
    await api.prompt(item["id"], "fail")
    answer = await api.send("GET", f"{path_of(item)}/turns")
    assert (answer.headers["x-total-count"], int(answer.headers["fleet-position"])) == ("2", api.fleet.log.head())
    first, second = answer.json
    assert (first["number"], first["prompt"], first["actor"]) == (1, "bash:5 Tidy up", "local")
    assert (first["outcome"], second["outcome"]) == ("finished", "error")
    assert first["changes"] == {"files": 1, "additions": 2, "deletions": 0}
    assert first["costUsd"] == pytest.approx(2 * STEP_COST_USD)
    assert first["position"] < first["endPosition"] < second["position"]
    asked = ids(await messages(api, item))[0]
    assert (first["messageId"], first["steered"]) == (asked, [])
    assert (await api.send("GET", f"{path_of(item)}/turns?limit=1&offset=1")).json == [second]


async def test_turns_can_be_read_as_they_were_at_a_position(api: Api) -> None:
    item = await api.session()
    await api.prompt(item["id"], "one")
    (first,) = (await api.send("GET", f"{path_of(item)}/turns")).json
    await api.prompt(item["id"], "two")
    path = f"{path_of(item)}/turns?at="
    assert (await api.send("GET", f"{path}{first['position'] - 1}")).json == []
    (running,) = (await api.send("GET", f"{path}{first['position']}")).json
    assert (running["outcome"], running["endPosition"], running["costUsd"]) == (None, None, 0)
    assert (await api.send("GET", f"{path}{first['endPosition']}")).json == [first]
    ahead = api.fleet.log.head() + 1
    assert (await api.send("GET", f"{path}{ahead}")).problem(422, "invalid")["field"] == "at"


async def test_a_turn_that_was_steered_says_by_what(api: Api) -> None:
    item = await api.session()
    await api.send("POST", f"{path_of(item)}/prompt", {"text": "bash:20"})
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    await api.send("POST", f"{path_of(item)}/prompt", {"text": "Look here", "delivery": "steer"})
    await api.settled(item["id"])
    (turn,) = (await api.send("GET", f"{path_of(item)}/turns")).json
    assert [(each["prompt"], each["actor"]) for each in turn["steered"]] == [("Look here", "local")]


async def test_a_message_is_read_with_those_around_it(api: Api) -> None:
    item = await api.session()
    for text in ("one", "two", "three"):
        await api.prompt(item["id"], text)
    every = ids(await messages(api, item))
    for at, middle in enumerate(every):
        answer = (await api.send("GET", f"{path_of(item)}/messages?around={middle}&limit=3")).json
        start = min(max(0, at - 1), 3)
        assert ids(answer["messages"]) == every[start : start + 3]
        before, after = answer["pagination"]["before"], answer["pagination"]["after"]
        assert (before is None, after is None) == (start == 0, start == 3)
    assert ids(await messages(api, item, f"?around={every[0]}")) == every
    for query, field in (("around=msg_none", "around"), (f"around={every[0]}&after={every[1]}", "after")):
        assert (await api.send("GET", f"{path_of(item)}/messages?{query}")).problem(422, "invalid")["field"] == field


async def test_a_transcript_as_it_was_has_the_messages_and_parts_of_then(api: Api) -> None:
    """It comes from the same fold as the newest one, and equals what was read then."""
    item = await api.session()
    seen: dict[int, Any] = {}
    await api.send("POST", f"{path_of(item)}/prompt", {"text": "turn:4"})
    while not seen or api.fleet.views.sessions.get(item["id"]).turn is not None:  # type: ignore[union-attr]  # it is there
        seen[api.fleet.log.head()] = await messages(api, item)
        await trio.sleep(0.02)
    assert len(seen) > 5
    for position, then in seen.items():
        assert await messages(api, item, f"?at={position}") == then


async def test_a_sub_agent_s_conversation_is_read_by_its_id(api: Api) -> None:
    item = await api.session()
    await api.prompt(item["id"], "task turn:2")
    answer = await api.send("GET", f"{path_of(item)}/conversations")
    assert answer.headers["x-total-count"] == "2"
    own, subagent = answer.json
    assert (own["id"], own["parentId"], own["messages"]) == (item["opencodeId"], None, 3)
    assert (subagent["parentId"], subagent["title"], subagent["agent"]) == (item["opencodeId"], "turn:2", "general")
    assert subagent["createdAt"] > own["createdAt"]
    said = await messages(api, item, f"?conversation={subagent['id']}")
    assert [message["info"]["role"] for message in said] == ["user", "assistant", "assistant"]
    assert {message["info"]["sessionID"] for message in said} == {subagent["id"]}
    assert len(said) == subagent["messages"]
    assert await messages(api, item, f"?conversation={item['opencodeId']}") == await messages(api, item)
    none = await api.send("GET", f"{path_of(item)}/messages?conversation=ses_none")
    none.problem(404, "conversation_not_found")


async def test_long_strings_are_cut_on_request(api: Api) -> None:
    item = await api.session()
    state = {"status": "completed", "output": LONG, "metadata": {"lines": ["short", LONG]}}
    tool = {**PART, "type": "tool", "tool": "bash", "state": state}
    short = {**PART, "id": "prt_2", "type": "text", "text": LONG[1:]}
    diffs = {"title": "Fix", "diffs": [{"patch": LONG}]}
    await record(api, item, tool, short, info={"role": "user", "summary": diffs})
    (whole,) = await messages(api, item)
    assert (whole["parts"], whole["info"]["summary"]) == ([tool, short], diffs)
    (cut,) = await messages(api, item, "?cut=true")
    assert cut["info"] == {**whole["info"], "summary": {"title": "Fix"}}
    assert cut["parts"][0]["truncated"] is True
    assert cut["parts"][0]["state"]["output"] == LONG[1:]
    assert cut["parts"][0]["state"]["metadata"] == {"lines": ["short", LONG[1:]]}
    assert cut["parts"][1] == short
    assert (await api.send("GET", f"{path_of(item)}/parts/prt_1")).json == tool
    (await api.send("GET", f"{path_of(item)}/parts/prt_9")).problem(404, "part_not_found")


async def test_a_part_that_is_being_written_can_be_read(api: Api) -> None:
    item = await api.session()
    await api.send("POST", f"{path_of(item)}/prompt", {"text": "bash:20"})
    await trio.sleep(5)
    (part,) = api.fleet.inflight.snapshot(frozenset((item["id"],)))[item["id"]]
    read = (await api.send("GET", f"{path_of(item)}/parts/{part.part_id}")).json
    assert (read["id"], read["state"]["status"]) == (part.part_id, "running")


def data_url(mime: str, content: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(
    ("mime", "name", "shown", "disposition"),
    [
        ("image/png", "a.png", "image/png", "inline; filename*=UTF-8''a.png"),
        ("image/svg+xml", "a.svg", "application/octet-stream", "attachment; filename*=UTF-8''a.svg"),
        (
            "text/html",
            '../é"\r\n.html',
            "application/octet-stream",
            "attachment; filename*=UTF-8''%C3%A9%22%0D%0A.html",
        ),
        ("image/png, text/html", None, "application/octet-stream", "attachment"),
    ],
)
async def test_files_of_a_prompt_are_read_and_never_run(
    api: Api, mime: str, name: str | None, shown: str, disposition: str
) -> None:
    item = await api.session()
    await record(api, item, {**PART, "type": "file", "mime": mime, "filename": name, "url": data_url("image/png", PNG)})
    answer = await api.send("GET", f"{path_of(item)}/parts/prt_1/content")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, PNG, shown)
    assert answer.headers["content-disposition"] == disposition
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"


async def test_attachments_of_a_tool_call_are_read_by_their_own_ids(api: Api) -> None:
    item = await api.session()
    held = {"id": "prt_in", "type": "file", "mime": "image/png", "url": data_url("image/png", PNG)}
    state = {"status": "completed", "attachments": [held]}
    await record(api, item, {**PART, "type": "tool", "tool": "read", "state": state})
    assert (await api.send("GET", f"{path_of(item)}/parts/prt_in/content")).body == PNG
    (await api.send("GET", f"{path_of(item)}/parts/prt_1/content")).problem(404, "content_not_found")


@pytest.mark.parametrize(
    "url", ["", "file:/etc/passwd", "data:image/png;base64,***", "data:image/png;base64", "https://x/"]
)
async def test_a_part_without_a_file_has_no_content(api: Api, url: str) -> None:
    item = await api.session()
    await record(api, item, {**PART, "type": "file", "mime": "image/png", "url": url})
    (await api.send("GET", f"{path_of(item)}/parts/prt_1/content")).problem(404, "content_not_found")
    (await api.send("GET", f"{path_of(item)}/parts/prt_2/content")).problem(404, "part_not_found")


async def test_a_file_that_is_not_in_base64_is_read(api: Api) -> None:
    item = await api.session()
    await record(api, item, {**PART, "type": "file", "mime": "text/plain", "url": "data:text/plain,a%20b"})
    assert (await api.send("GET", f"{path_of(item)}/parts/prt_1/content")).body == b"a b"


async def test_a_long_file_that_is_not_in_base64_is_read_whole(api: Api) -> None:
    item = await api.session()
    whole = "".join("ab%20"[each % 5 :] + "%41" for each in range(20_000))
    await record(api, item, {**PART, "type": "file", "mime": "text/plain", "url": f"data:text/plain,{whole}%"})
    found = (await api.send("GET", f"{path_of(item)}/parts/prt_1/content")).body
    assert found == unquote_to_bytes(f"{whole}%")


async def test_a_part_of_an_unknown_shape_does_not_fail(api: Api) -> None:
    item = await api.session()
    odd = {
        **PART,
        "type": "tool",
        "tool": "task",
        "state": {"status": "error", "attachments": 7, "metadata": [LONG, "task"]},
    }
    await record(api, item, odd)
    assert (await api.send("GET", f"{path_of(item)}/parts/prt_1")).json == odd
    (await api.send("GET", f"{path_of(item)}/parts/prt_1/content")).problem(404, "content_not_found")
    assert len((await api.send("GET", f"{path_of(item)}/conversations")).json) == 1
