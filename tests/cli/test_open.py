"""`fleet open`: which address the browser gets, and what happens where there is no browser."""

import stat
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.cli.test_app import fleet
from tests.cli.test_ps import serving
from tests.cli.test_token import token


class Desk:
    """A server, and a browser that takes note of what it is to open."""

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        self.url = url
        self.opened = root / "opened"
        self.browser = root / "browser"
        self.browser.write_text(f'#!/bin/sh\necho "$1" > {self.opened}\n')
        self.browser.chmod(stat.S_IRWXU)

    def open(self, *arguments: str, **environ: str) -> tuple[int, str, str]:
        """Run it as the user of the configured server does; return exit code, stdout and stderr."""
        port = urlsplit(self.url).port
        configured = {"FLEET_PORT": str(port), "FLEET_DATA_DIR": str(self.root / "data")}
        environ = {"BROWSER": f"{self.browser} %s", "XDG_CONFIG_HOME": str(self.root), **configured, **environ}
        done = fleet("open", *arguments, **environ)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout.strip(), done.stderr

    def session(self) -> str:
        """Create a session and return its id."""
        with httpx.Client(base_url=self.url, trust_env=False) as http:
            created = http.post("/api/sessions", json={"directory": str(self.root)}, timeout=60)
            session_id: str = created.json()["session"]["id"]
            return session_id

    def lands(self, address: str) -> tuple[str, str]:
        """Follow the address as a browser does; return who comes in, and where it ends."""
        with httpx.Client(trust_env=False, follow_redirects=True) as http:
            landed = http.get(address, headers={"Accept": "text/html"})
            actor: str = http.get(f"{self.url}/api/caller").json().get("actor", "nobody")
            return actor, landed.url.path


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Generator[Desk]:
    root = tmp_path_factory.mktemp("desk")
    with serving(root) as url:
        yield Desk(root, url)


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)


def test_fleet_open_opens_the_page_in_the_browser(desk: Desk) -> None:
    code, out, err = desk.open()
    assert (code, out) == (0, "")
    assert desk.opened.read_text().strip() == f"{desk.url}/"
    assert f"Opened {desk.url}/" in err


def test_a_session_is_named_by_the_beginning_of_its_id(desk: Desk) -> None:
    session_id = desk.session()
    assert desk.open(session_id[:20], "--print")[:2] == (0, f"{desk.url}/s/{session_id}")
    code, out, err = desk.open("nothing", "--print")
    assert (code, out) == (1, "")
    assert "there is no session 'nothing'" in err


def test_fleet_open_prints_the_address_without_a_browser(desk: Desk) -> None:
    code, out, err = desk.open(BROWSER="")
    assert (code, out) == (0, f"{desk.url}/")
    assert "no browser can be opened here" in err


def test_fleet_open_prints_the_address_if_the_browser_does_not_start(desk: Desk) -> None:
    assert desk.open(BROWSER="false %s")[1] == f"{desk.url}/"


def test_fleet_open_names_the_server_that_it_cannot_reach(desk: Desk) -> None:
    code, out, err = desk.open("--url", "http://127.0.0.1:1")
    assert (code, out) == (6, "")
    assert "127.0.0.1:1" in err


def test_fleet_open_uses_a_login_link_where_a_token_is_needed(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        desk = Desk(tmp_path, url)
        session_id = desk.session()
        token(tmp_path, "new", "--role", "viewer", "--name", "wall")
        token(tmp_path, "new", "--role", "operator", "--name", "me")
        code, _, err = desk.open(session_id)
        address = desk.opened.read_text().strip()
        assert (code, "code=" in err) == (0, False)
        assert desk.lands(address) == ("token:me", f"/s/{session_id}")
        assert desk.lands(address)[0] == "nobody"
        printed = desk.open("--print")[1]
        assert desk.lands(printed) == ("token:me", "/")
        # Not for a server that is named: it may belong to another person.
        secret = token(tmp_path, "new", "--role", "operator", "--name", "other")
        named = desk.open("--print", "--url", url.replace("localhost", "127.0.0.1"), FLEET_TOKEN=secret)
        assert named[:2] == (0, url.replace("localhost", "127.0.0.1") + "/")
        for name in ("me", "other"):
            token(tmp_path, "revoke", name)
        assert desk.lands(desk.open("--print")[1])[0] == "token:wall"
        token(tmp_path, "revoke", "wall")
        assert desk.open("--print")[:2] == (0, f"{url}/")


def test_the_help_of_fleet_open_names_its_parameters() -> None:
    done = fleet("open", "--help", COLUMNS="200")
    assert {"--print", "SESSION"} <= set(done.stdout.replace("│", " ").split())
