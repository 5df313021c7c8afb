"""Reads the files of the repository, for tests of its rules."""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent


@cache
def tracked() -> tuple[str, ...]:
    """Return the files of the repository that git knows and that are there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def modules(*tops: str) -> list[str]:
    return [name for name in tracked() if name.endswith(".py") and name.startswith(tuple(f"{top}/" for top in tops))]


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")
