"""Point 6 of the dashboard: what waits for a person, of all sessions, answered in place, by one, and said by whom."""

import json
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, WebSocket, WebSocketRoute, expect

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


def press_key(page: Page, mine: Locator, key: str) -> None:
    """Press a key of a card that has the focus, once the card says that it takes it."""
    expect(mine.locator("kbd").get_by_text(key, exact=True)).to_be_visible()
    page.keyboard.press(key)


def leave(page: Page) -> None:
    """Move the pointer away: while it moves over the list, no card leaves its place."""
    page.mouse.move(5, 5)


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
    press_key(page, mine, "y")
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
    press_key(page, mine, "x")
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
    press_key(page, mine, "2")
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
    leave(page)
    expect(mine).to_have_count(1)
    expect(mine).to_contain_text("budget used")
    mine.get_by_role("button", name="Allow $2 more").click()
    leave(page)
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
    expect(mine).to_contain_text("callback not delivered")
    mine.get_by_role("button", name="Resume the parent").click()
    leave(page)
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
    leave(first)
    expect(card(first, "Both answer")).to_have_count(0)
    card(other, "Both answer").get_by_role("button", name="Reject…").click()
    card(other, "Both answer").get_by_role("button", name="Reject", exact=True).click()
    expect(other.get_by_text("Somebody at this machine answered this already: once")).to_be_visible()
    fleet.settled(session_id)
    (event,) = fleet.call("GET", f"/log?session={session_id}&type=session.request-answered")
    assert event["data"]["answer"]["reply"] == "once"


@contextmanager
def inbox_arrives(page: Page, socket: WebSocket) -> Generator[None]:
    """Do the block, then wait until the page has got a new inbox and two frames have been drawn since."""
    with socket.expect_event("framereceived", lambda frame: '"type":"inbox"' in str(frame)):
        yield
    page.evaluate("new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")


def open_inbox(page: Page) -> WebSocket:
    """Open the inbox and return the page's connection."""
    with page.expect_websocket() as opened:
        page.goto("/inbox")
    return opened.value


def reject(fleet: Server, session_id: str) -> None:
    """Answer the open request of a session from elsewhere."""
    (item,) = [each for each in fleet.call("GET", "/inbox") if each["sessionId"] == session_id]
    fleet.call("POST", f"/sessions/{session_id}/requests/{item['request']['id']}", {"reply": "reject"})


def test_a_link_is_followed_though_its_card_goes_while_the_pointer_is_pressed(
    page: Page, fleet: Server, asking: Callable[[str, str], str], tmp_path: Path
) -> None:
    session_id = asking("Pressed", outside(tmp_path))
    socket = open_inbox(page)
    card(page, "Pressed").get_by_role("link", name="Pressed").hover()
    page.mouse.down()
    with inbox_arrives(page, socket):
        reject(fleet, session_id)
    page.mouse.up()
    expect(page).to_have_url(re.compile(session_id))
    fleet.settled(session_id)
    page.goto("/inbox")  # the session is deleted now


def middle(found: Locator) -> tuple[float, float]:
    """Return the middle of what is shown."""
    box = found.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_no_card_moves_under_the_pointer(
    page: Page,
    fleet: Server,
    asking: Callable[[str, str], str],
    tmp_path: Path,
    accessible: Callable[[Page], None],
) -> None:
    above, aimed = asking("Above", outside(tmp_path)), asking("Aimed at", outside(tmp_path))
    open_inbox(page)
    allow = card(page, "Aimed at").get_by_role("button", name="Allow once")
    allow.hover()
    before = middle(allow)
    reject(fleet, above)
    expect(card(page, "Above")).to_contain_text("no longer waits")
    expect(card(page, "Above").get_by_role("button", name="Allow once")).to_be_disabled()
    assert middle(allow) == before
    page.mouse.move(before[0] + 1, before[1])
    accessible(page)
    page.mouse.move(*before)
    page.mouse.down()
    page.mouse.up()
    fleet.settled(aimed)
    assert fleet.texts(aimed) == ["I have read it."]
    leave(page)
    expect(card(page, "Above")).to_have_count(0)
    expect(card(page, "Aimed at")).to_have_count(0)
    fleet.settled(above)


def test_a_key_that_is_held_down_answers_one_card(
    page: Page, fleet: Server, asking: Callable[[str, str], str], tmp_path: Path
) -> None:
    first, second = asking("One key", outside(tmp_path)), asking("Not this", outside(tmp_path))
    page.goto("/inbox")
    card(page, "One key").focus()
    expect(card(page, "One key").locator("kbd").get_by_text("y", exact=True)).to_be_visible()
    page.keyboard.down("y")
    expect(card(page, "One key")).to_have_count(0)
    expect(card(page, "Not this").locator("kbd").get_by_text("y", exact=True)).to_be_visible()
    page.keyboard.down("y")  # the second of two downs is a repetition
    page.keyboard.up("y")
    press_key(page, card(page, "Not this"), "x")
    expect(card(page, "Not this").get_by_role("textbox")).to_be_focused()
    fleet.settled(first)
    assert fleet.session(second)["status"] == "waiting_input"


def test_a_card_that_takes_the_place_of_another_takes_no_key_at_first(
    page: Page, fleet: Server, asking: Callable[[str, str], str], tmp_path: Path
) -> None:
    first, second = asking("Leaves", outside(tmp_path)), asking("Follows", outside(tmp_path))
    page.clock.install()
    socket = open_inbox(page)
    card(page, "Leaves").focus()
    expect(card(page, "Leaves").locator("kbd").get_by_text("y", exact=True)).to_be_visible()
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 60)
    with socket.expect_event("framereceived", lambda frame: '"type":"inbox"' in str(frame)):
        reject(fleet, first)
    page.clock.run_for(100)
    expect(card(page, "Leaves")).to_have_count(0)
    expect(card(page, "Follows")).to_be_focused()
    page.keyboard.press("y")
    page.clock.run_for(1000)
    press_key(page, card(page, "Follows"), "x")
    expect(card(page, "Follows").get_by_role("textbox")).to_be_focused()
    assert fleet.session(second)["status"] == "waiting_input"
    fleet.settled(first)


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
