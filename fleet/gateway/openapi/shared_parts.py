"""The parts of openapi.json that are the same for all routes: access, and headers of requests and responses."""

from typing import Any, Final

from fleet.gateway.server.guard import cookie_name
from fleet.limits import IDEMPOTENCY_KEY_CHARS_MAX

ABOUT: Final = (
    "Many OpenCode sessions side by side. On loopback, as long as there is no access token, programs of this machine "
    "may come in without one; web pages of others may not. Once there is a token (`fleet token new`), every request "
    "shows one, or the cookie of a login. An unknown path is answered with 404 `not_found`; a method that a path does "
    "not have with 405 `method_not_allowed`, which is in `components.responses` since no method that stands here is "
    "answered so."
)
SECURITY: Final[list[dict[str, list[str]]]] = [{"token": []}, {"cookie": []}, {}]
"""One of them; the last one, nothing, is enough on loopback while there is no token."""
SCHEMES: Final = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token: `fleet token new NAME`. That of a viewer reads, that of an operator does all.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": cookie_name("localhost:3000"),
        "description": "What a browser gets by a one-time link (`fleet token link NAME`). Its name ends with the port "
        "of the address, and is `fleet` where that has none.",
    },
}

PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "X-Request-Id": {
        "description": "A name for this request, in the server's log and as `correlationId` of events: up to 100 "
        "letters, digits and `_.:-`. Without one, or with another, it gets a fresh one.",
        "schema": {"type": "string"},
        "example": "ci-4711",
    },
    "traceparent": {
        "description": "The caller's span (W3C Trace Context), for a Fleet that sends traces (`--traces`).",
        "schema": {"type": "string"},
        "example": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    },
    "Fleet-Session": {
        "description": "The session on whose behalf the request comes: the cause of its events. It allows nothing.",
        "schema": {"type": "string", "pattern": "^[0-9A-Za-z_-]{1,64}$"},
        "example": "0198c0de-4d1a-7c3e-9f00-5d2b7a1e4c11",
    },
    "Idempotency-Key": {
        "description": "The same key and request again gets the first response again, and changes nothing.",
        "schema": {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_CHARS_MAX},
        "example": "7f4df7a2-3b0e-4f4e-9f0a-6a2b1f7f6d11",
    },
    "If-None-Match": {
        "description": "Versions that the client has, as `ETag` gave them; for one of them the response is 304.",
        "schema": {"type": "string"},
        "example": '"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"',
    },
    "Last-Event-ID": {
        "description": "The position to continue after, as browsers send it; it overrides `after`.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,19}$"},
        "example": "0",
    },
}
"""Headers of requests; a route names those that it takes, and all take the first two."""
EVERYWHERE: Final = ("X-Request-Id", "traceparent")

HEADERS: Final[dict[str, dict[str, Any]]] = {
    "X-Request-Id": {"description": "The request's name: the caller's, or a fresh one.", "schema": {"type": "string"}},
    "Fleet-Position": {
        "description": "The log position that was reached.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Fleet-Continue": {
        "description": "Where the next page begins; missing where there is no more.",
        "required": False,
        "schema": {"type": "integer", "minimum": 0},
    },
    "Fleet-Tree": {
        "description": "The version of the diff: another one when another file, content or mode is in it.",
        "schema": {"type": "string"},
    },
    "Fleet-As-Of-Turn": {
        "description": "The turn at whose end the diff was so; missing for the state of a running turn.",
        "required": False,
        "schema": {"type": "integer", "minimum": 1},
    },
    "Fleet-As-Of-Position": {
        "description": "The event with whose snapshot of the files the diff was so; missing for the present state.",
        "required": False,
        "schema": {"type": "integer", "minimum": 1},
    },
    "Fleet-Running": {
        "description": "Whether a turn ran at that moment: what it changed is in the diff only without `at`.",
        "schema": {"type": "string", "enum": ["true", "false"]},
    },
    "ETag": {"description": "The version of the content, for `If-None-Match`.", "schema": {"type": "string"}},
    "X-Total-Count": {"description": "How many there are, on all pages.", "schema": {"type": "integer", "minimum": 0}},
    "Retry-After": {
        "description": "Seconds until trying again makes sense.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWW-Authenticate": {"description": "How to come in.", "schema": {"type": "string", "const": "Bearer"}},
    "Location": {"description": "The next page.", "schema": {"type": "string"}},
    "Set-Cookie": {
        "description": "The cookie: `HttpOnly`, `SameSite=Strict`, and `Secure` behind TLS. An empty one forgets it.",
        "schema": {"type": "string"},
    },
    "Content-Disposition": {"description": "A name for the file.", "schema": {"type": "string"}},
    "Allow": {"description": "The methods that the path has.", "schema": {"type": "string"}},
}
"""Headers of responses."""


def parameter(name: str) -> dict[str, str]:
    """Return the reference to a header of a request, for the operations that take it."""
    return {"$ref": f"#/components/parameters/{name}"}


def header(name: str) -> dict[str, str]:
    """Return the reference to a header of a response."""
    if name not in HEADERS:
        raise KeyError(name)
    return {"$ref": f"#/components/headers/{name}"}


def parameters() -> dict[str, Any]:
    """Return all headers of requests."""
    return {name: {"name": name, "in": "header", "required": False, **of} for name, of in PARAMETERS.items()}
