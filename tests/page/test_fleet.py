"""Point 2 of the dashboard: the fleet as one list. What needs a person first, filter, acts on many, peek, rail."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, WebSocketRoute, expect

from tests.e2e.server import Server, repository

HOSTILE = "<b>Bold</b> \u202egnp.exe"


class Sessions(NamedTuple):
    """What the list of these tests holds; all have the tag `listed`."""

    shop: Path
    asks: str
    works: str
    child: str
    idle: str


@pytest.fixture(scope="module")
def sessions(fleet: Server, tmp_path_factory: pytest.TempPathFactory) -> Sessions:
    """Sessions of every kind: one asks, one works and has a child that works, one is idle."""
    places = tmp_path_factory.mktemp("list")
    shop, core = repository(places / "shop"), repository(places / "core")

    def create(directory: Path, script: str | None, title: str, *tags: str, **fields: Any) -> str:
        given = {"isolationStrategy": "worktree", "title": title, "tags": ["listed", *tags], **fields}
        return str(fleet.create(directory, script, **given)["id"])

    works = create(core, 'bash "sleep 900"', "Parser", budget={"usd": 5})
    child = create(core, 'bash "sleep 901"', "Write the tests", onComplete={"notifySessionId": works})
    asks = create(shop, 'question "Which database?": "Postgres", "SQLite"\n---\nsay "Chosen."', "Store", "ui")
    idle = create(shop, 'write a.py: "x = 1\\n"\n---\nsay "All done."', HOSTILE, "ui")
    fleet.settled(idle)
    fleet.became(asks, "waiting_input")
    fleet.became(works, "active")
    fleet.became(child, "active")
    return Sessions(shop, asks, works, child, idle)


def row(page: Page, session_id: str) -> Locator:
    """Return the row of a session."""
    return page.locator(f'[data-row="{session_id}"]')


def order(page: Page) -> list[str]:
    """Return the rows from top to bottom: ids of sessions, and `group:…`."""
    rows: Any = page.locator("[data-row]").evaluate_all(
        "rows => rows.map(row => [row.getBoundingClientRect().top, row.dataset.row]).sort((a, b) => a[0] - b[0])"
    )
    return [name for _, name in rows]


def listed(page: Page, more: str = "") -> None:
    """Open the list of these tests' sessions."""
    page.goto(f"/?q=tag:listed{more}")
    expect(page.get_by_role("treegrid", name="Sessions")).to_be_visible()


def test_rows_say_what_each_session_does_and_where(page: Page, sessions: Sessions) -> None:
    listed(page)
    asks, works, idle = row(page, sessions.asks), row(page, sessions.works), row(page, sessions.idle)
    expect(asks).to_contain_text("needs you")
    expect(asks).to_contain_text("Which database?")
    expect(works).to_contain_text("working")
    expect(works).to_contain_text("bash")
    expect(works).to_contain_text("sleep 900")
    expect(works).to_contain_text("core · worktree")
    expect(works).to_contain_text("of $5")
    expect(idle).to_contain_text("All done.")
    expect(idle).to_contain_text("+1 \u22120")
    expect(idle.get_by_role("link")).to_have_text("<b>Bold</b> ⟨U+202E⟩gnp.exe")


def test_what_needs_a_person_comes_first_and_children_are_below_their_parents(
    page: Page, sessions: Sessions, accessible: Callable[[Page], None]
) -> None:
    listed(page)
    expect(row(page, sessions.idle)).to_be_visible()
    asks, works, child, idle = sessions[1:]
    assert order(page) == ["group:needs", asks, "group:working", works, child, "group:idle", idle]
    expect(row(page, child)).to_have_attribute("aria-level", "3")
    expect(row(page, child)).to_have_attribute("aria-posinset", "2")
    expect(row(page, child)).to_have_attribute("aria-setsize", "2")
    accessible(page)


def test_the_filter_applies_while_typing_and_is_in_the_address(page: Page, sessions: Sessions) -> None:
    page.goto("/")
    expect(row(page, sessions.asks)).to_be_visible()
    page.keyboard.press("/")
    field = page.get_by_role("combobox", name="Filter sessions")
    expect(field).to_be_focused()
    field.press_sequentially("tag:lis")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option", name="listed")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(field).to_have_value("tag:listed ")
    field.press_sequentially("-status:idle,working")
    expect(page.get_by_text(re.compile(r"^1 of \d+ sessions$"))).to_be_visible()
    expect(page).to_have_url(re.compile("q=tag.*working"))
    page.reload()
    expect(row(page, sessions.asks)).to_be_visible()
    expect(row(page, sessions.idle)).to_have_count(0)


def test_an_unknown_filter_is_named_and_no_hit_offers_a_way_out(page: Page, sessions: Sessions) -> None:
    listed(page, " stat:x")
    expect(page.get_by_text('There is no filter "stat:"')).to_be_visible()
    expect(row(page, sessions.asks)).to_be_visible()
    page.goto("/?q=nothing-is-called-so")
    expect(page.get_by_text("No session matches this filter.")).to_be_visible()
    page.get_by_role("button", name="Clear the filter").last.click()
    expect(row(page, sessions.asks)).to_be_visible()
    expect(page).not_to_have_url(re.compile("q="))


def test_groups_by_repository_and_tag_fold_and_stay_folded(page: Page, sessions: Sessions) -> None:
    page.goto("/?group=tag")
    head = page.get_by_role("row", name=re.compile("^listed"))
    expect(head).to_have_attribute("aria-expanded", "true")
    head.click()
    expect(head).to_have_attribute("aria-expanded", "false")
    expect(row(page, sessions.asks)).to_have_count(0)
    page.reload()
    expect(head).to_have_attribute("aria-expanded", "false")
    listed(page, "&group=repository")
    expect(page.get_by_role("row", name=re.compile("^shop 2"))).to_contain_text("1 needs you")
    expect(page.get_by_role("row", name=re.compile("^core 2"))).to_be_visible()
    page.get_by_label("Group").select_option("parent")
    expect(page).to_have_url(re.compile("group=parent"))
    expect(page.get_by_role("row", name=re.compile("^Parser 2"))).to_be_visible()


def test_rows_stay_under_the_pointer_and_move_when_it_leaves(page: Page, fleet: Server, sessions: Sessions) -> None:
    session_id = fleet.create(sessions.shop, title="Calm", tags=["calm"])["id"]
    other = fleet.create(sessions.shop, title="Other", tags=["calm"])["id"]
    for each in (session_id, other):
        fleet.became(each, "idle")
    page.goto("/?q=tag:calm")
    row(page, other).hover()
    before = order(page)
    assert before == ["group:idle", other, session_id]
    fleet.prompt(session_id, 'bash "sleep 902"')
    expect(row(page, session_id)).to_contain_text("working")
    expect(page.get_by_text("The list keeps its order while you point at it")).to_be_visible()
    assert order(page) == before
    page.mouse.move(5, 5)
    expect(page.get_by_role("row", name=re.compile("^Working"))).to_be_visible()
    assert order(page) == ["group:working", session_id, "group:idle", other]
    fleet.call("DELETE", f"/sessions/{other}?permanent=true")
    expect(row(page, other)).to_have_count(0)
    fleet.call("DELETE", f"/sessions/{session_id}")


def test_the_keyboard_alone_walks_selects_stops_and_brings_back(
    page: Page, fleet: Server, sessions: Sessions, accessible: Callable[[Page], None]
) -> None:
    ids = [fleet.create(sessions.shop, title=f"Many {number}", tags=["many"])["id"] for number in range(3)]
    for each in ids:
        fleet.became(each, "idle")
    page.goto("/?q=tag:many")
    expect(row(page, ids[0])).to_be_visible()
    page.keyboard.press("j")
    expect(row(page, ids[2])).to_be_focused()
    for key in ("x", "Shift+J", "Shift+J"):
        page.keyboard.press(key)
    expect(page.get_by_text("3 sessions selected")).to_be_visible()
    accessible(page)
    page.get_by_role("button", name="Stop 3").press("Enter")
    page.get_by_role("alertdialog").get_by_role("button", name="Stop 3").press("Enter")
    expect(page.get_by_text("3 sessions stopped")).to_be_visible()
    assert {fleet.session(each)["status"] for each in ids} == {"stopped"}
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("3 sessions resumed")).to_be_visible()
    for each in ids:
        fleet.became(each, "idle")  # it is active until OpenCode says that nothing runs
    page.get_by_role("button", name="Tag…").click()
    page.get_by_label("Add tags").fill("later, ui")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("3 sessions tagged")).to_be_visible()
    assert [fleet.session(each)["tags"] for each in ids] == [["many", "later", "ui"]] * 3
    for each in ids:
        fleet.call("DELETE", f"/sessions/{each}?permanent=true")


def test_before_sessions_are_removed_the_page_says_what_is_kept(
    page: Page, fleet: Server, sessions: Sessions, accessible: Callable[[Page], None]
) -> None:
    item = fleet.create(
        sessions.shop, 'write kept.txt: "only here"', title="Kept", tags=["kept"], isolationStrategy="worktree"
    )
    fleet.settled(item["id"])
    page.goto("/?q=tag:kept")
    page.get_by_role("button", name="Menu of Kept").click()
    page.get_by_role("menuitem", name="Remove…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("What is only there is kept under refs/fleet/")
    accessible(page)
    dialog.get_by_role("button", name="Remove 1 session").click()
    expect(page.get_by_text("1 session removed")).to_be_visible()
    assert not Path(item["directory"]).exists()
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("1 session restored")).to_be_visible()
    assert (Path(item["directory"]) / "kept.txt").read_text() == "only here"


def test_peek_shows_the_last_lines_and_answers_a_question(
    page: Page, fleet: Server, sessions: Sessions, accessible: Callable[[Page], None]
) -> None:
    script = 'say "Let me ask."\nquestion "Which colour?": "Red", "Blue"\n---\nsay "It is done."'
    item = fleet.create(sessions.shop, script, title="Peeked", tags=["peeked"])
    fleet.became(item["id"], "waiting_input")
    page.goto("/?q=tag:peeked")
    expect(row(page, item["id"])).to_contain_text("Which colour?")
    page.keyboard.press("j")
    page.keyboard.press("Space")
    peek = page.get_by_role("region", name="Peek: Peeked")
    expect(peek).to_contain_text("Let me ask.")
    accessible(page)
    peek.get_by_role("button", name="Blue").click()
    fleet.settled(item["id"])
    expect(peek).to_contain_text("It is done.")
    page.keyboard.press("Escape")
    expect(peek).to_have_count(0)


def test_the_rail_has_the_same_list_and_marks_what_is_open(page: Page, sessions: Sessions) -> None:
    listed(page)
    row(page, sessions.works).get_by_role("link").click()
    expect(page).to_have_url(re.compile(f"/s/{sessions.works}"))
    rail = page.get_by_role("navigation", name="Sessions")
    expect(rail.get_by_role("combobox")).to_have_value("tag:listed")
    expect(row(page, sessions.works)).to_have_attribute("aria-current", "page")
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile(f"/s/{sessions.child}"))
    expect(row(page, sessions.child)).to_have_attribute("aria-current", "page")
    page.keyboard.press("!")
    expect(page).to_have_url(re.compile(f"/s/{sessions.asks}"))
    page.set_viewport_size({"width": 880, "height": 800})
    expect(rail).to_have_count(0)


def test_a_viewer_sees_no_control_that_changes_something(page: Page, sessions: Sessions) -> None:
    page.route("**/api/caller", lambda route: route.fulfill(json={"actor": "token:guest", "role": "viewer"}))
    listed(page)
    expect(page.get_by_text("read-only")).to_be_visible()
    expect(row(page, sessions.works)).to_be_visible()
    expect(page.get_by_role("checkbox")).to_have_count(0)
    page.get_by_role("button", name="Menu of Parser").click()
    expect(page.get_by_role("menuitem")).to_have_text([re.compile("Open"), re.compile("Peek"), "Copy the link"])


def test_a_fleet_without_sessions_says_how_to_begin(page: Page) -> None:
    def answer(socket: WebSocketRoute) -> None:
        def take(message: str | bytes) -> None:
            asked = re.search(r'"id":"(s\d+)","view":"fleet"', str(message))
            if asked:
                name = asked.group(1)
                socket.send(f'{{"type":"items","id":"{name}","position":0,"sessions":[],"more":false,"reset":true}}')

        socket.on_message(take)

    page.route_web_socket("**/api/ws", answer)
    page.goto("/")
    expect(page.get_by_text("No sessions now.")).to_be_visible()
    page.get_by_role("main").get_by_role("button", name="New Session").click()
    expect(page).to_have_url(re.compile("/new"))


def test_a_phone_has_two_lines_a_row(open_context: Callable[..., BrowserContext], sessions: Sessions) -> None:
    page = open_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).new_page()
    listed(page)
    works = row(page, sessions.works)
    expect(works).to_contain_text("sleep 900")
    box = works.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    page.wait_for_function("document.documentElement.scrollWidth <= 390")


def place(found: Locator) -> tuple[float, float, float, float]:
    """Return the left, top, right and bottom edge of what is shown."""
    box = found.bounding_box()
    assert box is not None
    return box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]


def test_a_wrong_filter_does_not_move_the_list(page: Page, sessions: Sessions) -> None:
    listed(page)
    expect(row(page, sessions.asks)).to_be_visible()
    before = place(page.get_by_role("treegrid"))
    field = page.get_by_role("combobox", name="Filter sessions")
    field.press("End")
    field.press_sequentially(" status:foo")
    expect(page.get_by_text('No status is called "foo"')).to_be_visible()
    assert place(page.get_by_role("treegrid")) == before


def test_a_tag_without_room_is_cut_and_not_left_out(page: Page, fleet: Server, sessions: Sessions) -> None:
    title, tag = "A session with so long a title that nothing else has room", "a-tag-that-is-rather-long"
    made = fleet.create(sessions.shop, None, title=title, tags=[tag])["id"]
    page.goto(f"/?q=tag:{tag}")
    badge = row(page, made).get_by_text(re.compile("^a-tag"))
    expect(badge).to_be_visible()
    (_, top, _, bottom), (_, row_top, _, row_bottom) = place(badge), place(row(page, made))
    assert row_top <= top
    assert bottom <= row_bottom
    assert badge.evaluate("it => getComputedStyle(it).textOverflow") == "ellipsis"


def test_what_the_page_says_does_not_cover_the_search(
    open_context: Callable[..., BrowserContext], sessions: Sessions
) -> None:
    page = open_context(viewport={"width": 1024, "height": 768}).new_page()
    listed(page)
    row(page, sessions.asks).get_by_role("button", name=re.compile("^Menu of")).click()
    page.get_by_role("menuitem", name="Copy the link").click()
    said = page.get_by_role("dialog").filter(has_text="link")
    expect(said).to_be_visible()
    assert place(said)[0] >= place(page.get_by_role("button", name="Search or run a command"))[2]


def test_rows_are_selected_on_a_phone(
    open_context: Callable[..., BrowserContext], sessions: Sessions, accessible: Callable[[Page], None]
) -> None:
    page = open_context(viewport={"width": 390, "height": 844}, has_touch=True).new_page()
    listed(page)
    box = row(page, sessions.idle).get_by_role("checkbox")
    expect(box).to_be_hidden()
    row(page, sessions.asks).get_by_role("button", name=re.compile("^Menu of")).tap()
    page.get_by_role("menuitem", name="Select").tap()
    box.tap()
    expect(page.get_by_role("toolbar", name="Selected sessions")).to_contain_text("2 sessions selected")
    accessible(page)
