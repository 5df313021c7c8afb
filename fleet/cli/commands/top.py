"""`fleet top` shows all sessions, and refreshes the table."""

import math
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.connect import Json, connected

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fleet.cli.sanitize import SafeConsole
    from fleet.client import FleetClient, FleetError
    from fleet.wire.instances import InstanceItem
    from fleet.wire.items import SessionItem
    from fleet.wire.server import Summary

_LIVELY = ("waiting_input", "active", "created", "error", "idle", "disconnected", "completed", "stopped")


@connected
async def top(
    fleet: "FleetClient",
    *,
    interval: Annotated[
        float, typer.Option("--interval", "-i", min=0.2, metavar="SECONDS", help="The time between two refreshes.")
    ] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Print the sessions once, and end.")] = False,
    everything: Annotated[bool, typer.Option("--all", "-a", help="Show ended sessions, too.")] = False,
    json: Json = False,
) -> None:
    """Show sessions with status, memory, tokens and cost, and refresh them until Ctrl-C; in a pipe, print them once.

    While the server is away, the header says so, and the command waits without a time limit.
    """
    import trio
    from rich.live import Live

    from fleet.cli.sanitize import SafeConsole, json_of

    console = SafeConsole()
    if json:
        summary, sessions, instances = await _look(fleet, everything=everything)
        print(json_of({"summary": summary, "sessions": sessions, "instances": instances}))
        return
    if once or not sys.stdout.isatty():
        console.print(_picture(console, fleet.url, *await _look(fleet, everything=everything), once=True))
        return
    seen = await _look(fleet, everything=everything)
    with Live(console=console, screen=True, auto_refresh=False) as live:

        def paint(failure: "FleetError | None") -> None:
            live.update(_picture(console, fleet.url, *seen, failure=failure), refresh=True)

        fleet.on_loss(paint, retry_for_s=math.inf)
        while True:
            paint(None)
            await trio.sleep(interval)
            seen = await _look(fleet, everything=everything)


async def _look(fleet: "FleetClient", *, everything: bool) -> "tuple[Summary, list[SessionItem], list[InstanceItem]]":
    from fleet.cli.connect import every_session
    from fleet.limits import PAGE_MAX

    status = _LIVELY if everything else _LIVELY[:5]
    sessions = await every_session(fleet, status=status)
    sessions.sort(key=lambda each: _LIVELY.index(each.status) if each.status in _LIVELY else len(_LIVELY))
    return await fleet.summary(), sessions, list(await fleet.instances(limit=PAGE_MAX))


def _picture(
    console: "SafeConsole",
    url: str,
    summary: "Summary",
    sessions: "list[SessionItem]",
    instances: "list[InstanceItem]",
    *,
    once: bool = False,
    failure: "FleetError | None" = None,
) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    from fleet.cli.sanitize import line_of
    from fleet.cli.show_view import amount, changes, counted, short_ids, since, status, table, tokens

    by_id = {each.id: each for each in instances}
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(summary.sessions.items()))
    head = Text.assemble(
        (f"Fleet at {url}", "bold"),
        f"   {counts or 'no sessions'}\n"
        f"{counted(summary.instances, 'process', 'processes')}, {_size(summary.memory_bytes or 0)};  "
        f"{counted(summary.queued, 'prompt waits', 'prompts wait')};  "
        f"{counted(summary.open_requests, 'question is open', 'questions are open')};  "
        f"{amount(tokens(summary.tokens))} tokens, ${summary.cost_usd:.2f}\n",
        "" if failure is None else (f"waiting for the server: {failure.detail}; this is from before\n", "bold red"),
    )
    shown = list(zip(short_ids([each.id for each in sessions]), sessions, strict=True))
    if not once:  # what fits on the screen
        shown = shown[: max(1, console.height - len(console.render_lines(head)) - 1)]
    rows = [
        (
            short,
            status(each),
            since(each.status_since),
            line_of(each.title),
            _memory(by_id.get(each.instance_id or "")),
            amount(tokens(each.tokens)),
            f"${each.cost_usd:.2f}",
            changes(each.changes),
        )
        for short, each in shown
    ]
    headings = ("ID", "STATUS", ">SINCE", "TITLE", ">MEMORY", ">TOKENS", ">COST", "CHANGES")
    return Group(head, table(console.width, headings, rows, free="TITLE", spare=("CHANGES", "SINCE")))


def _memory(instance: "InstanceItem | None") -> str:
    """Return the memory of the session's process; `/3` says that three share it."""
    if instance is None or instance.memory_bytes is None:
        return "-"
    shared = len(instance.sessions)
    return _size(instance.memory_bytes) + (f"/{shared}" if shared > 1 else "")


def _size(count: int) -> str:
    from fleet.limits import MIB

    return f"{count / 1024 / MIB:.1f}G" if count >= 1024 * MIB else f"{count // MIB}M"
