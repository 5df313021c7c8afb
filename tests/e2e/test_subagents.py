"""Sub-agents of the real OpenCode: two at a time, seen live, and read afterwards, each in its own conversation."""

import base64
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from fleet.rehearsal.script import fenced
from tests.e2e.server import Server, repository


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return repository(tmp_path.resolve() / "project")


def _task(title: str, *steps: str) -> str:
    script = fenced("\n---\n".join(steps)).replace("`", "~")
    return f'task "{title}" as general: <<END\n{script}\nEND\n'


def _conversations(frames: list[dict[str, Any]], event: str) -> dict[str, str]:
    """Return what was said live in each conversation."""
    said: dict[str, str] = {}
    for frame in frames:
        if frame["event"] == event:
            said[frame["data"]["conversation"]] = said.get(frame["data"]["conversation"], "") + str(frame["data"])
    return said


def test_what_sub_agents_do_is_seen_live_and_read_afterwards(server: Server, project: Path) -> None:
    item = server.create(project)
    left = _task("Look left", 'bash "sleep 1; echo LEFT"', 'say 40 tokens at 40/s\nsay "Left is clear."')
    right = _task("Look right", 'say 40 tokens at 40/s\nsay "Right is clear."')
    with server.follow(f"/sessions/{item['id']}/events") as stream:
        server.prompt(item["id"], f'{left}{right}---\nsay "All is clear."')
        frames = stream.until("session.turn-ended")
    done = server.settled(item["id"])

    own, *subagents = server.call("GET", f"/sessions/{item['id']}/conversations")
    assert (own["id"], own["parentId"]) == (item["opencodeId"], None)
    assert {(each["parentId"], each["title"], each["agent"]) for each in subagents} == {
        (own["id"], "Look left", "general"),
        (own["id"], "Look right", "general"),
    }
    ids = {own["id"], *(each["id"] for each in subagents)}
    assert _conversations(frames, "part").keys() == ids
    assert _conversations(frames, "delta").keys() == ids

    parts = [frame["data"]["data"] for frame in frames if frame["event"] == "session.part-recorded"]
    assert {part["opencode_id"] for part in parts} == ids
    assert all(part["body"]["sessionID"] == part["opencode_id"] for part in parts)
    assert len({(part["part_id"], str(part["body"])) for part in parts}) == len(parts), "a part was recorded twice"
    first = next(n for n, part in enumerate(parts) if part["body"].get("tool") == "task")
    assert any("LEFT" in str(part["body"]) for part in parts[:first]), "what a sub-agent did came after its end"

    for each in subagents:
        side = each["title"].removeprefix("Look ").capitalize()
        page = server.call("GET", f"/sessions/{item['id']}/messages?conversation={each['id']}")
        assert f"{side} is clear." in str(page["messages"][-1]["parts"])
        assert page["pagination"]["total"] == each["messages"]
    (turn,) = server.call("GET", f"/sessions/{item['id']}/turns")
    path = f"/sessions/{item['id']}/messages?conversation="
    said = [message for each in ids for message in server.call("GET", path + each)["messages"]]
    assert abs(sum(message["info"].get("cost", 0) for message in said) - done["costUsd"]) < 1e-9
    assert abs(turn["costUsd"] - done["costUsd"]) < 1e-9


def _png() -> bytes:
    """Return a picture of one pixel."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0\xff\0\0")), (b"IEND", b""))
    packed = (struct.pack(">I", len(of)) + kind + of + struct.pack(">I", zlib.crc32(kind + of)) for kind, of in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def test_a_picture_can_be_looked_at_as_a_prompt_s_and_as_a_tool_s(server: Server, project: Path) -> None:
    item = server.create(project)
    (Path(item["directory"]) / "dot.png").write_bytes(_png())
    attachment = {"mime": "image/png", "filename": "dot.png", "data": base64.b64encode(_png()).decode()}
    body = {"text": fenced('read dot.png\n---\nsay "Seen."'), "attachments": [attachment]}
    server.call("POST", f"/sessions/{item['id']}/prompt", body)
    server.settled(item["id"])
    messages = server.call("GET", f"/sessions/{item['id']}/messages?cut=true")["messages"]
    parts = [part for message in messages for part in message["parts"]]
    attached = next(part for part in parts if part["type"] == "file")
    (held,) = next(part for part in parts if part["type"] == "tool")["state"]["attachments"]
    for part_id in (attached["id"], held["id"]):
        answer = server.http.get(f"/api/sessions/{item['id']}/parts/{part_id}/content")
        assert (answer.headers["content-type"], answer.content) == ("image/png", _png())
