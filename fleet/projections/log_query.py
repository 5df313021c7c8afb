"""Makes a search of the log (fleet/events/search.py) from a query of the API."""

from typing import Final

from fleet.errors import Rejected
from fleet.events.catalog import NAMES
from fleet.events.search import Search
from fleet.projections.history_query import parse_instant
from fleet.wire.audit import LogQuery

_TYPES_HINT: Final = "`LoggedEvent` in /api/openapi.json lists all types"


def search_of(query: LogQuery, stream: str | None) -> Search:
    """Return the search; `stream` is that of the query, or of its session. Raises `Rejected` invalid."""
    return Search(
        after=query.after,
        before=query.before,
        newest_first=query.order == "desc",
        limit=query.limit,
        stream=stream,
        types=_types(query.type),
        actor=query.actor,
        correlation_id=query.correlation,
        from_ms=None if query.from_ is None else parse_instant(query.from_, "from"),
        to_ms=None if query.to is None else parse_instant(query.to, "to", last=True),
    )


def _types(text: str | None) -> frozenset[str]:
    named = frozenset(() if text is None else text.split(","))
    wrong = sorted(named - NAMES.keys())
    if wrong:
        raise Rejected("invalid", f"unknown types of events: {', '.join(wrong)[:200]}", field="type", hint=_TYPES_HINT)
    return named
