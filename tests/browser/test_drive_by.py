"""A foreign page in a real browser: it reads nothing of Fleet, changes nothing, and cannot tell it is there.

The page tries everything that a page can. The same page is set on a server without a guard first: what it tries does
arrive there, so that silence means that Fleet refused.
"""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Playwright

from tests.browser.chromium import Chromium, Site
from tests.cli.test_ps import serving
from tests.cli.test_token import token
from tests.patience import PATIENCE_S

ATTACK = Path(__file__).with_name("attack.html").read_text()
UNREADABLE = "error: TypeError"


def attack(browser: Chromium, target: str, host: str, directory: Path) -> dict[str, Any]:
    """Let the browser visit the page at `host`, and return what the page found out about the target."""
    page = ATTACK.replace("TARGET", target).replace("DIRECTORY", str(directory))
    with Site(page).open() as site, browser.visiting(f"http://{host}:{site.port}/"):
        return site.reports.get(timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def fleet_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A server without a token, for tests that must leave no trace on it."""
    with serving(tmp_path_factory.mktemp("fleet")) as url:
        yield url


@pytest.fixture
def browser(tmp_path: Path) -> Chromium:
    return Chromium(tmp_path / "profile")


def test_the_attack_is_one(browser: Chromium, tmp_path: Path) -> None:
    with Site("").open() as victim:
        attack(browser, f"http://localhost:{victim.port}", "evil.example", tmp_path)
        asked = {(method, path) for method, path, _ in victim.asked}
        types = {headers.get("content-type", "").partition(";")[0] for _, _, headers in victim.asked}
    assert asked >= {
        ("GET", "/api/sessions"),
        ("GET", "/api/events"),
        ("GET", "/api/ws"),
        ("GET", "/login?code=x"),
        ("OPTIONS", "/api/sessions"),
        ("OPTIONS", "/api/sessions/x"),
        ("POST", "/api/sessions"),
    }
    assert types >= {"text/plain", "application/x-www-form-urlencoded"}


def changes(log: httpx.Response) -> list[str]:
    """Return the types of events that are not the server's own record of its start and of what it refused."""
    return [event["type"] for event in log.json() if event["stream"] != "server-fleet"]


@pytest.mark.parametrize("host", ["evil.example", "localhost", "127.0.0.1"])
def test_a_foreign_page_cannot_use_the_server(browser: Chromium, fleet_url: str, tmp_path: Path, host: str) -> None:
    """Also one that another program of this machine serves: to the browser that is the same site."""
    with httpx.Client(base_url=fleet_url, trust_env=False) as http:
        found = attack(browser, fleet_url, host, tmp_path)
        refused(found)
        assert changes(http.get("/api/log")) == []


def refused(found: dict[str, Any]) -> None:
    for name in ("fetch", "credentials", "json", "delete", "bearer", "login"):
        assert found[name] == UNREADABLE, (name, found)
    for name in ("opaque", "text"):  # sent, as any page can, and answered with nothing that it may see
        assert found[name] in ("opaque ", UNREADABLE), (name, found)
    assert (found["events"], found["socket"]) == ("refused", "refused")
    assert (found["image"], found["script"]) == ("failed", "failed")
    assert found["frame"] != "readable"


def test_a_rebound_name_cannot_use_the_server(browser: Chromium, fleet_url: str) -> None:
    """To the browser Fleet is a page of evil.example then, and of the same origin."""
    port = fleet_url.rpartition(":")[2]
    assert browser.dump(f"{fleet_url}/api/caller").count('"local"') == 1
    for name in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example"):
        page = browser.dump(f"http://{name}:{port}/api/sessions")
        assert "forbidden_origin" in page
        assert "Host header" in page


LURE = """<!doctype html><title>Kittens</title><a id="link" href="TARGET/s/x">Look</a>
<script src="TARGET/theme.js" onload="document.title = 'loaded'" onerror="document.title = 'refused'"></script>
<iframe src="TARGET/"></iframe><object data="TARGET/" type="text/html"></object><embed src="TARGET/">"""


@pytest.mark.parametrize("host", ["evil.example", "localhost"])
def test_a_link_on_another_site(browser: Chromium, playwright: Playwright, fleet_url: str, host: str) -> None:
    """It opens the page, as a person wants; what the other site loads of it by itself stays outside."""
    with Site(LURE.replace("TARGET", fleet_url)).open() as site, browser.driven(playwright) as page:
        page.goto(f"http://{host}:{site.port}/")
        assert page.title() == "refused"
        assert len(page.frames) > 1
        assert [frame.url for frame in page.frames if frame.url.startswith(fleet_url)] == []
        page.click("#link")
        page.wait_for_url(f"{fleet_url}/s/x")
        assert "Fleet" in page.title()


@pytest.mark.parametrize("host", ["evil.example", "localhost"])
def test_a_browser_that_is_logged_in(browser: Chromium, tmp_path: Path, host: str) -> None:
    with serving(tmp_path) as url, httpx.Client(base_url=url, trust_env=False) as http:
        secret = token(tmp_path, "new", "--role", "operator", "--name", "me")
        assert "token_required" in browser.dump(f"{url}/api/caller")
        assert "Fleet</title>" in browser.dump(token(tmp_path, "link", "me", "--url", url))
        assert "token:me" in browser.dump(f"{url}/api/caller")
        refused(attack(browser, url, host, tmp_path))
        assert "token:me" in browser.dump(f"{url}/api/caller")
        log = http.get("/api/log", headers={"Authorization": f"Bearer {secret}"})
        assert changes(log) == []
        token(tmp_path, "revoke", "me")
        assert "token_invalid" in browser.dump(f"{url}/api/caller")
