"""`fleet log pack` writes the evidence pack of a session (fleet/evidence) into a directory."""

import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from fleet.cli.commands.log.source import session_id, sourced
from fleet.cli.connect import Name

if TYPE_CHECKING:
    from fleet.cli.commands.log.local_log import LocalLog
    from fleet.cli.commands.log.source import LogSource


@sourced
async def pack(
    source: "LogSource",
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

    from fleet.cli.commands.log.local_log import LocalLog
    from fleet.cli.commands.log.output import new_directory

    found = await session_id(source, session)
    directory = Path(output or f"evidence-{found[:8]}")
    if isinstance(source, LocalLog):
        with new_directory(directory):
            await _write(source, found, directory)
    else:
        with new_directory(directory), tempfile.TemporaryFile(dir=directory) as file:
            await source.session(found).pack(file)
            await trio.to_thread.run_sync(_unpack, file, directory)
    print(f"{directory / 'index.html'}")


async def _write(source: "LocalLog", found: str, directory: Path) -> None:
    """Write the pack of a log that this process reads."""
    from contextlib import aclosing
    from functools import partial

    from fleet import __version__
    from fleet.adapters.clock import SystemClock
    from fleet.core.times import rfc3339
    from fleet.evidence.document import Made
    from fleet.evidence.pack import pack_files
    from fleet.evidence.relatives import relatives_in

    made = Made(__version__, rfc3339(SystemClock().now_ms()), "local")
    relate = partial(relatives_in, source.reader)
    async with aclosing(pack_files(source.reader, source.blobs, found, relate, made)) as pieces:
        async for name, piece in pieces:
            with (directory / name).open("ab") as file:
                file.write(piece)


def _unpack(file: BinaryIO, directory: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as packed, (directory / Path(entry.filename).name).open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
