"""`fleet log pack`: the evidence pack of a session becomes a directory."""

import json
from pathlib import Path

import trio

from fleet.adapters.clock import SystemClock
from fleet.events.catalog import make_registry
from fleet.events.envelope import Cause, StateSnapshot
from fleet.events.lmdb_log import LmdbLog
from fleet.evidence.standalone.verify import verify
from tests.cli.terminal import fleet
from tests.cli.test_app import fleet as run
from tests.cli.test_session_commands import make
from tests.client.line import Line
from tests.core.sessions import CREATED
from tests.drill.test_drills import recorded


async def test_evidence_pack_is_written_into_a_new_directory(line: Line, tmp_path: Path) -> None:
    session_id = await make(line, "--prompt", "Do it", "--wait")
    folder = tmp_path / "evidence"
    done = await fleet(line, "log", "pack", session_id, "-o", str(folder))
    assert (done.code, done.out.strip(), done.err) == (0, str(folder / "index.html"), "")
    verify(folder)
    again = await fleet(line, "log", "pack", session_id, "-o", str(folder))
    assert (again.code, "is not empty" in again.err) == (1, True)


def test_evidence_pack_of_a_data_directory_ends_with_its_signed_head(tmp_path: Path) -> None:
    trio.run(recorded, tmp_path / "data")
    folder = tmp_path / "evidence"
    done = run("log", "pack", "s1", "--data-dir", str(tmp_path / "data"), "-o", str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    verify(folder)
    proof = json.loads((folder / "proof.json").read_text())
    assert proof["head"]["position"] == proof["last"] > len(json.loads((folder / "pack.json").read_text())["life"])
    assert b"s2" not in b"".join((folder / name).read_bytes() for name in ("pack.json", "index.html"))


def test_warnings_about_a_data_directory_are_not_mixed_with_the_output(tmp_path: Path) -> None:
    trio.run(recorded, tmp_path)
    trio.run(snapshot_of, tmp_path)
    for name in ("signing.key", "signing.pub"):  # as if the log had come from elsewhere
        (tmp_path / name).unlink()
    done = run("log", "verify", "--json", "--data-dir", str(tmp_path))
    assert json.loads(done.stdout)["intact"] is False


async def snapshot_of(directory: Path) -> None:
    """Store a snapshot of a session."""
    with LmdbLog.open(directory, make_registry(), SystemClock()) as log:
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            log.save_snapshot("session-s1", StateSnapshot(1, 1, "schema", b"state"))
            await log.append("session-s3", 0, [CREATED[0]], Cause())
            log.stop()
