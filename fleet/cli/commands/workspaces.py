"""`fleet workspaces` lists the directories that sessions work in, and restores those that are gone."""

from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from fleet.cli.connect import Json, UsageError, connected, every_page
from fleet.wire.enums import WorkspaceStatus

if TYPE_CHECKING:
    from rich.table import Table

    from fleet.client import FleetClient
    from fleet.wire.workspaces import WorkspaceItem

_STATUSES = ", ".join(get_args(WorkspaceStatus))
_STYLES = {"ready": "green", "missing": "bold red", "failed": "bold red", "removed": "dim"}


@connected
async def workspaces(
    fleet: "FleetClient",
    *,
    action: Annotated[
        Literal["restore"] | None,
        typer.Argument(help="`restore` makes a removed or missing worktree or clone again, with what was preserved."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="The workspace's id, or the beginning of the id.", show_default=False),
    ] = None,
    statuses: Annotated[
        list[str] | None,
        typer.Option("--status", metavar="STATUS", help=f"Only workspaces with this status: {_STATUSES}; repeatable."),
    ] = None,
    json: Json = False,
) -> None:
    """List the directories that sessions work in: worktrees, clones, and directories that were there before.

    A workspace is missing if it was ready and its directory does not exist any more, as after a restore from a backup.
    """
    from fleet.cli.sanitize import SafeConsole, json_of, line_of

    if unknown := set(statuses or ()) - set(get_args(WorkspaceStatus)):
        raise UsageError(f"--status {min(unknown)!r} is not a status: {_STATUSES}")
    if action is not None:
        if name is None:
            raise UsageError("name the workspace: `fleet workspaces restore ID`")
        restored = await fleet.restore(await _id_of(fleet, name))
        print(json_of(restored)) if json else print(line_of(f"{restored.status}: {restored.directory}"))
        return
    found = [each for each in await every_page(fleet.workspaces) if not statuses or each.status in statuses]
    console = SafeConsole()
    if json:
        print(json_of(found))
    elif found:
        console.print(_table(found, console.width))
    else:
        print("There is no such workspace." if statuses else "There is no workspace yet.")


async def _id_of(fleet: "FleetClient", name: str) -> str:
    """Return the id that is this name, or the only one that begins with it. Raises `NotFound`, `Invalid`."""
    from fleet.client import Invalid, NotFound

    ids = [each.id for each in await every_page(fleet.workspaces)]
    begun = [each for each in ids if each.startswith(name.lower())]
    if name in ids:
        return name
    if not begun:
        raise NotFound("workspace_not_found", f"there is no workspace {name!r}; `fleet workspaces` lists them")
    if len(begun) > 1:
        raise Invalid("ambiguous", f"{len(begun)} workspaces begin with {name!r}: {', '.join(begun[:5])}")
    return begun[0]


def _table(found: "list[WorkspaceItem]", width: int) -> "Table":
    from rich.text import Text

    from fleet.cli.sanitize import line_of
    from fleet.cli.show_view import short_ids, table

    rows = [
        (
            short,
            Text(each.status, _STYLES.get(each.status, "yellow")),
            each.isolation_strategy,
            str(len(each.sessions)),
            line_of(each.branch or "-"),
            line_of(f"{each.directory}: {each.failure}" if each.status == "failed" else each.directory),
        )
        for short, each in zip(short_ids([each.id for each in found]), found, strict=True)
    ]
    headings = ("workspace", "status", "strategy", ">sessions", "branch", "directory")
    return table(width, headings, rows, free="directory", spare=("strategy", "branch"))
