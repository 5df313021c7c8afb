"""`fleet log show` shows events of the audit log."""

from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.commands.log.source import session_id, sourced
from fleet.cli.connect import MOMENT, Json, completed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.cli.commands.log.source import LogSource
    from fleet.client.audit import LogFilter
    from fleet.wire.audit import EventItem

_NAME_CHARS_MAX = 40  # in a column


@sourced
async def show(
    source: "LogSource",
    *,
    position: Annotated[
        int | None, typer.Argument(min=1, help="Show this event with its data.", show_default=False)
    ] = None,
    session: Annotated[
        str | None,
        typer.Option(
            "--session", "-s", metavar="SESSION", help="Only events of this session.", autocompletion=completed
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="Only events of this type, such as session.created; repeatable."),
    ] = None,
    actor: Annotated[
        str | None, typer.Option(metavar="ACTOR", help="Only events that this actor caused, such as token:NAME.")
    ] = None,
    correlation: Annotated[
        str | None, typer.Option(metavar="ID", help="Only events that the request with this `X-Request-Id` caused.")
    ] = None,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="MOMENT", help=f"Only events from this moment on: {MOMENT}.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="MOMENT", help=f"Only events up to this moment: {MOMENT}.")
    ] = None,
    after: Annotated[
        int | None,
        typer.Option(min=0, metavar="POSITION", help="Only events after this position; by default the newest events."),
    ] = None,
    before: Annotated[
        int | None, typer.Option(min=1, metavar="POSITION", help="Only events before this position.")
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", "-r", help="Show the newest events first.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="The maximum number of rows.")] = 20,
    json: Json = False,
) -> int:
    """Show events of the log, or one event with its data."""
    from fleet.cli.sanitize import json_of
    from fleet.client.audit import LogFilter

    if position is not None:
        print(json_of(await source.event(position)))
        return 0
    newest_first = reverse or after is None
    filters = LogFilter(
        after=after or 0,
        before=before,
        newest_first=newest_first,
        session=None if session is None else await session_id(source, session),
        types=kind or (),
        actor=actor,
        correlation=correlation,
        begin=begin,
        end=end,
    )
    events = await _found(source, limit, filters)
    if newest_first and not reverse:
        events.reverse()
    if not json:
        await _print_table(source, events)
    for event in events if json else ():
        print(json_of(event, lines=True))
    return 0


async def _found(source: "LogSource", count: int, asked: "LogFilter") -> "list[EventItem]":
    """Return so many events, over as many requests as the search takes."""
    found: list[EventItem] = []
    asked = asked.copy()
    while True:
        asked["limit"] = count - len(found)
        page = await source.log(**asked)
        found += page
        if page.go_on is None or len(found) == count:
            return found
        asked["before" if asked.get("newest_first") else "after"] = page.go_on


async def _print_table(source: "LogSource", events: "Sequence[EventItem]") -> None:
    from fleet.cli.commands.log.naming import names_of, sentence_of_item
    from fleet.cli.sanitize import SafeConsole
    from fleet.cli.show_view import table
    from fleet.projections.names import who
    from fleet.projections.sentences import cut

    names = await names_of(source, events)
    rows = [
        (
            str(event.position),
            event.at[:19].replace("T", " "),
            event.type,
            cut(names[event.stream], _NAME_CHARS_MAX),
            cut(who(event.actor, names), _NAME_CHARS_MAX),
            sentence_of_item(event),
        )
        for event in events
    ]
    headings = (">POSITION", "AT", "TYPE", "WHERE", "WHO", "WHAT")
    console = SafeConsole()
    console.print(table(console.width, headings, rows, free="WHAT", spare=("TYPE", "WHERE", "WHO")))
