"""The audit log over HTTP: its events page by page, one of them, all of them as lines, and the proof that
they are what was written."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import trio
from quart import Blueprint, Response
from quart.wrappers.response import ResponseBody

from fleet.actors.tree import Tree
from fleet.errors import Rejected
from fleet.events.export import ExportLine, export_page
from fleet.events.verify import Report, verifying
from fleet.gateway import wire
from fleet.gateway.document import about, asks, gives, gives_lines, refuses
from fleet.gateway.reading import check_cursor
from fleet.gateway.requests import answer, read_query


def log_routes(tree: Tree) -> Blueprint:
    """Return the routes over one Fleet."""
    routes = Blueprint("log", __name__, url_prefix="/api/log")
    one_at_a_time = trio.Lock()

    @routes.get("")
    @about("log")
    @asks(wire.LogQuery)
    @gives(list[wire.EventItem], headers=("Fleet-Position",))
    async def read_log() -> Response:
        """Read events of the log, oldest first.

        The position of the last one is the next `after`. `data` is the event as it was logged, with names in
        snake_case, the same as in the event streams.
        """
        query = read_query(wire.LogQuery)
        events = tree.log.read_all(query.after, query.limit)
        return answer([wire.event_item(event) for event in events], total=tree.log.head(), position=tree.log.head())

    @routes.get("/<int:position>")
    @about("log")
    @gives(wire.EventItem)
    @refuses("event_not_found")
    async def read_event(position: int) -> Response:
        """Read one event of the log.

        `data` is the event as it was logged, with names in snake_case.
        """
        read_query(wire.Query)
        if not 0 < position <= tree.log.head():
            raise Rejected("event_not_found", f"the log has events 1 to {tree.log.head()}")
        return answer(wire.event_item(tree.log.read_all(position - 1, 1)[0]))

    @routes.get("/verify")
    @about("log")
    @asks(wire.AtQuery)
    @gives(wire.Verification, headers=("Fleet-Position",))
    async def verify_log() -> Response:
        """Prove the whole log, or its events up to `at`: positions, the chain of digests, payloads, versions, indexes.

        It reads everything, some seconds for a million events, while the server goes on working.
        """
        through = _through(tree, read_query(wire.AtQuery).at, "at")
        async with one_at_a_time:
            report = await _verified(tree, through)
        return answer(wire.verification(report), position=through)

    @routes.get("/export")
    @about("log")
    @asks(wire.ExportQuery)
    @gives_lines(ExportLine)
    async def export_log() -> Response:
        """Export the log as JSON lines, behind `after` up to `through` or to its end, whose position is a header.

        The lines prove themselves: `fleet verify-export` checks them anywhere. An export that was cut off goes on with
        the last line's position as `after`.
        """
        query = read_query(wire.ExportQuery)
        through = _through(tree, query.through, "through")
        response = Response(Export(tree, query.after, through), content_type="application/x-ndjson")
        response.headers["Content-Disposition"] = f'attachment; filename="fleet-log-{query.after + 1}-{through}.jsonl"'
        response.headers["Fleet-Position"] = str(through)
        response.timeout = None
        return response

    return routes


class Export(ResponseBody):
    """The lines, page by page: each is read when the one before has been taken, so that a slow reader holds up nobody.

    What happens during it does not matter: events never change, and one that is erased meanwhile is exported as such.
    """

    def __init__(self, tree: Tree, after: int, through: int) -> None:
        self._log = tree.log
        self._position = after
        self._through = through

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if self._position >= self._through:
            raise StopAsyncIteration
        lines, self._position = export_page(self._log, self._position, self._through)
        return lines


def _through(tree: Tree, position: int | None, field: str) -> int:
    return tree.log.head() if position is None else check_cursor(tree, position, field)


async def _verified(tree: Tree, through: int) -> Report:
    walk = verifying(tree.log, through)
    while True:
        try:
            next(walk)
        except StopIteration as end:
            report: Report = end.value
            return report
        await trio.lowlevel.checkpoint()
