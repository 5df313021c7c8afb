"""`fleet doctor` shows the results of the checks in fleet/diagnosis/doctor.py and fleet/diagnosis/cluster.py."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from fleet.cli.options import configured
from fleet.config import Config
from fleet.escape import plain

if TYPE_CHECKING:
    from fleet.diagnosis.checks import Check

_MARKS = {"ok": "[green]ok[/green]     ", "warning": "[yellow]warning[/yellow]", "failed": "[red]failed[/red] "}


@configured
def doctor(
    config: Config,
    json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
    cluster: Annotated[
        bool,
        typer.Option("--cluster", help="Check the cluster of --hosts ray, and each machine in it, instead."),
    ] = False,
    drill: Annotated[
        bool, typer.Option("--drill", help="Break scratch copies of the log instead, and see whether Fleet recovers.")
    ] = False,
    scratch: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="With --drill: where to make the copies.", show_default=False),
    ] = None,
) -> None:
    """Check git, OpenCode, the data directory, the disk and the port, and say what to do about a problem.

    With --drill, copy the log into a temporary directory and verify it, replay it, kill a process that appends to it,
    let its disk be full, and lose a stream. The data directory is only read, and no process of it is touched.

    With --cluster, ask every machine of the cluster for its versions, clock, disk and memory, and whether this machine
    reaches it. It starts a short process on each, and needs no server; a server that runs says how it sees its hosts.
    Other servers on the cluster are named with what they hold there (`fleet cluster release` frees it).

    With both, the cluster is checked first.

    The exit code is 1 if Fleet cannot work, or a drill failed.
    """
    import msgspec

    from fleet.diagnosis.checks import healthy
    from fleet.logs import configure_logs

    configure_logs("error")  # to standard error; the checks say what is wrong
    checks: list[Check] = []
    for check in _results(config, scratch, cluster=cluster, drill=drill):
        checks.append(check)
        if not json:
            _show(check)
    if json:
        print(msgspec.json.format(msgspec.json.encode(checks), indent=2).decode())
    raise typer.Exit(0 if healthy(tuple(checks)) else 1)


def _results(config: Config, scratch: Path | None, *, cluster: bool, drill: bool) -> "Iterable[Check]":
    """Carry out the checks that the options choose; those of a drill one after the other."""
    import trio

    if not drill and not cluster:
        from fleet.diagnosis.doctor import examine

        yield from trio.run(examine, config, os.environ)
    if cluster:
        from fleet.diagnosis.cluster import examine_cluster

        yield from trio.run(examine_cluster, config, os.environ)
    if drill:
        from fleet.drill.drills import run_drills

        yield from run_drills(config.data_dir, scratch)


def _show(check: "Check") -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{_MARKS[check.state]}  {check.name:<14}  {escape(plain(check.detail))}")
    if check.advice:
        console.print(f"{'':<9}{escape(plain(check.advice))}", style="bold")
