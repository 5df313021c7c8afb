"""`fleet doctor` shows the results of the checks in fleet/doctor.py."""

import os
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from fleet.cli.options import configured
from fleet.config import Config
from fleet.escape import plain

if TYPE_CHECKING:
    from fleet.doctor import Check

_MARKS = {"ok": "[green]ok[/green]     ", "warning": "[yellow]warning[/yellow]", "failed": "[red]failed[/red] "}


@configured
def doctor(
    config: Config, json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False
) -> None:
    """Check git, OpenCode, the data directory, the disk and the port, and say what to do about a problem.

    The exit code is 1 if Fleet cannot work.
    """
    import msgspec
    import trio

    from fleet.doctor import examine, healthy

    checks = trio.run(examine, config, os.environ)
    if json:
        print(msgspec.json.format(msgspec.json.encode(checks), indent=2).decode())
    else:
        _show(checks)
    raise typer.Exit(0 if healthy(checks) else 1)


def _show(checks: tuple["Check", ...]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for check in checks:
        console.print(f"{_MARKS[check.state]}  {check.name:<14}  {escape(plain(check.detail))}")
        if check.advice:
            console.print(f"{'':<9}{escape(plain(check.advice))}", style="bold")
