"""Point 7 of the dashboard: the history's full-text search, the log as sentences with who and why, earlier files."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.server import Server, repository


@pytest.fixture(scope="module")
def session(fleet: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    project = repository(tmp_path_factory.mktemp("history") / "mill")
    item = fleet.create(project, 'say "The quernstone turns well."', title="Grind the corn")
    return str(fleet.settled(item["id"])["id"])


def test_a_search_shows_the_words_around_the_hit(page: Page, session: str) -> None:
    page.goto("/history")
    page.get_by_role("searchbox").fill("quernstone")
    expect(page.get_by_role("link", name="Grind the corn")).to_be_visible()
    expect(page.locator("mark").first).to_have_text("quernstone")
    expect(page).to_have_url(re.compile("q=quernstone"))


def test_words_and_status_narrow_the_history_together(page: Page, session: str) -> None:
    page.goto("/history")
    page.get_by_role("searchbox").fill("quernstone")
    page.get_by_role("combobox", name="Status: Any status").click()
    page.get_by_role("option", name="stopped").click()
    expect(page.get_by_text("Nothing matches.")).to_be_visible()
    expect(page).to_have_url(re.compile("(?=.*q=quernstone)(?=.*status=stopped)"))
    page.get_by_role("combobox", name="Status: stopped").click()
    page.get_by_role("option", name="idle").click()
    expect(page.get_by_role("link", name="Grind the corn")).to_be_visible()


def test_an_empty_history_offers_to_clear_filters_only_where_there_are_some(page: Page) -> None:
    empty = {"X-Total-Count": "0", "Fleet-Position": "1"}
    page.route("**/api/sessions/history*", lambda route: route.fulfill(json=[], headers=empty))
    page.goto("/history")
    expect(page.get_by_text("No sessions yet.")).to_be_visible()
    expect(page.get_by_role("button", name="Clear the filters")).to_have_count(0)
    page.goto("/history?status=idle")
    page.get_by_role("button", name="Clear the filters").click()
    expect(page.get_by_text("No sessions yet.")).to_be_visible()


def test_a_half_typed_filter_of_the_log_is_not_asked_for(page: Page, session: str) -> None:
    page.goto("/log")
    page.get_by_role("combobox", name="Type").fill("session.cre")
    expect(page.get_by_role("alert")).to_have_text("No type of event: session.cre.")
    page.get_by_role("combobox", name="Type").fill("session.created")
    page.get_by_label("Session", exact=True).fill(session)
    events = page.locator(
        '[aria-label="Events, newest first"] button[aria-expanded]'
    )  # roles are hidden by suggestions
    expect(events).to_have_count(1)
    expect(events).to_contain_text('The session "Grind the corn" was created')


def test_two_filters_of_the_log_that_are_filled_at_once_both_hold(page: Page, session: str) -> None:
    page.goto("/log")
    page.get_by_role("combobox", name="Type").fill("session.created")
    page.get_by_label("Session", exact=True).fill(session)
    expect(page).to_have_url(re.compile(f"(?=.*type=session.created)(?=.*session={session})"))


def test_the_log_is_verified(page: Page, session: str) -> None:
    page.goto("/log")
    page.get_by_role("button", name="Verify the log").click()
    expect(page.get_by_text("✓ intact")).to_be_visible()


def test_an_event_of_the_log_says_why_it_happened(page: Page, session: str) -> None:
    page.goto(f"/log?session={session}&type=session.turn-ended")
    page.get_by_role("button", name="Turn 1 finished").click()
    steps = page.get_by_role("listitem").filter(has_text="sent the prompt").get_by_role("listitem")
    expect(steps.last).to_contain_text('to session "Grind the corn"')


def test_the_past_is_shown_and_cannot_be_changed(page: Page, fleet: Server, session: str) -> None:
    (created,) = fleet.call("GET", f"/log?session={session}&type=session.turn-ended")
    page.goto(f"/s/{session}?at={created['position']}")
    bar = page.get_by_role("region", name="Time travel")
    expect(bar).to_contain_text("Nothing can be changed here")
    expect(page.get_by_role("textbox", name="Prompt")).to_have_count(0)
    bar.get_by_role("button", name="Back to now").click()
    expect(page.get_by_role("textbox", name="Prompt")).to_be_visible()
    page.go_back()
    bar.get_by_role("slider").press("Escape")
    expect(page.get_by_role("textbox", name="Prompt")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/history", "/log", "/processes", "/settings"])
def test_axe_finds_nothing(
    open_context: Callable[..., BrowserContext],
    accessible: Callable[[Page], None],
    session: str,
    theme: str,
    path: str,
) -> None:
    page = open_context(color_scheme=theme).new_page()
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_load_state("networkidle")
    accessible(page)


def test_files_as_of_a_call_are_opened_from_its_card(
    page: Page, fleet: Server, tmp_path: Path, accessible: Callable[[Page], None]
) -> None:
    """Its snapshot is that of the end of the first turn, because a slow machine takes none within a turn."""
    item = fleet.create(repository(tmp_path / "mill"), 'write note.txt: "one"\n---\nsay "Written."')
    fleet.settled(item["id"])
    (taken,) = fleet.call("GET", f"/log?session={item['id']}&type=session.changes-recorded")
    messages = fleet.call("GET", f"/sessions/{item['id']}/messages")["messages"]
    (call,) = (part["id"] for message in messages for part in message["parts"] if part["type"] == "tool")
    snapshot = {"number": 1, "part_id": call, "tool": "write", "tree": taken["data"]["tree"]}
    taken |= {"type": "session.step-snapshot-taken", "data": taken["data"] | snapshot}
    page.route("**/api/log?*type=session.step-snapshot-taken*", lambda route: route.fulfill(json=[taken]))
    fleet.prompt(item["id"], 'write note.txt: "two"\n---\nbash "echo 1"\n---\nsay "Written again."')
    fleet.settled(item["id"])
    page.goto(f"/s/{item['id']}")
    link = page.get_by_role("log", name="Transcript").get_by_role("link", name="Files as of here")
    expect(link).to_have_count(1)  # of three calls one has a snapshot
    accessible(page)
    link.press("Enter")
    expect(page.get_by_text("after turn 1")).to_be_visible()
    page.get_by_role("treeitem", name="note.txt").click()
    expect(page.get_by_role("region", name="Content")).to_contain_text("one")
    page.get_by_role("button", name="Back to now").click()
    page.get_by_role("treeitem", name="note.txt").click()
    expect(page.get_by_role("region", name="Content")).to_contain_text("two")
