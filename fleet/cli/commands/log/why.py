"""`fleet log why` explains an event, the outcome of a session, or the change of a file."""

from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.commands.log.source import session_id, sourced
from fleet.cli.connect import Json, completed

if TYPE_CHECKING:
    from fleet.cli.commands.log.source import LogSource
    from fleet.client.connection import Page
    from fleet.wire.audit import WhyStep


@sourced
async def why(
    source: "LogSource",
    *,
    subject: Annotated[
        str,
        typer.Argument(
            metavar="POSITION|SESSION|FILE",
            help="A position of the log, a session (its last outcome), or a file as a diff names it (its last change).",
            show_default=False,
        ),
    ],
    session: Annotated[
        str | None,
        typer.Option(
            "--session",
            "-s",
            metavar="SESSION",
            help="With a file: its last change in this session.",
            autocompletion=completed,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Explain why something happened, a sentence for each step, back to the request that began it."""
    from fleet.cli.sanitize import SafeConsole, json_of

    steps = await _explained(source, subject, session)
    if json:
        print(json_of(steps))
        return
    console = SafeConsole()
    for step in steps:
        console.print(f"{step.position:>9}  {step.at[:19].replace('T', ' ')}  {step.sentence}", soft_wrap=True)


async def _explained(source: "LogSource", subject: str, session: str | None) -> "Page[WhyStep]":
    from fleet.cli.commands.log.subjects import find_change, find_outcome
    from fleet.client import NotFound

    if subject.isascii() and subject.isdecimal():
        return await source.why(int(subject))
    if session is None and "/" not in subject and "." not in subject:
        try:
            named = await session_id(source, subject)
        except NotFound:
            pass  # a file may have such a name
        else:
            return await source.why(await find_outcome(source, named))
    of = None if session is None else await session_id(source, session)
    position, file = await find_change(source, subject, of)
    return await source.why(position, file=file)
