"""`fleet log compact` writes new files for a stopped data directory (fleet/maintenance/compaction.py)."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from fleet.cli.connect import Json


def compact(
    *,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", metavar="DIR", help="The data directory; its server must have stopped.")
    ],
    json: Json = False,
) -> None:
    """Remove every byte of what was erased from the files of a data directory, and free the space.

    An erased payload cannot be read any more, but its bytes stay in the free pages of the files until they are used
    again. This writes new files for the log, the stored contents and the search index. The server must have stopped
    normally: after a crash, start it and stop it once. The command needs as much free space as the largest file, and
    can be interrupted.
    """
    from fleet.cli.sanitize import json_of
    from fleet.maintenance.compaction import CompactedFile
    from fleet.maintenance.compaction import compact as compacted

    done: list[CompactedFile] = []
    for file in compacted(data_dir, _quiet if json else _show):
        done.append(file)
        if not json:
            print(f"{file.name}: {file.before_bytes} bytes before, {file.after_bytes} now")
    freed_bytes = sum(file.before_bytes - file.after_bytes for file in done)
    if json:
        files = [{"name": file.name, "beforeBytes": file.before_bytes, "afterBytes": file.after_bytes} for file in done]
        print(json_of({"files": files, "freedBytes": freed_bytes}))
    else:
        print(f"{freed_bytes} bytes were freed")


def _quiet(_: str, __: int, ___: int) -> None:
    """Show nothing: the output is JSON."""


def _show(name: str, written: int, total: int) -> None:
    """Show the progress on a terminal."""
    if sys.stderr.isatty():
        end = "\n" if written == total else ""
        print(f"\r{name}: {100 * written // total} %", end=end, file=sys.stderr, flush=True)
