"""`fleet log pack` writes the evidence pack of a session (fleet/evidence) into a directory."""

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.connect import Name, connected, named

if TYPE_CHECKING:
    from fleet.client import FleetClient


@connected
async def pack(
    fleet: "FleetClient",
    *,
    session: Name,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="A new directory; by default evidence-ID.", show_default=False
        ),
    ] = None,
) -> None:
    """Write everything about a session that an auditor needs into a directory: a page, and what proves it.

    Open index.html in a browser. `python3 verify.py` in the directory verifies the pack: this needs no Fleet.
    """
    import trio

    found = await named(fleet, session)
    directory = Path(output or f"evidence-{found.id[:8]}")
    _make(directory)
    await trio.to_thread.run_sync(_unpack, await found.pack(), directory)
    print(f"{directory / 'index.html'}")


def _make(directory: Path) -> None:
    """Make the directory, or take an empty one. Raises `StartupError`."""
    from fleet.errors import StartupError

    try:
        directory.mkdir(parents=True, exist_ok=True)
        taken = any(directory.iterdir())
    except OSError as error:
        raise StartupError(f"The directory {directory} cannot be made: {error.strerror}.") from error
    if taken:
        raise StartupError(f"The directory {directory} is not empty: choose another one with -o.")


def _unpack(content: bytes, directory: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry in archive.infolist():
            (directory / Path(entry.filename).name).write_bytes(archive.read(entry))
