"""The route for the history: it searches sessions by what was said in them."""

from quart import Response

from fleet.actors.fleet import Fleet
from fleet.core.session.transitions import STATUSES
from fleet.errors import Rejected
from fleet.gateway.items.session import SessionItems
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.server.requests import json_response
from fleet.projections.history_query import HistorySearch, parse_instant
from fleet.wire.bodies import HistoryQuery as WireHistoryQuery
from fleet.wire.items import HistoryItem

endpoint = Endpoints("/api/sessions", "sessions")


@endpoint("GET /history", gives=list[HistoryItem], refuses=("timed_out",))
async def search_history(fleet: Fleet, items: SessionItems, query: WireHistoryQuery) -> Response:
    """Search all sessions, ended ones included: titles, prompts, answers, tool output; newest first.

    `X-Total-Count` is counted up to 1000 where words are searched: 1000 means that many or more.
    """
    position = fleet.log.head()
    page = await fleet.history.search(_query(query))
    shown = [
        items.found(state, found.snippet)
        for found in page.sessions
        if (state := fleet.views.sessions.get(found.id)) is not None
    ]
    return json_response(shown, position=position, total=page.total)


def read_statuses(text: str | None) -> tuple[str, ...]:
    """Return the statuses of a comma-separated list. Raises `Rejected` invalid."""
    named = () if text is None else tuple(text.split(","))
    wrong = [status for status in named if status not in STATUSES]
    if wrong:
        detail = f"{', '.join(wrong)} is not a status; the statuses are {', '.join(sorted(STATUSES))}"
        raise Rejected("invalid", detail, field="status")
    return named


def _query(query: WireHistoryQuery) -> HistorySearch:
    return HistorySearch(
        query.search,
        read_statuses(query.status),
        None if query.from_ is None else parse_instant(query.from_, "from"),
        None if query.to is None else parse_instant(query.to, "to", last=True),
        query.limit,
        query.offset,
    )
