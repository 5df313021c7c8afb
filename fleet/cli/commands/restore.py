"""`fleet restore` makes a data directory of a backup or a copy (fleet/maintenance/restoration.py)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fleet.maintenance.restoration import Restored


def restore(
    source: Annotated[Path, typer.Argument(help="The backup; with --in-place the data directory.", show_default=False)],
    directory: Annotated[
        Path | None, typer.Argument(help="The new data directory, which must be empty.", show_default=False)
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Make a copied or moved data directory a Fleet of its own.")
    ] = False,
    moves: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="OLD=NEW",
            help="Workspaces and repositories below OLD are below NEW now; repeatable.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Restore a backup into an empty place, or make a copied or moved data directory a Fleet of its own.

    The OpenCode processes of the original are recorded as lost, and no process is touched. Sessions can be resumed.
    """
    import trio

    from fleet.cli.sanitize import plain
    from fleet.cli.show_view import counted
    from fleet.maintenance.restoration import restore_backup, restore_in_place

    if in_place == (directory is not None):
        raise typer.BadParameter("name a backup and an empty directory, or a data directory with --in-place")
    moved = [_move(text) for text in moves or ()]
    if directory is None:
        done = trio.run(restore_in_place, source.absolute(), moved)
    else:
        done = trio.run(restore_backup, source.absolute(), directory.absolute(), moved)
    print(plain(f"{done.directory} is a Fleet of its own now, with the id {done.id}."))
    lost = counted(done.lost, "OpenCode process was", "OpenCode processes were")
    print(plain(f"It came from {done.origin}; {lost} recorded as lost."))
    if done.relocated:
        print(f"{counted(done.relocated, 'workspace has', 'workspaces have')} another place now.")
    _print_missing(done)
    print(plain(f"Start it with `fleet serve --data-dir {done.directory}`."))


def _print_missing(done: "Restored") -> None:
    """Name the workspaces without a directory, and what helps."""
    from fleet.cli.sanitize import line_of
    from fleet.cli.show_view import counted
    from fleet.limits import RESTORE_LISTED_MAX

    if not done.missing:
        return
    print(f"{counted(len(done.missing), 'workspace has', 'workspaces have')} no directory here:")
    for each in done.missing[:RESTORE_LISTED_MAX]:
        print(f"  {each.id[:13]}  {each.strategy:<8}  {line_of(each.directory)}")
    if len(done.missing) > RESTORE_LISTED_MAX:
        print(f"  and {len(done.missing) - RESTORE_LISTED_MAX} more: `fleet workspaces --status missing`")
    print("Once the server runs, `fleet workspaces restore ID` makes a worktree or clone again, at the commit of its")
    print("branch. If a directory is elsewhere now, restore into another empty place with --map OLD=NEW.")


def _move(text: str) -> tuple[str, str]:
    """Return the old and the new path of OLD=NEW."""
    old, mark, new = text.partition("=")
    if not mark or not (old.startswith("/") and new.startswith("/")):
        raise typer.BadParameter(f"--map {text!r} is not OLD=NEW with two absolute paths")
    return old.rstrip("/") or "/", new.rstrip("/")
