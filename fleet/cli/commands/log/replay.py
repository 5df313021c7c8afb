"""`fleet log replay` rebuilds all projections of a data directory from its log, and compares them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.connect import MOMENT, Json, finish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fleet.cli.commands.log.local_log import LocalLog
    from fleet.projections.replay import Finding


def replay(
    *,
    data_dir: Annotated[
        Path,
        typer.Option("--data-dir", metavar="DIR", help="The data directory: its server has stopped, or it is a copy."),
    ],
    to: Annotated[
        str | None, typer.Option(metavar="MOMENT", help=f"Only what was stored up to this moment: {MOMENT}.")
    ] = None,
    projection: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this projection: a view, snapshots, history or index.")
    ] = None,
    json: Json = False,
) -> None:
    """Rebuild every projection from the log alone, and compare it with what is stored.

    Views, snapshots and the search index can be deleted at any time: the log has everything. This proves that what is
    stored follows from the log, or names the first event after which it does not. Nothing is written to the directory.
    The exit code is 1 if something differs from the log.
    """

    async def read() -> int:
        from fleet.cli.commands.log.source import opened
        from fleet.projections.moments import position_at

        with opened(data_dir, None) as log:
            head = log.reader.head()
            position = head if to is None else await position_at(log.times, to, head, "to")
            found = [each for each in _findings(log, data_dir, position, projection) if each is not None]
            return _print(found, json=json)

    raise typer.Exit(finish(read))


def _findings(log: "LocalLog", data_dir: Path, to: int, only: str | None) -> "Iterator[Finding | None]":
    import tempfile

    from fleet.projections.replay import SNAPSHOTS, replay_snapshots, replay_views
    from fleet.projections.replay_history import HISTORY, replay_history
    from fleet.projections.replay_index import INDEX, replay_index
    from fleet.projections.views import make_views

    known = [*(view.name for view in make_views()), SNAPSHOTS, HISTORY, INDEX]
    if only not in (None, *known):
        raise typer.BadParameter(
            f"{only!r} is not a projection; there are {', '.join(known)}", param_hint="--projection"
        )
    with tempfile.TemporaryDirectory(prefix="fleet-replay-") as scratch:
        if log.views is not None:
            yield from replay_views(log.reader, log.views, to, only)
        if only in (None, SNAPSHOTS):
            yield from replay_snapshots(log.reader, to)
        if only in (None, HISTORY):
            yield from replay_history(log.reader, data_dir / "views", Path(scratch), to)
        if only in (None, INDEX):
            yield from replay_index(log.reader, data_dir / "views", Path(scratch), to)


def _print(findings: "list[Finding]", *, json: bool) -> int:
    from fleet.cli.sanitize import json_of, plain
    from fleet.projections.replay import Compared, Parted

    parted = sorted((each for each in findings if isinstance(each, Parted)), key=lambda each: each.position)
    compared = [each for each in findings if isinstance(each, Compared)]
    if json:
        print(json_of({"compared": compared, "parted": parted}))
        return 1 if parted else 0
    for each in compared:
        if each.through is None:
            print(f"{each.projection:<12} nothing of this version is stored up to there")
        else:
            print(f"{each.projection:<12} {each.rows} rows as of position {each.through}")
    for found in parted:
        what = ", ".join(found.fields)
        print(plain(f"{found.projection} {found.key} differs from the log since position {found.position}: {what}"))
    if not parted:
        print("Everything that is stored follows from the log")
    return 1 if parted else 0
