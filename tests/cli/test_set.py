"""`fleet set`, `fleet withdraw`, and the way on that `fleet inbox` names."""

import json

import pytest

from tests.cli.terminal import fleet
from tests.client.line import Line
from tests.gateway.machine import PLAIN


async def test_command_in_the_inbox_continues_a_session_paused_for_its_budget(line: Line) -> None:
    paused = await fleet(line, "new", PLAIN, "--title", "One", "--usd", "0", "--tokens", "9000", "-p", "Hi", "--wait")
    session_id = paused.out.strip()
    assert paused.code == 5
    assert paused.err.endswith("; it waits for you, see `fleet inbox`\n")
    item, detail, command = (await fleet(line, "inbox")).out.splitlines()
    assert item.startswith(f"budget     {session_id[:13]}  One")
    assert "of 0 USD are used" in detail
    assert command == f"    fleet set {session_id[:13]} --no-budget, or with a higher --usd, --tokens or --minutes"
    done = await fleet(line, "set", session_id, "--usd", "5")
    assert (done.code, done.out) == (0, "One; tags: none; budget: 5 USD or 9000 tokens\n")
    assert (await line.api.settled(session_id))["outcome"] == "finished"
    assert (await fleet(line, "inbox")).out == "Nothing waits for you.\n"


async def test_a_session_gets_another_title_other_tags_and_no_budget(line: Line) -> None:
    session_id = (await fleet(line, "new", PLAIN, "--title", "One", "--tag", "old", "--minutes", "1")).out.strip()
    named = await fleet(line, "set", session_id, "--title", "Two", "--tag", "a", "--tag", "b", "--json")
    item = json.loads(named.out)
    assert (item["title"], item["tags"], item["budget"]["minutes"]) == ("Two", ["a", "b"], 1)
    assert (await fleet(line, "set", session_id, "--no-budget")).out == "Two; tags: a, b; budget: no limit\n"
    assert (await fleet(line, "set", session_id, "--no-budget", "--tokens", "5")).out.endswith("budget: 5 tokens\n")
    for wrong in ("inf", "nan", "-1"):
        refused = await fleet(line, "set", session_id, "--usd", wrong)
        assert (refused.code, refused.out) == (2, "")
        refused = await fleet(line, "new", PLAIN, "--usd", wrong)
        assert (refused.code, refused.out) == (2, "")
    nothing = await fleet(line, "set", session_id)
    assert (nothing.code, "nothing to set" in nothing.err) == (2, True)


async def test_waiting_prompt_is_withdrawn_by_the_id_that_show_prints(line: Line) -> None:
    session_id = (await fleet(line, "new", PLAIN, "--prompt", "hang")).out.strip()
    await line.api.fleet.views.sessions.wait(session_id, lambda s: s.turn is not None)
    for text in ("First\nof two lines", "Second"):
        assert (await fleet(line, "prompt", session_id, text)).code == 0
    first, second = [each for each in (await fleet(line, "show", session_id)).out.splitlines() if "waits" in each[:6]]
    assert first.endswith("First of two lines")
    assert (await fleet(line, "withdraw", session_id, first.split()[1])).code == 0
    both = await fleet(line, "withdraw", session_id, "nothing")
    assert (both.code, "prompt_not_found" in both.err) == (1, True)
    left = await fleet(line, "withdraw", session_id, second.split()[1], "--json")
    assert json.loads(left.out)["queued"] == 0


@pytest.mark.parametrize(("text", "command"), [("fail", "fleet resume {}"), ("ask", "fleet answer {} once|always")])
async def test_inbox_names_a_command_for_each_entry(line: Line, text: str, command: str) -> None:
    session_id = (await fleet(line, "new", PLAIN, "--prompt", text, "--wait")).out.strip()
    assert command.format(session_id[:13]) in (await fleet(line, "inbox")).out
