"""Who may come in on loopback: programs and pages of this very server, and no web page of somebody else.

A browser sends `Origin` and `Sec-Fetch-Site` with what a foreign page asks for, and a rebinding name shows in `Host`.
Requests that a proxy forwards come from elsewhere, whatever their peer address says. Writes carry JSON, which no plain
HTML form can send. Headers of more than `HEADER_BYTES_MAX` are refused here too, so that the answer says why.
"""

from urllib.parse import urlsplit

from quart import Request, Websocket

from fleet.errors import Rejected
from fleet.limits import HEADER_BYTES_MAX
from fleet.loopback import is_loopback

_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
_OWN_SITES = frozenset(("same-origin", "none"))
_HTTP = {"ws": "http", "wss": "https"}  # what a page that opens a WebSocket was itself loaded by
_WRITES = frozenset(("POST", "PUT", "PATCH", "DELETE"))


def admit(request: Request | Websocket) -> None:
    """Let the request, or a WebSocket's handshake, pass.

    Raises `Rejected` headers_too_large, forbidden_origin or unsupported_media_type.
    """
    _check_size(request)
    _check_host(request.headers.get("Host", ""))
    for name in _FORWARDED:
        if name in request.headers:
            raise _foreign(f"the request was forwarded by a proxy ({name})")
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in _OWN_SITES:
        raise _foreign(f"the request comes from a page of another site ({site})")
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{_HTTP.get(request.scheme, request.scheme)}://{request.headers['Host']}":
        raise _foreign("the request comes from a page of another origin")
    if request.method in _WRITES:
        _check_media_type(request)


def _check_size(request: Request | Websocket) -> None:
    size = len(request.full_path) + sum(len(name) + len(value) for name, value in request.headers.items())
    if size > HEADER_BYTES_MAX:
        raise Rejected("headers_too_large", f"headers and address have {size} bytes, at most {HEADER_BYTES_MAX} go")


def _check_host(host: str) -> None:
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    if name is None or not is_loopback(name):
        raise _foreign("the Host header does not name this machine")


def _check_media_type(request: Request | Websocket) -> None:
    has_body = bool(request.content_length) or "Transfer-Encoding" in request.headers
    if (has_body or request.mimetype) and request.mimetype != "application/json":
        raise Rejected(
            "unsupported_media_type",
            f"the body's type is {request.mimetype or 'missing'}",
            hint='send the header "Content-Type: application/json"',
        )


def _foreign(why: str) -> Rejected:
    hint = "call the server directly by http://localhost or http://127.0.0.1, from a program or from its own page"
    return Rejected("forbidden_origin", why, hint=hint)
