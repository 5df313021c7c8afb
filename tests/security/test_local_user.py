"""Another user of this machine: what is on the disk, in the list of processes and on ports is not theirs to read."""

import os
import stat
from pathlib import Path

import httpx
import psutil
import pytest

from fleet.errors import StartupError
from fleet.events.data_lock import DataLock
from tests.e2e.conftest import opencode_binary, stopped
from tests.e2e.server import Server, repository

__all__ = ["opencode_binary", "stopped"]  # the fixtures

ENVIRONMENT = 'bash "env | cut -d= -f1"'


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o750, 0o701])
def test_a_data_directory_that_was_there_becomes_private(tmp_path: Path, mode: int) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(mode)
    DataLock(data).close()
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_a_data_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(StartupError, match="belongs to another user"):
        DataLock(tmp_path)
    monkeypatch.undo()
    DataLock(tmp_path).close()  # the refusal has not kept the lock


def open_to_others(data: Path) -> list[str]:
    """What others could read if the data directory itself were not private.

    What git writes, and what OpenCode unpacks in a private directory of its own, has their own modes.
    """
    kept = [data]
    for directory in kept:
        if directory.parent.name != "trees" and directory.name not in ("workspaces", "tmp"):
            kept += directory.iterdir() if directory.is_dir() else ()
    return [str(each.relative_to(data)) for each in kept if not each.is_symlink() and each.stat().st_mode & 0o077]


def test_a_running_fleet_shows_nothing_to_others(stopped: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {**stopped.environment(), "FLEET_TOKEN": "not for agents"}
    monkeypatch.setattr(stopped, "environment", lambda: environment)
    stopped.start()
    project = repository(stopped.root / "project")
    item = stopped.create(project, ENVIRONMENT)
    stopped.settled(item["id"])
    data = stopped.data
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    (password_file,) = data.glob("instances/*/password")
    password, local = password_file.read_text(), (data / "local-token").read_text()
    for file in (password_file, data / "local-token", data / "events.mdb", data / "blobs.mdb", data / "fleet.lock"):
        if file.exists():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert not open_to_others(data), open_to_others(data)

    processes = [psutil.Process(stopped.process.pid), *stopped.marked()]
    assert len(processes) >= 2
    for process in processes:
        assert not any(secret in " ".join(process.cmdline()) for secret in (password, local))
        environ = Path(f"/proc/{process.pid}/environ")
        assert stat.S_IMODE(environ.stat().st_mode) == 0o400
        assert local not in environ.read_text(errors="replace")

    listening = [
        (process, each.laddr)
        for process in processes
        for each in process.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN
    ]
    assert {address.ip for _, address in listening} == {"127.0.0.1"}
    (port,) = [address.port for process, address in listening if process.pid != stopped.process.pid]
    assert httpx.get(f"http://127.0.0.1:{port}/session", trust_env=False).status_code == 401

    said = str(stopped.call("GET", f"/sessions/{item['id']}/messages"))
    assert "OPENCODE_SERVER_PASSWORD" in said  # the agent's own process knows its password, and nothing else of ours
    assert "FLEET_TOKEN" not in said
    log = (data / "events.mdb").read_bytes() + stopped.log.read_bytes()
    assert not any(secret.encode() in log for secret in (password, local))
    assert stopped.end() == 0
