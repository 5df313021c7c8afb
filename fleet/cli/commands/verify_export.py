"""`fleet verify-export` proves an exported log (fleet/events/export.py)."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def verify_export(
    file: Annotated[str, typer.Argument(help="The output of `GET /api/log/export`; - reads it from standard input.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Prove that an exported log is complete and unchanged, on any machine and without a server.

    Each line carries its record's header and salt, so the command can check the chain of digests from the first line to
    the last. To prove that the events are the server's own, compare the digest with GET /api/log/verify?at=POSITION.
    The exit code is 1 if something was changed or is missing, or if the file is empty.
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
