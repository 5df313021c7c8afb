"""`fleet serve` runs the server until it gets a signal to stop."""

import typer

from fleet.cli.options import configured
from fleet.config import Config


@configured
def serve(config: Config) -> None:
    """Run the server until Ctrl-C or SIGTERM.

    Each value comes from the first of: option, FLEET_* variable, TOML file, default.
    """
    import trio

    from fleet.main import serve as run

    raise typer.Exit(trio.run(run, config))
