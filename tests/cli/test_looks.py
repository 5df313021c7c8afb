"""How the commands look: on narrow terminals, with long titles, in numbers and in colours."""

import re

import pytest

from fleet.cli.commands.ls import Named
from fleet.core.session.transitions import STATUSES
from tests.cli.terminal import fleet, on_terminal
from tests.client.line import Line
from tests.gateway.machine import PLAIN

LONG = "A title as it comes from a prompt, which is as long as whoever wrote it had patience for, and 日本語"


def lines_of(shown: str) -> list[str]:
    """Return what stands on the terminal, without colours."""
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown).replace("\r", "").splitlines()]


@pytest.mark.parametrize("columns", [80, 60])
async def test_important_columns_are_complete_on_a_narrow_terminal(line: Line, columns: int) -> None:
    made = await fleet(line, "new", PLAIN, "--title", LONG, "--prompt", "Say something")
    session_id = made.out.strip()
    await line.api.settled(session_id)
    head, row = lines_of((await on_terminal(line, "ls", columns=columns)).out)
    assert {"ID", "STATUS", "TITLE", "COST", "AGE"} <= set(head.split())
    assert row.split()[:3] == [session_id[:13], "idle", "A"]
    assert "…" in row
    *_, head, row = lines_of((await on_terminal(line, "top", "--once", columns=columns)).out)
    assert {"ID", "STATUS", "TITLE", "MEMORY", "TOKENS", "COST"} <= set(head.split())
    assert row.split()[:2] == [session_id[:13], "idle"]
    assert "$" in row
    head, *rows = lines_of((await on_terminal(line, "log", "show", "--after", "0", columns=columns)).out)
    assert (head.split()[:2], head.split()[-1]) == (["POSITION", "AT"], "WHAT")
    assert re.match(r" +1  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  .*The session", rows[0])
    assert all(len(row) <= columns for row in rows)


async def test_output_to_a_pipe_has_every_column_and_complete_titles(line: Line) -> None:
    await fleet(line, "new", PLAIN, "--title", LONG)
    for command in (["ls"], ["top"]):
        *_, head, row = (await fleet(line, *command)).out.splitlines()
        assert "CHANGES" in head
        assert LONG in row


def test_status_option_of_fleet_ls_has_every_status() -> None:
    assert set(Named) == STATUSES
