"""The pictures of the dashboard: their prompts can be played, and they are there and small."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PICTURES = sorted((ROOT / "docs/images").glob("*.png"))
_PARSE = """
import picture_scripts
from fleet.rehearsal.parse import parse_script
for name, script in vars(picture_scripts).items():
    if name.isupper() and "usage" in script:
        assert parse_script(script), name
        print(name)
"""


def test_every_script_of_a_picture_can_be_read() -> None:
    command = [sys.executable, "-c", _PARSE]
    done = subprocess.run(command, cwd=ROOT / "tools", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "CHARGE_ONCE" in done.stdout.split()


@pytest.mark.parametrize("page", ["README.md", "docs/dashboard.md"])
def test_the_pictures_of_a_page_are_there(page: str) -> None:
    named = re.findall(r"[(\"]((?:docs/)?images/[\w-]+\.png)", (ROOT / page).read_text())
    assert named
    assert [name for name in named if not ((ROOT / page).parent / name).exists()] == []


def test_pictures_are_small() -> None:
    assert {file.name: file.stat().st_size for file in PICTURES if file.stat().st_size > 200_000} == {}
