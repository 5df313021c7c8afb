"""The commands of `fleet`, put together."""

from typing import Annotated

import typer

from fleet import __version__
from fleet.cli.demo import demo
from fleet.cli.doctor import doctor
from fleet.cli.ps import ps
from fleet.cli.rehearsal import rehearsal
from fleet.cli.serve import serve
from fleet.cli.token import token
from fleet.cli.verify_export import verify_export

app = typer.Typer(
    no_args_is_help=True,
    # A defect shows Python's own traceback: rich's would print the values of local variables, secrets included.
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"fleet {__version__}")
        raise typer.Exit


@app.callback(epilog="Exit codes: 0 it worked, 1 it did not, 2 the command line makes no sense.")
def fleet(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Run many OpenCode coding sessions side by side.

    See it work with [bold]fleet demo[/bold], start it with [bold]fleet serve[/bold], and ask [bold]fleet doctor[/bold]
    where something does not work.
    """


app.command(epilog="Example: fleet serve --port 8080 --data-dir ~/fleet")(serve)
app.command(epilog="Example: fleet demo")(demo)
app.command(epilog="Example: fleet doctor --json")(doctor)
app.command(epilog="Example: fleet ps --orphans")(ps)
app.command(epilog="Example: fleet rehearsal --port 4100")(rehearsal)
app.command(epilog="Example: fleet verify-export fleet-log.jsonl")(verify_export)
app.add_typer(token, name="token")
