"""The guard: it admits this machine's user and holders of a token, and refuses foreign web pages.

On loopback, as long as there is no token, every program of this machine is admitted; after the first token, every
program needs one (docs/adr/0023-tokens.md). A browser sends `Origin` and `Sec-Fetch-Site` with what a foreign page asks
for, and a rebinding name shows in `Host`. A link on another site may open the page in a window of its own. The page's
files need no token, since they hold no data of this Fleet (docs/adr/0028-page.md). Requests that a proxy forwards come
from elsewhere, although their peer address is local: they need a token. Writes carry JSON, which no plain HTML form can
send. Headers of more than `HEADER_BYTES_MAX` are refused here too, so that the response says why.

`Visit.visitor` says who sends the request or WebSocket; no other module decides who that is.
"""

import hmac
import re
from typing import Final

import structlog
from quart import Request, Websocket

from fleet.core.server import RefusedSecret
from fleet.errors import Rejected, Unavailable
from fleet.gateway.server.client_limits import Visit
from fleet.gateway.server.tokens import Kind, Proof, Token, TokenFile, recognise
from fleet.gateway.server.visitor import Visitor
from fleet.limits import HEADER_BYTES_MAX
from fleet.network import is_loopback
from fleet.ports import Clock

_log = structlog.get_logger(__name__)

READS: Final = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
"""The methods that change nothing (RFC 9110, 9.2.1)."""
LOGIN_PATH: Final = "/login"
LOGOUT_PATH: Final = "/logout"
PAGE: Final = "page"
"""The blueprint of the page's own files."""
SHELL_ENDPOINT: Final = f"{PAGE}.shell"

_FETCHES: Final = frozenset(("GET", "HEAD"))
_FORWARDED = frozenset(("forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"))
_FORWARDED_PREFIX = "x-forwarded-"
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[0-9a-z._-]+)(?::[0-9]{1,5})?", re.IGNORECASE)
_OWN_SITES = frozenset(("same-origin", "none"))
_HTTP = {"ws": "http", "wss": "https"}
_HOW = (
    "Create a token with `fleet token new`, and send it as `Authorization: Bearer …`. `fleet token link` logs in a "
    "browser."
)
_DIRECTLY = "Call the server directly by http://localhost or http://127.0.0.1, from a program or from its own page."


_LOCAL: Final = Visitor()


class Guard:
    """The rules of access. `loopback` says that the server can be reached from this machine only.

    `tokens` None: there are none and never will be. `local` is the secret that the data directory holds for the
    server's own user.
    """

    def __init__(
        self,
        clock: Clock,
        tokens: TokenFile | None = None,
        *,
        loopback: bool = True,
        local: str | None = None,
    ) -> None:
        self._clock = clock
        self.tokens = tokens
        self._loopback = loopback
        self._local = local

    @property
    def needs_token(self) -> bool:
        """Whether every request needs a token. Raises `Unavailable` tokens_unreadable."""
        return not self._loopback or (self.tokens is not None and bool(self.tokens.read().tokens))

    def admit(self, connection: Request | Websocket, visit: Visit) -> None:
        """Admit the connection and set the visit's visitor.

        Raises `Rejected`: headers_too_large, too_many_requests, too_many_streams, forbidden_origin, token_required,
        token_invalid, too_many_attempts, unsupported_media_type, read_only; `Unavailable` tokens_unreadable.
        """
        _check_size(connection)
        refusal = visit.crowded()
        if refusal is not None:
            raise refusal
        if not _leads_to_the_shell(connection):
            _check_site(connection)
        if _is_page(connection):
            self._admit_to_the_page(connection)
            return
        if connection.path == LOGIN_PATH:  # its code is checked there
            return
        visitor = visit.visitor = self._visitor(connection, visit)
        _check_origin(connection, strict=visitor is _LOCAL)
        if isinstance(connection, Websocket):
            refusal = visit.stream()
            if refusal is not None:
                raise refusal
        elif connection.method not in READS:
            if connection.path != LOGOUT_PATH:
                visitor.require_operator()
            _check_media_type(connection)

    def still(self, visitor: Visitor) -> bool:
        """Return whether the visitor's secret is still valid."""
        if visitor.secret_id is None or self.tokens is None:
            return True
        register, now_ms = self.tokens.read(), self._clock.now_ms()
        row = next((row for row in register.secrets if row.id == visitor.secret_id), None)
        if row is None or (row.expires_at_ms is not None and row.expires_at_ms <= now_ms):
            return False
        token = register.find(row.token)
        return token is not None and token.status(now_ms) == "active"

    def _admit_to_the_page(self, connection: Request | Websocket) -> None:
        """Admit every client to the page's files; refuse rebound names and proxies while the API needs no token."""
        try:
            open_to_all = not self.needs_token
        except Unavailable:  # the API says so, and the page shows it
            open_to_all = False
        if open_to_all:
            _check_host(connection.headers.get("Host", ""))
            _check_no_proxy(connection)
        _check_origin(connection, strict=open_to_all)

    def _visitor(self, connection: Request | Websocket, visit: Visit) -> Visitor:
        kind, text = _presented(connection)
        needs_token = self.needs_token
        if text is not None and (kind == "bearer" or needs_token):  # an old cookie is ignored where none is needed
            return self._proven(kind, text, visit)
        if self._loopback:
            _check_host(connection.headers.get("Host", ""))
        _check_no_proxy(connection)
        if needs_token:
            raise Rejected("token_required", "the request has no token", hint=_HOW)
        return _LOCAL

    def _proven(self, kind: Kind, text: str, visit: Visit) -> Visitor:
        given = text.encode(errors="surrogateescape")
        if self._local is not None and kind == "bearer" and hmac.compare_digest(given, self._local.encode()):
            return Visitor()
        now_ms = self._clock.now_ms()
        proof = None if self.tokens is None else recognise(self.tokens.read(), text, kind)
        if proof is not None and proof.status(now_ms) == "active":
            token = proof.token
            return Visitor(actor_of(token), token.role, proof.secret.id, token.name if kind == "bearer" else None)
        raise self.refused(proof, now_ms, visit)

    def refused(self, proof: Proof | None, now_ms: int, visit: Visit) -> Rejected:
        """Return the refusal of a secret that is not valid, and count it."""
        why = visit.refused = refused_secret(proof, now_ms)
        visit.refused_actor = None if proof is None else actor_of(proof.token)
        too_often = visit.peer.failed()
        if too_often is not None:
            return too_often
        _log.warning("token_refused", why=why, token_name=None if proof is None else proof.token.name)
        return Rejected("token_invalid", f"the token is {why}", hint=_HOW)


def actor_of(token: Token) -> str:
    """Return the name that the log has for callers with this token."""
    return f"token:{token.name}"


def refused_secret(proof: Proof | None, now_ms: int) -> RefusedSecret:
    """Return why a secret that proves no active token is refused."""
    status = "unknown" if proof is None else proof.status(now_ms)
    return "unknown" if status == "active" else status


def cookie_name(host: str) -> str:
    """Return the cookie's name for a server at this `Host`: browsers give cookies to every port of a host."""
    port = host.rpartition(":")[2]
    return f"fleet-{port}" if port.isascii() and port.isdecimal() else "fleet"


def _presented(connection: Request | Websocket) -> tuple[Kind, str | None]:
    given = connection.headers.getlist("Authorization")
    scheme, _, text = given[0].partition(" ") if given else ("", "", "")
    if scheme.lower() == "bearer":
        return "bearer", text.strip() if len(given) == 1 else ""
    if "Cookie" not in connection.headers:
        return "cookie", None
    return "cookie", connection.cookies.get(cookie_name(connection.headers.get("Host", "")))


def _check_size(connection: Request | Websocket) -> None:
    target = len(connection.path) + len(connection.query_string)
    size = target + sum(len(name) + len(value) for name, value in connection.headers.items())
    if size > HEADER_BYTES_MAX:
        raise Rejected("headers_too_large", f"headers and address are {size} bytes; the limit is {HEADER_BYTES_MAX}")


def _is_page(connection: Request | Websocket) -> bool:
    """Return whether the request is for a file of the page, which holds no data of this Fleet."""
    if isinstance(connection, Websocket) or connection.method not in _FETCHES:
        return False
    return connection.blueprint == PAGE or _is_login_page(connection)


def _is_login_page(connection: Request | Websocket) -> bool:
    return connection.path == LOGIN_PATH and "code" not in connection.args


def _leads_to_the_shell(connection: Request | Websocket) -> bool:
    """Return whether the request opens the page in a window, as a link does; scripts and frames are refused."""
    if not opens_a_window(connection):
        return False
    return connection.endpoint == SHELL_ENDPOINT or _is_login_page(connection)


def opens_a_window(connection: Request | Websocket) -> bool:
    """Return whether the browser shows the response as a page of its own, and not to a script or in a frame."""
    if isinstance(connection, Websocket) or connection.method != "GET":
        return False
    sent = (connection.headers.get("Sec-Fetch-Mode"), connection.headers.get("Sec-Fetch-Dest"))
    return sent == ("navigate", "document")


def _check_no_proxy(connection: Request | Websocket) -> None:
    for name, _ in connection.headers:
        lower = name.lower()
        if lower in _FORWARDED or lower.startswith(_FORWARDED_PREFIX):
            raise _foreign(f"the request was forwarded by a proxy ({name}) and has no token", hint=_HOW)


def _check_host(host: str) -> None:
    named = _HOST.fullmatch(host)
    if named is None or not is_loopback(named[1].strip("[]").lower()):
        raise _foreign("the Host header does not name this machine")


def _check_site(connection: Request | Websocket) -> None:
    site = connection.headers.get("Sec-Fetch-Site")
    if site is not None and site not in _OWN_SITES:
        raise _foreign(f"the request comes from a page of another site ({site})")


def _check_origin(connection: Request | Websocket, *, strict: bool) -> None:
    """A proxy with TLS changes the scheme, but not the host: the scheme counts only if no proxy can be between."""
    origins = connection.headers.getlist("Origin")
    if not origins:
        return
    scheme, _, host = origins[0].partition("://")
    own = _HTTP.get(connection.scheme, connection.scheme)
    if len(origins) > 1 or host != connection.headers.get("Host", "") or not host or (strict and scheme != own):
        why = "the request comes from a page of another origin"
        raise _foreign(why) if strict else _foreign(why, "A proxy before Fleet has to pass on `Host` unchanged.")


def _check_media_type(request: Request) -> None:
    has_body = bool(request.content_length) or "Transfer-Encoding" in request.headers
    if (has_body or request.mimetype) and request.mimetype != "application/json":
        raise Rejected(
            "unsupported_media_type",
            f"the body's type is {request.mimetype or 'not given'}; the only one accepted is application/json",
            hint='Send the header "Content-Type: application/json".',
        )


def _foreign(why: str, hint: str = _DIRECTLY) -> Rejected:
    return Rejected("forbidden_origin", why, hint=hint)
