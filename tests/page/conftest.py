"""The page in a real Chromium, over a real `fleet serve` with the real OpenCode and the rehearsal model.

All tests of a process share one server and one browser; each has a context of its own, with its own storage. A test
fails where the page writes an error to the console, throws, or breaks its own security policy.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it has no types
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, expect

from tests.browser.chromium import NAMES, OPTIONS
from tests.e2e.conftest import opencode_binary
from tests.e2e.server import Server
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "fleet/gateway/dashboard/index.html"
__all__ = ["opencode_binary"]  # a fixture of theirs that is one of ours too
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_REPORT_VIOLATIONS = """
document.addEventListener('securitypolicyviolation', event =>
  console.error(`policy violated: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`));
"""


class PageServer(Server):
    """A server that runs the code beside these tests, wherever the package was installed from."""

    def environment(self) -> dict[str, str]:
        """Return the environment of the server."""
        return {**super().environment(), "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="session")
def fleet(opencode_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server that serves the page."""
    if not BUILT.exists():
        subprocess.run([sys.executable, ROOT / "tools/setup.py", "--page", "need"], check=True)
    server = PageServer(tmp_path_factory.mktemp("page").resolve(), opencode_binary)
    try:
        server.start("--webhook-networks", "127.0.0.0/8")
        yield server
        server.end()
    finally:
        server.close()


@pytest.fixture(scope="module", autouse=True)
def erased(fleet: Server) -> Iterator[None]:
    """Each file begins with an empty fleet: its sessions and their OpenCode processes end with it."""
    yield
    while items := fleet.http.get("/api/sessions").raise_for_status().json():
        for item in items:
            fleet.http.delete(f"/api/sessions/{item['id']}", params={"permanent": True}).raise_for_status()


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """A browser without a window."""
    found = next((path for name in NAMES for path in _on_path(name)), None)
    if found is None:
        pytest.fail("The tests of the page need Chromium: run `make browser`", pytrace=False)
    browser = playwright.chromium.launch(executable_path=str(found), args=list(OPTIONS))
    yield browser
    browser.close()


def _on_path(name: str) -> Iterator[Path]:
    for folder in os.environ["PATH"].split(os.pathsep):
        if (Path(folder) / name).is_file():
            yield Path(folder) / name


@pytest.fixture
def wanted_faults() -> list[str]:
    """Parts of the faults that a test expects: the browser itself notes each refused request on the console."""
    return []


@pytest.fixture
def open_context(chromium: Browser, fleet: Server, wanted_faults: list[str]) -> Iterator[Callable[..., BrowserContext]]:
    """Return what opens a browser context with these options (`color_scheme`, `viewport` …), watched for faults."""
    opened: list[BrowserContext] = []
    faults: list[str] = []
    expect.set_options(timeout=PATIENCE_S * 1000)

    def open_one(**options: Any) -> BrowserContext:
        base_url = str(fleet.http.base_url)
        options = {
            "viewport": {"width": 1280, "height": 800},
            "reduced_motion": "reduce",
            "base_url": base_url,
            **options,
        }
        context = chromium.new_context(**options)
        context.set_default_timeout(PATIENCE_S * 1000)
        context.add_init_script(_REPORT_VIOLATIONS)
        context.on("console", lambda message: _note(message, faults))
        context.on("weberror", lambda error: faults.append(str(error.error)))
        opened.append(context)
        return context

    yield open_one
    for context in opened:
        context.close()
    assert [fault for fault in faults if not any(wanted in fault for wanted in wanted_faults)] == []


def _note(message: ConsoleMessage, faults: list[str]) -> None:
    if message.type == "error":
        faults.append(message.text)


@pytest.fixture
def page(open_context: Callable[..., BrowserContext]) -> Page:
    """A page of a context of its own, 1280 x 800 and light."""
    return open_context().new_page()


@pytest.fixture
def accessible() -> Callable[[Page], None]:
    """Return what fails where axe finds something against WCAG 2.2 AA on a page as it is now."""

    def check(page: Page) -> None:
        found = Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})
        assert found.violations_count == 0, found.generate_report()

    return check
