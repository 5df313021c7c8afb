"""Makes a search of the log (fleet/events/search.py) from a query of the API."""

from typing import Final

from fleet.errors import Rejected
from fleet.events.catalog import NAMES
from fleet.events.search import Search
from fleet.projections.moments import Instants, parse_moment
from fleet.wire.audit import LogQuery

_TYPES_HINT: Final = "`LoggedEvent` in /api/openapi.json lists all types."


def search_of(query: LogQuery, stream: str | None, head: int) -> Search:
    """Return the search; `stream` is that of the query, or of its session. Raises `Rejected` invalid."""
    begin = None if query.from_ is None else parse_moment(query.from_, head, "from")
    end = None if query.to is None else parse_moment(query.to, head, "to")
    after, before = query.after, query.before
    if isinstance(begin, int):
        after = max(after, begin - 1)
    if isinstance(end, int):
        before = end + 1 if before is None else min(before, end + 1)
    return Search(
        after=after,
        before=before,
        newest_first=query.order == "desc",
        limit=query.limit,
        stream=stream,
        types=_types(query.type),
        actor=query.actor,
        correlation_id=query.correlation,
        from_ms=begin.first_ms if isinstance(begin, Instants) else None,
        to_ms=end.last_ms if isinstance(end, Instants) else None,
    )


def _types(text: str | None) -> frozenset[str]:
    named = frozenset(() if text is None else text.split(","))
    wrong = sorted(named - NAMES.keys())
    if wrong:
        raise Rejected("invalid", f"unknown types of events: {', '.join(wrong)[:200]}", field="type", hint=_TYPES_HINT)
    return named
