"""`fleet backup` makes a backup of a Fleet, or brings it up to date (fleet/maintenance/backup.py)."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.connect import Json, TokenFile, Url, finish, perform

if TYPE_CHECKING:
    from fleet.client import FleetClient
    from fleet.maintenance.backup import BackupReader, BackupReport, Progress


def backup(
    directory: Annotated[Path, typer.Argument(help="The directory of the backup.", show_default=False)],
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            metavar="DIR",
            help="Back up this data directory, whose server has stopped.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Make a verified backup of a Fleet while it works, or bring a backup up to date.

    Only what is new is copied. What was erased since the last time is erased in the backup as well.

    The backup contains the signing key and the digests of access tokens: keep it as safe as the data directory.
    """

    async def stopped() -> int:
        from fleet.maintenance.backup import reading_stopped

        async with reading_stopped((data_dir or Path()).absolute()) as reader:
            return await _make(reader, directory.absolute(), json=json)

    async def served(fleet: "FleetClient") -> int:
        from fleet.maintenance.backup import ServerReader

        return await _make(ServerReader(fleet), directory.absolute(), json=json)

    raise typer.Exit(finish(stopped) if data_dir is not None else perform(served, url, token_file))


async def _make(reader: "BackupReader", directory: Path, *, json: bool) -> int:
    from fleet.cli.sanitize import json_of
    from fleet.maintenance.backup import make_backup

    with _bar() as progress:
        report = await make_backup(reader, directory, progress)
    print(json_of(report) if json else _told(report))
    return 0


@contextmanager
def _bar() -> "Generator[Progress]":
    """Show a progress bar on standard error, if that is a terminal."""
    from rich import progress as rich
    from rich.console import Console

    columns = (
        rich.TextColumn("{task.description:<9}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with rich.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        steps: dict[str, rich.TaskID] = {}

        def progress(step: str, done: int, total: int) -> None:
            if step not in steps:
                steps[step] = bar.add_task(step)
            bar.update(steps[step], completed=done, total=total)

        yield progress


def _told(report: "BackupReport") -> str:
    erased = f", {report.erased_events} events erased" if report.erased_events else ""
    return (
        f"{report.directory} is a verified backup up to position {report.position}: {report.new_events} new events, "
        f"{report.new_contents} new contents, {report.new_files} new files{erased}.\nDigest {report.digest}"
    )
