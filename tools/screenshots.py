"""Take the pictures of the dashboard for README and docs: docs/images/*.png.

A real `fleet serve` in a scratch directory, with real OpenCode and the rehearsal model, is given the sessions of
picture_fleet.py; a real Chromium shows them. Run by `make screenshots`, which builds the page first.
"""

import base64
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from picture_fleet import HERO, JOBS, REPOSITORIES, Job, Prompt  # noqa: E402 - the path comes first
from picture_size import smaller  # noqa: E402
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright  # noqa: E402

from fleet.rehearsal.script import fenced  # noqa: E402
from tests.browser.chromium import NAMES, OPTIONS  # noqa: E402
from tests.e2e.server import Server, git, until  # noqa: E402

IMAGES = ROOT / "docs" / "images"
DESKTOP = {"viewport": {"width": 1440, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
BYTES_MAX = 200_000
PATIENCE_S = 120.0
OLDEST_S = 90
"""How long the first session is there before the pictures are taken: ages that differ look like a day's work."""


def main() -> None:
    """Take every picture; exit with a sentence where something is missing."""
    opencode, chromium = program("opencode"), program(*NAMES)
    with scratch() as root, serving(root, opencode) as server, sync_playwright() as playwright:
        begun = time.monotonic()
        sessions = populate(server, root)
        time.sleep(max(0.0, OLDEST_S - (time.monotonic() - begun)))
        browser = playwright.chromium.launch(executable_path=chromium, args=list(OPTIONS))
        take_at_rest(browser, server, sessions)
        go_on(server, sessions)
        take_at_work(browser, server, sessions)
        browser.close()


def program(*names: str) -> str:
    """Return the first of these programs that is on the PATH."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        sys.exit(f"screenshots: there is no {names[0]} on the PATH. `make setup browser` installs what is missing.")
    return found


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory that is gone afterwards. Its name is in some of the pictures."""
    with tempfile.TemporaryDirectory(prefix="fleet-") as directory:
        yield Path(directory).resolve()


@contextmanager
def serving(root: Path, opencode: str) -> Iterator[Server]:
    """A server that runs while the block does."""
    server = Server(root, Path(opencode))
    try:
        server.start()
        yield server
        server.end()
    finally:
        server.close()


# ------------------------------------------------------------------------------------------------------ the sessions


def populate(server: Server, root: Path) -> dict[str, str]:
    """Make the repositories and the sessions, and wait until each has come where it is to be; return ids by title."""
    for name, files in REPOSITORIES.items():
        make_repository(root / name, files)
    sessions: dict[str, str] = {}
    for job in JOBS:
        sessions[job.title] = create(server, root, job, sessions)
    for job in JOBS:
        settle(server, sessions[job.title], job)
    return sessions


def make_repository(directory: Path, files: dict[str, str]) -> None:
    """Make a repository with one commit."""
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(content)
    git(directory, "init", "--quiet", "--initial-branch=main")
    git(directory, "add", ".")
    git(directory, "commit", "--quiet", "-m", "Begin")


def create(server: Server, root: Path, job: Job, sessions: dict[str, str]) -> str:
    """Create the session of a job and send its first prompt; return its id."""
    reports = {"onComplete": {"notifySessionId": sessions[job.parent]}} if job.parent else {}
    item = server.create(root / job.repository, isolationStrategy="worktree", title=job.title, **job.fields, **reports)
    for prompt in job.prompts:
        send(server, item["id"], prompt)
    return str(item["id"])


def send(server: Server, session_id: str, prompt: Prompt) -> None:
    """Send a prompt, its script in the attached file."""
    data = base64.b64encode(fenced(prompt.script).encode()).decode()
    attachment = {"mime": "text/plain", "filename": prompt.file, "data": data}
    server.call("POST", f"/sessions/{session_id}/prompt", {"text": prompt.text, "attachments": [attachment]})


def settle(server: Server, session_id: str, job: Job) -> None:
    """Wait until the session is where its job ends."""
    if job.status == "stopped":
        server.settled(session_id)
        server.call("DELETE", f"/sessions/{session_id}")

    def is_there() -> bool:
        item = server.session(session_id)
        return item["status"] == job.status and (job.status != "idle" or item["outcome"] == "finished")

    until(is_there, f"{job.title}: {job.status}", PATIENCE_S)


def go_on(server: Server, sessions: dict[str, str]) -> None:
    """Send the later prompts: their answers stream while the pictures are taken."""
    for job in JOBS:
        if job.later is not None:
            send(server, sessions[job.title], job.later)


# ------------------------------------------------------------------------------------------------------ the pictures


def take_at_rest(browser: Browser, server: Server, sessions: dict[str, str]) -> None:
    """Take the picture of the diffs, before the session continues."""
    with opened(browser, server, f"/s/{sessions[HERO]}?tab=diffs", "light") as page:
        page.get_by_role("treeitem", name="payments.py").first.click()
        page.locator('.diff-gutter-insert[data-change-key="I22"]').click()
        page.get_by_role("textbox", name="Comment on").fill("Two servers do not share this dict. Ask the table.")
        page.get_by_role("button", name="Save comment").click()
        picture(page, "diffs-light")


def take_at_work(browser: Browser, server: Server, sessions: dict[str, str]) -> None:
    """Take the other pictures while a session streams."""
    hero = f"/s/{sessions[HERO]}"
    for scheme, words in (("light", "gets the conflict"), ("dark", "counts its calls")):
        with opened(browser, server, hero, scheme) as page:
            expect(page.get_by_text(words)).to_be_visible()
            picture(page, f"session-{scheme}")
    for scheme in ("light", "dark"):
        with opened(browser, server, "/", scheme) as page:
            expect(row_of(page, sessions[HERO])).to_be_visible()
            page.get_by_role("gridcell", name="Ended").click()
            picture(page, f"fleet-{scheme}")
    with opened(browser, server, "/", "light", PHONE) as page:
        expect(row_of(page, sessions[HERO])).to_be_visible()
        picture(page, "phone")
    with opened(browser, server, "/inbox", "dark") as page:
        expect(page.get_by_text("Which rule rounds the total?").first).to_be_visible()
        picture(page, "inbox-dark")


def row_of(page: Page, session_id: str) -> Locator:
    """Return the session's row in the list."""
    return page.locator(f'[data-row="{session_id}"]')


@contextmanager
def opened(browser: Browser, server: Server, path: str, scheme: str, device: Any = DESKTOP) -> Iterator[Page]:
    """A page of the dashboard in a context of its own."""
    expect.set_options(timeout=PATIENCE_S * 1000)
    options = {**device, "color_scheme": scheme, "reduced_motion": "reduce", "locale": "en-GB"}
    context = browser.new_context(base_url=str(server.http.base_url), **options)
    page = context.new_page()
    page.goto(path)
    expect(page.get_by_role("status").filter(has_text="live")).to_be_visible()
    yield page
    context.close()


def picture(page: Page, name: str) -> None:
    """Write the picture of the page as it is, once its fonts and colours are there."""
    page.wait_for_timeout(700)
    IMAGES.mkdir(exist_ok=True)
    file = IMAGES / f"{name}.png"
    file.write_bytes(smaller(page.screenshot()))
    size = file.stat().st_size
    print(f"{file.relative_to(ROOT)}  {size // 1000} KB")
    if size > BYTES_MAX:
        print(f"screenshots: {file.name} is {size} bytes; it should have at most {BYTES_MAX}.", file=sys.stderr)


if __name__ == "__main__":
    main()
