"""`fleet log verify --export`: an exported log is proven without a server."""

import json
from pathlib import Path

import pytest
import trio

from fleet.events.anchors import append_anchor
from fleet.events.envelope import Cause
from fleet.events.export import export_end, export_page
from fleet.events.signing import SigningKey
from fleet.events.verify import verify
from tests.cli.test_app import fleet
from tests.events.samples import Opened, sample_registry
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import KEY, MemoryDisk, MemoryLog


@pytest.fixture
def log() -> MemoryLog:
    log = MemoryLog(MemoryDisk(), sample_registry(), FakeClock())

    async def fill() -> None:
        for version in range(3):
            await log.append("plain", version, [Opened("é")], Cause())

    trio.run(fill)
    return log


@pytest.fixture
def exported(log: MemoryLog, tmp_path: Path) -> Path:
    file = tmp_path / "log.jsonl"

    async def export() -> None:
        file.write_bytes(export_page(log, 0, 3)[0] + export_end(log, 3))

    trio.run(export)
    return file


def test_complete_export_is_verified(log: MemoryLog, exported: Path) -> None:
    done = fleet("log", "verify", "--export", str(exported))
    assert (done.returncode, done.stderr) == (0, "")
    assert "Events 1 to 3 are intact" in done.stdout
    assert verify(log).digest.hex() in done.stdout
    found = json.loads(fleet("log", "verify", "--json", "--export", str(exported)).stdout)
    assert (found["intact"], found["events"], found["firstBreak"]) == (True, 3, None)


def test_changed_export_is_detected(exported: Path) -> None:
    exported.write_text(exported.read_text().replace("é", "e", 1))
    done = fleet("log", "verify", "--export", str(exported))
    assert done.returncode == 1
    assert "Broken at event 1" in done.stdout
    assert json.loads(fleet("log", "verify", "--json", "--export", str(exported)).stdout)["intact"] is False


def test_verify_fails_for_empty_input_and_for_a_missing_file(exported: Path) -> None:
    assert fleet("log", "verify", "--export", "-").returncode == 1  # standard input is empty
    done = fleet("log", "verify", "--export", str(exported.parent / "missing"))
    assert done.returncode == 1
    assert "cannot be read" in done.stderr


def test_export_that_was_cut_off_is_detected(exported: Path) -> None:
    exported.write_bytes(b"".join(exported.read_bytes().splitlines(keepends=True)[:2]))
    done = fleet("log", "verify", "--export", str(exported))
    assert (done.returncode, "head at the end is missing" in done.stdout) == (1, True)


def test_exported_log_is_held_to_anchors(log: MemoryLog, exported: Path) -> None:
    anchors = exported.with_name("anchors")
    append_anchor(anchors, KEY.sign(3, verify(log).digest, 0))
    verified = ("log", "verify", "--export", str(exported))
    done = fleet(*verified, "--anchor", str(anchors))
    assert (done.returncode, "Anchors that agree: 1\n" in done.stdout) == (0, True), done.stdout
    assert fleet(*verified, "--expect", f"3:{verify(log).digest.hex()}").returncode == 0
    done = fleet(*verified, "--expect", f"2:{'00' * 32}")
    assert (done.returncode, "Broken at event 2" in done.stdout) == (1, True)
    assert fleet(*verified, "--expect", "2").returncode == 2
    append_anchor(anchors, SigningKey(bytes(32)).sign(3, verify(log).digest, 0))
    done = fleet(*verified, "--anchor", str(anchors))
    assert (done.returncode, "another key" in done.stdout) == (1, True)
