"""Point 5 of the dashboard: the Diffs tab, file by file, and the review that goes back to the agent."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

from tests.e2e.server import Server, git, repository

LINES = "".join(f"x{number} = {number}\n" for number in range(60))
TOTAL = f"""{LINES}
def total(rows):
    # each row is rounded by itself
    return sum(map(round, rows))

{LINES}"""
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)
EDIT = r"""
edit src/total.py: <<A -> <<B
    # each row is rounded by itself
    return sum(map(round, rows))
A
    # the sum is rounded once
    return round(sum(rows))
B
"""
SCRIPT = rf"""{EDIT}
write src/new.py: "GREETING = '<img src=x onerror=alert(1)>'  # \u202eevil\u001b[31m\n"
bash "git rm -q gone.py && git mv old.py renamed.py && chmod +x run.sh && cp logo.png copy.png"
bash "printf 'caf\\351s\\n' > latin.txt && printf 'no newline' > torn.txt && seq 1 20000 > many.txt"
"""
OPEN = "src/total.py"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with files of every kind."""
    directory = repository(tmp_path_factory.mktemp("shop") / "shop")
    (directory / "src").mkdir()
    (directory / "src/total.py").write_text(TOTAL)
    (directory / "gone.py").write_text("print('gone')\n" * 5)
    (directory / "old.py").write_text(LINES)
    (directory / "run.sh").write_text("echo\n")
    (directory / "latin.txt").write_bytes("café\n".encode("latin1"))
    (directory / "logo.png").write_bytes(PNG)
    git(directory, "add", ".")
    git(directory, "commit", "--quiet", "-m", "More")
    return directory


def make(fleet: Server, shop: Path, script: str) -> str:
    """Make a session in a worktree of the repository, and return its id when the script was played."""
    item = fleet.create(shop, script, isolationStrategy="worktree", title="Round once")
    return str(fleet.settled(item["id"])["id"])


@pytest.fixture(scope="module")
def session(fleet: Server, shop: Path) -> str:
    """A session whose only turn has changed files of every kind. Tests do not change it."""
    return make(fleet, shop, SCRIPT)


@pytest.fixture
def own(fleet: Server, shop: Path) -> str:
    """A session of the test's own."""
    return make(fleet, shop, EDIT)


def tree(page: Page) -> Locator:
    """The tree of files."""
    return page.get_by_role("tree", name="Changed files")


def lines(page: Page, file: str = OPEN) -> Locator:
    """The lines of the open file."""
    return page.get_by_role("region", name=f"Lines of {file}")


def number(page: Page, line: int) -> Locator:
    """The number of a line as it is now, in the split view."""
    return page.locator(f'.diff-gutter-insert[data-change-key="I{line}"]')


def comment(page: Page, line: int, text: str) -> None:
    """Comment on a changed line, with the mouse."""
    number(page, line).click()
    page.get_by_role("textbox", name=f"Comment on {OPEN}:{line}").fill(text)
    page.get_by_role("button", name="Save comment").click()
    expect(page.get_by_role("article", name="Review comment").filter(has_text=text)).to_be_visible()


def test_files_are_shown_in_a_tree_with_counts(page: Page, session: str, accessible: Callable[[Page], None]) -> None:
    page.goto(f"/s/{session}?tab=diffs&file={OPEN}")
    for name in (
        "src, 3 added, 2 deleted",
        "total.py, modified, 2 added, 2 deleted",
        "new.py, added, 1 added, 0 deleted",
        "gone.py, deleted, 0 added, 5 deleted",
        "renamed.py, renamed, 0 added, 0 deleted",
        "run.sh, modified, mode",
        "copy.png, added, binary",
    ):
        expect(tree(page).get_by_role("treeitem", name=name, exact=True)).to_be_visible()
    expect(page.get_by_role("toolbar", name="Diffs")).to_contain_text("0 of 9 viewed")
    expect(lines(page)).to_contain_text("return round(sum(rows))")
    accessible(page)


def test_special_files_say_what_they_are(page: Page, session: str) -> None:
    page.goto(f"/s/{session}?tab=diffs")
    for name, said in (
        ("renamed.py", "Renamed from old.py."),
        ("run.sh", "Mode: file (100644) → executable (100755)."),
        ("latin.txt", "The file is not UTF-8. It is shown as Latin-1."),
        ("torn.txt", "no newline at the end of the file"),
    ):
        tree(page).get_by_role("treeitem", name=name).click()
        expect(page.get_by_role("article", name=name)).to_contain_text(said)


def test_an_image_is_shown_from_its_bytes(page: Page, session: str) -> None:
    page.goto(f"/s/{session}?tab=diffs&file=copy.png")
    image = page.get_by_role("img", name="After: copy.png")
    expect(page.get_by_text(re.compile(r"^After · \d+ B · 1"))).to_be_visible()
    assert str(image.get_attribute("src")).startswith("blob:")


def test_hostile_lines_are_text(page: Page, session: str) -> None:
    page.goto(f"/s/{session}?tab=diffs&file=src/new.py")
    expect(lines(page, "src/new.py")).to_contain_text("<img src=x onerror=alert(1)>")
    expect(lines(page, "src/new.py")).to_contain_text("⟨U+202E⟩evil")


def test_context_opens_and_layouts_change(page: Page, session: str) -> None:
    page.goto(f"/s/{session}?tab=diffs&file={OPEN}")
    expect(lines(page)).to_contain_text("59 unchanged lines")
    page.get_by_role("button", name="Show 20 lines above the change below").click()
    expect(lines(page)).to_contain_text("39 unchanged lines")
    page.get_by_role("button", name="Show all 39 unchanged lines").click()
    expect(lines(page)).not_to_contain_text("39 unchanged lines")
    expect(page.locator(".diff-split").first).to_be_visible()
    page.keyboard.press("s")
    expect(page.locator(".diff-unified").first).to_be_visible()
    expect(page.locator(".diff-split")).to_have_count(0)
    page.reload()
    expect(page.locator(".diff-unified").first).to_be_visible()


def test_a_line_of_the_address_is_reached_exactly(page: Page, session: str) -> None:
    for line in (20_000, 13_337, 1):
        page.goto(f"/s/{session}?tab=diffs&file=many.txt&line={line}")
        selected = page.locator(".diff-code-selected")
        expect(selected).to_have_text(str(line))
        expect(selected).to_be_in_viewport()
    page.goto(f"/s/{session}?tab=diffs&file={OPEN}&line=b10")
    expect(page.locator(".diff-code-selected").first).to_have_text("x9 = 9")


def test_twenty_thousand_lines_open_with_few_nodes(page: Page, session: str) -> None:
    page.goto(f"/s/{session}?tab=diffs&file={OPEN}")
    expect(lines(page)).to_be_visible()
    tree(page).get_by_role("treeitem", name="many.txt").click()
    expect(page.get_by_role("region", name="Lines of many.txt")).to_contain_text("1")
    assert page.evaluate("document.querySelectorAll('*').length") < 3_000


def test_keys_go_from_file_to_file_and_through_lines(page: Page, session: str) -> None:
    page.goto(f"/s/{session}?tab=diffs")
    expect(lines(page, "src/new.py")).to_be_visible()
    page.keyboard.press("j")
    expect(lines(page)).to_be_visible()
    page.keyboard.press("v")
    expect(page.get_by_role("checkbox", name="Viewed")).to_be_checked()
    page.keyboard.press("k")
    page.keyboard.press("n")
    expect(page.get_by_role("article", name="copy.png")).to_be_visible()
    page.keyboard.press("Shift+N")
    expect(lines(page, "src/new.py")).to_be_visible()
    page.keyboard.press("j")
    expect(lines(page)).to_be_visible()
    page.keyboard.press("i")
    expect(lines(page)).to_be_focused()
    page.keyboard.press("Shift+V")
    page.keyboard.press("j")
    expect(page.locator("[aria-live=polite]").filter(has_text="lines 63 to 64")).to_be_attached()
    page.keyboard.press("c")
    page.keyboard.type("Both of them.")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("article", name="Review comment")).to_contain_text("lines 63 to 64")
    expect(lines(page)).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(tree(page).get_by_role("treeitem", name="total.py")).to_be_focused()


def test_a_draft_survives_a_reload(page: Page, session: str) -> None:
    page.goto(f"/s/{session}?tab=diffs&file={OPEN}")
    number(page, 63).click()
    box = page.get_by_role("textbox", name=f"Comment on {OPEN}:63")
    box.fill("Half a thou")
    page.reload()
    expect(box).to_have_value("Half a thou")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("article", name="Review comment")).to_have_count(0)


def test_comments_are_changed_resolved_and_deleted(page: Page, session: str) -> None:
    page.goto(f"/s/{session}?tab=diffs&file={OPEN}")
    comment(page, 64, "Negative rows?")
    entry = page.get_by_role("article", name="Review comment")
    entry.get_by_role("button", name="Edit").click()
    page.get_by_role("textbox", name=f"Comment on {OPEN}:64").fill("What of negative rows?")
    page.get_by_role("button", name="Save comment").click()
    send = page.get_by_role("button", name="Review (1)")
    expect(send).to_be_enabled()
    entry.get_by_role("button", name="Resolve").click()
    expect(page.get_by_role("button", name="Review (0)")).to_be_disabled()
    entry.get_by_role("button", name="Reopen").click()
    entry.get_by_role("button", name="Delete").click()
    expect(entry).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(entry).to_contain_text("What of negative rows?")


def test_a_review_is_sent_to_the_agent_as_one_prompt(
    page: Page, own: str, fleet: Server, accessible: Callable[[Page], None]
) -> None:
    page.goto(f"/s/{own}?tab=diffs&file={OPEN}")
    comment(page, 63, "Say why.")
    comment(page, 64, "Negative rows?")
    page.get_by_role("button", name="Review (2)").click()
    dialog = page.get_by_role("dialog", name="Send the review to the agent")
    dialog.get_by_role("textbox", name="First words").fill("Two things.")
    preview = dialog.get_by_role("textbox", name="The agent will read")
    expect(preview).to_have_value(
        "Two things.\n\n"
        "**`src/total.py:63`**\n\n```\n    # the sum is rounded once\n```\n\nSay why.\n\n"
        "**`src/total.py:64`**\n\n```\n    return round(sum(rows))\n```\n\nNegative rows?"
    )
    accessible(page)
    dialog.get_by_role("button", name="Send 2 comments").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Review (0)")).to_be_disabled()
    expect(page.get_by_role("article", name="Review comment").first).to_contain_text("sent")
    fleet.settled(own, turns=2)
    asked = fleet.call("GET", f"/sessions/{own}/turns")[1]
    assert asked["prompt"].startswith("Two things.")


def test_a_diff_waits_until_the_reader_asks_for_the_new_one(page: Page, own: str, fleet: Server) -> None:
    page.goto(f"/s/{own}?tab=diffs&file={OPEN}")
    comment(page, 64, "Negative rows?")
    comment(page, 63, "Say why.")
    page.get_by_role("checkbox", name="Viewed").check()
    more = r"""
edit src/total.py: "    # the sum is rounded once\n" -> "    # rounded once\n"
write src/later.py: "later = 1\n"
---
bash "sed -i '1i import math' src/total.py"
"""
    fleet.prompt(own, more)
    expect(page.get_by_text("2 files changed")).to_be_visible()
    expect(page.get_by_role("article", name="Review comment")).to_have_count(2)
    expect(lines(page)).to_contain_text("# the sum is rounded once")
    fleet.settled(own, turns=2)
    page.get_by_role("button", name="Show", exact=True).click()
    expect(tree(page).get_by_role("treeitem", name="later.py")).to_be_visible()
    expect(page.get_by_role("checkbox", name="Viewed")).not_to_be_checked()
    stale = page.get_by_role("article", name="Review comment").filter(has_text="Say why.")
    expect(stale).to_contain_text("stale: this line has changed")
    moved = lines(page).get_by_role("article", name="Review comment")
    expect(moved).to_contain_text("Negative rows?")
    page.get_by_role("button", name="Review (2)").click()
    preview = page.get_by_role("textbox", name="The agent will read")
    expect(preview).to_have_value(re.compile(r"`src/total.py:65`.*\(this line has changed since\)", re.DOTALL))


def test_one_turn_alone_and_the_diff_as_of_an_earlier_position(page: Page, own: str, fleet: Server) -> None:
    earlier = fleet.call("GET", f"/sessions/{own}/turns")[0]["endPosition"]
    fleet.prompt(own, 'write src/later.py: "later = 1\\n"')
    fleet.settled(own, turns=2)
    page.goto(f"/s/{own}?tab=diffs&turn=2")
    expect(tree(page).get_by_role("treeitem", name="later.py")).to_be_visible()
    expect(tree(page).get_by_role("treeitem", name="total.py")).to_have_count(0)
    page.goto(f"/s/{own}?tab=diffs&at={earlier}&file={OPEN}")
    expect(lines(page)).to_be_visible()
    expect(tree(page).get_by_role("treeitem", name="later.py")).to_have_count(0)
    expect(page.get_by_role("button", name="Review")).to_have_count(0)


def test_the_patch_does_what_the_session_did(page: Page, session: str, fleet: Server, tmp_path: Path) -> None:
    page.goto(f"/s/{session}?tab=diffs")
    page.get_by_role("button", name="More about the diff").click()
    with page.expect_download() as saved:
        page.get_by_role("menuitem", name="Download as a patch").click()
    expect(page.get_by_role("alert")).to_contain_text("2 files not in the patch")
    item: dict[str, Any] = fleet.session(session)
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "--quiet", item["sourceDirectory"], copy], check=True)
    git(copy, "apply", str(saved.value.path()))
    worked = Path(item["directory"])
    for file in (OPEN, "src/new.py", "renamed.py", "torn.txt", "many.txt"):
        assert (copy / file).read_bytes() == (worked / file).read_bytes()
    assert not (copy / "gone.py").exists()
    assert (copy / "run.sh").stat().st_mode & 0o111


def test_on_a_phone_the_files_are_above_the_lines(
    open_context: Callable[..., BrowserContext], session: str, accessible: Callable[[Page], None]
) -> None:
    page = open_context(viewport={"width": 390, "height": 844}, color_scheme="dark").new_page()
    page.goto(f"/s/{session}?tab=diffs&file={OPEN}")
    expect(page.locator(".diff-unified").first).to_be_visible()
    page.get_by_role("button", name="File 2 of 9").click()
    expect(tree(page).get_by_role("treeitem", name="new.py")).to_be_visible()
    accessible(page)
    page.get_by_role("button", name="Next file").click()
    expect(page.get_by_role("article", name="copy.png")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_session_without_changes_says_so(page: Page, fleet: Server, shop: Path) -> None:
    quiet = make(fleet, shop, 'say "Nothing to do."')
    page.goto(f"/s/{quiet}?tab=diffs")
    expect(page.get_by_text("Nothing has changed.")).to_be_visible()


def test_a_viewer_reads_and_changes_nothing(page: Page, session: str) -> None:
    page.route("**/api/caller", lambda route: route.fulfill(json={"actor": "token:guest", "role": "viewer"}))
    page.goto(f"/s/{session}?tab=diffs&file={OPEN}")
    expect(page.get_by_text("read-only")).to_be_visible()
    number(page, 64).click()
    expect(page.get_by_role("textbox", name=f"Comment on {OPEN}:64")).to_have_count(0)
    expect(page.get_by_role("button", name="Review")).to_have_count(0)
    page.get_by_role("checkbox", name="Viewed").check()
    expect(page.get_by_role("toolbar", name="Diffs")).to_contain_text("1 of 9 viewed")


def test_another_session_that_worked_there_is_named(page: Page, session: str) -> None:
    def overlap(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, json=[{**item, "overlapsWith": [session]} for item in response.json()])

    page.route("**/diffs?*", overlap)
    page.goto(f"/s/{session}?tab=diffs&file={OPEN}")
    said = "Another session worked here at the same time: Round once."
    expect(page.get_by_role("article", name=OPEN)).to_contain_text(said)


def test_the_review_of_an_erased_session_is_forgotten(page: Page, session: str, wanted_faults: list[str]) -> None:
    wanted_faults.append("status of 404")
    page.goto(f"/s/{session}?tab=diffs&file={OPEN}")
    comment(page, 64, "Negative rows?")
    page.evaluate("localStorage.setItem('fleet.review.01a00000-0000-7000-8000-000000000000', '{}')")
    page.reload()
    expect(page.get_by_role("article", name="Review comment")).to_be_visible()
    page.wait_for_function("Object.keys(localStorage).filter(key => key.startsWith('fleet.review.')).length === 1")


def test_contents_that_cannot_be_read_are_named_and_the_rest_is_shown(
    page: Page, session: str, wanted_faults: list[str]
) -> None:
    wanted_faults.append("net::ERR_FAILED")
    page.route("**/blobs/*", lambda route: route.abort())
    page.goto(f"/s/{session}?tab=diffs&file={OPEN}")
    expect(page.get_by_role("alert")).to_contain_text("The server does not respond")
    page.unroute("**/blobs/*")
    page.get_by_role("button", name="Try again").click()
    expect(lines(page)).to_contain_text("return round(sum(rows))")
