"""`fleet log verify` proves the log of a server, or an exported log (fleet/events/export.py)."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.connect import Json, TokenFile, Url, perform

if TYPE_CHECKING:
    from fleet.client import FleetClient
    from fleet.events.export import ExportReport


def verify(
    *,
    export: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Verify this output of `GET /api/log/export` instead; - reads it from standard input.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Prove that the log is complete and unchanged.

    With --export it proves an exported log, on any machine and without a server. Each of its lines carries its record's
    header and salt, so the command can check the chain of digests from the first line to the last. To prove that the
    events are the server's own, compare the digest with GET /api/log/verify?at=POSITION.

    The exit code is 1 if something was changed or is missing, or if the file is empty.
    """
    if export is not None:
        raise typer.Exit(_tell_export(_proved(export), json=json))

    async def prove(fleet: "FleetClient") -> int:
        return await _prove_server(fleet, json=json)

    raise typer.Exit(perform(prove, url, token_file))


async def _prove_server(fleet: "FleetClient", *, json: bool) -> int:
    from fleet.cli.sanitize import SafeConsole, json_of

    report = await fleet.verify()
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
