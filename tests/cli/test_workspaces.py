"""`fleet workspaces` lists workspaces and restores one that is gone."""

import json

from tests.cli.terminal import fleet
from tests.client.line import Line
from tests.gateway.machine import REPOSITORY


async def test_a_removed_workspace_is_listed_and_restored_by_the_beginning_of_its_id(line: Line) -> None:
    assert (await fleet(line, "workspaces")).out == "There is no workspace yet.\n"
    session_id = (await fleet(line, "new", REPOSITORY, "-i", "worktree")).out.strip()
    (made,) = json.loads((await fleet(line, "workspaces", "--json")).out)
    assert (made["status"], made["sessions"]) == ("ready", [session_id])
    await fleet(line, "stop", session_id, "--cleanup")
    listed = (await fleet(line, "workspaces", "--status", "removed")).out.splitlines()
    assert listed[1].split()[:3] == [made["id"][:13], "removed", "worktree"]
    assert (await fleet(line, "workspaces", "--status", "missing")).out == "There is no such workspace.\n"
    restored = await fleet(line, "workspaces", "restore", made["id"][:13])
    assert (restored.code, restored.out) == (0, f"ready: {made['directory']}\n")
    assert (await fleet(line, "workspaces", "restore")).code == 2
    unknown = await fleet(line, "workspaces", "restore", "ffff")
    assert (unknown.code, "there is no workspace 'ffff'" in unknown.err) == (1, True)
