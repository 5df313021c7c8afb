"""What `fleet serve` says when it is ready: the way to the page, with a link that logs in on a terminal alone."""

import sys
from functools import partial
from pathlib import Path

import pytest

from fleet.composition.greeting import greeting, page_line
from fleet.config import load_config
from fleet.gateway.server.guard import Guard
from fleet.gateway.server.tokens import Cookie, TokenFile, issue, redeem, revoke
from fleet.limits import LINK_LIFETIME_S
from fleet.wire.enums import Role
from tests.cli.test_ps import serving
from tests.fakes.clock import FakeClock

NOW_MS = 1_000_000_000_000
URL = "http://localhost:3000"


@pytest.fixture
def file(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path / "data")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


def line(file: TokenFile, *, is_built: bool = True, is_found: bool = True) -> str:
    return page_line(Guard(FakeClock(), file), URL, NOW_MS, is_built=is_built, is_found=is_found)


def redeemed(file: TokenFile, said: str, after_s: float = 0) -> Cookie | None:
    """Return the cookie that the link gives so long after it was shown."""
    code = said.partition("code=")[2].split()[0]
    now_ms = NOW_MS + int(after_s * 1000)
    return file.change(partial(redeem, code=code, now_ms=now_ms, lifetime_s=60))


def new(file: TokenFile, name: str) -> None:
    role: Role = "viewer" if name == "wall" else "operator"
    file.change(partial(issue, name=name, role=role, now_ms=NOW_MS, expires_at_ms=None))


@pytest.mark.usefixtures("terminal")
def test_without_a_token_it_is_the_address(file: TokenFile) -> None:
    assert line(file) == f"{URL}/ in a browser, or `fleet open`"


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_a_link_logs_its_user_in_once(file: TokenFile) -> None:
    for name in ("me", "wall"):
        new(file, name)
    said = line(file)
    assert said.startswith(f"{URL}/login?code=fleet_")
    cookie = redeemed(file, said, LINK_LIFETIME_S - 1)
    assert (cookie is not None and cookie.token) == "me"
    assert redeemed(file, said) is None
    assert redeemed(file, line(file), LINK_LIFETIME_S) is None


@pytest.mark.usefixtures("terminal")
def test_a_viewers_link_is_better_than_none_and_a_revoked_token_has_none(file: TokenFile) -> None:
    for name in ("me", "wall"):
        new(file, name)
    file.change(partial(revoke, names=["me"], now_ms=NOW_MS))
    cookie = redeemed(file, line(file))
    assert (cookie is not None and cookie.token) == "wall"
    file.change(partial(revoke, names=["wall"], now_ms=NOW_MS))
    assert "code=" not in line(file)


def test_a_file_gets_no_link(file: TokenFile) -> None:
    """It would be read by others, or much later."""
    new(file, "me")
    assert line(file) == f"{URL}/ after `fleet token link NAME`, which logs a browser in"


def test_it_names_the_command_as_this_shell_can_call_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: TokenFile
) -> None:
    installed = tmp_path / ".venv/bin/fleet"
    installed.parent.mkdir(parents=True)
    installed.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(installed), "serve"])
    monkeypatch.chdir(tmp_path)
    assert line(file) == f"{URL}/ in a browser, or `.venv/bin/fleet open`"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert f"`{installed} open`" in line(file)
    monkeypatch.setenv("PATH", str(installed.parent), prepend=":")
    assert "`fleet open`" in line(file)


def test_a_server_at_another_address_than_the_configured_one_is_named_to_the_command(file: TokenFile) -> None:
    assert line(file, is_found=False) == f"{URL}/ in a browser, or `fleet open --url {URL}`"


def test_without_a_build_it_says_how_to_make_one(file: TokenFile) -> None:
    assert "make web" in line(file, is_built=False)


@pytest.mark.parametrize("needs_token", [True, False])
def test_what_it_proposes_to_try_shows_a_token_where_one_is_needed(tmp_path: Path, needs_token: bool) -> None:
    config = load_config({"data_dir": str(tmp_path)}, {"HOME": str(tmp_path)})
    said = greeting(config, URL, None, needs_token=needs_token, page="there")
    assert ("$FLEET_TOKEN" in said) == needs_token
    assert "Page     there" in said
    assert "npm install -g opencode-ai" in said


def test_a_server_that_only_reads_says_so_and_proposes_no_change(tmp_path: Path) -> None:
    config = load_config({"data_dir": str(tmp_path)}, {"HOME": str(tmp_path)})
    said = greeting(config, URL, None, needs_token=False, page="there", read_only=True)
    assert "read-only: nothing can be changed" in said
    assert "POST" not in said


def test_a_server_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/other/.git")
    with serving(tmp_path) as url:
        said = (tmp_path / "server.log").read_text()
    assert f"is ready at {url}\n  Page     " in said
    assert "  Note     GIT_DIR: set by the shell that started Fleet" in said
    assert "code=" not in said
