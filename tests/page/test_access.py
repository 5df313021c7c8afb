"""Point 11 of the dashboard: who comes in, how a browser logs in, and what a viewer sees."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.chromium import Site
from tests.e2e.server import Server, repository
from tests.page.conftest import ROOT, PageServer

PAGES = ("/", "/inbox", "/history", "/log", "/processes", "/settings", "/new")
CHANGES = re.compile(
    "New Session|Abort|Stop|Resume|Remove|Delete|Erase|Rename|Tag|Budget|Fork|Allow|Always|Reject|Answer|Dismiss"
    "|Withdraw|Revoke|Login link|Add$|Restore|Enable|Disable|Select|Comment|Queue|^Send|Steer|Create|Attach|Change$"
)


class Guarded:
    """A server that admits no client without a token, and its `fleet token`."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = ""

    def token(self, *arguments: str) -> str:
        """Run `fleet token` beside the server, and return what it printed."""
        command = [sys.executable, "-c", "from fleet.cli import main; main()", "token", *arguments]
        place = {"FLEET_DATA_DIR": str(self.server.data), "FLEET_PORT": str(self.server.http.base_url.port)}
        environment = {**os.environ, **self.server.environment(), **place}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def link(self, name: str, *arguments: str) -> str:
        return self.token("link", name, "--url", self.url, *arguments)


@pytest.fixture(scope="module")
def guarded(opencode_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    server = PageServer(tmp_path_factory.mktemp("guarded").resolve(), opencode_binary)
    guarded = Guarded(server)
    try:
        server.start()
        guarded.url = str(server.http.base_url).rstrip("/")
        secret = guarded.token("new", "--role", "operator", "--name", "me")
        guarded.token("new", "--role", "viewer", "--name", "wall")
        server.http.headers["Authorization"] = f"Bearer {secret}"
        yield guarded
    finally:
        server.close()


@pytest.fixture(scope="module")
def session(guarded: Guarded, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A session that waits for an answer, after a turn that changed a file."""
    directory = repository(tmp_path_factory.mktemp("seen") / "shop")
    script = 'write a.py: "x = 1\\n"\n---\nsay "Done."'
    item = guarded.server.create(directory, script, title="Seen by all", isolationStrategy="worktree")
    guarded.server.settled(item["id"])
    guarded.server.prompt(item["id"], 'question "Which one?": "This", "That"')
    return str(guarded.server.became(item["id"], "waiting_input")["id"])


@pytest.fixture
def visitor(
    open_context: Callable[..., BrowserContext], guarded: Guarded, wanted_faults: list[str]
) -> Callable[..., BrowserContext]:
    """Return what opens a browser before that server. Chromium notes each refusal on the console; those are wanted."""

    def open_one(**options: Any) -> BrowserContext:
        return open_context(base_url=guarded.url, **options)

    wanted_faults += ["status of 401", "status of 403", "WebSocket connection to", "net::ERR_"]
    return open_one


def refused(page: Page) -> None:
    expect(page.get_by_role("heading", level=1, name="Log in")).to_be_visible()


def live(page: Page) -> None:
    expect(page.locator("header [role=status]")).to_contain_text("live")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_page_without_a_token_says_how_to_log_in(
    visitor: Callable[..., BrowserContext], accessible: Callable[[Page], None], theme: str
) -> None:
    page = visitor(color_scheme=theme).new_page()
    page.goto("/inbox")
    refused(page)
    expect(page.get_by_role("main")).to_contain_text("fleet token link NAME --next '/inbox'")
    expect(page.get_by_role("main")).to_contain_text("fleet token new --role operator --name NAME")
    accessible(page)


def test_the_commands_on_the_login_page_work(visitor: Callable[..., BrowserContext], guarded: Guarded) -> None:
    page = visitor().new_page()
    page.goto(guarded.link("me", "--next", "/settings"))
    shown = page.get_by_role("region", name="Access", exact=True).locator("p code")
    expect(shown).to_have_count(2)
    for number, command in enumerate(shown.all_inner_texts()):
        words = command.replace("NAME", f"made-{number}").split()
        assert words[:2] == ["fleet", "token"]
        guarded.token(*words[2:])


def test_an_operator_makes_a_login_link_and_revokes_the_token(
    visitor: Callable[..., BrowserContext], guarded: Guarded, accessible: Callable[[Page], None]
) -> None:
    guarded.token("new", "--role", "viewer", "--name", "phone")
    page = visitor().new_page()
    page.goto(guarded.link("me", "--next", "/settings"))
    row = page.get_by_role("region", name="Access tokens").get_by_role("row").filter(has_text="phone")
    row.get_by_role("button", name="Login link").click()
    dialog = page.get_by_role("dialog", name="Login link for phone")
    address = dialog.locator("code").inner_text()
    accessible(page)
    phone = visitor().new_page()
    phone.goto(address)
    live(phone)
    expect(phone.get_by_text("read-only")).to_be_visible()
    page.keyboard.press("Escape")
    row.get_by_role("button", name="Revoke…").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text("revoked")
    expect(row.get_by_role("button")).to_have_count(0)
    refused(phone)
    accessible(page)


def test_a_link_logs_in_once_and_leads_to_what_was_wanted(
    visitor: Callable[..., BrowserContext], guarded: Guarded, session: str
) -> None:
    link = guarded.link("me", "--next", f"/s/{session}?tab=diffs")
    page = visitor().new_page()
    page.goto(link)
    expect(page).to_have_url(f"{guarded.url}/s/{session}?tab=diffs")
    expect(page.get_by_role("heading", level=1, name="Seen by all")).to_be_visible()
    live(page)
    other = visitor().new_page()
    other.goto(link)
    refused(other)
    expect(other.get_by_role("alert")).to_contain_text("It was used before, is older than ten minutes")
    other.goto("/")
    refused(other)


def test_a_link_from_another_site_opens_the_page(
    visitor: Callable[..., BrowserContext], guarded: Guarded, session: str
) -> None:
    address = f"{guarded.url.replace('127.0.0.1', 'localhost')}/s/{session}"
    context = visitor()
    page = context.new_page()
    page.goto(guarded.link("me").replace("127.0.0.1", "localhost"))
    live(page)
    with Site(f'<!doctype html><link rel="icon" href="data:,"><a href="{address}">Look</a>').open() as site:
        page.goto(f"http://127.0.0.1:{site.port}/")
        page.get_by_role("link", name="Look").click()
        expect(page.get_by_role("heading", level=1, name="Seen by all")).to_be_visible()
        live(page)


def test_a_token_that_is_revoked_shows_the_login_without_a_reload(
    visitor: Callable[..., BrowserContext], guarded: Guarded
) -> None:
    guarded.token("new", "--role", "operator", "--name", "guest")
    page = visitor().new_page()
    page.goto(guarded.link("guest"))
    live(page)
    page.evaluate("window.loadedOnce = true")
    guarded.token("revoke", "guest")
    refused(page)
    assert page.evaluate("window.loadedOnce")


def test_log_out_ends_it(visitor: Callable[..., BrowserContext], guarded: Guarded) -> None:
    page = visitor().new_page()
    page.goto(guarded.link("me", "--next", "/settings"))
    page.get_by_role("button", name="Log out").click()
    refused(page)
    page.reload()
    refused(page)


def test_a_viewer_sees_nothing_that_changes_something(
    visitor: Callable[..., BrowserContext], guarded: Guarded, session: str
) -> None:
    page = visitor().new_page()
    page.goto(guarded.link("wall"))
    live(page)
    expect(page.get_by_text("read-only")).to_be_visible()
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(str(frame))))
    page.on("request", lambda request: sent.append("command") if request.method not in ("GET", "HEAD") else None)
    for path in (*PAGES, *(f"/s/{session}?tab={tab}" for tab in ("talk", "diffs", "files", "log"))):
        page.goto(path)
        live(page)
        page.wait_for_load_state("networkidle")
        nothing_changes(page)
        for menu in page.locator("main [aria-haspopup=menu]").all():
            menu.click()
            expect(page.get_by_role("menuitem").first).to_be_visible()
            nothing_changes(page)
            page.keyboard.press("Escape")
    page.goto("/?q=seen")
    expect(page.get_by_role("treegrid")).to_contain_text("Seen by all")
    for key in ("j", "x", "n", "y", "a"):
        page.keyboard.press(key)
    page.keyboard.press("Control+k")
    page.keyboard.type("abort")
    nothing_changes(page)
    assert [frame for frame in sent if "command" in frame] == []


def nothing_changes(page: Page) -> None:
    """No control of the page has the name of a change."""
    names = page.locator("button, [role=menuitem], [role=option], input[type=checkbox], textarea").evaluate_all(
        "all => all.filter(each => each.checkVisibility()).map(each => each.getAttribute('aria-label') ??"
        " (each.labels?.[0]?.textContent || each.textContent).trim())"
    )
    assert [name for name in names if CHANGES.search(name)] == [], urlsplit(page.url).path
