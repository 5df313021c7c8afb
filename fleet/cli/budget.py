"""The options for a session's limits, shared by `fleet new` and `fleet set`."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fleet.wire.bodies import BudgetBody

Usd = Annotated[
    float | None, typer.Option(min=0, metavar="DOLLARS", help="Cost limit in dollars: then the session pauses.")
]
Tokens = Annotated[int | None, typer.Option(min=0, help="Limit in tokens: then the session pauses.")]
Minutes = Annotated[
    float | None, typer.Option(min=0, metavar="MINUTES", help="Limit in minutes of work: then the session pauses.")
]


def budget_of(usd: float | None, tokens: int | None, minutes: float | None) -> "BudgetBody | None":
    """Return the limits, None where none is given. Raises `BadParameter` for what is no number of anything."""
    from fleet.wire.bodies import BudgetBody

    if usd is None and tokens is None and minutes is None:
        return None
    try:
        return BudgetBody(usd, tokens, minutes)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
