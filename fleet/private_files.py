"""Creates directories and files that no other user of this machine can read, from the first moment on."""

import os
from pathlib import Path


def make_private_directory(path: Path) -> None:
    """Make it, and those above it that are not there: `mkdir(parents=True)` gives its mode to the last one alone."""
    for each in (*reversed(path.parents), path):
        each.mkdir(mode=0o700, exist_ok=True)


def write_private(file: Path, content: bytes) -> None:
    """Write the file anew; one that was there becomes private as well."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        os.fchmod(descriptor, 0o600)
        opened.write(content)
