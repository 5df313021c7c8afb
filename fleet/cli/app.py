"""The `fleet` application: all subcommands, in their groups.

A command line that names its command has that one imported and no other: each takes milliseconds to import and to read.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer

from fleet import __version__
from fleet.cli.placeholders import PlainCommand, PlainGroup

_SERVER, _SESSIONS, _FLEET = "The server", "Sessions", "The fleet"


class _Command(NamedTuple):
    """A subcommand: its panel in the help, its name, where its function is (`module.function`), and an example."""

    panel: str
    name: str
    place: str
    example: str

    def load(self) -> Any:
        module, _, function = self.place.partition(".")
        return getattr(import_module(f"fleet.cli.commands.{module}"), function)


_COMMANDS = (
    _Command(_SERVER, "serve", "serve.serve", "serve --port 8080 --data-dir ~/fleet"),
    _Command(_SERVER, "demo", "demo.demo", "demo"),
    _Command(_SERVER, "open", "open.open_page", "open 0198c0de"),
    _Command(_SERVER, "doctor", "doctor.doctor", "doctor --json"),
    _Command(_SERVER, "ps", "ps.ps", "ps --orphans"),
    _Command(_SERVER, "backup", "backup.backup", "backup ~/fleet-backup"),
    _Command(_SERVER, "restore", "restore.restore", "restore ~/fleet-backup ~/fleet"),
    _Command(_SERVER, "rehearsal", "rehearsal.rehearsal", "rehearsal --port 4100"),
    _Command(_SERVER, "mcp", "mcp.mcp", "mcp --url http://localhost:3000"),
    _Command(_SERVER, "token", "token.token", "token new --role viewer --name wall --expires 90d"),
    _Command(_SESSIONS, "new", "new.new", 'new -i worktree --wait --prompt "Add error handling"'),
    _Command(_SESSIONS, "ls", "ls.ls", "ls --status active --status waiting_input"),
    _Command(_SESSIONS, "show", "show.show", "show 0198c0de --conversation"),
    _Command(_SESSIONS, "prompt", "prompt.prompt", 'prompt 0198c0de "Now the tests" --wait'),
    _Command(_SESSIONS, "compact", "prompt.compact", "compact 0198c0de"),
    _Command(_SESSIONS, "withdraw", "prompt.withdraw", "withdraw 0198c0de 0198c0e1"),
    _Command(_SESSIONS, "tail", "tail.tail", "tail 0198c0de --after 0"),
    _Command(_SESSIONS, "diff", "diff.diff", "diff 0198c0de --stat"),
    _Command(_SESSIONS, "abort", "lifecycle.abort", "abort 0198c0de"),
    _Command(_SESSIONS, "resume", "lifecycle.resume", "resume 0198c0de"),
    _Command(_SESSIONS, "fork", "new.fork", 'fork 0198c0de --prompt "Try it without a lock"'),
    _Command(_SESSIONS, "set", "edit.edit", "set 0198c0de --usd 5"),
    _Command(_SESSIONS, "stop", "lifecycle.stop", "stop 0198c0de --cleanup"),
    _Command(_SESSIONS, "rm", "lifecycle.rm", "rm 0198c0de --yes"),
    _Command(_FLEET, "top", "top.top", "top"),
    _Command(_FLEET, "inbox", "inbox.inbox", "inbox"),
    _Command(_FLEET, "answer", "inbox.answer", "answer 0198c0de once"),
    _Command(_FLEET, "hosts", "hosts.hosts", "hosts drain node1"),
    _Command(_FLEET, "cluster", "cluster.cluster", "cluster release 0198c0de"),
    _Command(_FLEET, "workspaces", "workspaces.workspaces", "workspaces restore 0198c0de"),
    _Command(_FLEET, "trust", "trust.trust", "trust ~/my-project"),
    _Command(_FLEET, "history", "ls.history", 'history "error handling" --from 2026-01-01'),
    _Command(_FLEET, "policy", "policy.policy", "policy try rules.toml"),
    _Command(_FLEET, "log", "log.log", "log show --session 0198c0de"),
)


def command_line(arguments: Sequence[str] = ()) -> typer.Typer:
    """Return the application: with the command that `arguments` begin with, or with all where they name none."""
    app = typer.Typer(
        cls=PlainGroup,
        no_args_is_help=True,
        # A defect shows Python's own traceback: rich's would print the values of local variables, secrets included.
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(
        epilog="Exit codes: 0 it worked, 1 it did not, 2 the command line is wrong, 6 there is no server; "
        "with --wait: 3 the turn failed, 4 it was aborted or interrupted, 5 it waits for you."
    )(_fleet)
    for command in [each for each in _COMMANDS if each.name in arguments[:1]] or _COMMANDS:
        loaded, epilog = command.load(), f"Example: fleet {command.example}"
        if isinstance(loaded, typer.Typer):
            app.add_typer(loaded, name=command.name, epilog=epilog, rich_help_panel=command.panel)
        else:
            app.command(command.name, cls=PlainCommand, epilog=epilog, rich_help_panel=command.panel)(loaded)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"fleet {__version__}")
        raise typer.Exit


def _fleet(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Run many OpenCode coding sessions side by side.

    [bold]fleet demo[/bold] shows it at work, [bold]fleet serve[/bold] starts the server, [bold]fleet new[/bold] creates
    a session, and [bold]fleet doctor[/bold] finds out why something does not work.
    """
