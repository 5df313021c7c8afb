"""`fleet log verify` proves a log, or an exported log (fleet/events/export.py)."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from fleet.cli.commands.log.source import DataDir, Export, run_on
from fleet.cli.connect import Json, TokenFile, Url

if TYPE_CHECKING:
    from fleet.cli.commands.log.source import LogSource
    from fleet.events.export import ExportReport


def verify(
    *,
    json: Json = False,
    data_dir: DataDir = None,
    export: Export = None,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Prove that the log is complete and unchanged.

    With --export it proves an exported log, on any machine and without a server. Each of its lines carries its record's
    header and salt, so the command can check the chain of digests from the first line to the last. To prove that the
    events are the server's own, compare the digest with GET /api/log/verify?at=POSITION.

    The exit code is 1 if something was changed or is missing, or if the file is empty.
    """
    if export is not None and data_dir is None:
        raise typer.Exit(_tell_export(_proved(export), json=json))

    async def prove(source: "LogSource") -> int:
        return await _prove_log(source, json=json)

    raise typer.Exit(run_on(prove, data_dir=data_dir, export=export, url=url, token_file=token_file))


async def _prove_log(source: "LogSource", *, json: bool) -> int:
    from fleet.cli.sanitize import SafeConsole, json_of

    report = await source.verify()
    if json:
        print(json_of(report))
    elif report.first_break is None:
        print(f"{report.events} events in {report.streams} streams are intact; the last digest is {report.digest}")
    else:
        SafeConsole().print(f"broken at {report.first_break.position}: {report.first_break.reason}", soft_wrap=True)
    return 0 if report.intact else 1


def _proved(file: str) -> "ExportReport":
    from fleet.errors import StartupError
    from fleet.events.export import verify_export

    try:
        if file == "-":
            return verify_export(sys.stdin.buffer)
        with Path(file).open("rb") as lines:
            return verify_export(lines)
    except OSError as error:
        raise StartupError(f"{file} cannot be read: {error.strerror}") from error


def _tell_export(report: "ExportReport", *, json: bool) -> int:
    from fleet.cli.sanitize import json_of, plain

    intact = report.first_break is None and report.events > 0
    if json:
        found = {
            "intact": intact,
            "events": report.events,
            "first": report.first,
            "last": report.last,
            "erased": report.erased,
            "digest": report.digest.hex(),
            "firstBreak": report.first_break,
        }
        print(json_of(found))
    elif report.first_break is not None:
        print(plain(f"Broken at event {report.first_break.position}: {report.first_break.reason}"))
    elif not report.events:
        print("There is no event in it")
    else:
        print(f"Events {report.first} to {report.last} are intact, {report.erased} of them erased")
        print(f"Digest {report.digest.hex()}")
    return 0 if intact else 1
