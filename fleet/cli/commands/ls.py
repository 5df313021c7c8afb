"""`fleet ls` and `fleet history` list sessions."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.connect import At, Json, completed, connected, named, now_at

if TYPE_CHECKING:
    from fleet.client import FleetClient

Named = StrEnum("Named", "created active waiting_input idle completed stopped disconnected error")
Status = Annotated[
    list[Named] | None, typer.Option("--status", "-s", help="Only sessions with this status; repeatable.")
]


@connected
async def ls(
    fleet: "FleetClient",
    *,
    status: Status = None,
    search: Annotated[str | None, typer.Option(help="Only sessions whose title contains this.")] = None,
    tag: Annotated[str | None, typer.Option(metavar="TAG", help="Only sessions with this tag.")] = None,
    parent: Annotated[
        str | None, typer.Option(metavar="SESSION", help="Only children of this session.", autocompletion=completed)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="The maximum number of rows.")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="Skip this number of rows.")] = 0,
    at: At = None,
    json: Json = False,
) -> None:
    """List sessions, newest first; with --at as they were then."""
    from fleet.cli.sanitize import SafeConsole, json_of
    from fleet.cli.show_view import listing

    above = None if parent is None else (await named(fleet, parent)).id
    page = await fleet.sessions(
        status=status or (), search=search, tag=tag, parent=above, at=at, limit=limit, offset=offset
    )
    if json:
        print(json_of(list(page)))
        return
    console = SafeConsole()
    if page:
        console.print(listing(page, console.width, await now_at(fleet, at)))
    if len(page) < page.total:
        console.print(f"{len(page)} of {page.total}; --limit and --offset show others", style="dim")
    elif not page:
        console.print("There is no such session." if status or search or tag or parent else "There is no session yet.")


@connected
async def history(
    fleet: "FleetClient",
    *,
    search: Annotated[
        str, typer.Argument(metavar="WORDS", help="Words in titles, prompts, answers or tool output.")
    ] = "",
    status: Status = None,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Only sessions created at or after this date or time.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Only sessions created at or before this date or time.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="The maximum number of rows.")] = 20,
    offset: Annotated[int, typer.Option(min=0, help="Skip this number of rows.")] = 0,
    json: Json = False,
) -> None:
    """Search all sessions, newest first, and show where the words occur."""
    from rich.text import Text

    from fleet.cli.sanitize import SafeConsole, json_of, line_of
    from fleet.cli.show_view import short_ids, since
    from fleet.cli.show_view import status as shown

    page = await fleet.history(search, status=status or (), begin=begin, end=end, limit=limit, offset=offset)
    if json:
        print(json_of(list(page)))
        return
    console = SafeConsole()
    for short, each in zip(short_ids([each.id for each in page]), page, strict=True):
        head = Text.assemble((short, "cyan"), "  ", shown(each), "  ", (line_of(each.title), "bold"))
        console.print(head.append(f"  {since(each.created_at)} ago", "dim"), soft_wrap=True)
        if each.snippet is not None:
            text = Text(each.snippet.text.replace("\n", " "))  # its hits are offsets
            for begun, ended in each.snippet.hits:
                text.stylize("bold yellow", begun, ended)
            console.print(Text.assemble((f"    {each.snippet.kind}: ", "dim"), text), soft_wrap=True)
    console.print(f"{len(page)} of {page.total}" if page else "Nothing was found.", style="dim")
