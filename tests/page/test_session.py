"""Point 4 of the dashboard: a session's page, its transcript, and what can be done with it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.e2e.server import Server, repository, until

TOTAL = "def total(rows):\n    return sum(map(round, rows))\n"
TOOLS = r"""
think "Let me look at it."
todo done "look", doing "write", "test"
edit src/total.py: "sum(map(round, rows))" -> "round(sum(rows))"
read src/total.py
bash <<END
printf 'one \033[31mred\033[0m\n'; seq 1 40; exit 3
END
---
task "Look around" as explore: <<END
~~~rehearsal
say "I look around."
read README.md
---
say "It is a **shop**."
~~~
END
---
say <<END
# Done

All **rounded**, see `total`.

~~~python
def total(rows):
    return round(sum(rows))
~~~

- [x] one
- [ ] two
END
"""
HOSTILE = r"""
say "<img src=x onerror=alert(1)><script>alert(2)</script> [bad](javascript:alert(3)) "
say "[good](https://example.org/) ![picture](https://example.org/p.png) a\u202eb \u001b[31mred"
bash <<END
printf '\033]0;title\007<b>bold</b>\n'; head -c 300000 /dev/zero | tr '\0' B
END
---
say "Done."
"""
ASKS = r"""
bash "rm -rf build"
say "I ask."
---
question "Which database?": "Postgres", "SQLite"
---
say "Thank you."
"""
FIRST_ROW = """log => {
  const top = log.getBoundingClientRect().top;
  const places = [...log.querySelectorAll('[data-row]')].map(row => [row.dataset.row, row.getBoundingClientRect()]);
  const [key, place] = places.find(([, place]) => place.bottom > top);
  return `${key} at ${Math.round(place.top - top)}`;
}"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose agents ask before they remove something."""
    directory = repository(tmp_path_factory.mktemp("session") / "shop")
    (directory / "src").mkdir()
    (directory / "src/total.py").write_text(TOTAL)
    (directory / "logo.bin").write_bytes(bytes(range(256)))
    (directory / "opencode.json").write_text(json.dumps({"permission": {"bash": {"*": "allow", "rm *": "ask"}}}))
    return directory


@pytest.fixture(scope="module")
def worked(fleet: Server, shop: Path) -> str:
    """A session with one turn that has used every common tool."""
    item = fleet.create(shop, TOOLS, title="Round once", tags=["money"])
    return str(fleet.settled(item["id"])["id"])


def transcript(page: Page) -> Locator:
    """Return the transcript."""
    return page.get_by_role("log", name="Transcript")


def composer(page: Page) -> Locator:
    """Return the box for prompts."""
    return page.get_by_role("textbox", name="Prompt", exact=True)


def card(page: Page, tool: str) -> Locator:
    """Return the line of a tool call."""
    return transcript(page).get_by_role("button", name=re.compile(f"^{tool} "))


def choose(page: Page, entry: str) -> None:
    """Choose in the menu of the session."""
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name=entry).click()


def test_text_comes_as_it_is_written_and_the_turn_ends(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, title="Streams")
    page.goto(f"/s/{item['id']}")
    fleet.prompt(item["id"], "say 120 tokens at 30/s")
    expect(transcript(page)).to_contain_text("Rehearse every line")
    first = len(transcript(page).inner_text())
    page.wait_for_function(
        "from => document.querySelector('[role=log]').innerText.length > from + 80", arg=first, polling=50
    )
    expect(transcript(page).get_by_text("turn 1 finished")).to_be_visible()


def test_tool_calls_are_cards(page: Page, worked: str) -> None:
    page.goto(f"/s/{worked}")
    bash = card(page, "bash")
    expect(bash).to_contain_text("exit 3")
    expect(bash).to_have_attribute("aria-expanded", "true")
    expect(transcript(page).get_by_text(re.compile(r"^31\n[\s\S]*40$"))).to_be_visible()
    transcript(page).get_by_role("button", name="Show 31 lines before").click()
    expect(transcript(page).locator("pre span", has_text="red").first).to_be_visible()
    expect(card(page, "edit")).to_contain_text("src/total.py")
    expect(card(page, "edit")).to_contain_text("+1 \N{MINUS SIGN}1")
    expect(transcript(page).get_by_text("removed: return sum(map(round, rows))")).to_have_count(1)
    expect(card(page, "read")).to_have_attribute("aria-expanded", "false")
    expect(card(page, "todowrite")).to_contain_text("1 of 3 done")


def test_reasoning_is_folded(page: Page, worked: str) -> None:
    page.goto(f"/s/{worked}")
    fold = transcript(page).get_by_role("button", name=re.compile("^thought"))
    expect(fold).to_have_attribute("aria-expanded", "false")
    fold.click()
    expect(transcript(page).locator("p", has_text="Let me look at it.")).to_be_visible()


def test_markdown_is_shown_with_colours(page: Page, worked: str) -> None:
    page.goto(f"/s/{worked}")
    expect(transcript(page).get_by_role("heading", name="Done", exact=True)).to_be_visible()
    expect(transcript(page).locator("strong", has_text="rounded")).to_be_visible()
    expect(transcript(page).locator("pre span", has_text="def").first).to_be_visible()
    expect(transcript(page).get_by_role("checkbox", name="done")).to_be_checked()


def test_sub_agent_has_a_way_down_and_back(page: Page, worked: str) -> None:
    page.goto(f"/s/{worked}")
    transcript(page).get_by_role("link", name="Open the sub-agent").click()
    expect(page).to_have_url(re.compile(rf"/s/{worked}/a/ses_"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Look around")
    expect(transcript(page)).to_contain_text("I look around.")
    expect(transcript(page)).not_to_contain_text("All rounded")
    page.get_by_role("link", name="Round once").first.click()
    expect(transcript(page)).to_contain_text("All rounded")


def test_permission_and_question_are_answered_in_place(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, ASKS, title="Asks")
    page.goto(f"/s/{item['id']}")
    asked = transcript(page).get_by_role("region", name="Permission")
    expect(asked).to_contain_text("rm -rf build")
    asked.get_by_role("button", name="Allow once").click()
    question = transcript(page).get_by_role("region", name="Question")
    question.get_by_role("button", name="SQLite").click()
    expect(transcript(page)).to_contain_text("Thank you.")
    expect(transcript(page).get_by_text("turn 1 finished")).to_be_visible()


def test_abort_stops_the_turn(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, 'say "I begin."\nbash "sleep 60"\n---\nsay "Never."', title="Long")
    page.goto(f"/s/{item['id']}")
    expect(card(page, "bash")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Abort")).to_be_visible()
    page.get_by_role("button", name="Abort").click()
    expect(transcript(page).get_by_text("turn 1 aborted")).to_be_visible()
    assert fleet.session(item["id"])["status"] == "idle"


def test_provider_that_is_busy_is_quoted(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, title="Busy")
    page.goto(f"/s/{item['id']}")
    expect(composer(page)).to_be_visible()
    fleet.prompt(item["id"], 'error 429 times 1 "too many requests"\nsay "Here I am."')
    expect(transcript(page)).to_contain_text("The provider says: too many requests")
    expect(transcript(page)).to_contain_text("Here I am.")
    expect(transcript(page)).not_to_contain_text("The provider says")


def test_model_error_is_a_divider(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, 'bash "true"\n---\nerror 401 "the key is not valid"', title="Refused")
    page.goto(f"/s/{item['id']}")
    expect(transcript(page)).to_contain_text("the key is not valid")
    expect(transcript(page).get_by_text("turn 1 failed")).to_be_visible()


def test_reader_who_scrolls_up_stays_there(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, "say 3000 tokens", title="Reader")
    fleet.settled(item["id"])
    page.goto(f"/s/{item['id']}")
    log = transcript(page)
    expect(transcript(page).get_by_text("turn 1 finished")).to_be_visible()
    box = log.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.wheel(0, -3)
    latest = page.get_by_role("button", name="latest")
    expect(latest).to_be_visible()
    before = log.evaluate(FIRST_ROW)
    fleet.prompt(item["id"], 'say 400 tokens\n---\nsay "More."')
    fleet.settled(item["id"], turns=2)
    expect(page.get_by_role("list", name="Turns").get_by_role("listitem")).to_have_count(2)
    assert log.evaluate(FIRST_ROW) == before
    latest.click()
    expect(transcript(page).get_by_text("turn 2 finished")).to_be_in_viewport()
    expect(latest).to_have_count(0)


def test_turn_of_the_outline_leads_to_its_beginning(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, "say 2000 tokens", title="Outline")
    fleet.settled(item["id"])
    fleet.prompt(item["id"], "say 2000 tokens")
    fleet.settled(item["id"], turns=2)
    page.goto(f"/s/{item['id']}")
    page.set_viewport_size({"width": 1400, "height": 800})
    page.get_by_role("list", name="Turns").get_by_role("link").first.click()
    expect(transcript(page).get_by_role("article", name="Turn 1")).to_be_in_viewport()
    expect(page).to_have_url(re.compile(r"\?turn=1$"))


def test_title_tags_and_budget_are_changed(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, title="Before")
    page.goto(f"/s/{item['id']}")
    page.get_by_role("button", name="Rename").click()
    page.get_by_role("textbox", name="Title").fill("After")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="After", level=1)).to_be_visible()
    choose(page, "Tags")
    page.get_by_role("textbox", name="New tag").fill("urgent")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    choose(page, "Budget")
    page.get_by_role("textbox", name="Dollars").fill("much")
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    page.get_by_role("textbox", name="Dollars").fill("5")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("$0 of $5.00")).to_be_visible()
    changed = fleet.session(item["id"])
    assert (changed["title"], changed["tags"], changed["budget"]["usd"]) == ("After", ["urgent"], 5)


def test_turn_is_forked_and_workspace_removed_and_brought_back(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, 'write a.txt: "a"\n---\nsay "First."', title="Trunk", isolationStrategy="worktree")
    fleet.settled(item["id"])
    fleet.prompt(item["id"], 'say "Second."')
    fleet.settled(item["id"], turns=2)
    page.goto(f"/s/{item['id']}")
    transcript(page).get_by_role("button", name="Fork from here").first.click()
    page.get_by_role("textbox", name="Title").fill("Branch")
    page.get_by_role("button", name="Fork", exact=True).click()
    expect(page.get_by_role("heading", name="Branch", level=1)).to_be_visible()
    expect(transcript(page)).to_contain_text("First.")
    expect(transcript(page)).not_to_contain_text("Second.")

    page.goto(f"/s/{item['id']}")
    choose(page, "Stop and remove the workspace")
    dialog = page.get_by_role("alertdialog")
    expect(dialog).to_contain_text("There is work that is not committed")
    expect(dialog).to_contain_text("refs/fleet/")
    dialog.get_by_role("button", name="Stop and remove").click()
    expect(page.get_by_text(re.compile("its workspace is removed"))).to_be_visible()
    assert not Path(item["directory"]).exists()
    page.get_by_role("button", name="Restore the workspace", exact=True).click()
    expect(page.get_by_text("The workspace is restored", exact=True)).to_be_visible()
    assert (Path(item["directory"]) / "a.txt").exists()


def test_ended_session_is_brought_back_by_a_prompt(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, 'say "Before."', title="Returns")
    fleet.settled(item["id"])
    page.goto(f"/s/{item['id']}")
    choose(page, "Stop…")
    page.get_by_role("alertdialog").get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Resume", exact=True).first).to_be_visible()
    composer(page).fill('```rehearsal\nsay "I am back."\n```')
    page.get_by_role("button", name="Resume and send").click()
    expect(transcript(page)).to_contain_text("I am back.")
    expect(composer(page)).to_have_value("")


def test_deleted_session_is_gone(page: Page, fleet: Server, shop: Path, wanted_faults: list[str]) -> None:
    wanted_faults.append("status of 410")  # what the page read of it at that moment
    item = fleet.create(shop, 'say "Secret."', title="Goes")
    fleet.settled(item["id"])
    page.goto(f"/s/{item['id']}")
    expect(transcript(page)).to_contain_text("Secret.")
    choose(page, "Erase…")
    page.get_by_role("alertdialog").get_by_role("button", name="Erase").click()
    expect(page).to_have_url(re.compile(r"/$"))
    fleet.refused(410, "erased", "GET", f"/sessions/{item['id']}")


def test_missing_session_says_so(page: Page, wanted_faults: list[str]) -> None:
    wanted_faults.append("status of 404")
    page.goto("/s/01a22571-269a-732e-bd87-000000000000")
    expect(page.get_by_text("There is no such session")).to_be_visible()
    expect(page.get_by_role("link", name="Search the history")).to_be_visible()


def test_address_may_have_the_id_of_opencode(page: Page, fleet: Server, worked: str) -> None:
    page.goto(f"/s/{fleet.session(worked)['opencodeId']}")
    expect(page.get_by_role("heading", name="Round once", level=1)).to_be_visible()
    expect(transcript(page)).to_contain_text("All rounded")


def test_files_are_browsed_by_keyboard(page: Page, worked: str) -> None:
    page.goto(f"/s/{worked}?tab=files")
    tree = page.get_by_role("tree", name="Files")
    tree.get_by_role("treeitem", name="src").click()
    expect(tree.get_by_role("treeitem", name="total.py")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Content")).to_contain_text("return round(sum(rows))")
    tree.get_by_role("treeitem", name="logo.bin").click()
    expect(page.get_by_text("This file is binary, 256 B")).to_be_visible()


def test_other_sessions_text_is_never_shown(page: Page, fleet: Server, shop: Path, worked: str) -> None:
    other = fleet.create(shop, "say 600 tokens at 60/s", title="Other")
    page.goto(f"/s/{other['id']}")
    expect(transcript(page)).to_contain_text("Rehearse every line")
    for _ in range(3):
        page.get_by_role("link", name=re.compile("Round once")).first.click()
        expect(transcript(page)).to_contain_text("All rounded")
        expect(transcript(page)).not_to_contain_text("Rehearse every line")
        page.get_by_role("link", name=re.compile("Other")).first.click()
        expect(transcript(page)).to_contain_text("Rehearse every line")
        expect(transcript(page)).not_to_contain_text("All rounded")
    fleet.call("POST", f"/sessions/{other['id']}/abort")


def test_page_repairs_itself_after_an_absence(page: Page, fleet: Server, shop: Path, wanted_faults: list[str]) -> None:
    wanted_faults += ["net::ERR_", "WebSocket connection to"]
    item = fleet.create(shop, title="Absent")
    page.goto(f"/s/{item['id']}")
    expect(composer(page)).to_be_visible()
    page.context.set_offline(True)
    page.evaluate("window.dispatchEvent(new Event('online'))")
    fleet.prompt(item["id"], 'say "While you were away."')
    fleet.settled(item["id"])
    page.context.set_offline(False)
    page.evaluate("window.dispatchEvent(new Event('online'))")
    expect(transcript(page)).to_contain_text("While you were away.")


def test_nothing_is_found_against_accessibility(page: Page, worked: str, accessible: Callable[[Page], None]) -> None:
    page.goto(f"/s/{worked}")
    expect(transcript(page).get_by_text("turn 1 finished")).to_be_visible()
    accessible(page)
    choose(page, "Budget")
    expect(page.get_by_role("textbox", name="Dollars")).to_be_visible()
    accessible(page)
    page.goto(f"/s/{worked}?tab=files&file=src/total.py")
    expect(page.get_by_role("region", name="Content")).to_be_visible()
    accessible(page)


def test_phone_shows_the_transcript_and_the_composer(
    open_context: Callable[..., BrowserContext], worked: str, accessible: Callable[[Page], None]
) -> None:
    context = open_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True, color_scheme="dark")
    page = context.new_page()
    page.goto(f"/s/{worked}")
    expect(transcript(page).get_by_text("turn 1 finished")).to_be_visible()
    page.wait_for_function("document.documentElement.scrollWidth <= 390")
    expect(composer(page)).to_be_in_viewport()
    accessible(page)


def test_turn_shows_its_cost_and_changes(page: Page, fleet: Server, worked: str) -> None:
    page.goto(f"/s/{worked}")
    end = transcript(page).get_by_text("turn 1 finished").locator("xpath=..")
    cost = until(lambda: fleet.session(worked)["costUsd"], "a cost")
    expect(end).to_contain_text(f"${cost:.2f}")
    end.get_by_role("link", name="+1 \N{MINUS SIGN}1").click()
    expect(page).to_have_url(re.compile(r"tab=diffs"))
