"""The source of a `fleet log` command: a server, a data directory (--data-dir), or an export (--export).

A command is written against the methods that the client has for the log; all sources have them.
"""

import inspect
from collections.abc import Awaitable, Callable, Generator
from contextlib import ExitStack, closing, contextmanager
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from fleet.cli.connect import TokenFile, Url, UsageError, finish, perform

if TYPE_CHECKING:
    from fleet.cli.commands.log.local_log import LocalLog
    from fleet.client import FleetClient

LogSource: TypeAlias = "FleetClient | LocalLog"

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Read the log of this data directory: one whose server has stopped, or a copy. Nothing is written.",
        show_default=False,
    ),
]
Export = Annotated[
    str | None,
    typer.Option("--export", metavar="FILE", help="Read an exported log; `-` reads it from stdin.", show_default=False),
]


def sourced(command: Callable[..., Awaitable[int | None]]) -> Callable[..., None]:
    """Give `command(source, …)` the options that say where the log is, and run it on that log."""
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "source"
    ]
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in (("data_dir", DataDir), ("export", Export), ("url", Url), ("token_file", TokenFile))
    ]

    @wraps(command)
    def run(**arguments: Any) -> None:
        places = {option.name: arguments.pop(option.name) for option in options}
        raise typer.Exit(run_on(partial(command, **arguments), **places))

    run.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]  # functions do have it
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *options)}
    del run.__wrapped__
    return run


def run_on(
    work: "Callable[[LogSource], Awaitable[int | None]]",
    *,
    data_dir: Path | None,
    export: str | None,
    url: str | None,
    token_file: str | None,
) -> int:
    """Run the work on the log that these options name, and return the exit code."""
    if data_dir is not None and export is not None:
        raise UsageError("--data-dir and --export name two logs: give one of them")
    if data_dir is None and export is None:
        return perform(work, url, token_file)

    async def read() -> int | None:
        with opened(data_dir, export) as log:
            return await work(log)

    return finish(read)


@contextmanager
def opened(data_dir: Path | None, export: str | None) -> "Generator[LocalLog]":
    """Open the log of a data directory, or else an export. Raises `StartupError`, and `FleetError` in the block."""
    from fleet.cli.commands.log.local_log import LocalLog
    from fleet.events.catalog import make_registry
    from fleet.events.left_out import read_left_out
    from fleet.events.lmdb_blobs import BLOBS_FILE, LmdbBlobs
    from fleet.events.read_only import reading_directory, reading_export
    from fleet.logs import configure_logs
    from fleet.projections.runner import digest_at
    from fleet.projections.store import UnchangedViewStore

    configure_logs("warning")  # to standard error: a warning must not get into the output
    registry = make_registry()
    with ExitStack() as cleanup:
        if data_dir is None:
            log = LocalLog(cleanup.enter_context(reading_export(export or "", registry)))
        else:
            reader = cleanup.enter_context(reading_directory(data_dir, registry))
            blobs = LmdbBlobs(data_dir, read_only=True) if (data_dir / BLOBS_FILE).exists() else None
            views = cleanup.enter_context(closing(UnchangedViewStore(data_dir / "views", reader.sealer)))
            stored = blobs if blobs is None else cleanup.enter_context(blobs)
            left_out = read_left_out(data_dir, reader.sealer, partial(digest_at, reader))
            log = LocalLog(reader, stored, views, data_dir / "views", left_out)
        with _in_words(export or str(data_dir)):
            yield log


@contextmanager
def _in_words(name: str) -> Generator[None]:
    """Raise what goes wrong with a log that is read here as the errors that commands report."""
    import msgspec

    from fleet.client.errors import problem_of
    from fleet.errors import PROBLEMS, Problem, StartupError
    from fleet.events.codec import CorruptRecord
    from fleet.events.registry import UnreadableEvent

    try:
        yield
    except CorruptRecord as error:
        raise StartupError(f"{name} is damaged: {error}. `fleet log verify` names the position.") from error
    except Problem as problem:
        members = {"code": problem.code, "detail": problem.detail, "field": problem.field, "hint": problem.hint}
        document = msgspec.json.encode({name: value for name, value in members.items() if value is not None})
        raise problem_of(PROBLEMS[problem.code].status, document, None) from problem
    except UnreadableEvent as error:
        raise StartupError(f"{name} cannot be read: {error}.") from error


async def session_id(source: "LogSource", name: str) -> str:
    """Return the id of the session with this name (connect.py). Raises `NotFound`, `Invalid`."""
    from fleet.cli.commands.log.local_log import LocalLog
    from fleet.cli.connect import named

    return source.session_id(name) if isinstance(source, LocalLog) else (await named(source, name)).id
