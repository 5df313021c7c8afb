"""Point 10 of the dashboard: after each failure of network and server, the page repairs itself and shows what is.

A seed breaks the connections between the page and a server that is killed and started again, while its sessions work.
The page is loaded once. No other seed may fail either: `FLEET_PAGE_SEED` sets one.
"""

import json
import os
import re
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

from fleet.rehearsal.script import fenced
from tests.e2e.server import Server, repository, until
from tests.page.conftest import PageServer
from tests.page.road import Road, Weather
from tests.patience import PATIENCE_S

SEED = int(os.environ.get("FLEET_PAGE_SEED") or 7)
WORKING = ("qalder", "qbirch", "qcedar")  # words that nothing else says
ASKING = "qdogwood"
TURN = """say "Turn {number} of {name}. "
say 30 tokens at 40/s
bash "echo {name} one; sleep 0.3; echo {name} two"
---
say "{name} is done with {number}. "
say 20 tokens at 40/s
"""
BUSY = ("created", "active", "waiting_input")
WORDS = {
    "created": "starting",
    "active": "working",
    "waiting_input": "needs you",
    "idle": "idle",
    "completed": "completed",
    "stopped": "stopped",
    "disconnected": "disconnected",
    "error": "error",
}
LOOK = """
const names = %s;
window.foreign = [];
window.phases = [];
const look = () => {
  for (const view of document.querySelectorAll('[data-session], [role=row][data-row]')) {
    const id = view.dataset.session ?? view.dataset.row;
    for (const [other, name] of Object.entries(names))
      if (other !== id && id in names && view.textContent.includes(name)) window.foreign.push(`${names[id]}: ${name}`);
  }
  const phase = document.querySelector('[data-connection]')?.dataset.connection;
  if (phase && phase !== window.phases.at(-1)) window.phases.push(phase);
};
new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
"""


class Stage:
    """A server that is killed and started, its sessions, and a road to it."""

    def __init__(self, server: Server, random: Random) -> None:
        self.server = server
        self.url: str | None = None
        self.road = Road(lambda: self.url, random)
        self.ids: dict[str, str] = {}
        self._stopping = threading.Event()

    def up(self) -> None:
        self.server.start()
        self.url = str(self.server.http.base_url).rstrip("/")

    def kill(self) -> None:
        self.url = None
        self.server.end(signal.SIGKILL)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Ask until there is an answer, over restarts of the server."""
        with httpx.Client(timeout=PATIENCE_S, trust_env=False) as http:

            def answer() -> httpx.Response | None:
                with suppress(httpx.TransportError):
                    if (url := self.url) is not None:
                        answer = http.request(method, f"{url}/api{path}", json=body, headers=headers)
                        return None if answer.status_code in (409, 503) else answer
                return None

            found = until(answer, f"{method} {path}", 120)
        assert found.is_success, found.text
        return found.json() if found.content else None

    def is_busy(self, session_id: str) -> bool:
        item = self.call("GET", f"/sessions/{session_id}")
        return item["status"] in BUSY or item["queued"] > 0

    @contextmanager
    def working(self) -> Generator[None]:
        """Let each session run turn after turn while the block runs, two at least, and the last ones to their ends."""
        threads = [threading.Thread(target=self._work, args=(name,), daemon=True) for name in WORKING]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join(120)

    def _work(self, name: str) -> None:
        number, session_id = 0, self.ids[name]
        while number < 2 or not self._stopping.is_set():  # a slow machine too has two turns to compare
            number += 1
            text = fenced(TURN.format(number=number, name=name))
            key = {"Idempotency-Key": f"{name}-{number}"}
            self.call("POST", f"/sessions/{session_id}/prompt", {"text": text, "resume": True}, **key)
            until(lambda: not self.is_busy(session_id), f"turn {number} of {name}", 120)

    def messages(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", f"/sessions/{self.ids[name]}/messages?limit=200")["messages"]
        return found

    def prompts(self, name: str, text: str) -> int:
        """Count the prompts of a session that say this, those that wait too."""
        said = [message["parts"] for message in self.messages(name) if message["info"]["role"] == "user"]
        sent = sum(text in part.get("text", "") for parts in said for part in parts)
        queue: list[dict[str, Any]] = self.call("GET", f"/sessions/{self.ids[name]}/queue")
        return sent + sum(text in waiting["text"] for waiting in queue)


@pytest.fixture
def stage(opencode_binary: Path, tmp_path: Path) -> Iterator[Stage]:
    server = PageServer(tmp_path.resolve(), opencode_binary)
    stage = Stage(server, Random(SEED))
    try:
        stage.up()
        project = repository(tmp_path / "project")
        for name in (*WORKING, ASKING):
            script = f'question "Which {name}?": "This", "That"' if name == ASKING else None
            item = server.create(project, script, isolationStrategy="worktree", title=f"The {name}")
            stage.ids[name] = item["id"]
        server.became(stage.ids[ASKING], "waiting_input")
        with stage.road.built():
            yield stage
    finally:
        server.close()


@pytest.fixture
def context(open_context: Callable[..., BrowserContext], stage: Stage, wanted_faults: list[str]) -> BrowserContext:
    """A browser at the end of the road: that connections fail is no fault of the page."""
    wanted_faults += ["net::ERR_", "WebSocket connection to"]
    context = open_context(base_url=f"http://localhost:{stage.road.port}")
    context.add_init_script(LOOK % json.dumps({session_id: name for name, session_id in stage.ids.items()}))
    return context


def badge(page: Page) -> Locator:
    return page.locator("header [role=status]")


def box(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Prompt")


def go(page: Page, name: str) -> None:
    """Open a session from the list beside the one that is open."""
    page.get_by_role("navigation", name="Sessions").get_by_role("link", name=f"The {name}").click()
    expect(page.get_by_role("heading", level=1, name=f"The {name}")).to_be_visible()


@pytest.mark.long
def test_the_page_shows_what_is_after_everything_that_can_happen(context: BrowserContext, stage: Stage) -> None:
    random = Random(SEED)
    page = context.new_page()
    page.goto(f"/s/{stage.ids[WORKING[0]]}")
    page.evaluate("window.loadedOnce = true")
    expect(badge(page)).to_contain_text("live")

    with stage.working():
        stage.road.become(Weather.ROUGH)
        for name in (*WORKING, ASKING, *WORKING[:2]):
            go(page, name)
            page.wait_for_timeout(random.uniform(500, 2000))  # what happens to whom is the seed's
        stage.kill()
        stage.up()
        go(page, WORKING[2])
        a_draft_outlives_the_absence(page, stage)
        a_command_on_its_way_is_carried_out_once(page, stage)
        stage.road.become(Weather.ROUGH)
        go(page, ASKING)
        until(lambda: connections_are_lost(page, stage), "the loss of connections", 120)
        go(page, WORKING[0])

    stage.road.become(Weather.CALM)
    expect(badge(page)).to_contain_text("live")
    until(lambda: not any(stage.is_busy(stage.ids[name]) for name in WORKING), "the end of all turns", 120)
    the_transcript_is_that_of_the_server(page, stage, WORKING[0])
    the_fleet_is_that_of_the_server(page, stage)
    the_inbox_is_that_of_the_server(page, stage)
    assert stage.prompts(WORKING[2], "qdraft") == 1
    assert stage.prompts(WORKING[2], "qonce") == 1
    assert page.evaluate("window.foreign") == []
    assert page.evaluate("window.loadedOnce")
    assert {"live", "away"} <= set(page.evaluate("window.phases"))


def connections_are_lost(page: Page, stage: Stage) -> bool:
    """Open sessions and return whether enough connections were cut: a busy machine opens fewer in the same time."""
    for name in WORKING[1:]:
        go(page, name)
    return stage.road.cuts > 5


def test_a_part_of_the_page_that_could_not_be_loaded_comes_later(
    open_context: Callable[..., BrowserContext], fleet: Server, wanted_faults: list[str]
) -> None:
    """Each part that is loaded when it is wanted fails the first time; the page is loaded once."""
    wanted_faults.append("net::ERR_CONNECTION_RESET")
    page = open_context().new_page()
    first = set(re.findall(r"/assets/[\w.-]+", fleet.http.get("/").text))
    failed: set[str] = set()

    def fail_once(route: Route) -> None:
        path = urlsplit(route.request.url).path
        if path in first or path in failed:
            route.continue_()
        else:
            failed.add(path)
            route.abort("connectionreset")

    page.route("**/assets/*.js", fail_once)
    page.goto("/inbox")
    page.evaluate("window.loadedOnce = true")
    for place in ("Inbox", "History", "Log", "Processes", "Settings"):
        page.get_by_role("navigation", name="Main").get_by_role("link", name=place).click()
        expect(page.get_by_role("heading", level=1, name=place)).to_be_visible()
    assert page.evaluate("window.loadedOnce")
    assert len(failed) > 4


def test_a_draft_outlives_reload_and_tab(
    open_context: Callable[..., BrowserContext], fleet: Server, tmp_path: Path
) -> None:
    project = repository(tmp_path / "project")
    sessions = [fleet.create(project)["id"] for _ in range(2)]
    context = open_context()
    page = context.new_page()
    for session_id in sessions:
        page.goto(f"/s/{session_id}")
        box(page).fill(f"for {session_id}")
    page.reload()
    expect(box(page)).to_have_value(f"for {sessions[1]}")
    page.close()
    page = context.new_page()
    page.goto(f"/s/{sessions[0]}")
    expect(box(page)).to_have_value(f"for {sessions[0]}")


def a_draft_outlives_the_absence(page: Page, stage: Stage) -> None:
    """The connection dies without a word; the page says so, and what is written meanwhile stays in the box."""
    stage.road.become(Weather.DEAD)
    page.evaluate("window.dispatchEvent(new Event('online'))")  # as after sleep: the page asks at once
    expect(badge(page)).to_contain_text("away")
    box(page).fill("qdraft: say so")
    expect(page.get_by_role("button", name=re.compile("Send|Queue"))).to_be_disabled()
    stage.kill()
    stage.up()
    expect(badge(page)).to_contain_text("away")
    stage.road.become(Weather.CALM)
    expect(badge(page)).to_contain_text("live")
    expect(box(page)).to_have_value("qdraft: say so")
    box(page).press("Enter")
    expect(box(page)).to_have_value("")


def a_command_on_its_way_is_carried_out_once(page: Page, stage: Stage) -> None:
    """The server has it, and is killed before it can say so: the page asks again, and the answer is the first one."""
    stage.road.become(Weather.MUTE)
    box(page).fill("qonce: say so")
    box(page).press("Enter")
    until(lambda: stage.prompts(WORKING[2], "qonce"), "the prompt at the server")
    expect(box(page)).to_have_value("qonce: say so")
    stage.kill()
    stage.up()
    stage.road.become(Weather.CALM)
    expect(box(page)).to_have_value("")


def the_transcript_is_that_of_the_server(page: Page, stage: Stage, name: str) -> None:
    """Every part stands where it is in the server's list, with its text."""
    texts = [
        (part["id"], " ".join(part["text"].split()))
        for message in stage.messages(name)
        if message["info"]["role"] == "assistant"
        for part in message["parts"]
        if part["type"] == "text" and part["text"].strip()
    ]
    assert len(texts) > 2
    page.set_viewport_size({"width": 1280, "height": 20_000})  # all of it in sight
    rows = page.get_by_role("log").locator("[data-row]")
    for part_id, text in texts:
        expect(rows.and_(page.locator(f'[data-row="{part_id}"]'))).to_have_text(text)
    shown: Any = rows.evaluate_all("rows => rows.map(row => row.dataset.row)")
    wanted = {part_id for part_id, _ in texts}
    assert [key for key in shown if key in wanted] == [part_id for part_id, _ in texts]
    page.set_viewport_size({"width": 1280, "height": 800})


def the_fleet_is_that_of_the_server(page: Page, stage: Stage) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Fleet").click()
    items: list[dict[str, Any]] = stage.call("GET", "/sessions?limit=200")
    rows = page.locator("[role=row][data-row]:not([data-row^=group])")
    expect(rows).to_have_count(len(items))
    for item in items:
        row = page.locator(f'[role=row][data-row="{item["id"]}"]')
        expect(row).to_contain_text(item["title"])
        expect(row).to_contain_text(WORDS[item["status"]])
        if item["status"] == "idle" and item["activity"]:
            expect(row).to_contain_text(" ".join(item["activity"]["text"].split())[:150])


def the_inbox_is_that_of_the_server(page: Page, stage: Stage) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Inbox").click()
    items: list[dict[str, Any]] = stage.call("GET", "/inbox")
    cards = page.get_by_role("list", name="What waits for you").locator("> li")
    expect(cards).to_have_count(len(items))
    for index, item in enumerate(items):
        expect(cards.nth(index)).to_contain_text(item["title"])
    assert any(item["kind"] == "question" for item in items)
