"""The outermost layer of the gateway, which applies to every request and every response.

It counts each client's open requests and streams (client_limits.py), adds the security headers to every response,
errors included, and ends what is open under a token that is no longer valid. A response's own headers stay.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, cast

import trio
from quart import Request, Websocket

from fleet.errors import Rejected, Unavailable
from fleet.gateway.server.client_limits import ClientLimits, Visit
from fleet.gateway.server.guard import Guard
from fleet.gateway.server.problems import problem_response
from fleet.limits import TOKEN_POLL_S

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_VISIT: Final = "fleet_visit"
_STARTS: Final = ("http.response.start", "websocket.http.response.start")
_POLICY_VIOLATION: Final = 1008
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types fleet"
)
"""The Content-Security-Policy of the page: files of this server alone, no frame, and no text that becomes a script."""
_NOTHING: Final = b"default-src 'none'; frame-ancestors 'none'"
_HEADERS: Final = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}


class Middleware:
    """The outermost ASGI layer, around an application; `watch` has to run beside it."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self._peers = ClientLimits()
        self._visits: set[Visit] = set()
        self._proven = trio.Event()

    def around(self, app: Application) -> Application:
        """Return the application with the middleware around it."""

        async def guarded(scope: Message, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                await app(scope, receive, send)
            else:
                await self._visit(app, scope, receive, send)

        return guarded

    async def _visit(self, app: Application, scope: Message, receive: Receive, send: Send) -> None:
        address, _ = scope.get("client") or ("", 0)
        visit = scope[_VISIT] = self._peers.visit(address)
        self._visits.add(visit)

        has_started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_started
            if message["type"] in _STARTS:
                has_started = True
                message["headers"] = _complete(message.get("headers", ()))
            if visit.visitor is not None and visit.visitor.secret_id is not None:
                self._proven.set()
            await send(message)

        try:
            with visit.scope:
                await app(scope, receive, send_with_headers)
            if visit.scope.cancelled_caught and scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": "the token is not valid"})
            elif visit.scope.cancelled_caught and not has_started:  # the server would respond with a bare 500
                await _refuse(send_with_headers)
        finally:
            self._visits.discard(visit)
            visit.end()

    async def watch(self) -> None:
        """End what is open under a token that is no longer valid. Never returns."""
        while True:
            await self._proven.wait()
            self._proven = trio.Event()
            while proven := [visit for visit in self._visits if visit.visitor and visit.visitor.secret_id]:
                for visit in proven:
                    if not self._still(visit):
                        visit.scope.cancel()
                await trio.sleep(TOKEN_POLL_S)

    def _still(self, visit: Visit) -> bool:
        try:
            return visit.visitor is not None and self.guard.still(visit.visitor)
        except Unavailable:  # no token can be checked: requests are refused, and so are streams
            return False


async def _refuse(send: Send) -> None:
    """Respond to a request that was ended with its token."""
    problem = Rejected(
        "token_invalid",
        "the token ended while the request was carried out, so Fleet does not know whether it had an effect",
        hint="Read the state with a valid token before you repeat the request.",
    )
    response = problem_response(problem)
    headers = [(name.lower().encode(), value.encode()) for name, value in response.headers.items()]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": await response.get_data(as_text=False)})


def visit_of(connection: Request | Websocket) -> Visit:
    """Return the visit that a request or WebSocket is."""
    visit: Visit = cast("Message", connection.scope)[_VISIT]
    return visit


def _complete(headers: Any) -> list[tuple[bytes, bytes]]:
    given = list(headers)
    names = {name.lower(): value for name, value in given}
    page = names.get(b"content-type", b"").startswith(b"text/html")
    policy = {b"content-security-policy": PAGE_POLICY.encode() if page else _NOTHING}
    return given + [(name, value) for name, value in (_HEADERS | policy).items() if name not in names]
