"""`fleet policy try`: rules files, and what a person reads."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.terminal import fleet
from tests.cli.test_session_commands import make
from tests.client.line import Line


async def test_rules_of_a_file_are_tried_on_a_server(line: Line, tmp_path: Path) -> None:
    session_id = await make(line, "--prompt", "write:1", "--wait")
    rules = tmp_path / "rules.toml"
    rules.write_text('[permission]\nedit = "deny"\n[budget]\nusd = 0.0001\n')
    done = await fleet(line, "policy", "try", str(rules), "--session", session_id[:13])
    assert (done.code, done.err) == (0, "")
    assert "blocked: write" in done.out
    assert "would have paused after turn 1" in done.out
    assert "1 blocked (1 of them ran)" in done.out
    opencode = tmp_path / "opencode.json"
    config = {"$schema": "https://opencode.ai/config.json", "model": "a/b", "permission": {"edit": {"*": "ask"}}}
    opencode.write_text(json.dumps(config))
    result = json.loads((await fleet(line, "policy", "try", str(opencode), "--json")).out)
    assert [(each["sessionId"], each["asked"]) for each in result["sessions"]] == [(session_id, 1)]


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("a.json", "{}", 2),
        ("a.json", '{"permissions": "deny"}', 2),
        ("missing.json", None, 1),
    ],
)
async def test_wrong_rules_file_is_refused(line: Line, tmp_path: Path, name: str, text: str | None, code: int) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    done = await fleet(line, "policy", "try", str(tmp_path / name))
    assert (done.code, done.out) == (code, "")
    assert name in re.sub(r"[\s│]", "", done.err)  # a long path is broken into the lines of a box
