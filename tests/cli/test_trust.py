"""Commands of repositories are shown, allowed, listed and revoked; what a session is not asked for is shown."""

import json

from fleet.ports import Recipe
from tests.cli.terminal import fleet
from tests.client.line import Line
from tests.gateway.machine import PLAIN, REPOSITORY, Machine

RECIPE = Recipe("d1", "npm ci\nnpm run build\x1b]0;; evil \x07", "docker compose down", submodules=True)


async def test_set_up_commands_are_shown_allowed_listed_and_revoked(machine: Machine, line: Line) -> None:
    nothing = await fleet(line, "trust", REPOSITORY)
    assert (nothing.code, nothing.out) == (1, "")
    assert "setup_missing" in nothing.err
    machine.scripts.recipe = RECIPE
    asked = await fleet(line, "trust", REPOSITORY)
    assert (asked.code, "use --yes" in asked.err, "Invalid value" in asked.err) == (2, True, False)
    assert "\x1b" not in asked.err
    for words in (
        "d1",
        "submodules git submodule update",
        "setup     npm ci",
        "build\\x1b]0;; evil \\x07",
        "teardown  docker compose down",
    ):
        assert words in asked.err
    assert json.loads((await fleet(line, "trust", "--json")).out) == []
    assert (await fleet(line, "trust", REPOSITORY, "--yes")).out == "allowed\n"
    assert "npm run build" in (await fleet(line, "trust")).out
    assert (await fleet(line, "trust", REPOSITORY, "--revoke")).out == "revoked\n"
    assert (await fleet(line, "trust")).out == "No commands of a repository are allowed.\n"


async def test_session_with_a_waiting_set_up_continues_with_it_or_without_it(machine: Machine, line: Line) -> None:
    machine.scripts.recipe = RECIPE
    first = await fleet(line, "new", REPOSITORY, "-i", "worktree", "--prompt", "Do it", "--wait")
    assert first.code == 5, first.err
    session_id = first.out.strip()
    assert f"fleet trust --session {session_id[:8]}" in (await fleet(line, "inbox")).out
    assert (await fleet(line, "trust", "--session", session_id, "--skip")).out == "skipped\n"
    await line.api.settled(session_id)
    assert machine.scripts.ran == []
    second = (await fleet(line, "new", REPOSITORY, "-i", "worktree")).out.strip()
    assert (await fleet(line, "trust", "--session", second, "--yes")).out == "allowed\n"
    await line.api.fleet.views.sessions.wait(second, lambda s: s.phase == "idle")
    assert [script.text for script in machine.scripts.ran] == [RECIPE.script]
    for wrong in (["--skip"], ["--revoke"], [REPOSITORY, "--session", second]):
        assert (await fleet(line, "trust", *wrong)).code == 2


async def test_show_says_what_a_session_is_not_asked_for_and_who_was(line: Line) -> None:
    first, second = [(await fleet(line, "new", PLAIN)).out.strip() for _ in range(2)]
    await fleet(line, "prompt", first, "ask", "--wait")
    assert (await fleet(line, "answer", first, "always")).code == 0
    await line.api.fleet.views.sessions.wait(first, lambda s: s.turn is None)
    assert f"allowed    bash *: `always` in session {first}" in (await fleet(line, "show", second)).out
