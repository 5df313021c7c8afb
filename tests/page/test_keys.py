"""Point 9 of the dashboard: one table of keys, shown by `?`, whose single letters can be switched off."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

TABLE = Path(__file__).parents[2] / "web/src/core/keymap.ts"
LABELS = re.findall(r'label: "([^"]+)"', TABLE.read_text())
PLACES = [
    ("g i", "/inbox"),
    ("g h", "/history"),
    ("g l", "/log"),
    ("g p", "/processes"),
    ("g s", "/settings"),
    ("n", "/new"),
]


def test_a_question_mark_shows_every_key_of_the_table(page: Page, accessible: Callable[[Page], None]) -> None:
    page.goto("/")
    expect(page.get_by_text("live")).to_be_visible()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    assert len(LABELS) > 40
    for label in LABELS:
        expect(dialog.get_by_text(label, exact=True).first).to_be_visible()
    accessible(page)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


@pytest.mark.parametrize(("keys", "address"), PLACES)
def test_letters_lead_to_every_page(page: Page, keys: str, address: str) -> None:
    page.goto("/")
    expect(page.get_by_text("live")).to_be_visible()
    expect(page.get_by_role("button", name="New Session").first).to_be_visible()  # the page knows who asks
    for key in keys.split():
        page.keyboard.press(key)
    expect(page).to_have_url(re.compile(f"{address}$"))


def test_single_letters_can_be_switched_off_and_the_rest_still_works(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_text("live")).to_be_visible()
    page.keyboard.press("?")
    page.get_by_role("checkbox", name="Single letters do something").uncheck()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("?")
    page.keyboard.press("n")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Search actions and sessions")).to_be_focused()
    expect(page).to_have_url(re.compile("/$"))


def test_letters_that_are_typed_into_a_field_do_nothing_else(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_text("live")).to_be_visible()
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Search actions and sessions")
    field.press_sequentially("g in?")
    expect(field).to_have_value("g in?")
    expect(page.get_by_role("dialog")).to_have_count(1)
    expect(page).to_have_url(re.compile("/$"))
