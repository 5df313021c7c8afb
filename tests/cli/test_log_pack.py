"""`fleet log pack`: the evidence pack of a session becomes a directory."""

from pathlib import Path

from fleet.evidence.standalone.verify import verify
from tests.cli.terminal import fleet
from tests.cli.test_session_commands import make
from tests.client.line import Line


async def test_evidence_pack_is_written_into_a_new_directory(line: Line, tmp_path: Path) -> None:
    session_id = await make(line, "--prompt", "Do it", "--wait")
    folder = tmp_path / "evidence"
    done = await fleet(line, "log", "pack", session_id, "-o", str(folder))
    assert (done.code, done.out.strip(), done.err) == (0, str(folder / "index.html"), "")
    verify(folder)
    again = await fleet(line, "log", "pack", session_id, "-o", str(folder))
    assert (again.code, "is not empty" in again.err) == (1, True)
