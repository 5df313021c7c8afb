"""Point 11 of the dashboard: what agents and people wrote runs, loads and stops nothing, and deceives no reader.

One session holds every attack in all that can hold a text: title, tags, branch, directory, file names, contents,
output, questions. Each view is opened and searched: the attack is a text there, and the page still answers.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from tests.e2e.server import Server, git, repository

FOREIGN = "foreign.example"
RUNS = "window.attacked=1"
TAG = f"<img src=x onerror={RUNS}>"
TURNED = "invoice\u202efdp.exe"
UNSEEN = "rm\u200b -rf\u00ad \u2066x\u2069"
TERMINAL = "\x1b[31mred\x1b[0m \x1b]8;;http://foreign.example\x07link\x1b]8;;\x07 \x9b32mgreen \x07"
MARKDOWN = f"""# {TAG}
<script>{RUNS}</script><svg onload={RUNS}></svg><iframe srcdoc="<script>parent.attacked=1</script>"></iframe>
<style>* {{ display: none }}</style><base href="http://{FOREIGN}/"><meta http-equiv="refresh" content="0;url=http://{FOREIGN}/">
<a href="javascript:{RUNS}">raw</a> <form action="http://{FOREIGN}/"><button>raw</button></form>

[one](javascript:{RUNS}) [two](JaVaScRiPt:{RUNS}) [three](java&#115;cript:{RUNS})
[four](data:text/html,<script>{RUNS}</script>) [five](vbscript:x) [six](//{FOREIGN}/six)
[seven](\x01javascript:{RUNS}) [eight][ref] <javascript:{RUNS}> [nine](file:/etc/passwd)
[good](https://{FOREIGN}/good "{TAG}")

![picture](http://{FOREIGN}/picture.png) ![x](data:image/svg+xml,<svg onload={RUNS}>) ![{TAG}](/logout)

[ref]: javascript:{RUNS}

```html
{TAG}<script>{RUNS}</script> {TURNED}
```

| {TAG} | {TURNED} |
|---|---|
| `{TAG}` | {UNSEEN} |

{TURNED} {UNSEEN} {TERMINAL} &#x202e;turned &lt;b&gt; &#8203;
"""
ENDLESS = {
    "quotes": "> " * 3_000 + "deep",
    "lists": "- " * 3_000 + "deep",
    "nested": "\n".join(" " * (2 * depth) + "- deep" for depth in range(200)),
    "brackets": "[" * 20_000,
    "emphasis": "**a" * 10_000,
    "items": "- item\n" * 6_000,
    "line": "x" * 60_000,
}
FILES = [f"{TAG}.txt", f"{TURNED}.txt", "red\x1b[31m.txt", "two\nlines.txt", "<b>folder<"]
FIND_DECEIVERS = """() => {
  const codes = '0000-0008 000b-001f 007f-009f 00ad 200b 200e 200f 2028-202e 2060-206f feff';
  const deceives = new RegExp(`[${codes.replace(/[0-9a-f]{4}/g, '\\\\u$&').replaceAll(' ', '')}]`);
  const found = deceives.test(document.title) ? ['title: ' + JSON.stringify(document.title)] : [];
  const nodes = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  for (let node = nodes.nextNode(); node; node = nodes.nextNode()) {
    if (node.nodeType === Node.TEXT_NODE) {
      if (deceives.test(node.data)) found.push(node.parentElement.outerHTML.slice(0, 300));
    } else for (const name of ['title', 'aria-label', 'alt', 'placeholder', 'aria-valuetext'])
      if (deceives.test(node.getAttribute(name) ?? '')) found.push(`${name} of ${node.outerHTML.slice(0, 300)}`);
  }
  return found;
}"""
FIND_WAYS = """() => [
    ...document.querySelectorAll('a, area, form, iframe, img, script, link, object, embed, base, meta')
  ]
  .filter(each => !each.closest('head'))
  .map(each => ({
    tag: each.localName,
    to: each.getAttribute('href') ?? each.getAttribute('src') ?? each.getAttribute('action'),
    target: each.target ?? '',
    rel: each.rel ?? '',
  }))"""


class Hostile(NamedTuple):
    """Where the attacks are."""

    directory: Path
    says: str
    asks: str
    permits: str


@pytest.fixture(scope="module")
def hostile(fleet: Server, tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    directory = repository(tmp_path_factory.mktemp("hostile") / f"<b>{TURNED}")
    (directory / ".gitignore").write_text("*.ignored\n")
    git(directory, "add", ".")
    git(directory, "commit", "--quiet", "-m", "Ignore")
    git(directory, "branch", f"<img/src=x/onerror={RUNS}>")
    made = {"isolationStrategy": "worktree", "title": f"{TAG} {TURNED} {UNSEEN}", "tags": [TAG, TURNED]}
    names = "\n".join(f"open({(name)!r}, 'w').write({MARKDOWN!r})" for name in FILES)
    script = f"""say <<END
{MARKDOWN}
END
think {json.dumps(f"{TAG} {TURNED}")}
todo {json.dumps(f"{TAG} {TURNED}")}
write {json.dumps(f"{TAG}.py")}: {json.dumps(MARKDOWN)}
bash <<END
python3 - <<'PY'
{names}
open("{TURNED}.ignored", "w").write("kept nowhere")
open("long.txt", "w").write("x" * 10_000_000)
print({TERMINAL!r}, {TAG!r}, {TURNED!r}, {UNSEEN!r})
PY
END
bash "head -c 10000000 /dev/zero | tr '\\\\0' x"
---
read {json.dumps(f"missing {TAG} {TURNED}")}
---
say "{TAG} is done {TURNED}"
"""
    says = fleet.create(directory, script, branch=f"<b>{TURNED}", **made)["id"]
    asks = fleet.create(
        directory,
        f"question {json.dumps(f'{TAG} {TURNED}?')}: {json.dumps(f'{TAG} {UNSEEN}')}, {json.dumps(TURNED)}",
        onComplete={"notifySessionId": says},
        **made,
    )["id"]
    permits = fleet.create(directory, f"read {json.dumps(f'/{TAG} {TURNED} {UNSEEN}')}", **made)["id"]
    fleet.settled(says)
    fleet.became(asks, "waiting_input")
    fleet.became(permits, "waiting_input")
    return Hostile(directory, says, asks, permits)


@pytest.fixture
def watched(open_context: Callable[..., BrowserContext], fleet: Server) -> Iterator[Page]:
    """A page that fails the test where it opens a dialog of the browser, or asks another host for anything."""
    context = open_context()
    page = context.new_page()
    faults: list[str] = []

    def note(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("blob", "data") and address.port != fleet.http.base_url.port:
            faults.append(f"{request.method} {request.url[:200]}")

    context.on("request", note)
    page.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
    context.on("page", lambda other: faults.append(f"opened: {other.url}"))
    yield page
    assert faults == []


def harmless(page: Page) -> None:
    """Nothing of the attack runs or leads anywhere, no text turns or hides, and the page answers."""
    assert page.evaluate("window.attacked") is None
    assert page.evaluate(FIND_DECEIVERS) == []
    ways: list[dict[str, str]] = page.evaluate(FIND_WAYS)
    for way in ways:
        assert way["tag"] in ("a", "img", "form"), way
        own = way == {**way, "tag": "form", "to": None} or re.match(r"(/|#)(?![/\\])", way["to"] or "") is not None
        if way["tag"] == "img":
            assert own or (way["to"] or "").startswith("blob:"), way
        elif not own:
            assert re.match("https?://", way["to"] or ""), way
            assert (way["target"], "noopener" in way["rel"]) == ("_blank", True), way


def shows(page: Page, *texts: str) -> None:
    for text in texts:
        expect(page.get_by_text(text).first).to_be_visible()


TITLE = f"{TAG} invoice⟨U+202E⟩fdp.exe"


def test_lists_rail_peek_menus_and_palette(watched: Page, hostile: Hostile) -> None:
    watched.goto("/")
    for group in ("state", "repository", "parent", "tag"):
        watched.goto(f"/?group={group}&q=invoice")
        shows(watched, TITLE)
        harmless(watched)
    row = watched.locator(f'[role=row][data-row="{hostile.says}"]').first
    row.get_by_role("button", name=re.compile("^Menu of")).click()
    shows(watched, "Remove…")
    harmless(watched)
    watched.get_by_role("menuitem", name="Peek").click()
    expect(watched.get_by_role("region", name=re.compile("^Peek"))).to_contain_text("is done invoice⟨U+202E⟩fdp.exe")
    harmless(watched)
    row.get_by_role("checkbox").click()
    for act in ("Tag…", "Remove…"):
        watched.get_by_role("toolbar").get_by_role("button", name=act).click()
        expect(watched.get_by_role("dialog").or_(watched.get_by_role("alertdialog"))).to_be_visible()
        watched.wait_for_load_state("networkidle")
        harmless(watched)
        watched.keyboard.press("Escape")
    watched.keyboard.press("Control+k")
    watched.keyboard.type("invoice")
    expect(watched.get_by_role("option").first).to_be_visible()
    harmless(watched)


def test_inbox_questions_and_permissions(watched: Page, hostile: Hostile) -> None:
    watched.goto("/inbox")
    cards = watched.get_by_role("list", name="What waits for you").get_by_role("listitem")
    asked = cards.filter(has_text="invoice")
    expect(asked).to_have_count(2)
    shows(watched, "rm⟨U+200B⟩ -rf⟨U+00AD⟩ ⟨U+2066⟩x⟨U+2069⟩")
    harmless(watched)
    watched.goto(f"/s/{hostile.permits}")
    shows(watched, "The agent wants to")
    harmless(watched)


def test_a_transcript_and_everything_around_it(watched: Page, hostile: Hostile) -> None:
    watched.set_viewport_size({"width": 1280, "height": 4_000})
    watched.goto(f"/s/{hostile.says}")
    log = watched.get_by_role("log")
    expect(log).to_contain_text("is done invoice⟨U+202E⟩fdp.exe")
    folded = log.get_by_role("button", expanded=False)
    while folded.count():
        folded.first.click()
    for text in (
        f"<script>{RUNS}</script>",
        "picture",
        "eight",
        "⟨U+202E⟩turned <b> ⟨U+200B⟩",
        "rm⟨U+200B⟩ -rf⟨U+00AD⟩",
    ):
        expect(log).to_contain_text(text)
    expect(log.get_by_role("link", name="good")).to_have_attribute("rel", "noopener noreferrer")
    for name in ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"):
        expect(log.get_by_role("link", name=name, exact=True)).to_have_count(0)
    assert "⟨U+" in watched.title()
    harmless(watched)
    for entry in ("Rename", "Tags…", "Fork…", "Stop and remove the workspace…"):
        watched.get_by_role("button", name="More actions").click()
        watched.get_by_role("menuitem", name=entry).click()
        watched.wait_for_load_state("networkidle")
        harmless(watched)
        watched.keyboard.press("Escape")
    watched.get_by_role("menuitem").first.wait_for(state="detached")


def test_diffs_files_and_log_of_a_session(watched: Page, hostile: Hostile) -> None:
    watched.goto(f"/s/{hostile.says}?tab=diffs")
    tree = watched.get_by_role("tree", name="Changed files")
    items = tree.get_by_role("treeitem")
    expect(tree).to_contain_text("red␛[31m.txt")
    expect(tree).to_contain_text("two␊lines.txt")
    harmless(watched)
    for index in range(items.count()):
        items.nth(index).click()
        watched.wait_for_load_state("networkidle")
        harmless(watched)
    watched.goto(f"/s/{hostile.says}?tab=files")
    expect(watched.get_by_role("tree")).to_contain_text("invoice⟨U+202E⟩fdp.exe.txt")
    for name in ("invoice", "long.txt"):
        watched.get_by_role("tree").get_by_role("treeitem", name=re.compile(name)).first.click()
        watched.wait_for_load_state("networkidle")
        harmless(watched)
    watched.goto(f"/s/{hostile.says}?tab=log")
    events = watched.get_by_role("list", name="Events of the session, newest first").locator("button[aria-expanded]")
    expect(events.last).to_be_visible()
    for event in events.all()[:40]:
        event.click()
    watched.wait_for_load_state("networkidle")
    harmless(watched)


def test_history_log_processes_and_settings(watched: Page, hostile: Hostile, fleet: Server) -> None:
    watched.goto("/history?q=invoice")
    expect(watched.locator("mark").first).to_be_visible()
    harmless(watched)
    watched.goto(f"/log?session={hostile.says}")
    shows(watched, f'The session "{TITLE}')
    watched.get_by_role("combobox", name="Session").fill("")
    watched.get_by_role("combobox", name="Session").click()
    harmless(watched)
    watched.goto("/processes")
    shows(watched, "invoice⟨U+202E⟩fdp.exe")
    harmless(watched)
    hook = fleet.call("POST", "/webhooks", {"url": "http://127.0.0.1:9/x", "description": f"{TAG} {TURNED}"})
    watched.goto("/settings")
    shows(watched, "127.0.0.1:9")
    harmless(watched)
    fleet.call("DELETE", f"/webhooks/{hook['webhook']['id']}")


def test_the_dialog_for_a_new_session(watched: Page, hostile: Hostile) -> None:
    watched.goto("/new")
    dialog = watched.get_by_role("dialog", name="New session")
    dialog.get_by_role("textbox", name="Directory").fill(str(hostile.directory.parent))
    dialog.get_by_role("button", name="Browse…").click()
    dialog.get_by_role("button", name="invoice").first.click()
    shows(watched, "A git repository")
    dialog.get_by_role("combobox", name="Branch").fill("img")
    expect(watched.get_by_role("option").filter(has_text="<img/src=x")).to_be_visible()
    harmless(watched)
    watched.keyboard.press("Escape")
    dialog.get_by_role("textbox", name="Prompt").fill(f"{TAG} {TURNED}")
    dialog.get_by_text("More: title").click()
    dialog.get_by_role("combobox", name="Model").fill("no/model")
    watched.locator("button", has_text="Create").click()
    shows(watched, "Creating")
    watched.wait_for_load_state("networkidle")
    harmless(watched)


@pytest.mark.parametrize("kind", ENDLESS)
def test_texts_without_end_and_without_bottom(watched: Page, hostile: Hostile, fleet: Server, kind: str) -> None:
    """The page shows them, and takes a key at once."""
    item = fleet.create(hostile.directory, f"say <<END\n{ENDLESS[kind]}\nEND", title=f"Endless {kind}")
    fleet.settled(item["id"])
    watched.goto(f"/s/{item['id']}")
    expect(watched.get_by_role("log")).to_contain_text(ENDLESS[kind].strip()[-4:])
    answers(watched)
    watched.goto(f"/?q=endless+{kind}")
    shows(watched, f"Endless {kind}")


def answers(page: Page) -> None:
    page.get_by_role("log").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    assert page.evaluate("document.querySelectorAll('*').length") < 6_000
    harmless(page)


def test_the_longest_prompt_on_one_line(watched: Page, hostile: Hostile, fleet: Server) -> None:
    """And a list of 100,000 items: both are as long as the server takes them."""
    info: dict[str, Any] = fleet.call("GET", "/info")
    size: int = info["limits"]["promptBytes"]
    item = fleet.create(hostile.directory, title="Long")
    for number, text in enumerate(("y" * size, "- item\n" * 100_000), 1):
        fleet.call("POST", f"/sessions/{item['id']}/prompt", {"text": text})
        fleet.settled(item["id"], number)
    watched.goto(f"/s/{item['id']}")
    expect(watched.get_by_role("article", name="Turn 2")).to_contain_text("item")
    answers(watched)
    watched.get_by_role("article", name="Turn 2").get_by_role("button", name=re.compile("more lines")).click()
    expect(watched.get_by_role("button", name="Show less")).to_be_attached()
    answers(watched)
