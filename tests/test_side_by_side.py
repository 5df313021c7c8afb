"""How `make check` runs its checks: `tools/side_by_side.py`."""

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parent.parent / "tools" / "side_by_side.py"


def side_by_side(*commands: str) -> tuple[int, list[str]]:
    done = subprocess.run([sys.executable, TOOL, *commands], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout.splitlines()


def test_all_commands_run_and_the_one_that_fails_is_named(tmp_path: Path) -> None:
    meet = f"echo begun; mkfifo {tmp_path / 'meet'}; echo > {tmp_path / 'meet'}; echo wrong >&2; exit 3"
    other = f"until [ -p {tmp_path / 'meet'} ]; do sleep 0.01; done; cat {tmp_path / 'meet'}; echo right"
    code, said = side_by_side(meet, other)
    assert code == 1
    at = said.index(meet)
    assert said[at : at + 4] == [meet, "begun", "wrong", f"exit code 3: {meet}"]
    assert "right" in said


def test_all_is_well_where_no_command_fails() -> None:
    assert side_by_side("true", "echo well") in ((0, ["true", "echo well", "well"]), (0, ["echo well", "well", "true"]))
