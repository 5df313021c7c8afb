"""Starts that cannot work say why and what to do; an OpenCode that does not work fails sessions, and is mended."""

import resource
import socket
import subprocess
from pathlib import Path

import httpx
import lmdb
import psutil
import pytest

from fleet.events.lmdb_store import FORMAT
from fleet.limits import FILES_MAX
from tests.e2e.server import Server, repository


def executable(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a server said that did not start."""
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


def test_a_second_server_on_the_same_data(stopped: Server) -> None:
    stopped.start()
    said = refusal(stopped.run())
    assert "in use by another Fleet" in said
    assert str(stopped.process.pid) in said
    assert stopped.call("GET", "/healthz")["status"] == "ok"
    assert stopped.end() == 0


def test_a_shells_limit_of_files_is_raised_to_what_fleets_own_limits_need(stopped: Server) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        stopped.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert psutil.Process(stopped.process.pid).rlimit(psutil.RLIMIT_NOFILE) == (min(FILES_MAX, hard), hard)
    assert stopped.end() == 0


def test_a_port_in_use(stopped: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refusal(stopped.run("--port", port))
    assert f"Port {port} is in use" in said
    assert not stopped.data.exists()


def test_a_data_directory_that_cannot_be_written(stopped: Server) -> None:
    stopped.data.write_text("a file")
    assert f"{stopped.data} cannot be written" in refusal(stopped.run())
    stopped.data.unlink()
    stopped.data.symlink_to("/proc")
    assert "cannot be written" in refusal(stopped.run())


def test_a_data_directory_of_a_newer_format(stopped: Server) -> None:
    stopped.start()
    assert stopped.end() == 0
    raise_format(stopped.data)
    said = refusal(stopped.run())
    assert f"has format {FORMAT + 1}" in said
    assert "use the version of Fleet that wrote it" in said


def raise_format(data: Path) -> None:
    """Make the log one of a Fleet to come."""
    with lmdb.open(str(data / "events.mdb"), subdir=False, lock=False, max_dbs=8) as environment:
        meta = environment.open_db(b"meta")
        with environment.begin(write=True) as transaction:
            transaction.put(b"format", (FORMAT + 1).to_bytes(4, "big"), db=meta)


@pytest.mark.parametrize(("kind", "words"), [("missing", "there is no OpenCode"), ("plain", "cannot be executed")])
def test_an_opencode_that_was_named_and_is_none(stopped: Server, kind: str, words: str) -> None:
    stopped.opencode = stopped.root / "opencode"
    if kind == "plain":
        stopped.opencode.write_text("text")
    said = refusal(stopped.run())
    assert words in said
    assert str(stopped.opencode) in said


def test_a_broken_opencode_fails_sessions_until_it_is_repaired(stopped: Server, opencode_binary: Path) -> None:
    stopped.opencode = stopped.root / "opencode"
    stopped.opencode.symlink_to(opencode_binary)
    stopped.start()
    project = repository(stopped.root / "project")
    for code, broken in (
        ("opencode_missing", None),
        ("opencode_not_executable", "plain"),
        ("opencode_exited", 'case "$1" in --version) echo 1.18.33;; *) echo "no luck today" >&2; exit 7;; esac'),
    ):
        stopped.opencode.unlink()
        if broken == "plain":
            stopped.opencode.write_text("text")
        elif broken is not None:
            executable(stopped.opencode, broken)
        problem = stopped.refused(503, code, "POST", "/sessions", {"directory": str(project), "initialPrompt": "Hi"})
        assert code != "opencode_exited" or "no luck today" in problem["detail"]
        item = stopped.session(problem["sessionId"])
        assert (item["status"], item["failure"]["code"], item["queued"]) == ("error", code, 1)
        stopped.opencode.unlink(missing_ok=True)
        stopped.opencode.symlink_to(opencode_binary)
    stopped.call("POST", f"/sessions/{item['id']}/resume")
    assert stopped.settled(item["id"])["outcome"] == "finished"
    assert stopped.end() == 0
    assert stopped.marked() == []


def test_an_opencode_that_never_becomes_ready_is_stopped(stopped: Server) -> None:
    """The server's own limit is a minute: what is looked at here is that its end does not wait for that."""
    script = 'case "$1" in --version) echo 1.18.33;; *) exec sleep 600;; esac'
    stopped.opencode = executable(stopped.root / "opencode", script)
    stopped.start()
    project = repository(stopped.root / "project")
    with pytest.raises(httpx.ReadTimeout):
        stopped.http.post("/api/sessions", json={"directory": str(project)}, timeout=3)
    (item,) = stopped.call("GET", "/sessions")
    assert item["status"] == "created"
    assert stopped.marked() != []
    assert stopped.end() == 0
    assert stopped.marked() == []
