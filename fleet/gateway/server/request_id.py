"""The id of each request: `X-Request-Id`, the caller's own or a new one.

It goes into the answer, into each line of the server's log that is written on the way, and as correlation id into every
event that follows, those of effects included.
"""

import re
from typing import Final

import structlog
import trio
from quart import Response, g, request
from quart_trio import QuartTrio

from fleet.gateway.server.guard import READS
from fleet.ports import Ids

_log = structlog.get_logger(__name__)

_HEADER: Final = "X-Request-Id"
_GOOD: Final = re.compile(r"[\w.:-]{1,100}", re.ASCII)


def name_requests(app: QuartTrio, ids: Ids) -> None:
    """Name every request of `app` and log what became of it: reads that worked only for who debugs."""

    @app.before_request
    async def begin() -> None:
        given = request.headers.get(_HEADER, "")
        g.request_id = given if _GOOD.fullmatch(given) else ids.uuid7()
        g.asked_s = trio.current_time()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    async def end(response: Response) -> Response:
        request_id: str | None = g.get("request_id")
        if request_id is not None:
            response.headers[_HEADER] = request_id
            # Nor what the guard refused: a client that is not admitted must not fill the disk.
            quiet = request.method in READS or "caller" not in g
            tell = _log.debug if quiet and response.status_code < 500 else _log.info
            took_ms = round((trio.current_time() - g.asked_s) * 1000, 1)
            # Without the query: what stands in it is the caller's.
            tell("request", method=request.method, path=request.path, status=response.status_code, took_ms=took_ms)
        return response
