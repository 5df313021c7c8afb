"""The `fleet` application: all subcommands, in their groups."""

from typing import Annotated

import typer

from fleet import __version__
from fleet.cli.commands.demo import demo
from fleet.cli.commands.diff import diff
from fleet.cli.commands.doctor import doctor
from fleet.cli.commands.edit import describe
from fleet.cli.commands.inbox import answer, inbox
from fleet.cli.commands.lifecycle import abort, resume, rm, stop
from fleet.cli.commands.log import log
from fleet.cli.commands.ls import history, ls
from fleet.cli.commands.mcp import mcp
from fleet.cli.commands.new import fork, new
from fleet.cli.commands.open import open_page
from fleet.cli.commands.prompt import compact, prompt, withdraw
from fleet.cli.commands.ps import ps
from fleet.cli.commands.rehearsal import rehearsal
from fleet.cli.commands.serve import serve
from fleet.cli.commands.show import show
from fleet.cli.commands.tail import tail
from fleet.cli.commands.token import token
from fleet.cli.commands.top import top
from fleet.cli.commands.trust import trust
from fleet.cli.commands.verify_export import verify_export

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


@app.callback(
    epilog="Exit codes: 0 it worked, 1 it did not, 2 the command line is wrong, 6 there is no server; "
    "with --wait: 3 the turn failed, 4 it was aborted or interrupted, 5 it waits for you."
)
def fleet(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Run many OpenCode coding sessions side by side.

    [bold]fleet demo[/bold] shows it at work, [bold]fleet serve[/bold] starts the server, [bold]fleet new[/bold] creates
    a session, and [bold]fleet doctor[/bold] finds out why something does not work.
    """


_SERVER, _SESSIONS, _FLEET = "The server", "Sessions", "The fleet"

app.command(epilog="Example: fleet serve --port 8080 --data-dir ~/fleet", rich_help_panel=_SERVER)(serve)
app.command(epilog="Example: fleet demo", rich_help_panel=_SERVER)(demo)
app.command("open", epilog="Example: fleet open 0198c0de", rich_help_panel=_SERVER)(open_page)
app.command(epilog="Example: fleet doctor --json", rich_help_panel=_SERVER)(doctor)
app.command(epilog="Example: fleet ps --orphans", rich_help_panel=_SERVER)(ps)
app.command(epilog="Example: fleet rehearsal --port 4100", rich_help_panel=_SERVER)(rehearsal)
app.command(epilog="Example: fleet verify-export fleet-log.jsonl", rich_help_panel=_SERVER)(verify_export)
app.command(epilog="Example: fleet mcp --url http://localhost:3000", rich_help_panel=_SERVER)(mcp)
app.add_typer(token, name="token", rich_help_panel=_SERVER)

app.command(epilog='Example: fleet new -i worktree --wait --prompt "Add error handling"', rich_help_panel=_SESSIONS)(
    new
)
app.command(epilog="Example: fleet ls --status active --status waiting_input", rich_help_panel=_SESSIONS)(ls)
app.command(epilog="Example: fleet show 0198c0de --conversation", rich_help_panel=_SESSIONS)(show)
app.command(epilog='Example: fleet prompt 0198c0de "Now the tests" --wait', rich_help_panel=_SESSIONS)(prompt)
app.command(epilog="Example: fleet compact 0198c0de", rich_help_panel=_SESSIONS)(compact)
app.command(epilog="Example: fleet withdraw 0198c0de 0198c0e1", rich_help_panel=_SESSIONS)(withdraw)
app.command(epilog="Example: fleet tail 0198c0de --after 0", rich_help_panel=_SESSIONS)(tail)
app.command(epilog="Example: fleet diff 0198c0de --stat", rich_help_panel=_SESSIONS)(diff)
app.command(epilog="Example: fleet abort 0198c0de", rich_help_panel=_SESSIONS)(abort)
app.command(epilog="Example: fleet resume 0198c0de", rich_help_panel=_SESSIONS)(resume)
app.command(epilog='Example: fleet fork 0198c0de --prompt "Try it without a lock"', rich_help_panel=_SESSIONS)(fork)
app.command("set", epilog="Example: fleet set 0198c0de --usd 5", rich_help_panel=_SESSIONS)(describe)
app.command(epilog="Example: fleet stop 0198c0de --cleanup", rich_help_panel=_SESSIONS)(stop)
app.command(epilog="Example: fleet rm 0198c0de --yes", rich_help_panel=_SESSIONS)(rm)

app.command(epilog="Example: fleet top", rich_help_panel=_FLEET)(top)
app.command(epilog="Example: fleet inbox", rich_help_panel=_FLEET)(inbox)
app.command(epilog="Example: fleet answer 0198c0de once", rich_help_panel=_FLEET)(answer)
app.command(epilog="Example: fleet trust ~/my-project", rich_help_panel=_FLEET)(trust)
app.command(epilog='Example: fleet history "error handling" --from 2026-01-01', rich_help_panel=_FLEET)(history)
app.command(epilog="Example: fleet log --verify", rich_help_panel=_FLEET)(log)
