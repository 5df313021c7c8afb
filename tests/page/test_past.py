"""Point 7 of the dashboard: the history, the log as sentences, and a session as it was at any event."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.server import Server, repository


@pytest.fixture(scope="module")
def told(fleet: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A session of two turns."""
    directory = repository(tmp_path_factory.mktemp("past") / "library")
    item = fleet.create(directory, 'write a.txt: "1"\n---\nsay "The quokka smiled."', title="Shelve the books")
    fleet.settled(item["id"])
    fleet.prompt(item["id"], 'say "The second turn."')
    return str(fleet.settled(item["id"], 2)["id"])


def test_the_history_finds_what_was_said(page: Page, told: str, accessible: Callable[[Page], None]) -> None:
    page.goto("/history")
    page.get_by_role("searchbox").fill("quokka")
    expect(page).to_have_url(re.compile("q=quokka"))
    row = page.get_by_role("listitem").filter(has_text="Shelve the books")
    expect(row.locator("mark").first).to_have_text("quokka")
    accessible(page)
    row.get_by_role("link", name="Shelve the books").click()
    expect(page).to_have_url(re.compile(f"/s/{told}"))


def test_a_search_without_a_hit_says_so(page: Page, told: str) -> None:
    page.goto("/history?q=nothinglikethis")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    page.get_by_role("button", name="Clear the filters").click()
    expect(page.get_by_role("link", name="Shelve the books").first).to_be_visible()


def test_an_event_says_why_it_happened_down_to_the_request(
    page: Page, told: str, accessible: Callable[[Page], None]
) -> None:
    page.goto(f"/log?session={told}&type=session.turn-ended")
    page.get_by_role("button", name="Turn 1 finished").click()
    why = page.get_by_role("listitem").filter(has=page.get_by_role("button", name="Turn 1 finished"))
    expect(why).to_contain_text("Why")
    expect(why).to_contain_text("this machine's user")
    accessible(page)


def test_the_log_is_verified_and_exported(page: Page, told: str) -> None:
    page.goto("/log")
    page.get_by_role("button", name="Verify the log").click()
    expect(page.get_by_text("✓ intact")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    assert download.value.suggested_filename.endswith(".jsonl")


def test_a_session_is_shown_as_it_was_and_cannot_be_changed(
    page: Page, fleet: Server, told: str, accessible: Callable[[Page], None]
) -> None:
    ended = fleet.call("GET", f"/log?session={told}&type=session.turn-ended&limit=1")[0]["position"]
    page.goto(f"/s/{told}?at={ended}")
    expect(page.get_by_role("log")).to_contain_text("The quokka smiled.")
    expect(page.get_by_role("log")).not_to_contain_text("The second turn.")
    expect(page.get_by_role("button", name="Send")).to_be_hidden()
    accessible(page)
    page.get_by_role("button", name="Back to now").first.click()
    expect(page.get_by_role("log")).to_contain_text("The second turn.")
    expect(page.get_by_role("button", name="Send")).to_be_visible()
