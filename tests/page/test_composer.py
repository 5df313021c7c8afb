"""Point 4 of the dashboard: the box for prompts. What is written there is never lost."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, FilePayload, Locator, Page, expect

from fleet.rehearsal.home import furnish
from fleet.rehearsal.script import fenced
from tests.e2e.server import Server, repository, until

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)
PASTE_IMAGE = """box => {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 8;
  return new Promise(resolve => canvas.toBlob(blob => {
    const data = new DataTransfer();
    data.items.add(new File([blob], 'shot.png', { type: 'image/png' }));
    box.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
    resolve();
  }));
}"""
DRAFTS = """() => new Promise(resolve => {
  const open = indexedDB.open('fleet');
  open.onsuccess = () => {
    const keys = open.result.transaction('drafts').objectStore('drafts').getAllKeys();
    keys.onsuccess = () => resolve(keys.result);
  };
})"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a command of its own."""
    directory = repository(tmp_path_factory.mktemp("composer") / "shop")
    (directory / ".opencode/command").mkdir(parents=True)
    furnish(directory / ".opencode")
    (directory / ".opencode/command/greet.md").write_text("---\ndescription: Say hello\n---\nSay hello to $ARGUMENTS\n")
    (directory / "src").mkdir()
    (directory / "src/total.py").write_text("def total(rows): ...\n")
    return directory


def box(page: Page) -> Locator:
    """Return the box for prompts."""
    return page.get_by_role("textbox", name="Prompt", exact=True)


def said(page: Page) -> Locator:
    """Return the transcript."""
    return page.get_by_role("log", name="Transcript")


def test_enter_sends_and_shift_enter_makes_a_line(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, title="Sends")
    page.goto(f"/s/{item['id']}")
    box(page).click()
    page.keyboard.type("One")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    expect(box(page)).to_have_value("One\ntwo")
    page.keyboard.press("Enter")
    expect(box(page)).to_have_value("")
    expect(said(page).get_by_role("article", name="Turn 1")).to_contain_text("One\ntwo")
    page.keyboard.press("ArrowUp")
    expect(box(page)).to_have_value("One\ntwo")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(box(page)).to_have_value("")


def test_refused_prompt_stays_in_the_box(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, title="Refuses")
    page.goto(f"/s/{item['id']}")
    text = "x" * (1024 * 1024 + 1)
    box(page).evaluate(
        """(box, text) => {
          Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value').set.call(box, text);
          box.dispatchEvent(new Event('input', { bubbles: true }));
        }""",
        text,
    )
    page.get_by_role("button", name="Send").click()
    form = page.get_by_role("form", name="Prompt")
    expect(form.get_by_role("alert")).to_contain_text("1048576")
    assert len(box(page).input_value()) == len(text)
    box(page).fill("Short")
    form.get_by_role("button", name="Dismiss").click()
    expect(form.get_by_role("alert")).to_have_count(0)


def test_draft_outlives_a_reload_with_its_files(page: Page, fleet: Server, shop: Path) -> None:
    item, other = fleet.create(shop, title="Draft"), fleet.create(shop, title="No draft")
    page.goto(f"/s/{item['id']}")
    box(page).fill("To be finished")
    page.get_by_label("Files to attach").set_input_files(
        FilePayload(name="note.md", mimeType="text/markdown", buffer=b"# Note\n")
    )
    expect(page.get_by_role("list", name="Files")).to_contain_text("note.md")
    page.get_by_role("link", name="No draft").first.click()
    expect(page.get_by_role("heading", name="No draft", level=1)).to_be_visible()
    expect(box(page)).to_have_value("")
    page.go_back()
    expect(box(page)).to_have_value("To be finished")
    box(page).press("End")
    page.keyboard.type(" soon")
    page.reload()  # at once: no time for a pause
    expect(box(page)).to_have_value("To be finished soon")
    expect(page.get_by_role("list", name="Files")).to_contain_text("note.md")
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    box(page).press("Enter")
    expect(box(page)).to_have_value("")
    expect(said(page).get_by_role("link", name="note.md")).to_be_visible()
    page.reload()
    expect(said(page).get_by_role("link", name="note.md")).to_be_visible()
    expect(box(page)).to_have_value("")
    fleet.call("DELETE", f"/sessions/{other['id']}?permanent=true")


def _until_kept(page: Page, session_id: str) -> None:
    until(lambda: session_id in page.evaluate(DRAFTS), "the draft to be kept")


def test_draft_of_a_deleted_session_goes(page: Page, fleet: Server, shop: Path, wanted_faults: list[str]) -> None:
    wanted_faults.append("status of 410")
    item, other = fleet.create(shop, title="Goes"), fleet.create(shop, title="Stays")
    for each in (item, other):
        page.goto(f"/s/{each['id']}")
        box(page).fill("A secret")
        _until_kept(page, str(each["id"]))
    fleet.call("DELETE", f"/sessions/{item['id']}?permanent=true")
    page.reload()
    expect(box(page)).to_have_value("A secret")
    until(lambda: page.evaluate(DRAFTS) == [other["id"]], "the sweep")


def test_commands_and_files_are_completed(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, title="Completes")
    page.goto(f"/s/{item['id']}")
    expect(page.get_by_role("combobox", name=re.compile("^Agent"))).to_be_visible()
    box(page).click()
    page.keyboard.type("/gre")
    expect(page.get_by_role("option", name="greet")).to_contain_text("Say hello")
    page.keyboard.press("Enter")
    expect(box(page)).to_have_value("/greet ")
    page.keyboard.type("see @total")
    expect(page.get_by_role("option", name="src/total.py", selected=True)).to_be_visible()
    page.keyboard.press("Tab")
    expect(box(page)).to_have_value("/greet see @src/total.py ")
    page.keyboard.press("Enter")
    expect(box(page)).to_have_value("")
    expect(said(page)).to_contain_text("Say hello to see @src/total.py")


def test_a_waiting_prompt_is_edited_withdrawn_and_sent_at_once(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, 'bash "sleep 900"', title="Queue")
    fleet.became(item["id"], "active")
    page.goto(f"/s/{item['id']}")
    for text in ("First", "Second", "Third"):
        box(page).fill(text)
        page.keyboard.press("Enter")
        expect(box(page)).to_have_value("")
    queue = page.get_by_role("region", name="Queue")
    expect(queue).to_contain_text("3 prompts wait")
    second = queue.get_by_role("listitem").nth(1)
    second.get_by_role("button", name="Change").click()
    queue.get_by_role("textbox", name="Waiting prompt").fill("Second, but better")
    queue.get_by_role("button", name="Save").click()
    expect(queue).to_contain_text("Second, but better")
    queue.get_by_role("listitem").nth(0).get_by_role("button", name="Withdraw").click()
    expect(queue).to_contain_text("2 prompts wait")
    queue.get_by_role("listitem").nth(1).get_by_role("button", name="Steer now").click()
    expect(queue).to_contain_text("1 prompt waits")
    box(page).fill("At once")
    page.keyboard.press("Alt+Enter")
    expect(box(page)).to_have_value("")
    expect(said(page).get_by_role("article", name="into the turn")).to_have_count(2)
    page.get_by_role("button", name="Abort").click()
    expect(said(page).get_by_text("turn 1 aborted")).to_be_visible()
    expect(queue).to_contain_text("paused")


def test_images_are_pasted_and_wrong_files_refused(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, title="Files")
    page.goto(f"/s/{item['id']}")
    box(page).fill(fenced('say "A picture."'))
    box(page).evaluate(PASTE_IMAGE)
    files = page.get_by_role("list", name="Files")
    expect(files).to_contain_text("shot.png")
    attach = page.get_by_label("Files to attach")
    attach.set_input_files(FilePayload(name="a.zip", mimeType="application/zip", buffer=b"PK\0\0"))
    expect(page.get_by_role("form", name="Prompt").get_by_role("alert")).to_contain_text("a.zip cannot be sent")
    attach.set_input_files(FilePayload(name="b.png", mimeType="image/png", buffer=PIXEL))
    expect(files.get_by_role("listitem")).to_have_count(2)
    files.get_by_role("button", name="Remove shot.png").click()
    page.get_by_role("button", name="Send").click()
    picture = said(page).get_by_role("img", name="b.png")
    expect(picture).to_be_visible()
    page.wait_for_function("document.querySelector('[role=log] img').naturalWidth === 1")


def test_agent_is_chosen_for_a_prompt(page: Page, fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, title="Agents")
    page.goto(f"/s/{item['id']}")
    page.get_by_role("combobox", name="Agent: build").click()
    page.get_by_role("option", name="plan").click()
    box(page).fill(fenced('say "Planned."'))
    page.get_by_role("button", name="Send").click()
    expect(said(page).get_by_text("turn 1 finished")).to_be_visible()
    messages = fleet.call("GET", f"/sessions/{item['id']}/messages")["messages"]
    assert {message["info"]["agent"] for message in messages} == {"plan"}


def test_phone_makes_a_line_with_enter(open_context: Callable[..., BrowserContext], fleet: Server, shop: Path) -> None:
    item = fleet.create(shop, title="Phone")
    context = open_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page = context.new_page()
    page.goto(f"/s/{item['id']}")
    box(page).tap()
    page.keyboard.type("One")
    page.keyboard.press("Enter")
    page.keyboard.type("two")
    expect(box(page)).to_have_value("One\ntwo")
    page.get_by_role("button", name="Send").tap()
    expect(box(page)).to_have_value("")
    until(lambda: fleet.session(item["id"])["turns"], "the turn")
