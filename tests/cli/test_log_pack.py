"""`fleet log pack`: the evidence pack of a session becomes a directory."""

import json
from pathlib import Path

import trio

from fleet.evidence.standalone.verify import verify
from tests.cli.terminal import fleet
from tests.cli.test_app import fleet as run
from tests.cli.test_session_commands import make
from tests.client.line import Line
from tests.test_drill import recorded


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
