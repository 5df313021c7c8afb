"""Point 4 of the dashboard: what can be undone has a way back on the page, and the keyboard keeps its place."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from tests.e2e.server import Server, repository


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of these tests alone."""
    return repository(tmp_path_factory.mktemp("ways_back") / "shop")


@pytest.fixture
def removed(fleet: Server, shop: Path) -> str:
    """A session that has ended, with its worktree removed."""
    session_id = fleet.create(shop, 'say "Done."', isolationStrategy="worktree", title="Removed")["id"]
    fleet.settled(session_id)
    fleet.http.delete(f"/api/sessions/{session_id}?cleanupWorkspace=true").raise_for_status()
    return str(session_id)


@pytest.fixture
def waiting(page: Page, fleet: Server, shop: Path) -> Locator:
    """The queue of an open session that works: two prompts wait."""
    session_id = fleet.create(shop, 'bash "sleep 900"', isolationStrategy="existing", title="Busy")["id"]
    fleet.became(session_id, "active")
    for text in ("First", "Second"):
        fleet.http.post(f"/api/sessions/{session_id}/prompt", json={"text": text}).raise_for_status()
    page.goto(f"/s/{session_id}")
    rows = page.get_by_role("region", name="Queue").get_by_role("listitem")
    expect(rows).to_have_count(2)
    return rows


def test_the_editor_of_a_waiting_prompt_returns_the_focus(page: Page, waiting: Locator) -> None:
    change = waiting.first.get_by_role("button", name="Change")
    change.press("Enter")
    box = page.get_by_role("textbox", name="Waiting prompt")
    expect(box).to_be_focused()
    box.press("Escape")
    expect(change).to_be_focused()
    change.press("Enter")
    box.fill("First, but better")
    box.press("Control+Enter")
    expect(waiting.first).to_contain_text("First, but better")
    expect(change).to_be_focused()


def test_a_prompt_that_was_taken_back_can_be_given_again(page: Page, waiting: Locator) -> None:
    waiting.first.get_by_role("button", name="Withdraw").press("Enter")
    expect(waiting).to_have_count(1)
    expect(waiting.first.get_by_role("button").first).to_be_focused()
    page.get_by_role("button", name="Put it back at the end of the queue").click()
    expect(waiting).to_have_count(2)
    expect(waiting.last).to_contain_text("First")


def test_a_session_whose_workspace_was_removed_is_brought_back_with_it(page: Page, fleet: Server, removed: str) -> None:
    page.goto(f"/s/{removed}")
    expect(page.get_by_text("its workspace was removed")).to_be_visible()
    page.get_by_role("button", name="Restore the workspace and resume").click()
    expect(page.get_by_role("textbox", name="Prompt")).to_be_focused()
    fleet.became(removed, "idle")
    expect(page.get_by_role("complementary", name="About the session")).to_contain_text(re.compile("ready, all commit"))


def test_a_prompt_restores_the_removed_workspace_before_it_resumes_the_session(
    page: Page, fleet: Server, removed: str
) -> None:
    page.goto(f"/s/{removed}")
    page.get_by_role("textbox", name="Prompt").fill('```rehearsal\nsay "I am back."\n```')
    page.get_by_role("button", name="Resume and send").click()
    expect(page.get_by_role("log", name="Transcript")).to_contain_text("I am back.")
    assert Path(fleet.session(removed)["directory"]).is_dir()


def test_the_palette_restores_the_removed_workspace_before_it_resumes_the_session(
    page: Page, fleet: Server, removed: str
) -> None:
    page.goto("/")
    expect(page.get_by_text("live")).to_be_visible()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Search actions and sessions").fill(f"resume {removed}")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Removed is resumed")).to_be_visible()
    assert Path(fleet.session(removed)["directory"]).is_dir()


def test_a_session_whose_conversation_is_lost_begins_a_new_one(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, 'say "Hello."', title="Lost")
    fleet.settled(item["id"])
    fleet.prompt(item["id"], f'bash "{fleet.opencode} session delete {item["opencodeId"]}"\n---\nsay "Done."')
    assert fleet.settled(item["id"], 2)["failure"]["code"] == "session_gone"
    page.goto(f"/s/{item['id']}")
    expect(page.get_by_role("log", name="Transcript")).to_contain_text("Hello.")
    page.get_by_role("button", name="Begin a new conversation").click()
    expect(page.get_by_role("textbox", name="Prompt")).to_be_focused()
    expect(page.get_by_role("log", name="Transcript")).not_to_contain_text("Hello.")
    fleet.prompt(item["id"], 'say "New."')
    expect(page.get_by_role("log", name="Transcript")).to_contain_text("New.")


def refuse_previews(page: Page) -> None:
    """Let the server refuse to say what an end would do."""
    problem = {"type": "about:blank", "title": "Git failed", "status": 502, "code": "git_failed", "detail": "no disk"}

    def lead(browser: WebSocketRoute) -> None:
        server = browser.connect_to_server()

        def pass_on(frame: str | bytes) -> None:
            if "dryRun=true" in str(frame):
                browser.send(json.dumps({"type": "error", "id": json.loads(frame)["id"], "problem": problem}))
            else:
                server.send(frame)

        browser.on_message(pass_on)

    page.route_web_socket(re.compile("/api/ws$"), lead)


def test_no_workspace_is_removed_while_the_page_cannot_say_what_would_be_kept(
    page: Page, fleet: Server, shop: Path
) -> None:
    session_id = fleet.create(shop, 'say "Done."', isolationStrategy="worktree", title="Unknown")["id"]
    fleet.settled(session_id)
    refuse_previews(page)
    page.goto(f"/s/{session_id}")
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Stop and remove the workspace").click()
    dialog = page.get_by_role("alertdialog")
    expect(dialog.get_by_role("alert")).to_contain_text("Git failed")
    expect(dialog.get_by_role("button", name="Stop and remove")).to_be_disabled()


def test_sessions_of_which_the_page_cannot_say_what_would_be_kept_are_left_alone(
    page: Page, fleet: Server, shop: Path
) -> None:
    session_id = fleet.create(shop, 'say "Done."', isolationStrategy="worktree", title="Left alone")["id"]
    fleet.settled(session_id)
    refuse_previews(page)
    page.goto('/?q="Left alone"')
    page.get_by_role("button", name="Menu of Left alone").click()
    page.get_by_role("menuitem", name="Remove…").click()
    dialog = page.get_by_role("dialog", name="Remove the session")
    expect(dialog).to_contain_text("It stays: no disk")
    expect(dialog.get_by_role("button", name="Remove 0 sessions")).to_be_disabled()


def test_holding_an_arrow_moves_the_time_bar_by_one_event_for_each_press(page: Page, fleet: Server, shop: Path) -> None:
    session_id = fleet.create(shop, 'say "Done."', isolationStrategy="existing", title="Held")["id"]
    fleet.settled(session_id)
    events = fleet.call("GET", f"/log?session={session_id}&order=desc&limit=10")
    page.goto(f"/s/{session_id}?at={events[0]['position']}")
    bar = page.get_by_role("region", name="Time travel")
    expect(bar).to_contain_text("Turn 1 finished")
    for _ in range(9):
        page.keyboard.down("ArrowLeft")
    expect(bar).to_contain_text(f"(event {events[9]['position']:,})")


def test_the_time_bar_says_events_of_its_own_session(page: Page, fleet: Server, shop: Path) -> None:
    mine = fleet.create(shop, 'say "Mine."', isolationStrategy="existing", title="Mine")["id"]
    fleet.settled(mine)
    fleet.settled(fleet.create(shop, 'say "Other."', isolationStrategy="existing", title="Other")["id"])
    newest = fleet.http.get("/api/log", params={"order": "desc", "limit": 1}).json()[0]["position"]
    page.goto(f"/s/{mine}?at={newest}")
    bar = page.get_by_role("region", name="Time travel")
    expect(bar).to_contain_text("Turn 1 finished")
