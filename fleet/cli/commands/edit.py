"""`fleet set` changes a session's title, tags and budget."""

from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.budget import Minutes, Tokens, Usd, budget_of
from fleet.cli.connect import Json, Name, UsageError, connected, named

if TYPE_CHECKING:
    from fleet.client import FleetClient


@connected
async def edit(
    fleet: "FleetClient",
    *,
    session: Name,
    title: Annotated[str | None, typer.Option(help="The new title.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="A new tag; repeatable. All current tags are replaced.")
    ] = None,
    usd: Usd = None,
    tokens: Tokens = None,
    minutes: Minutes = None,
    no_budget: Annotated[
        bool, typer.Option("--no-budget", help="Remove all limits that this command does not set.")
    ] = False,
    json: Json = False,
) -> None:
    """Change a session's title, tags or budget. Limits that you do not name stay as they are.

    A session that has paused for its budget continues by itself when the new limits allow it.
    """
    from fleet.cli.sanitize import SafeConsole, json_of, line_of
    from fleet.cli.show_view import limits_of
    from fleet.wire.bodies import BudgetBody

    budget = budget_of(usd, tokens, minutes)
    if title is None and not tag and budget is None and not no_budget:
        raise UsageError("there is nothing to set: give a --title, a --tag, a limit or --no-budget")
    found = await named(fleet, session)
    if no_budget:
        budget = budget or BudgetBody()
    elif budget is not None and (before := (await found.read()).budget) is not None:
        budget = BudgetBody(
            before.usd if usd is None else usd,
            before.tokens if tokens is None else tokens,
            before.minutes if minutes is None else minutes,
        )
    item = await found.edit(title=title, tags=tag or None, budget=budget)
    if json:
        print(json_of(item))
        return
    tags = ", ".join(line_of(each) for each in item.tags) or "none"
    limits = limits_of(item.budget) or "no limit"
    SafeConsole().print(f"{line_of(item.title)}; tags: {tags}; budget: {limits}", soft_wrap=True)
