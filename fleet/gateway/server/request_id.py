"""The id of each request: `X-Request-Id`, the caller's own or a new one.

The response has it, each line of the server's log about the request, and as correlation id every event that the
request causes, those of effects included.
"""

import re
from typing import Final

import structlog
from quart import Request, Response

from fleet.gateway.server.client_limits import Visit
from fleet.gateway.server.guard import READS
from fleet.ports import Ids

_log = structlog.get_logger(__name__)

HEADER: Final = "X-Request-Id"
_GOOD: Final = re.compile(r"[\w.:-]{1,100}", re.ASCII)


def name_request(request: Request, ids: Ids) -> str:
    """Return the id of a request; lines of the log have it from now on."""
    given = request.headers.get(HEADER, "")
    request_id = given if _GOOD.fullmatch(given) else ids.uuid7()
    structlog.contextvars.bind_contextvars(request_id=request_id)
    return request_id


def log_result(request: Request, response: Response, visit: Visit, took_s: float) -> None:
    """Log the result of a request: successful reads, and what the guard refused, at debug level only.

    A client that is not admitted must not fill the disk. The query is left out, since what is in it is the caller's.
    """
    quiet = request.method in READS or visit.visitor is None
    log = _log.debug if quiet and response.status_code < 500 else _log.info
    took_ms = round(took_s * 1000, 1)
    log("request", method=request.method, path=request.path, status=response.status_code, took_ms=took_ms)
