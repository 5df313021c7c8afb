"""`fleet log`: the audit log."""

from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.remote import Json, connected

if TYPE_CHECKING:
    from fleet.client import FleetClient


@connected
async def log(
    fleet: "FleetClient",
    *,
    position: Annotated[
        int | None, typer.Argument(min=1, help="Show this event with its data.", show_default=False)
    ] = None,
    after: Annotated[
        int | None, typer.Option(min=0, help="Begin behind this position; else the newest are shown.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="So many at most.")] = 20,
    verify: Annotated[bool, typer.Option("--verify", help="Prove that the log is what was written.")] = False,
    json: Json = False,
) -> int:
    """Show events of the log, one of them, or prove it all (exit code 1 where it is broken)."""
    from fleet.cli.plain import SafeConsole, json_of
    from fleet.cli.show_view import table

    console = SafeConsole()
    if verify:
        report = await fleet.verify()
        if json:
            print(json_of(report))
        elif report.first_break is None:
            console.print(
                f"{report.events} events in {report.streams} streams are whole; the last digest is {report.digest}"
            )
        else:
            console.print(f"broken at {report.first_break.position}: {report.first_break.reason}", soft_wrap=True)
        return 0 if report.intact else 1
    if position is not None:
        print(json_of(await fleet.event(position)))
        return 0
    begin = max(0, (await fleet.health()).position - limit) if after is None else after
    events = await fleet.log(after=begin, limit=limit)
    if json:
        for event in events:
            print(json_of(event, lines=True))
        return 0
    rows = [
        (str(event.position), event.at[:19].replace("T", " "), event.type, event.actor, event.stream)
        for event in events
    ]
    headings = (">POSITION", "AT", "TYPE", "ACTOR", "STREAM")
    console.print(table(console.width, headings, rows, free="STREAM", spare=("ACTOR", "STREAM")))
    return 0
