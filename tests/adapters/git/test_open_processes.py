"""Processes that keep a workspace from being removed are named, with what they are and for how long."""

import subprocess
import sys
from pathlib import Path

import pytest

from fleet.adapters.git.open_processes import busy_in, require_not_busy
from fleet.errors import Rejected
from fleet.limits import BUSY_COMMAND_CHARS_MAX
from fleet.ports import Busy


async def test_a_process_in_a_directory_is_named_with_command_and_age(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    command = [sys.executable, "-c", "import time; time.sleep(1000)", "x" * 200]
    with subprocess.Popen(command, cwd=below) as process:  # noqa: ASYNC220 - it ends with the block
        try:
            (found,) = await busy_in(str(tmp_path))
            assert (found.pid, len(found.command)) == (process.pid, BUSY_COMMAND_CHARS_MAX)
            assert 0 <= found.age_s < 60
            with pytest.raises(Rejected) as refused:
                await require_not_busy(str(tmp_path))
            assert found.command in refused.value.detail
            assert refused.value.extra == {"pids": [process.pid]}
            assert "force=true" in (refused.value.hint or "")
        finally:
            process.kill()
    await require_not_busy(str(tmp_path))


@pytest.mark.parametrize(
    ("age_s", "words"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (1020, "17 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_the_age_of_a_process_has_one_unit(age_s: int, words: str) -> None:
    assert Busy(7, "npm run dev", age_s).words == f"7 (npm run dev, for {words})"
