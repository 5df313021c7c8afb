"""Creates directories and files that no other user of this machine can read at any moment."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

LOCAL_TOKEN: Final = "local-token"  # noqa: S105 - its name
"""In the data directory: the secret of the server that runs on it, for commands of the same user."""


def make_private_directory(path: Path) -> None:
    """Create it and its missing parents: `mkdir(parents=True)` would set the mode of the last one only."""
    for each in (*reversed(path.parents), path):
        each.mkdir(mode=0o700, exist_ok=True)


def write_private(file: Path, content: bytes, *, mode: int = 0o600, durable: bool = False) -> None:
    """Replace the file in one step by one with this content; see `replacing`."""
    with replacing(file, mode=mode, durable=durable) as new:
        new.write(content)


@contextmanager
def replacing(file: Path, *, mode: int = 0o600, durable: bool = False) -> Generator[BinaryIO]:
    """Yield a new file for the block to write, which then replaces `file` in one step, unless the block raises.

    Readers, and a crash of Fleet, leave or see a whole old or new file. With `durable` the new file also survives a
    power loss; that takes some milliseconds.
    """
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)  # left by a crash
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as opened:
        yield opened
        opened.flush()
        if durable:
            os.fsync(descriptor)
    new.replace(file)
    if durable:
        sync_directory(file.parent)


def sync_directory(path: Path) -> None:
    """Make the names of the files in it as durable as their content."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read_local_token(directory: Path) -> str | None:
    """Return the secret of the server that runs on the data directory, None without one that this user may read."""
    try:
        return (directory / LOCAL_TOKEN).read_text()
    except OSError:
        return None
