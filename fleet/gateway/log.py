"""The audit log over HTTP: its events page by page, one of them, and the proof that they are what was written."""

import trio
from quart import Blueprint, Response

from fleet.actors.tree import Tree
from fleet.errors import Rejected
from fleet.events.verify import Report, verifying
from fleet.gateway import wire
from fleet.gateway.document import about, asks, gives
from fleet.gateway.requests import answer, read_query


def log_routes(tree: Tree) -> Blueprint:
    """Return the routes over one Fleet."""
    routes = Blueprint("log", __name__, url_prefix="/api/log")
    one_at_a_time = trio.Lock()

    @routes.get("")
    @about("log")
    @asks(wire.LogQuery)
    @gives(list[wire.EventItem])
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
    async def read_event(position: int) -> Response:
        """Read one event of the log."""
        read_query(wire.Query)
        if not 0 < position <= tree.log.head():
            raise Rejected("event_not_found", f"the log has events 1 to {tree.log.head()}")
        return answer(wire.event_item(tree.log.read_all(position - 1, 1)[0]))

    @routes.get("/verify")
    @about("log")
    @gives(wire.Verification)
    async def verify_log() -> Response:
        """Prove the whole log: positions, the chain of digests, payloads, versions, indexes.

        It reads everything, some seconds for a million events, while the server goes on working.
        """
        read_query(wire.Query)
        async with one_at_a_time:
            report = await _verified(tree)
        return answer(wire.verification(report), position=tree.log.head())

    return routes


async def _verified(tree: Tree) -> Report:
    walk = verifying(tree.log)
    while True:
        try:
            next(walk)
        except StopIteration as end:
            report: Report = end.value
            return report
        await trio.lowlevel.checkpoint()
