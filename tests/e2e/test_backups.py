"""The drill: back up under load, destroy the data directory, restore, verify, and continue. A copy is refused."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.e2e.server import ROOT, Server, repository, until
from tests.patience import PATIENCE_S


def fleet(server: Server, *arguments: str) -> str:
    """Run a command that must work, and return its output."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from fleet.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=server.environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fleet_is_restored_from_a_backup_under_load_and_continues(stopped: Server) -> None:
    stopped.start()
    project, backup = repository(stopped.root / "project"), stopped.root / "backup"
    kept = stopped.create(project, 'write "notes.md": "kept"\n---\nsay "Before."')
    busy = stopped.create(repository(stopped.root / "other"), 'bash "sleep 300"')
    stopped.settled(kept["id"])
    until(lambda: stopped.running("300"), "the sleep")
    address = ("--url", str(stopped.http.base_url))
    assert "is a verified backup" in fleet(stopped, "backup", str(backup), *address)
    stopped.prompt(kept["id"], 'say "Meanwhile."')
    stopped.settled(kept["id"], 2)
    assert " 0 new events" not in fleet(stopped, "backup", str(backup), *address)
    latest = stopped.call("GET", f"/sessions/{kept['id']}/diffs?turn=1")
    stopped.end(signal.SIGKILL)
    originals = {process.pid for process in stopped.marked()}
    data, stopped.data = stopped.data, Path(shutil.copytree(stopped.data, stopped.root / "copy"))
    refused = stopped.run()
    assert (refused.returncode, f"is a copy of {data} (no server runs there)" in refused.stderr) == (1, True)
    stopped.data = data
    shutil.rmtree(data)

    said = fleet(stopped, "restore", str(backup), str(stopped.data))
    assert "2 OpenCode processes were recorded as lost" in said
    assert "are intact" in fleet(stopped, "log", "verify", "--data-dir", str(stopped.data))
    stopped.start()
    assert stopped.session(busy["id"])["status"] == "disconnected"
    assert stopped.session(kept["id"])["status"] == "disconnected"
    assert stopped.texts(kept["id"]) == ["Before.", "Meanwhile."]
    assert stopped.call("GET", f"/sessions/{kept['id']}/diffs?turn=1") == latest != []
    stopped.call("POST", f"/sessions/{kept['id']}/resume")
    stopped.prompt(kept["id"], 'say "After."')
    stopped.settled(kept["id"], 3)
    assert stopped.texts(kept["id"]) == ["Before.", "Meanwhile.", "After."]
    assert stopped.end() == 0
    assert {process.pid for process in stopped.marked()} == originals
