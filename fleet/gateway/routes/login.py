"""The login routes for browsers: a one-time link becomes a cookie that no script can read and no other site sends.

`fleet token link` makes the link. The redirect takes the code out of the address bar. Without a code the
address is one of the page, which says how to log in.
"""

from functools import partial
from typing import Annotated, Final
from urllib.parse import quote

import msgspec
import structlog
from quart import Request, Response

from fleet.actors.caller import Caller
from fleet.actors.fleet import Fleet
from fleet.core.server import LoggedIn, LoggedOut
from fleet.errors import Rejected
from fleet.events.envelope import Cause
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.responses import LOGIN, LOGOUT
from fleet.gateway.routes.page import shell_response
from fleet.gateway.server.encoding import IDENTITY
from fleet.gateway.server.guard import (
    LOGIN_PATH,
    LOGOUT_PATH,
    Guard,
    actor_of,
    cookie_name,
    opens_a_window,
    refused_secret,
)
from fleet.gateway.server.middleware import visit_of
from fleet.gateway.server.page_files import Build
from fleet.gateway.server.requests import json_response
from fleet.gateway.server.tokens import Cookie, forget_cookie, recognise, redeem
from fleet.gateway.server.visitor import Visitor
from fleet.limits import COOKIE_LIFETIME_S
from fleet.wire.bodies import Query
from fleet.wire.enums import Role
from fleet.wire.items import WireItem

_log = structlog.get_logger(__name__)

_HOME: Final = "/"
_KEPT: Final = "/?#[]@!$&'()*+,;=:%~"
"""What an address may hold as it is; the rest of `next` is escaped, or it would be no header."""


class LoginQuery(Query, frozen=True):
    """`GET /login`."""

    code: Annotated[str | None, msgspec.Meta(description="The code of the link. Without one the page is given.")] = None
    next: Annotated[
        str | None,
        msgspec.Meta(description="Next page: a path of this server, as in `/inbox`. Anything else leads to `/`."),
    ] = None


class CallerItem(WireItem, kw_only=True):
    """The caller of a request."""

    actor: str
    role: Role


endpoint = Endpoints("", "access")


@endpoint(f"GET {LOGIN_PATH}", gives=LOGIN, refuses=("link_invalid",))
async def log_in(fleet: Fleet, guard: Guard, build: Build, query: LoginQuery, request: Request) -> Response:
    """Exchange the code of a one-time link for a cookie, and redirect to the page.

    `fleet token link` creates a link. It works once, within ten minutes, and not from another site; HEAD does not
    use it up. Without a code the response is the page, which says how to log in; so it is for an invalid code in the
    address bar of a browser.
    """
    if query.code is None:
        return shell_response(build)
    if request.method == "HEAD":  # a preview or scanner of links: its code was not tried
        raise Rejected("link_invalid", "HEAD does not log in")
    now_ms = fleet.context.clock.now_ms()
    cookie = await _redeem(guard, now_ms, query.code, request)
    if cookie is None:
        _note_refusal(fleet, guard, now_ms, query.code)
        return _refusal(build, request)
    _log.info("logged_in", token_name=cookie.token)
    ends_at_ms = now_ms + cookie.lifetime_s * 1000
    login = LoggedIn(token=cookie.token, by="link", count=1, since_ms=now_ms, expires_at_ms=ends_at_ms, at_ms=now_ms)
    await fleet.records.note_repeated(login, Cause(f"token:{cookie.token}"))
    onwards = _HOME if query.next is None or not is_own_path(query.next) else quote(query.next, safe=_KEPT)
    response = Response(b"", 303, headers={"Location": onwards})
    _set_cookie(response, request, cookie.text, cookie.lifetime_s)
    return response


@endpoint(f"POST {LOGOUT_PATH}", gives=LOGOUT, tells_secret=True)
async def log_out(fleet: Fleet, guard: Guard, visitor: Visitor, caller: Caller, request: Request) -> Response:
    """Log this browser out: its cookie is deleted in the browser and on the server.

    Its token stays valid; other browsers stay logged in.
    """
    if guard.tokens is not None:
        forget = partial(forget_cookie, secret_id=visitor.secret_id)
        token = await guard.tokens.change_in_task(forget)
        if token is not None:
            now_ms = fleet.context.clock.now_ms()
            logout = LoggedOut(token=token, count=1, since_ms=now_ms, at_ms=now_ms)
            await fleet.records.note_repeated(logout, caller.cause)
    response = Response(b"", 204)
    _set_cookie(response, request, "", 0)
    return response


@endpoint("GET /api/caller", gives=CallerItem)
async def read_caller(visitor: Visitor) -> Response:
    """Read the caller's name in the log, and its role.

    Events that this caller's requests cause have the name as `actor`. A viewer may read, an operator may do all.
    """
    return json_response(CallerItem(actor=visitor.actor, role=visitor.role))


def is_own_path(address: str) -> bool:
    """Return whether every browser reads this as a path of this server.

    Browsers take `//host` and `/\\host` for other servers, and leave control characters out before they look.
    """
    return address.startswith("/") and "//" not in address and "\\" not in address and address.isprintable()


def _refusal(build: Build, request: Request) -> Response:
    """Refuse a code: for a program as a problem, for a person by the page, which says how to make another link."""
    too_often = visit_of(request).peer.failed()
    if too_often is not None:
        raise too_often
    if build.shell is None or not opens_a_window(request):
        raise Rejected(
            "link_invalid",
            "the link was used before, has expired, or does not exist",
            hint="Create another one with `fleet token link NAME`.",
        )
    return Response(build.shell.bodies[IDENTITY], 403, content_type=build.shell.content_type)


def _note_refusal(fleet: Fleet, guard: Guard, now_ms: int, code: str) -> None:
    proof = None if guard.tokens is None else recognise(guard.tokens.read(), code, "link")
    actor = None if proof is None else actor_of(proof.token)
    fleet.records.refused("login", "link_invalid", actor, refused_secret(proof, now_ms))


async def _redeem(guard: Guard, now_ms: int, code: str, request: Request) -> Cookie | None:
    if guard.tokens is None:
        return None
    old = request.cookies.get(cookie_name(request.headers.get("Host", "")), "")
    change = partial(redeem, code=code, now_ms=now_ms, lifetime_s=COOKIE_LIFETIME_S, replaced=old)
    return await guard.tokens.change_in_task(change)


def _set_cookie(response: Response, request: Request, text: str, seconds: int) -> None:
    # A header of the client can only make it stricter: such a cookie goes over TLS alone.
    secure = request.scheme == "https" or request.headers.get("X-Forwarded-Proto", "").lower() == "https"
    response.set_cookie(
        cookie_name(request.headers.get("Host", "")),
        text,
        max_age=seconds,
        path="/",
        httponly=True,
        samesite="Strict",
        secure=secure,
    )
