"""Point 9 of the dashboard: the command palette has every action and every session."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.server import Server, repository


@pytest.fixture(scope="module")
def session(fleet: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A session that works for long."""
    directory = repository(tmp_path_factory.mktemp("palette") / "warehouse")
    item = fleet.create(directory, 'bash "sleep 903"', title="Count the boxes")
    return str(fleet.became(item["id"], "active")["id"])


def opened(page: Page) -> Locator:
    """Open the palette and return its field."""
    expect(page.get_by_text("live")).to_be_visible()
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Search actions and sessions")
    expect(field).to_be_focused()
    return field


def first(page: Page) -> Locator:
    """Return the entry that Enter takes."""
    return page.get_by_role("dialog").get_by_role("option", selected=True)


def test_the_palette_finds_a_session_by_title_repository_and_id(
    page: Page, session: str, accessible: Callable[[Page], None]
) -> None:
    page.goto("/settings")
    for words in ("cou box", "warehouse", session[:20]):
        opened(page).fill(words)
        expect(first(page)).to_contain_text("Count the boxes")
        accessible(page)
        page.keyboard.press("Escape")
    opened(page).fill("count boxes")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/s/{session}"))


def test_the_palette_runs_actions_with_their_keys_beside_them_and_shows_recent_ones_first(page: Page) -> None:
    page.goto("/")
    field = opened(page)
    field.fill("go hist")
    expect(first(page)).to_contain_text("Go to History")
    expect(first(page)).to_contain_text("gh")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/history"))
    opened(page)
    expect(first(page)).to_contain_text("Go to History")


def test_a_verb_and_a_session_abort_its_turn(page: Page, fleet: Server, session: str) -> None:
    page.goto("/")
    expect(page.get_by_text("live")).to_be_visible()
    opened(page).fill("abort boxes")
    expect(first(page)).to_have_text(re.compile("Abort Count the boxes"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Count the boxes is aborted")).to_be_visible()
    assert fleet.session(session)["status"] == "idle"


def test_words_that_fit_nothing_search_the_history(page: Page) -> None:
    page.goto("/")
    opened(page).fill("zzz qqq")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/history\\?q=zzz"))


def test_the_theme_changes_at_once_and_stays(page: Page, accessible: Callable[[Page], None]) -> None:
    page.goto("/")
    for words, theme in (("theme dark", "dark"), ("contrast light", "contrast-light")):
        opened(page).fill(words)
        page.keyboard.press("Enter")
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        accessible(page)
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "contrast-light")
