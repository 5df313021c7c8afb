"""`fleet hosts` shows the machines on which sessions work, and drains them."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fleet.cli.connect import Json, UsageError, connected
from fleet.limits import MIB

if TYPE_CHECKING:
    from rich.table import Table

    from fleet.client import FleetClient
    from fleet.wire.hosts import HostItem

_GIB = 1024 * MIB
Action = Literal["drain", "undrain"]
_STYLES = {"up": "green", "draining": "yellow", "silent": "bold yellow", "lost": "bold red"}


@connected
async def hosts(
    fleet: "FleetClient",
    *,
    action: Annotated[
        Action | None,
        typer.Argument(
            help="`drain` places no further sessions on a host and moves those that are there; `undrain` ends that."
        ),
    ] = None,
    name: Annotated[str | None, typer.Argument(help="The host's name.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Show the machines on which sessions work: what each is, whether it answers, and what is there.

    A silent host does not answer, and its processes may still run. A lost host has not answered for longer than
    `host_grace_s`, so no process of Fleet runs there any more.
    """
    from fleet.cli.sanitize import SafeConsole, json_of, line_of
    from fleet.cli.show_view import since

    if action is None:
        found = list(await fleet.hosts())
        console = SafeConsole()
        if json:
            print(json_of(found))
            return
        console.print(_table(found, console.width))
        engine = await fleet.hosts_engine()
        if not engine.answers and engine.since is not None:
            lost = f"The engine has not answered for {since(engine.since)}: {line_of(engine.evidence)}."
            console.print(f"{lost} No session is placed on another host.", style="bold yellow")
        return
    if name is None:
        raise UsageError(f"name the host: `fleet hosts {action} NAME`")
    host = await (fleet.drain_host(name) if action == "drain" else fleet.undrain_host(name))
    print(json_of(host)) if json else print(line_of(_after(host)))


def _after(host: "HostItem") -> str:
    if not host.draining:
        return f"{host.name} takes sessions again"
    return f"{host.name} takes no further sessions; {host.sessions} session{'' if host.sessions == 1 else 's'} there"


def _table(found: "list[HostItem]", width: int) -> "Table":
    from rich.text import Text

    from fleet.cli.sanitize import line_of
    from fleet.cli.show_view import since, table

    headings = ("host", "status", ">since", ">cores", ">free memory", ">processes", ">sessions", "version", "evidence")
    rows = [
        (
            line_of(each.name),
            Text(_status(each), _STYLES[each.status]),
            since(each.status_since),
            "-" if each.cores is None else f"{each.cores:g}",
            _memory(each),
            str(each.processes),
            str(each.sessions),
            line_of(each.version or "-"),
            line_of(each.evidence),
        )
        for each in found
    ]
    return table(width, headings, rows, free="evidence", spare=("version", "processes"))


def _status(host: "HostItem") -> str:
    return f"{host.status}, draining" if host.draining and host.status != "draining" else host.status


def _memory(host: "HostItem") -> str:
    """Return the free and the whole memory in GiB."""
    if host.memory_bytes is None:
        return "-"
    free = "?" if host.memory_free_bytes is None else f"{host.memory_free_bytes / _GIB:.1f}"
    return f"{free} of {host.memory_bytes / _GIB:.1f} GiB"
