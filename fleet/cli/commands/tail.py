"""`fleet tail` follows one session, or all of them."""

import math
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.connect import Json, MaybeName, connected, every_session, named, warn_connection_lost

if TYPE_CHECKING:
    from fleet.client import FleetClient, FleetError


@connected
async def tail(
    fleet: "FleetClient",
    *,
    session: MaybeName = None,
    after: Annotated[
        int | None,
        typer.Option(min=0, metavar="POSITION", help="Start after this position of the log; 0 is the beginning."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Show the events up to now, and end.")] = False,
    json: Json = False,
) -> None:
    """Follow one session, or all of them, until Ctrl-C or until the reader of the output has gone.

    While the server is away, the command says so on stderr, waits without a time limit, and then continues.

    --json prints each event of the log as one line of JSON.
    """
    from fleet.cli.sanitize import SafeConsole, json_of
    from fleet.cli.stdout_pipe import while_read
    from fleet.cli.tail_view import StreamPrinter
    from fleet.wire.frames import Event

    found = None if session is None else await named(fleet, session)
    last = (await fleet.health()).position
    titles = None if found is not None else {each.id: each.title for each in await every_session(fleet)}
    begin = (0 if once else last) if after is None else after
    if once and begin >= last:
        return
    item = None if found is None else await found.read()
    only = None if item is None else item.id
    printer = StreamPrinter(SafeConsole(), titles, own=None if item is None else item.opencode_id)

    def warn(failure: "FleetError | None") -> None:
        printer.end()
        warn_connection_lost(failure)

    fleet.on_loss(warn, retry_for_s=None if once else math.inf)
    source = fleet if found is None or once else found  # one session's stream does not tell where it ends
    async with while_read(), source.events(after=begin) as events:
        async for frame in events:
            if not isinstance(frame, Event):
                if not (json or once):
                    printer.print(frame)
                continue
            if only in (None, frame.session_id):
                print(json_of(frame, lines=True), flush=True) if json else printer.print(frame)
            if once and frame.position >= last:
                break
    printer.end()
