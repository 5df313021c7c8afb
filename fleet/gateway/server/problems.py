"""The error responses: `application/problem+json` (RFC 9457) for every error.

Bad input never gives a 500: what is not a `Problem` and not an HTTP error of the framework is a bug, which is logged
with its trace, and the response has none.
"""

from typing import Any, cast

import msgspec
import structlog
from quart import Response, has_request_context, request, websocket
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from fleet.actors.runtime.child import real_part
from fleet.errors import PROBLEMS, Problem
from fleet.limits import BODY_BYTES_MAX

_log = structlog.get_logger(__name__)

_HTTP_CODES = {400: "invalid", 404: "not_found", 405: "method_not_allowed", 408: "request_timeout", 413: "too_large"}


class ProblemDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem. `field` names what was wrong, `hint` says what to do; other members may come where they help."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    field: str | msgspec.UnsetType = msgspec.UNSET
    hint: str | msgspec.UnsetType = msgspec.UNSET


def problem_document(problem: Problem) -> dict[str, Any]:
    """Return the problem's document."""
    kind = PROBLEMS[problem.code]
    document: dict[str, Any] = msgspec.to_builtins(
        ProblemDocument(
            f"urn:fleet:problem:{problem.code}",
            kind.title,
            kind.status,
            problem.code,
            problem.detail,
            msgspec.UNSET if problem.field is None else problem.field,
            msgspec.UNSET if problem.hint is None else problem.hint,
        )
    )
    document.update(problem.extra)
    return document


def problem_response(problem: Problem) -> Response:
    """Return the problem as a response."""
    document = problem_document(problem)
    response = Response(msgspec.json.encode(document), document["status"], content_type="application/problem+json")
    if problem.retry_after_s is not None:
        response.headers["Retry-After"] = str(problem.retry_after_s)
    if document["status"] == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def install(app: QuartTrio) -> None:
    """Let every error of `app` become a problem."""
    app.register_error_handler(Problem, _of_problem)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(Exception, _of_bug)


async def _of_problem(problem: Problem) -> Response:
    return problem_response(problem)


async def _of_http(error: HTTPException) -> Response:
    code = _HTTP_CODES.get(error.code or 500, "internal")
    asked = request if has_request_context() else websocket
    said = {
        "too_large": f"the body is larger than {BODY_BYTES_MAX} bytes",
        "not_found": f"there is nothing at {asked.path}",
        "method_not_allowed": f"{asked.path} does not accept {asked.method}",
    }
    hint = "GET /api/docs lists all routes." if code in ("not_found", "method_not_allowed") else None
    response = problem_response(Problem(code, said.get(code, error.description or ""), hint=hint))
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


async def _of_bug(error: Exception) -> Response:
    real, _ = real_part(error)
    problem = _single(real)
    if isinstance(problem, Problem):
        return problem_response(problem)
    _log.error("request_failed", exc_info=real)
    return problem_response(
        Problem("internal", "an unexpected error occurred in Fleet; the server's log has the details")
    )


def _single(error: BaseException | None) -> BaseException | None:
    """Return what a group of one holds: a nursery wraps what its one task raised."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return _single(group.exceptions[0]) if len(group.exceptions) == 1 else None
    return error
