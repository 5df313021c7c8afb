"""Formats sessions as tables and lines, for a person."""

import time
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from os.path import commonprefix
from typing import Final

from rich.table import Table
from rich.text import Text

from fleet.cli.connect import ExitCode
from fleet.cli.sanitize import line_of
from fleet.wire.bodies import BudgetBody
from fleet.wire.items import ChangesItem, SessionItem, TokensItem

STYLES: Final = {
    "created": "cyan",
    "active": "bold green",
    "waiting_input": "bold yellow",
    "idle": "green",
    "completed": "dim",
    "stopped": "dim",
    "disconnected": "magenta",
    "error": "bold red",
}
_ID_CHARS_MIN: Final = 13  # a UUID's milliseconds
_GAP: Final = 2  # between two columns
_FREE_CHARS_MIN: Final = 12


def table(
    width: int, headings: Sequence[str], rows: Sequence[Sequence[str | Text]], *, free: str, spare: Sequence[str] = ()
) -> Table:
    """Return a table in Fleet's style; headings that begin with `>` are over numbers.

    Where the width does not do, the column `free` is cut, and where that would leave too little of it, the columns
    `spare` are left out, one by one; the others are always whole.
    """
    names = [heading.lstrip(">") for heading in headings]
    cells = [[each if isinstance(each, Text) else Text(each) for each in row] for row in rows]
    needed = {name: max([len(name), *(row[at].cell_len for row in cells)]) for at, name in enumerate(names)}
    shown, left = names, 0
    for dropped in range(len(spare) + 1):
        shown = [name for name in names if name not in spare[:dropped]]
        left = width - sum(needed[name] + _GAP for name in shown if name != free)
        if free not in shown or left >= min(needed[free], _FREE_CHARS_MIN):
            break
    made = Table(box=None, padding=(0, _GAP, 0, 0), header_style="dim", pad_edge=False)
    for name, heading in zip(names, headings, strict=True):
        if name in shown:
            made.add_column(name, justify="right" if heading != name else "left", no_wrap=True, overflow="ellipsis")
    for row in cells:
        row[names.index(free)].truncate(max(left, 1), overflow="ellipsis")
        made.add_row(*(cell for name, cell in zip(names, row, strict=True) if name in shown))
    return made


def short_ids(ids: Sequence[str]) -> list[str]:
    """Return the shortest distinct beginnings of these ids."""
    ordered = sorted(ids)
    shared = max((len(commonprefix(pair)) for pair in pairwise(ordered)), default=0)  # noqa: RUF071 - no paths
    return [each[: max(_ID_CHARS_MIN, shared + 1)] for each in ids]


def status(session: SessionItem) -> Text:
    """Return the status in its colour."""
    return Text(session.status.replace("_", " "), STYLES.get(session.status, ""))


def changes(item: ChangesItem | None) -> Text:
    """Return the numbers of changed lines and files."""
    if item is None or not item.files:
        return Text("-", "dim")
    return Text.assemble((f"+{item.additions}", "green"), " ", (f"-{item.deletions}", "red"), f" in {item.files}")


def tokens(item: TokensItem) -> int:
    """Return all tokens together."""
    return item.input + item.output + item.reasoning + item.cache_read + item.cache_write


def limits_of(budget: BudgetBody | None) -> str:
    """Return the limits of a session in words, "" without limits."""
    limits = () if budget is None else ((budget.usd, "USD"), (budget.tokens, "tokens"), (budget.minutes, "minutes"))
    return " or ".join(
        f"{limit if isinstance(limit, int) else f'{limit:g}'} {unit}" for limit, unit in limits if limit is not None
    )


def amount(count: int) -> str:
    """Return a large number, short."""
    return f"{count / 1e6:.1f}M" if count >= 1_000_000 else f"{count / 1e3:.1f}k" if count >= 10_000 else str(count)


def counted(count: int, one: str, many: str) -> str:
    """Return the count with the singular or the plural."""
    return f"{count} {one if count == 1 else many}"


def since(at: str, now: float | None = None) -> str:
    """Return how long ago that was; `now` is the Unix time to count from, the present one by default."""
    seconds = max(0, int((time.time() if now is None else now) - datetime.fromisoformat(at).timestamp()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def listing(sessions: Sequence[SessionItem], width: int, now: float | None = None) -> Table:
    """Return sessions as a table; `now` as in `since`."""
    rows = [
        (
            short,
            status(each),
            line_of(each.title),
            str(each.turns),
            changes(each.changes),
            f"${each.cost_usd:.2f}",
            since(each.created_at, now),
        )
        for short, each in zip(short_ids([each.id for each in sessions]), sessions, strict=True)
    ]
    headings = ("ID", "STATUS", "TITLE", ">TURNS", "CHANGES", ">COST", ">AGE")
    return table(width, headings, rows, free="TITLE", spare=("CHANGES", "TURNS"))


def outcome_code(session: SessionItem) -> ExitCode:
    """Return the exit code for a session that has no work of its own left."""
    if session.status == "waiting_input" or (
        session.status == "idle" and session.queued and session.budget is not None
    ):
        return ExitCode.WAITS_FOR_YOU
    if session.status == "error" or session.outcome == "error":
        return ExitCode.TURN_FAILED
    if session.status in ("stopped", "disconnected") or session.outcome != "finished":
        return ExitCode.TURN_CUT_SHORT
    return ExitCode.OK
