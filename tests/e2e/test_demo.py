"""`fleet demo`, as a newcomer runs it: it works, shows what happens, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from tests.patience import PATIENCE_S

DEMO = [sys.executable, "-c", "from fleet.cli import main; main()", "demo"]


@pytest.fixture
def environment(tmp_path: Path, opencode_binary: Path) -> dict[str, str]:
    """A user who has OpenCode, a home that nothing may touch, and a place of their own for temporary files."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "home").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLEET_", "XDG_", "OPENCODE"))}
    own = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp"), "FLEET_OPENCODE": str(opencode_binary)}
    return {**kept, **own, "COLUMNS": "100", "PYTHONUNBUFFERED": "1"}


def left_behind(tmp_path: Path) -> list[str]:
    """Return the files in what belongs to the user, and the processes that carry a marker of this test's Fleet."""
    files = [str(file) for place in ("home", "tmp") for file in (tmp_path / place).rglob("*")]
    return files + [repr(process) for process in psutil.process_iter() if _is_ours(process, str(tmp_path))]


def _is_ours(process: psutil.Process, place: str) -> bool:
    try:
        marker: str = process.environ().get("FLEET_DATA_DIR", "")
    except psutil.Error:
        return False
    return marker.startswith(place)


def test_two_sessions_work_and_nothing_is_left(environment: Mapping[str, str], tmp_path: Path) -> None:
    """Also from a shell whose variables name another repository and a proxy that nothing answers at."""
    (tmp_path / "other").mkdir()
    elsewhere = {"GIT_DIR": str(tmp_path / "other"), "GIT_INDEX_FILE": str(tmp_path / "other/index")}
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    environment = {**environment, **elsewhere, **proxies}
    done = subprocess.run(DEMO, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for title in ("Greet by name", "Write a guide"):
        assert f"{title}: working" in done.stdout
        assert f"{title}: done" in done.stdout
    assert "Greet by name:   ✓ edit greeter.py" in done.stdout
    assert '+    return f"hello, {name}"' in done.stdout
    assert " docs/guide.md | " in done.stdout
    assert left_behind(tmp_path) == []
    assert list((tmp_path / "other").iterdir()) == []


def test_ctrl_c_ends_it_and_nothing_is_left(environment: Mapping[str, str], tmp_path: Path) -> None:
    with subprocess.Popen(DEMO, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        while "working" not in (line := running.stdout.readline()):
            assert line, running.stderr.read()
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=PATIENCE_S)
    assert (running.returncode, errors) == (1, "")
    assert left_behind(tmp_path) == []


def test_without_opencode_it_says_how_to_get_it(environment: Mapping[str, str], tmp_path: Path) -> None:
    without = {**environment, "PATH": _path_without_opencode(tmp_path)}
    del without["FLEET_OPENCODE"]
    not_set_up = "import fleet.adapters.opencode.binary as it; it.SET_UP = it.Path('/none'); "
    command = [*DEMO[:2], not_set_up + DEMO[2], DEMO[3]]
    done = subprocess.run(command, env=without, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("fleet: There is no OpenCode on the PATH. Install it (`npm install -g opencode-ai`)")
    assert left_behind(tmp_path) == []


def _path_without_opencode(tmp_path: Path) -> str:
    """Return a PATH with git and nothing else."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for entry in os.environ["PATH"].split(os.pathsep):
        if (git := Path(entry) / "git").exists():
            (programs / "git").symlink_to(git)
            return str(programs)
    pytest.fail("There is no git on the PATH")
