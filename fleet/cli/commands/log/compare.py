"""`fleet log diff` shows what changed in the fleet between two positions or times."""

from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.commands.log.source import sourced
from fleet.cli.connect import MOMENT, Json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from fleet.cli.commands.log.source import LogSource
    from fleet.wire.audit import SessionBetween


@sourced
async def diff(
    source: "LogSource",
    *,
    first: Annotated[str, typer.Argument(metavar="FROM", help=f"The earlier moment: {MOMENT}.", show_default=False)],
    last: Annotated[
        str | None,
        typer.Argument(metavar="TO", help="The later moment; by default the end of the log.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Show what changed in the fleet between two moments: sessions, prompts with who sent them, files and cost."""
    from fleet.cli.commands.log.naming import actor_names
    from fleet.cli.sanitize import SafeConsole, json_of

    found = await source.between(first, last)
    if json:
        print(json_of(found))
        return
    console = SafeConsole()
    unknown = "an event that is not in this log" if found.first else "the beginning"
    times = " to ".join((at[:19].replace("T", " ") if at else unknown) for at in (found.first_at, found.last_at))
    console.print(f"{found.last - found.first} events after position {found.first} up to {found.last}: {times}")
    names = await actor_names(source, _actors(found.sessions))
    for session in found.sessions:
        console.print("")
        for line in _lines(session, names):
            console.print(line, soft_wrap=True)


def _actors(sessions: "Iterable[SessionBetween]") -> set[str]:
    actors = {actor for each in sessions for actor in (each.created_by, each.erased_by) if actor is not None}
    return actors | {prompt.actor for each in sessions for prompt in each.prompts}


def _lines(session: "SessionBetween", names: "Mapping[str, str]") -> "Iterator[str]":
    from fleet.cli.show_view import amount, counted
    from fleet.limits import BETWEEN_LISTED_MAX
    from fleet.projections.names import who
    from fleet.projections.sentences import cut, quoted

    yield f"{quoted(session.title) if session.title else 'a session'} ({session.id}): {_became(session, names)}"
    done = [
        counted(session.turns, "turn ended", "turns ended") if session.turns else "",
        f"{session.failed} failed" if session.failed else "",
        counted(session.aborts, "abort", "aborts") if session.aborts else "",
        counted(session.answered, "request answered", "requests answered") if session.answered else "",
        f"{amount(session.tokens)} tokens, ${session.cost_usd:.4f}" if session.tokens else "",
    ]
    if any(done):
        yield f"  {', '.join(filter(None, done))}"
    if session.files:
        more = " and more" if len(session.files) == BETWEEN_LISTED_MAX else ""
        yield f"  changed {', '.join(session.files)}{more}"
    no_text = "(the text was erased or taken out)"
    for prompt in session.prompts:
        yield f"  {prompt.position:>9}  {who(prompt.actor, names)}: {cut(prompt.text) or no_text}"
    if session.prompts_total > len(session.prompts):
        yield f"             and {session.prompts_total - len(session.prompts)} earlier prompts"


def _became(session: "SessionBetween", names: "Mapping[str, str]") -> str:
    from fleet.projections.names import who

    if session.erased_by is not None:
        return f"erased by {who(session.erased_by, names)}"
    status = "data of it was erased or taken out" if session.status is None else session.status.replace("_", " ")
    if session.created_by is not None:
        return f"created by {who(session.created_by, names)}, then {status}"
    before = (session.status_before or "").replace("_", " ")
    return status if before in ("", status) else f"{before}, then {status}"
