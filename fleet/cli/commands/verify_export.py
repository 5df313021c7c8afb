"""`fleet verify-export` proves an exported log (fleet/events/export.py)."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def verify_export(
    file: Annotated[str, typer.Argument(help="What `GET /api/log/export` gave; - reads it from standard input.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Prove that an exported log is whole and unchanged, with no server and on any machine.

    Each line carries its record's header and salt, so that the chain of digests can be walked from the first line to
    the last. That these are the server's own events shows the digest: GET /api/log/verify?at=POSITION gives the same.
    Exit code 1 where something was changed, is missing, or the file holds nothing.
    """
    import msgspec

    from fleet.errors import StartupError
    from fleet.events.export import verify_export as prove

    try:
        if file == "-":
            report = prove(sys.stdin.buffer)
        else:
            with Path(file).open("rb") as lines:
                report = prove(lines)
    except OSError as error:
        raise StartupError(f"{file} cannot be read: {error.strerror}") from error
    found = {
        "intact": report.first_break is None and report.events > 0,
        "events": report.events,
        "first": report.first,
        "last": report.last,
        "erased": report.erased,
        "digest": report.digest.hex(),
        "firstBreak": report.first_break,
    }
    if json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    elif report.first_break is not None:
        print(f"Broken at event {report.first_break.position}: {report.first_break.reason}")
    elif not report.events:
        print("There is no event in it")
    else:
        print(f"Events {report.first} to {report.last} are intact, {report.erased} of them erased")
        print(f"Digest {report.digest.hex()}")
    raise typer.Exit(0 if found["intact"] else 1)
