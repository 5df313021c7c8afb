"""Point 6 of the dashboard: what waits for a person, of all sessions, answered in place, by one, and said by whom."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, WebSocketRoute, expect

from tests.e2e.server import Server, repository

THEMES = ("light", "dark")


@pytest.fixture(scope="module")
def project(fleet: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose OpenCode process outlives the sessions of each test, because one session stays."""
    project = repository(tmp_path_factory.mktemp("inbox") / "shop")
    fleet.create(project, title="Stays")
    return project


@pytest.fixture
def asking(fleet: Server, project: Path) -> Iterator[Callable[[str, str], str]]:
    """Return what makes a session that waits, and delete these sessions in the end: all tests share the inbox."""
    made: list[str] = []

    def make(title: str, script: str) -> str:
        item = fleet.create(project, script, title=title)
        made.append(item["id"])
        fleet.became(item["id"], "waiting_input", "error")
        return str(item["id"])

    yield make
    for session_id in made:
        fleet.call("DELETE", f"/sessions/{session_id}?permanent=true")


def outside(tmp_path: Path, name: str = "secret.txt") -> str:
    """Return a script that needs a permission: it reads a file outside of the workspace."""
    (tmp_path / name).write_text("kept outside")
    return f'read "{tmp_path / name}"\n---\nsay "I have read it."'


def card(page: Page, title: str) -> Locator:
    return page.get_by_role("list", name="What waits for you").locator("> li").filter(has_text=title)


def test_a_permission_is_allowed_by_one_key(
    page: Page, fleet: Server, asking: Callable[[str, str], str], tmp_path: Path
) -> None:
    session_id = asking("Read the secret", outside(tmp_path))
    page.goto("/inbox")
    mine = card(page, "Read the secret")
    expect(mine).to_contain_text("work outside of the workspace")
    expect(mine).to_contain_text("shop")
    expect(mine).to_contain_text("Turn 1")
    expect(page).to_have_title(re.compile(r"^\(\d+\) Inbox · Fleet$"))
    expect(mine.get_by_role("button").first).to_be_enabled()
    mine.focus()
    page.keyboard.press("y")
    expect(mine).to_have_count(0)
    fleet.settled(session_id)
    assert fleet.texts(session_id) == ["I have read it."]


def test_what_is_not_asked_for_any_more_is_said_on_a_phone_too(
    open_context: Callable[..., BrowserContext], fleet: Server, tmp_path: Path
) -> None:
    shop = repository(tmp_path / "shop")
    (shop / "opencode.json").write_text(json.dumps({"permission": {"bash": {"*": "allow", "rm *": "ask"}}}))
    first = fleet.create(shop, 'bash "rm -rf build"', title="First")
    fleet.create(shop, title="Second")
    page = open_context(viewport={"width": 390, "height": 844}).new_page()
    page.goto(f"/s/{first['id']}")
    page.get_by_role("region", name="Permission").get_by_role("button", name="Always").click()
    said = page.locator("details").filter(has_text="Not asked for any more: bash")
    said.locator("summary").click()
    expect(said).to_contain_text("bash rm *: answered with “always” in this session")
    expect(said).to_contain_text("Also not asked:")
    said.get_by_role("link", name="Second").click()
    expect(page.get_by_role("heading", name="Second")).to_be_visible()
    said.locator("summary").click()
    expect(said.get_by_role("link", name="First").first).to_have_attribute("href", f"/s/{first['id']}")


def test_a_permission_is_rejected_with_a_word(
    page: Page, fleet: Server, asking: Callable[[str, str], str], tmp_path: Path
) -> None:
    session_id = asking("Read another", outside(tmp_path))
    page.goto("/inbox")
    mine = card(page, "Read another")
    expect(mine.get_by_role("button", name="Reject…")).to_be_enabled()
    mine.focus()
    page.keyboard.press("x")
    mine.get_by_role("textbox").fill("use the copy in here")
    page.keyboard.press("Enter")
    expect(mine).to_have_count(0)
    (event,) = fleet.call("GET", f"/log?session={session_id}&type=session.request-answered")
    assert event["data"]["answer"]["message"] == "use the copy in here"


def test_a_question_is_answered_by_its_digit(page: Page, fleet: Server, asking: Callable[[str, str], str]) -> None:
    session_id = asking("Choose a store", 'question "Which database?": "Postgres", "SQLite"\n---\nsay "Chosen."')
    page.goto("/inbox")
    mine = card(page, "Choose a store")
    expect(mine.get_by_role("button").first).to_be_enabled()
    mine.focus()
    page.keyboard.press("2")
    expect(mine).to_have_count(0)
    fleet.settled(session_id)
    (event,) = fleet.call("GET", f"/log?session={session_id}&type=session.request-answered")
    assert event["data"]["answer"]["answers"] == [["SQLite"]]


def test_a_failed_session_is_resumed(page: Page, asking: Callable[[str, str], str]) -> None:
    asking("Ask the model", 'error 400 "the model says no"')
    page.goto("/inbox")
    mine = card(page, "Ask the model")
    expect(mine).to_contain_text("failure")
    expect(mine).to_contain_text("the model says no")
    expect(mine.get_by_role("button", name="Resume")).to_be_enabled()
    expect(mine.get_by_role("button", name="Stop")).to_be_enabled()


def test_a_used_up_budget_is_raised_in_place(
    page: Page, fleet: Server, project: Path, asking: Callable[[str, str], str]
) -> None:
    session_id = asking("Spends all", 'question "Go on?": "Yes"\n---\nsay "One."')
    fleet.call("PATCH", f"/sessions/{session_id}", {"budget": {"usd": 0.000001}})
    fleet.prompt(session_id, 'say "Two."')
    page.goto("/inbox")
    mine = card(page, "Spends all")
    mine.get_by_role("button", name="Yes").click()
    expect(mine).to_contain_text("budget used")
    mine.get_by_role("button", name="Allow $2 more").click()
    expect(mine).to_have_count(0)
    assert fleet.settled(session_id, 2)["budget"]["usd"] > 2
    assert fleet.texts(session_id) == ["One.", "Two."]


def test_a_report_that_was_not_delivered_reaches_the_parent_that_is_resumed(
    page: Page, fleet: Server, project: Path, asking: Callable[[str, str], str]
) -> None:
    parent = fleet.create(project, title="Hears nothing")["id"]
    fleet.call("DELETE", f"/sessions/{parent}")
    child = fleet.create(project, 'say "Done."', title="Reports", onComplete={"notifySessionId": parent})["id"]
    page.goto("/inbox")
    mine = card(page, "Reports")
    expect(mine).to_contain_text("report not delivered")
    mine.get_by_role("button", name="Resume the parent").click()
    expect(mine).to_have_count(0)
    assert fleet.settled(parent)["turns"] == 1
    for session_id in (child, parent):
        fleet.call("DELETE", f"/sessions/{session_id}?permanent=true")


RECORD_NOTIFICATIONS = """
window.shown = [];
window.Notification = class {
  static get permission() { return localStorage.allowed ?? "default"; }
  static async requestPermission() { return (localStorage.allowed = "granted"); }
  constructor(title, options) { this.title = title; window.shown.push(this); }
  close() {}
};
Object.defineProperty(document, "visibilityState", { get: () => (window.isAway ? "hidden" : "visible") });
"""


def test_a_hidden_tab_notifies_of_what_begins_to_wait_and_a_click_leads_there(
    open_context: Callable[..., BrowserContext], asking: Callable[[str, str], str], tmp_path: Path
) -> None:
    context = open_context()
    context.add_init_script(RECORD_NOTIFICATIONS)
    page = context.new_page()
    page.goto("/inbox")
    page.get_by_role("checkbox", name="Notify me when this tab is hidden").check()
    other = context.new_page()
    other.goto("/inbox")
    expect(other.get_by_role("checkbox", name="Notify me when this tab is hidden")).to_be_checked()
    for each in (page, other):
        each.evaluate("window.isAway = true")
    session_id = asking("Nobody looks", outside(tmp_path))
    for each in (page, other):
        expect(card(each, "Nobody looks")).to_be_visible()
    titles = [*page.evaluate("shown.map(each => each.title)"), *other.evaluate("shown.map(each => each.title)")]
    assert titles == ["Permission asked: Nobody looks"]  # by one tab
    page.evaluate("shown[0].onclick()")
    expect(page).to_have_url(re.compile(session_id))
    page.goto("/inbox")  # before the session is erased, or the page asks for it in vain


def keep_inbox_as_it_is(page: Page) -> Callable[[], None]:
    """Return what lets no further inbox through to the page: as where the network is slower than a person."""
    kept: list[bool] = []

    def lead(browser: WebSocketRoute) -> None:
        server = browser.connect_to_server()
        browser.on_message(server.send)
        server.on_message(lambda frame: None if kept and '"type":"inbox"' in str(frame) else browser.send(frame))

    page.route_web_socket(re.compile("/api/ws$"), lead)
    return lambda: kept.append(True)


def test_the_second_browser_to_answer_learns_who_was_first(
    open_context: Callable[..., BrowserContext], fleet: Server, asking: Callable[[str, str], str], tmp_path: Path
) -> None:
    asking("Older", outside(tmp_path))  # it has the keys, so that a click takes them from it
    session_id = asking("Both answer", outside(tmp_path))
    first, other = (open_context().new_page() for _ in range(2))
    keep = keep_inbox_as_it_is(other)
    for page in (first, other):
        page.goto("/inbox")
        expect(card(page, "Both answer").get_by_role("button", name="Allow once")).to_be_enabled()
    keep()
    card(first, "Both answer").get_by_role("button", name="Allow once").click()
    expect(card(first, "Both answer")).to_have_count(0)
    card(other, "Both answer").get_by_role("button", name="Reject…").click()
    card(other, "Both answer").get_by_role("button", name="Reject", exact=True).click()
    expect(other.get_by_text("Somebody at this machine answered this already: once")).to_be_visible()
    fleet.settled(session_id)
    (event,) = fleet.call("GET", f"/log?session={session_id}&type=session.request-answered")
    assert event["data"]["answer"]["reply"] == "once"


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing(
    open_context: Callable[..., BrowserContext],
    accessible: Callable[[Page], None],
    asking: Callable[[str, str], str],
    tmp_path: Path,
    theme: str,
) -> None:
    asking("A permission", outside(tmp_path))
    asking("A question", 'question "Which?": "This", "That"')
    page = open_context(color_scheme=theme).new_page()
    page.goto("/inbox")
    expect(card(page, "A question")).to_be_visible()
    accessible(page)
    card(page, "A permission").get_by_role("button", name="Reject…").click()
    accessible(page)
