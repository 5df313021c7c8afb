"""Connects a command to a server: its address, the access token, and the exit codes.

`connected` gives a command a client that has found its server; everything that can go wrong on the way becomes one
sentence on stderr and an exit code of `ExitCode`.
"""

import inspect
import os
import sys
from collections.abc import Awaitable, Callable
from enum import IntEnum
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

import typer

from fleet.config import INSTANCE_VARIABLE, TOKEN_VARIABLE
from fleet.errors import StartupError

if TYPE_CHECKING:
    from fleet.client import FleetClient, FleetError, Page, Session
    from fleet.config import Config
    from fleet.wire.items import SessionItem

COMPLETION_S = 2.0
Item = TypeVar("Item")


def completed(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return ids and titles of the sessions that begin like this, for the shell; none if no server responds."""
    import trio

    from fleet.cli.sanitize import line_of

    found: list[SessionItem] = []

    async def ask(fleet: "FleetClient") -> None:
        found.extend(await every_session(fleet))

    async def look(url: str, token: str | None) -> None:
        with trio.move_on_after(COMPLETION_S):
            await _with_client(ask, url, token)

    try:
        trio.run(look, *find_server(context.params.get("url"), context.params.get("token_file")))
    except Exception:  # completion has no place for an error
        return []
    return [(each.id, line_of(each.title)) for each in found if _begins(each, incomplete) or not incomplete]


Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        envvar="FLEET_URL",
        help="The server's address; by default that of the configuration.",
        show_default=False,
    ),
]
TokenFile = Annotated[
    str | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        envvar="FLEET_TOKEN_FILE",
        help=f"File with the access token. {TOKEN_VARIABLE} can contain the token itself.",
        show_default=False,
    ),
]
MOMENT = "a position of the log, a time such as 2026-01-31T12:00:00Z, or a date"
Json = Annotated[bool, typer.Option("--json", help="Print JSON, with the names of the HTTP interface.")]
_NAME = typer.Argument(
    metavar="SESSION",
    help="The session's id, the beginning of the id, or its OpenCode id.",
    show_default=False,
    autocompletion=completed,
)
Name = Annotated[str, _NAME]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="MOMENT", help=f"As it was at this moment: {MOMENT}.", show_default=False),
]


async def now_at(fleet: "FleetClient", at: str | None) -> float | None:
    """Return the Unix time to count durations from at a moment, None for the present."""
    from fleet.adapters.clock import SystemClock
    from fleet.projections.history_query import parse_instant

    if at is None or at == "0":
        return None
    told = (await fleet.event(int(at))).at if at.isdecimal() else at
    return min(parse_instant(told, "at", last=True), SystemClock().now_ms()) / 1000


MaybeName = Annotated[str | None, _NAME]


class ExitCode(IntEnum):
    """How a command ended. docs/cli.md has the table."""

    OK = 0
    FAILED = 1
    USAGE = 2
    TURN_FAILED = 3
    TURN_CUT_SHORT = 4
    WAITS_FOR_YOU = 5
    NO_SERVER = 6
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class UsageError(typer.BadParameter):
    """The options do not fit together, or one is missing: no single value is wrong, so the message has no value."""

    def format_message(self) -> str:
        """Return the message as it is, without "Invalid value"."""
        return self.message


def agreed(question: str, order: str) -> bool:
    """Ask the person at the terminal. Raises `UsageError` if there is no terminal; `order` says what --yes does."""
    if not sys.stdin.isatty():
        raise UsageError(f"there is no terminal for the question: use --yes to {order}")
    return typer.confirm(question, err=True)


def connected(command: Callable[..., Awaitable[int | None]]) -> Callable[..., None]:
    """Give `command(fleet, …)` the options that say where the server is, and run it with a client of that server."""
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "fleet"
    ]
    options = [_option("url", Url), _option("token_file", TokenFile)]

    @wraps(command)
    def run(**arguments: Any) -> None:
        url, token_file = arguments.pop("url"), arguments.pop("token_file")
        raise typer.Exit(perform(partial(command, **arguments), url, token_file))

    run.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]  # functions do have it
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *options)}
    del run.__wrapped__
    return run


def _option(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def perform(work: "Callable[[FleetClient], Awaitable[int | None]]", url: str | None, token_file: str | None) -> int:
    """Run the work with a client, and return the exit code.

    Raises `StartupError` for a wrong configuration, `BadParameter` for an address that is none.
    """
    address, token = find_server(url, token_file)
    return finish(partial(_with_client, work, address, token), address)


def finish(work: "Callable[[], Awaitable[int | None]]", address: str = "") -> int:
    """Run the work to its end, report what went wrong, and return the exit code. `address` is the server's, if any."""
    import trio

    from fleet.cli.problem_text import option_of, sentence_of
    from fleet.client import FleetError, Unreachable

    try:
        code = trio.run(work)
        sys.stdout.flush()
    except BaseException as error:
        match _innermost(error):
            case KeyboardInterrupt():
                return ExitCode.INTERRUPTED
            case BrokenPipeError():
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes at its end
                return ExitCode.BROKEN_PIPE
            case typer.Abort():  # Ctrl-C at a question
                return ExitCode.INTERRUPTED
            case FleetError() as refused:
                complain(sentence_of(refused, address))
                if isinstance(refused, Unreachable):
                    return ExitCode.NO_SERVER
                return ExitCode.FAILED if option_of(refused) is None else ExitCode.USAGE
            case StartupError() as wrong:
                raise wrong from None
            case _:
                raise
    return code or ExitCode.OK


async def _with_client(
    work: "Callable[[FleetClient], Awaitable[int | None]]", url: str, token: str | None
) -> int | None:
    from fleet.client import FleetClient

    async with FleetClient(url, token=token) as fleet:
        await fleet.health(retry=False)  # a missing server is reported at once; a lost one is waited for
        return await work(fleet)


def _innermost(error: BaseException) -> BaseException:
    """Return what nurseries have wrapped, where it is one error."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        found = [_innermost(each) for each in group.exceptions]
        return next((each for each in found if isinstance(each, KeyboardInterrupt)), found[0])
    return error


def complain(sentence: str) -> None:
    """Print a message on stderr, beside the output of the command."""
    from fleet.cli.sanitize import plain

    print(f"fleet: {plain(sentence)}", file=sys.stderr)


def warn_connection_lost(failure: "FleetError | None") -> None:
    """Report on stderr that the server is not reachable, or reachable again: for `FleetClient.on_loss`."""
    complain("the server responds again." if failure is None else f"waiting for the server: {failure.detail}.")


def find_server(url: str | None, token_file: str | None) -> tuple[str, str | None]:
    """Return the server's address, as given or as configured, and the token for it.

    Raises `StartupError`, and `BadParameter` for an invalid address. The configured server's data directory has a
    token for the owner of that directory; it is sent to no other server.
    """
    from fleet.config import load_config
    from fleet.private_files import read_local_token

    token = access_token(token_file)
    if url is not None:
        if os.environ.get(INSTANCE_VARIABLE) and url == os.environ.get("FLEET_URL"):  # an agent of this Fleet
            token = token or read_local_token(Path(os.environ.get("FLEET_DATA_DIR", "")))
        return _checked(url), token
    config = load_config({}, os.environ)
    if config.port == 0:
        raise StartupError("The configured port is 0, any free one: give the server's address with --url or FLEET_URL.")
    return configured_address(config), token or read_local_token(config.data_dir)


def configured_address(config: "Config") -> str:
    """Return the address of the server of this configuration."""
    from fleet.network import base_url

    return base_url("localhost" if config.host == "127.0.0.1" else config.host, config.port)


def _checked(given: str) -> str:
    from fleet.client.address import Address

    try:
        return Address(given).url
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def access_token(file: str | None) -> str | None:
    """Return the token of the file or the environment; not of the command line, which other users can read."""
    from fleet.client.connection import checked_token

    if file is None:
        text, place = os.environ.get(TOKEN_VARIABLE), TOKEN_VARIABLE
        if not text:
            return None
    else:
        place = file
        try:
            text = Path(file).expanduser().read_text("utf-8")
        except (OSError, ValueError) as error:
            raise StartupError(f"The token cannot be read from {file}: {error}.") from error
    try:
        return checked_token(text.strip())
    except ValueError as error:
        raise StartupError(f"{place} does not contain a token: {error}.") from error


async def every_session(fleet: "FleetClient", **filters: Any) -> "list[SessionItem]":
    """Return all sessions, page by page."""
    return await every_page(partial(fleet.sessions, **filters))


async def every_page(read: "Callable[..., Awaitable[Page[Item]]]") -> list[Item]:
    """Return all items of a list of the client, which takes `limit` and `offset`."""
    from fleet.limits import PAGE_MAX

    found: list[Item] = []
    while True:
        page = await read(limit=PAGE_MAX, offset=len(found))
        found += page
        if not page or len(found) >= page.total:
            return found


async def named(fleet: "FleetClient", name: str) -> "Session":
    """Return the session with this id, or with the only one that begins like this. Raises `NotFound`, `Invalid`."""
    from fleet.client import Invalid, NotFound

    if len(name) == len("0198c0de-0000-7000-8000-000000000000"):
        return fleet.session(name)
    sessions = [
        each for each in await every_session(fleet) if name in (each.id, each.opencode_id) or _begins(each, name)
    ]
    exact = [each for each in sessions if each.opencode_id == name]
    found = exact or sessions
    if not found:
        raise NotFound("session_not_found", f"there is no session {name!r}; `fleet ls` lists the sessions")
    if len(found) > 1:
        some = "; ".join(f"{each.id} {each.title!r}" for each in found[:5])
        raise Invalid("ambiguous", f"{len(found)} sessions begin with {name!r}: {some}")
    return fleet.session(found[0].id)


def _begins(session: "SessionItem", name: str) -> bool:
    return bool(name) and (session.id.startswith(name.lower()) or session.opencode_id.startswith(name))
