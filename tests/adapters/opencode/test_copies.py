"""Copies of messages: what OpenCode is given to import, and what becomes of an import that fails."""

import os
import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.adapters.opencode import wire
from fleet.adapters.opencode.copies import copied_id, document
from fleet.adapters.opencode.process import LocalOpenCodeHost
from fleet.errors import Problem
from fleet.ids import opencode_id
from fleet.ports import Message, OpenCodeSession

SESSION = OpenCodeSession("ses_fork", "/work/fork", "A fork", raw=b'{"id":"ses_fork","slug":"calm-eagle"}')


def said(number: int, **more: object) -> Message:
    """Return a message of the session that is forked, with a part."""
    message_id, part_id = opencode_id("msg", number, 0, number), opencode_id("prt", number, 0, number)
    info = {"id": message_id, "sessionID": "ses_origin", "role": "user", "time": {"created": number}, **more}
    part = {"id": part_id, "sessionID": "ses_origin", "messageID": message_id, "type": "text", "text": f"said {number}"}
    return wire.message(msgspec.json.encode({"info": info, "parts": [part]}))


@given(st.lists(st.integers(1, 2**36 - 1), unique=True, min_size=2).map(sorted))
def test_copies_are_in_the_order_of_their_originals(times: list[int]) -> None:
    ids = [opencode_id("msg", time, 0, 0) for time in times]
    copies = [copied_id(each, "ses_fork") for each in ids]
    assert sorted(copies) == copies
    assert not {*copies} & {*ids}
    assert copies == [copied_id(each, "ses_fork") for each in ids]
    assert not {*copies} & {copied_id(each, "ses_other") for each in ids}


def test_references_to_originals_become_references_to_copies() -> None:
    asked = said(1)
    answered = said(2, role="assistant", parentID=asked.info.id, path={"cwd": "/work", "root": "/work"})
    made = msgspec.json.decode(document((asked, answered), SESSION))
    assert made["info"] == {"id": "ses_fork", "slug": "calm-eagle"}
    question, answer = made["messages"]
    assert answer["info"]["parentID"] == question["info"]["id"] == copied_id(asked.info.id, "ses_fork")
    assert answer["info"]["path"] == {"cwd": "/work/fork", "root": "/work/fork"}
    assert {answer["info"]["sessionID"], answer["parts"][0]["sessionID"]} == {"ses_fork"}
    assert answer["parts"][0]["messageID"] == answer["info"]["id"]
    assert answer["parts"][0]["text"] == "said 2"
    assert b"ses_origin" not in document((asked, answered), SESSION)


def host(root: Path, body: str) -> LocalOpenCodeHost:
    binary = root / "opencode"
    binary.write_text(f"#!/bin/sh\n{body}\n")
    binary.chmod(0o755)
    return LocalOpenCodeHost(root / "data", str(binary), environment={"PATH": os.environ["PATH"], "HOME": str(root)})


async def test_the_file_to_import_is_private_and_below_the_data_directory(tmp_path: Path) -> None:
    session = OpenCodeSession("ses_fork", str(tmp_path), "A fork", raw=SESSION.raw)
    keep = 'echo "$1 $PWD" > "$HOME/ran"; cp -p "$2" "$HOME/seen"; dirname "$2" > "$HOME/where"'
    await host(tmp_path, keep).copy_messages((said(1),), session)
    assert (tmp_path / "ran").read_text() == f"import {tmp_path}\n"
    assert stat.S_IMODE((tmp_path / "seen").stat().st_mode) == 0o600
    assert (tmp_path / "seen").read_bytes() == document((said(1),), session)
    where = Path((tmp_path / "where").read_text().strip())
    assert where == tmp_path / "data" / "imports"
    assert list(where.iterdir()) == []


async def test_a_failed_import_says_why_and_leaves_no_file(tmp_path: Path) -> None:
    session = OpenCodeSession("ses_fork", str(tmp_path), "A fork", raw=SESSION.raw)
    with pytest.raises(Problem, match=r"`opencode import` ended with 3: no space") as refused:
        await host(tmp_path, "echo 'no space' >&2; exit 3").copy_messages((said(1),), session)
    assert refused.value.code == "opencode_refused"
    assert list((tmp_path / "data" / "imports").iterdir()) == []
