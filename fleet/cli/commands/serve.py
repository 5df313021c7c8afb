"""`fleet serve` runs the server until it gets a signal to stop."""

from functools import partial
from typing import Annotated

import typer

from fleet.cli.options import configured
from fleet.config import Config


@configured
def serve(
    config: Config,
    *,
    read_only: Annotated[
        bool,
        typer.Option(
            "--read-only",
            help="Show the data directory, also a copy, and change nothing: no process is started or stopped.",
        ),
    ] = False,
) -> None:
    """Run the server until Ctrl-C or SIGTERM.

    Each value comes from the first of: option, FLEET_* variable, TOML file, default.
    """
    import trio

    from fleet.composition.server import serve as run

    raise typer.Exit(trio.run(partial(run, config, read_only=read_only)))
