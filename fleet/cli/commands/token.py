"""`fleet token` creates, lists and revokes access tokens, and logs in a browser.

It changes `tokens.json` in the data directory, with a server running or not; one that runs sees that at its next
request. What is printed on stdout is the secret alone, so that a script can take it.
"""

import re
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

import typer

from fleet.cli.options import located
from fleet.cli.placeholders import PlainCommand, PlainGroup
from fleet.config import Config
from fleet.errors import Problem, StartupError
from fleet.limits import LINK_LIFETIME_S
from fleet.network import base_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.gateway.server.tokens import Register

Result = TypeVar("Result")

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

token = typer.Typer(cls=PlainGroup, no_args_is_help=True, help="Create, list and revoke access tokens.")

Name = Annotated[str, typer.Argument(help="The token's name.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@located("data_dir")
def new(
    config: Config,
    role: Annotated[
        Literal["operator", "viewer"],
        typer.Option(help="An operator can do everything, a viewer can only read.", show_default=False),
    ],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The token's name, which the log shows. [dim]\\[default: ROLE-N][/dim]"),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When it expires: 12h, 30d or 2027-01-31. [dim]\\[default: never][/dim]"),
    ] = None,
    json: Json = False,
) -> None:
    """Create a token, and show its secret once: Fleet keeps only a digest.

    After the first token, programs of this machine need a token, too.
    """
    import msgspec

    from fleet.gateway.server.tokens import issue

    now = datetime.now(UTC)
    ends_at_ms = None if expires is None else _milliseconds(_end(expires, now))

    def change(register: "Register") -> "tuple[Register, tuple[Register, str]]":
        after, text = issue(register, name, role, _milliseconds(now), ends_at_ms)
        return after, (after, text)

    register, text = _change(config, change)
    row = register.tokens[-1]
    if json:
        print(msgspec.json.encode({**msgspec.to_builtins(row), "secret": text}).decode())
        return
    print(text)
    print(f"This is the secret of the {role} {row.name!r}. It is not shown again. Send it as", file=sys.stderr)
    print("  Authorization: Bearer …", file=sys.stderr)
    if len(register.tokens) == 1:
        print("From now on every request needs a token, also on loopback.", file=sys.stderr)


@located("data_dir")
def ls(config: Config, json: Json = False) -> None:
    """List all tokens, including revoked and expired ones."""
    import msgspec

    from fleet.gateway.server.tokens import TokenFile

    try:
        tokens = TokenFile(config.data_dir).read().tokens
    except Problem as problem:
        raise _failure(problem) from problem
    now_ms = _milliseconds(datetime.now(UTC))
    rows = [{**msgspec.to_builtins(each), "status": each.status(now_ms)} for each in tokens]
    if json:
        print(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
        return
    if not rows:
        print("There is no token: only programs of this machine have access, and all of them have.")
    for each, row in zip(tokens, rows, strict=True):
        ends = "never expires" if each.expires_at_ms is None else f"expires {_shown(each.expires_at_ms)}"
        print(f"{each.name:<20} {each.role:<9} {row['status']:<8} made {_shown(each.created_at_ms)}, {ends}")


@located("data_dir")
def revoke(
    config: Config, names: Annotated[list[str], typer.Argument(help="The names of the tokens.", show_default=False)]
) -> None:
    """Revoke tokens at once: their open streams end, and their browsers are logged out."""
    from fleet.gateway.server.tokens import revoke as revoked

    _change(config, partial(revoked, names=names, now_ms=_milliseconds(datetime.now(UTC))))
    print(f"Revoked: {', '.join(names)}", file=sys.stderr)


@located("host", "port", "data_dir")
def link(
    config: Config,
    name: Name,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The server's address for browsers, such as https://fleet.example."),
    ] = None,
    next_: Annotated[
        str | None,
        typer.Option(
            "--next",
            metavar="PATH",
            help="The page to open, such as /inbox. [dim]\\[default: the list of sessions][/dim]",
        ),
    ] = None,
) -> None:
    """Create a link that logs in a browser with a token. It works once, for ten minutes."""
    from fleet.diagnosis.process_report import is_serving
    from fleet.gateway.routes.login import is_own_path
    from fleet.gateway.server.login_links import login_url
    from fleet.gateway.server.tokens import link as linked

    if next_ is not None and not is_own_path(next_):
        raise typer.BadParameter(f"{next_!r} is not a path of the server, such as /inbox", param_hint="--next")
    if url is None:
        is_serving(config)  # or the link would lead to another port
    now_ms = _milliseconds(datetime.now(UTC))
    code = _change(config, partial(linked, name=name, now_ms=now_ms, lifetime_s=LINK_LIFETIME_S))
    host = "localhost" if config.host in ("127.0.0.1", "0.0.0.0") else config.host  # noqa: S104 - a name to show
    print(login_url(url or base_url(host, config.port), code, next_))
    print("Paste it into the browser's address bar; it works once, within ten minutes.", file=sys.stderr)


def _change(config: Config, change: "Callable[[Register], tuple[Register, Result]]") -> Result:
    from fleet.gateway.server.tokens import TokenFile

    try:
        return TokenFile(config.data_dir).change(change)
    except Problem as problem:
        raise _failure(problem) from problem
    except OSError as error:
        raise StartupError(f"{config.data_dir} cannot be written: {error.strerror}.") from error


def _failure(problem: Problem) -> StartupError:
    return StartupError(f"{problem.detail}. {problem.hint or ''}".rstrip())


def _end(text: str, now: datetime) -> datetime:
    """Return the moment that `text` names. Raises `StartupError`."""
    span = re.fullmatch(r"([1-9]\d{0,4})([mhdw])", text)
    try:
        end = (
            now + timedelta(**{_UNITS[span[2]]: int(span[1])}) if span else datetime.fromisoformat(text).astimezone(UTC)
        )
    except (ValueError, OverflowError) as error:
        raise StartupError(f"--expires: {text!r} is neither a duration (12h, 30d) nor a date (2027-01-31).") from error
    if end <= now:
        raise StartupError(f"--expires: {text} is in the past.")
    return end


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _shown(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M")


token.command(cls=PlainCommand, epilog="Example: fleet token new --role viewer --name wall --expires 90d")(new)
token.command(cls=PlainCommand, epilog="Example: fleet token ls --json")(ls)
token.command(cls=PlainCommand, epilog="Example: fleet token revoke wall")(revoke)
token.command(cls=PlainCommand, epilog="Example: fleet token link wall --url https://fleet.example")(link)
