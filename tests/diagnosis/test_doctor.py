"""What the doctor finds, on a machine that is well and on ones that are not."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from fleet.adapters.clock import SystemClock
from fleet.config import Config, load_config
from fleet.diagnosis.checks import Check, healthy
from fleet.diagnosis.doctor import DAY_MS, examine
from fleet.events.backup_source import LAST_BACKUP, LastBackup
from fleet.events.data_lock import DataLock, lock_holder
from fleet.events.lmdb_store import LmdbStore


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return a directory to be the PATH, with programs that work."""
    directory = tmp_path / "bin"
    directory.mkdir()
    program(directory / "git", "echo git version 2.45.0")
    program(directory / "opencode", "echo 1.18.33")
    program(directory / "rg", "echo ripgrep 14")
    return directory


def program(file: Path, script: str) -> None:
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def configure(tmp_path: Path, **flags: str) -> Config:
    return load_config(
        {"data_dir": str(tmp_path / "data"), "workspace_roots": str(tmp_path), "port": "0", **flags},
        {"FLEET_CONFIG": os.devnull},
    )


async def look(config: Config, programs: Path) -> dict[str, Check]:
    environment: Mapping[str, str] = {"PATH": str(programs), "HOME": str(programs.parent)}
    return {check.name: check for check in await examine(config, environment)}


async def test_a_machine_that_is_well(tmp_path: Path, programs: Path) -> None:
    found = await look(configure(tmp_path), programs)
    disk = found.pop("disk")
    assert "MiB free" in disk.detail
    assert {check.state for check in found.values()} == {"ok"}
    assert not (tmp_path / "data").exists()


async def test_the_age_of_the_newest_backup(tmp_path: Path, programs: Path) -> None:
    config = configure(tmp_path)
    assert "backup" not in await look(config, programs)
    config.data_dir.mkdir()
    LmdbStore(config.data_dir / "events.mdb").close()
    none = (await look(config, programs))["backup"]
    assert (none.state, none.detail) == ("warning", "no backup was made")
    assert "fleet backup" in none.advice
    now_ms = SystemClock().now_ms()
    for age_days, state in ((2, "ok"), (8, "warning")):
        last = LastBackup(42, now_ms - age_days * DAY_MS)
        (config.data_dir / LAST_BACKUP).write_bytes(msgspec.json.encode(last))
        found = (await look(config, programs))["backup"]
        assert (found.state, found.detail) == (state, f"the newest is {age_days}.0 days old and reaches position 42")


async def test_missing_programs(tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.adapters.opencode.binary.SET_UP", tmp_path / "none")
    for name in ("git", "opencode", "rg"):
        (programs / name).unlink()
    found = await look(configure(tmp_path), programs)
    assert (found["git"].state, found["OpenCode"].state, found["ripgrep"].state) == ("failed", "failed", "warning")
    assert all(found[name].advice for name in ("git", "OpenCode", "ripgrep"))
    assert not healthy(tuple(found.values()))


async def test_a_git_that_does_not_run(tmp_path: Path, programs: Path) -> None:
    program(programs / "git", "echo no developer tools >&2; exit 1")
    found = await look(configure(tmp_path), programs)
    assert found["git"].state == "failed"
    assert "no developer tools" in found["git"].detail


@pytest.mark.parametrize(("said", "advice"), [("1.3.2", "upgrade"), ("9.0.0", "probably works")])
async def test_an_opencode_that_was_not_tested(tmp_path: Path, programs: Path, said: str, advice: str) -> None:
    program(programs / "opencode", f"echo {said}")
    check = (await look(configure(tmp_path), programs))["OpenCode"]
    assert check.state == "warning"
    assert said in check.detail
    assert advice in check.advice


async def test_the_opencode_that_was_named_is_the_one_looked_at(tmp_path: Path, programs: Path) -> None:
    (programs / "opencode").rename(tmp_path / "mine")
    check = (await look(configure(tmp_path, opencode=str(tmp_path / "mine")), programs))["OpenCode"]
    assert check.state == "ok"
    assert str(tmp_path / "mine") in check.detail


async def test_a_data_directory_that_a_server_has(tmp_path: Path, programs: Path) -> None:
    data_dir = tmp_path / "data"
    lock = DataLock(data_dir)
    try:
        check = (await look(configure(tmp_path), programs))["data directory"]
    finally:
        lock.close()
    assert check.state == "ok"
    assert f"process {os.getpid()}" in check.detail
    assert lock_holder(data_dir) is None


async def test_a_port_that_the_running_server_has(tmp_path: Path, programs: Path) -> None:
    lock = DataLock(tmp_path / "data")
    with socket.create_server(("127.0.0.1", 0)) as server:
        check = (await look(configure(tmp_path, port=str(server.getsockname()[1])), programs))["port"]
    lock.close()
    assert check.state == "ok"
    assert "Fleet is listening" in check.detail


async def test_a_port_that_someone_else_has(tmp_path: Path, programs: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        check = (await look(configure(tmp_path, port=str(server.getsockname()[1])), programs))["port"]
    assert check.state == "failed"
    assert "--port" in check.advice


async def test_a_data_directory_that_was_used_before(tmp_path: Path, programs: Path) -> None:
    (tmp_path / "data").mkdir()
    LmdbStore(tmp_path / "data" / "events.mdb").close()
    assert (await look(configure(tmp_path), programs))["data directory"].state == "ok"


async def test_a_log_that_cannot_be_read(tmp_path: Path, programs: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "events.mdb").write_bytes(b"not a log" * 1000)
    check = (await look(configure(tmp_path), programs))["data directory"]
    assert check.state == "failed"
    assert "events.mdb" in check.detail


async def test_a_data_directory_that_is_a_file(tmp_path: Path, programs: Path) -> None:
    (tmp_path / "data").write_text("")
    check = (await look(configure(tmp_path), programs))["data directory"]
    assert check.state == "failed"
    assert "--data-dir" in check.detail


async def test_a_workspace_root_that_is_not_there(tmp_path: Path, programs: Path) -> None:
    check = (await look(configure(tmp_path, workspace_roots=str(tmp_path / "gone")), programs))["workspace root"]
    assert check.state == "failed"
