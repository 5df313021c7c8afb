"""`fleet log anchor` stores the log's signed head where the server cannot change it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.commands.log.source import sourced

if TYPE_CHECKING:
    from fleet.cli.commands.log.source import LogSource


@sourced
async def anchor(
    source: "LogSource",
    *,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append the head to this file.", show_default=False)
    ] = None,
    to_git: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Commit the head under refs/fleet/anchors in this git repository, which you then push elsewhere.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Print the signed head of the log, as one line of JSON, or store it.

    Keep it where the server's user cannot change it. `fleet log verify --anchor FILE` then finds a log that was
    rewritten, cut off or replaced by an older copy, even if the signing key was stolen.
    """
    from fleet.adapters.git.anchors import commit_anchor
    from fleet.errors import Problem, StartupError
    from fleet.events.anchors import anchor_line, append_anchor

    head = await source.head()
    if to is not None:
        try:
            append_anchor(to, head)
        except OSError as error:
            raise StartupError(f"{to} cannot be written: {error.strerror}.") from error
    if to_git is not None:
        try:
            await commit_anchor(str(to_git.absolute()), head.position, anchor_line(head))
        except Problem as problem:
            raise StartupError(f"{to_git}: {problem.detail}.") from problem
    if to is None and to_git is None:
        print(anchor_line(head).decode(), end="")
