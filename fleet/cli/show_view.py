"""Sessions as tables and lines, for a person."""

import time
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from os.path import commonprefix
from typing import Final

from rich.table import Table
from rich.text import Text

from fleet.cli.plain import line_of
from fleet.cli.remote import ExitCode
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


def table(*headings: str) -> Table:
    """Return a table in Fleet's looks; headings that begin with `>` stand over numbers."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for heading in headings:
        number = heading.startswith(">")
        made.add_column(heading.lstrip(">"), justify="right" if number else "left", no_wrap=True, overflow="ellipsis")
    return made


def short_ids(ids: Sequence[str]) -> list[str]:
    """Return the beginnings that tell these ids apart."""
    ordered = sorted(ids)
    shared = max((len(commonprefix(pair)) for pair in pairwise(ordered)), default=0)  # noqa: RUF071 - no paths
    return [each[: max(_ID_CHARS_MIN, shared + 1)] for each in ids]


def status(session: SessionItem) -> Text:
    """Return the status in its colour."""
    return Text(session.status.replace("_", " "), STYLES.get(session.status, ""))


def changes(item: ChangesItem | None) -> Text:
    """Return how much has changed."""
    if item is None or not item.files:
        return Text("-", "dim")
    return Text.assemble((f"+{item.additions}", "green"), " ", (f"-{item.deletions}", "red"), f" in {item.files}")


def tokens(item: TokensItem) -> int:
    """Return all tokens together."""
    return item.input + item.output + item.reasoning + item.cache_read + item.cache_write


def amount(count: int) -> str:
    """Return a large number, short."""
    return f"{count / 1e6:.1f}M" if count >= 1_000_000 else f"{count / 1e3:.1f}k" if count >= 10_000 else str(count)


def since(at: str) -> str:
    """Return how long ago that was."""
    seconds = max(0, int(time.time() - datetime.fromisoformat(at).timestamp()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def listing(sessions: Sequence[SessionItem]) -> Table:
    """Return sessions as a table."""
    made = table("ID", "STATUS", "TITLE", ">TURNS", "CHANGES", ">COST", ">AGE")
    made.columns[2].ratio = 1
    made.columns[0].min_width = made.columns[1].min_width = _ID_CHARS_MIN
    for short, each in zip(short_ids([each.id for each in sessions]), sessions, strict=True):
        cost = f"${each.cost_usd:.2f}"
        made.add_row(
            short,
            status(each),
            line_of(each.title),
            str(each.turns),
            changes(each.changes),
            cost,
            since(each.created_at),
        )
    return made


def outcome_code(session: SessionItem) -> ExitCode:
    """Return the exit code for what became of a session that has nothing more to do."""
    if session.status == "waiting_input" or (
        session.status == "idle" and session.queued and session.budget is not None
    ):
        return ExitCode.WAITS_FOR_YOU
    if session.status == "error" or session.outcome == "error":
        return ExitCode.TURN_FAILED
    if session.status in ("stopped", "disconnected") or session.outcome != "finished":
        return ExitCode.TURN_CUT_SHORT
    return ExitCode.OK
