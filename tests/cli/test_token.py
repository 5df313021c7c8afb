"""`fleet token`, with a server and without one; and where a start needs a token."""

import json
import stat
from pathlib import Path

import httpx
import pytest

from tests.cli.test_app import fleet
from tests.cli.test_ps import ps, serving


def token(root: Path, *arguments: str) -> str:
    """Run `fleet token`, which must work, and return what it printed."""
    done = fleet("token", *arguments, "--data-dir", str(root / "data"), XDG_CONFIG_HOME=str(root))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def refused(root: Path, *arguments: str) -> str:
    """Run `fleet token`, which must refuse, and return what it said."""
    done = fleet("token", *arguments, "--data-dir", str(root / "data"), XDG_CONFIG_HOME=str(root))
    assert (done.returncode, done.stdout) == (1, ""), done
    assert "Traceback" not in done.stderr
    return done.stderr


def modes(directory: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir() if path.is_file()}


def test_token_secret_is_shown_once_and_stored_as_a_digest(tmp_path: Path) -> None:
    secret = token(tmp_path, "new", "--role", "viewer", "--name", "wall", "--expires", "30d")
    assert secret.startswith("fleet_")
    data = tmp_path / "data"
    kept = "".join(path.read_text() for path in data.iterdir())
    assert secret not in kept
    assert secret.split("_", 2)[2] not in kept
    assert modes(data) == {0o600}
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    (row,) = json.loads(token(tmp_path, "ls", "--json"))
    assert (row["name"], row["role"], row["status"]) == ("wall", "viewer", "active")
    assert row["expiresAtMs"] - row["createdAtMs"] == 30 * 86_400_000
    assert secret not in token(tmp_path, "ls")


def test_token_names_are_unique_and_valid(tmp_path: Path) -> None:
    token(tmp_path, "new", "--role", "operator")
    token(tmp_path, "new", "--role", "operator")
    assert [row["name"] for row in json.loads(token(tmp_path, "ls", "--json"))] == ["operator-1", "operator-2"]
    token(tmp_path, "revoke", "operator-1")
    assert "choose another name" in refused(tmp_path, "new", "--role", "viewer", "--name", "operator-1")
    assert "is not a token name" in refused(tmp_path, "new", "--role", "viewer", "--name", "a\nb")
    assert "there is no token 'x'" in refused(tmp_path, "revoke", "operator-2", "x")
    assert [row["status"] for row in json.loads(token(tmp_path, "ls", "--json"))] == ["revoked", "active"]
    assert "revoked" in refused(tmp_path, "link", "operator-1")


def test_invalid_expiry_of_a_token_is_refused(tmp_path: Path) -> None:
    for expires in ("30", "tomorrow", "0d", "-1d", "2020-01-01", "99999w99", "1y"):
        assert "--expires" in refused(tmp_path, "new", "--role", "viewer", "--expires", expires), expires
    assert json.loads(token(tmp_path, "ls", "--json")) == []


def test_damaged_token_file_is_reported_and_not_changed(tmp_path: Path) -> None:
    token(tmp_path, "new", "--role", "viewer")
    file = tmp_path / "data" / "tokens.json"
    file.write_text("{")
    for arguments in (("ls",), ("new", "--role", "viewer"), ("revoke", "viewer-1")):
        assert "cannot be read" in refused(tmp_path, *arguments)
    assert file.read_text() == "{"
    done = fleet("serve", "--port", "0", "--data-dir", str(tmp_path / "data"), XDG_CONFIG_HOME=str(tmp_path))
    assert (done.returncode, "cannot be read" in done.stderr) == (1, True)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_server_on_a_reachable_address_does_not_start_without_a_token(tmp_path: Path, host: str) -> None:
    serve = ("serve", "--host", host, "--port", "0", "--data-dir", str(tmp_path / "data"))
    done = fleet(*serve, XDG_CONFIG_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "fleet token new --role operator" in done.stderr
    assert "ssh -L" in done.stderr
    token(tmp_path, "new", "--role", "operator", "--name", "old")
    token(tmp_path, "revoke", "old")
    assert fleet(*serve, XDG_CONFIG_HOME=str(tmp_path)).returncode == 1
    doctor = fleet("doctor", "--json", "--host", host, "--data-dir", str(tmp_path / "data"))
    (access,) = [check for check in json.loads(doctor.stdout) if check["name"] == "access"]
    assert access["state"] == "failed"


def test_login_link_refuses_a_page_outside_of_the_server(tmp_path: Path) -> None:
    token(tmp_path, "new", "--role", "viewer", "--name", "wall")
    at = ("--url", "http://localhost:3000", "--data-dir", str(tmp_path / "data"))
    for next_ in ("https://evil.example/", "//evil.example", "inbox", "/\\evil.example", ""):
        done = fleet("token", "link", "wall", "--next", next_, *at, XDG_CONFIG_HOME=str(tmp_path))
        assert (done.returncode, done.stdout) == (2, ""), next_
        assert "--next" in done.stderr, next_


def test_new_and_revoked_tokens_take_effect_on_a_running_server(tmp_path: Path) -> None:
    with serving(tmp_path) as url, httpx.Client(base_url=url, trust_env=False) as http:
        assert http.get("/api/sessions").status_code == 200
        secret = token(tmp_path, "new", "--role", "operator", "--name", "me")
        shown = {"Authorization": f"Bearer {secret}"}
        assert http.get("/api/sessions").status_code == 401
        assert http.get("/api/sessions", headers=shown).status_code == 200
        # The same user, on the same machine, needs none.
        port = url.rpartition(":")[2]
        assert ps(tmp_path, "--port", port).returncode == 0
        assert "refuses the request" in ps(tmp_path, "--url", url).stderr
        asked = fleet("ps", "--url", url, FLEET_TOKEN=secret, XDG_CONFIG_HOME=str(tmp_path))
        assert asked.returncode == 0, asked.stderr
        link = token(tmp_path, "link", "me", "--url", url)
        assert http.get(link).status_code == 303
        assert "does not listen on port 1: give its --port or --url." in refused(tmp_path, "link", "me", "--port", "1")
        assert token(tmp_path, "link", "me", "--port", url.rpartition(":")[2]).startswith("http://localhost:")
        onwards = token(tmp_path, "link", "me", "--url", url, "--next", "/s/x?tab=diffs")
        assert http.get(onwards).headers["location"] == "/s/x?tab=diffs"
        assert http.get("/api/caller").json()["actor"] == "token:me"
        token(tmp_path, "revoke", "me")
        assert http.get("/api/sessions", headers=shown).status_code == 401
        assert http.get("/api/caller").status_code == 401
        assert (tmp_path / "data" / "local-token").exists()
        kept = (tmp_path / "data" / "events.mdb").read_bytes() + (tmp_path / "server.log").read_bytes()
        assert secret.encode() not in kept
    assert not (tmp_path / "data" / "local-token").exists()
