"""What changes by itself moves nothing under the pointer: requests, menus, the palette, the log, the outline."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.server import Server, repository
from tests.page.test_session import choose, transcript


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository where `rm` needs a permission."""
    directory = repository(tmp_path_factory.mktemp("stays") / "shop")
    (directory / "opencode.json").write_text(json.dumps({"permission": {"bash": {"*": "allow", "rm *": "ask"}}}))
    return directory


def test_double_click_answers_one_of_two_requests(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, 'bash "rm -rf one"\nbash "rm -rf two"\n---\nsay "Thanks."', title="Asks twice")
    page.goto(f"/s/{item['id']}")
    asked = transcript(page).get_by_role("region", name="Permission")
    expect(asked).to_have_count(2)
    expect(asked.first.get_by_role("button", name="Allow once")).to_be_enabled()
    asked.first.get_by_role("button", name="Allow once").click()
    expect(asked.first).to_contain_text("The answer has arrived.")
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)
    page.mouse.move(5, 5)
    expect(asked).to_have_count(1)
    expect(asked).to_contain_text("rm -rf two")
    asked.get_by_role("button", name="Allow once").click()
    expect(transcript(page)).to_contain_text("Thanks.")


def test_entries_of_an_open_menu_keep_their_places(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, title="Menu")
    fleet.became(item["id"], "idle")
    page.goto(f"/s/{item['id']}")
    expect(page.get_by_role("button", name="Rename")).to_be_visible()
    page.get_by_role("button", name="More actions").click()
    entries = page.get_by_role("menuitem")
    expect(entries.filter(has_text="Stop…")).to_be_enabled()
    before = entries.all_inner_texts()
    fleet.call("DELETE", f"/sessions/{item['id']}")
    expect(entries.filter(has_text="Stop…")).to_be_disabled()
    assert entries.all_inner_texts() == before
    page.keyboard.press("Escape")
    choose(page, "Resume")
    fleet.became(item["id"], "idle")


def test_log_of_the_session_stays_under_the_pointer(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, 'say "One."', title="Log")
    fleet.settled(item["id"])
    page.goto(f"/s/{item['id']}?tab=log")
    events = page.get_by_role("list", name="Events of the session, newest first").get_by_role("listitem")
    expect(events.last).to_contain_text("created")
    events.first.hover()
    fleet.prompt(item["id"], 'question "Which?": "This", "That"')
    expect(page.locator("[data-session] header").get_by_text("needs you")).to_be_visible()
    assert events.filter(has_text="Turn 2").count() == 0
    page.mouse.move(5, 5)
    expect(events.filter(has_text="Turn 2").first).to_be_visible()


def test_outline_stays_where_the_reader_scrolled(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, 'say "Turn."', title="Many turns")
    for number in range(2, 18):
        fleet.settled(item["id"], turns=number - 1)
        fleet.prompt(item["id"], 'say "Turn."')
    fleet.settled(item["id"], turns=17)
    page.set_viewport_size({"width": 1400, "height": 800})
    page.goto(f"/s/{item['id']}")
    turns = page.get_by_role("list", name="Turns")
    expect(turns.get_by_role("link", name=re.compile("^17"))).to_be_in_viewport()
    turns.evaluate("list => { list.scrollTop = 0 }")
    fleet.prompt(item["id"], 'say "Turn."')
    expect(page.get_by_role("heading", name="Turns 18")).to_be_visible()
    assert turns.evaluate("list => list.scrollTop") == 0
    turns.evaluate("list => { list.scrollTop = list.scrollHeight }")
    fleet.settled(item["id"], turns=18)
    fleet.prompt(item["id"], 'say "Turn."')
    expect(turns.get_by_role("link", name=re.compile("^19"))).to_be_in_viewport()


def test_a_new_session_moves_no_entry_of_an_open_palette(page: Page, fleet: Server, shop: Path) -> None:
    first = fleet.create(shop, title="Count the boxes")["id"]
    page.goto("/")
    expect(page.get_by_text("live")).to_be_visible()
    page.keyboard.press("Control+k")
    entries = page.get_by_role("option")
    page.get_by_role("combobox", name="Search actions and sessions").fill("count")
    expect(entries.filter(has_text="Count the boxes").first).to_be_visible()
    before = entries.all_inner_texts()
    other = fleet.create(shop, title="Count")["id"]
    expect(page.locator(f'[data-row="{other}"]')).to_be_visible()
    assert entries.all_inner_texts() == before
    for each in (first, other):
        fleet.call("DELETE", f"/sessions/{each}?permanent=true")
