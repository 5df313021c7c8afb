"""`fleet restore` makes a copied data directory a Fleet of its own (fleet/restoration.py)."""

from pathlib import Path
from typing import Annotated

import typer


def restore(
    directory: Annotated[Path, typer.Argument(help="The data directory.", show_default=False)],
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Make the copied or moved data directory a Fleet of its own.")
    ] = False,
) -> None:
    """Make a copied or moved data directory a Fleet of its own.

    Its OpenCode processes belong to the original: they are recorded as lost, and no process is touched. Sessions can be
    resumed.
    """
    import trio

    from fleet.restoration import restore_in_place

    if not in_place:
        raise typer.BadParameter("give --in-place")
    done = trio.run(restore_in_place, directory.absolute())
    print(f"{done.directory} is a Fleet of its own now, with the id {done.id}.")
    print(f"It came from {done.origin}; {done.lost} OpenCode processes of the original were recorded as lost.")
    print(f"Start it: fleet serve --data-dir {done.directory}")
