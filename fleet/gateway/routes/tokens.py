"""The routes for access tokens: an operator lists and revokes them, and creates login links.

A token itself is made by `fleet token new`, on the server's own machine. No route shows a secret that exists; a link is
in one response, which is not stored. Requests on behalf of a session are refused: agents have no use for tokens.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import structlog
from quart import Response

from fleet.actors.caller import Caller
from fleet.actors.fleet import Fleet
from fleet.core.server import LoginLinkMade
from fleet.core.times import rfc3339
from fleet.errors import Rejected
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.responses import NOTHING
from fleet.gateway.server.guard import Guard
from fleet.gateway.server.login_links import login_url
from fleet.gateway.server.requests import done, json_response, paged
from fleet.gateway.server.tokens import Register, Token, link, revoke
from fleet.gateway.server.visitor import Visitor
from fleet.limits import LINK_LIFETIME_S
from fleet.wire.bodies import PageQuery
from fleet.wire.tokens import AccessTokenItem, LoginLinkItem

Result = TypeVar("Result")
_log = structlog.get_logger(__name__)


endpoint = Endpoints("/api/tokens", "access")


@endpoint("GET", gives=list[AccessTokenItem], refuses=("read_only", "agent_refused"))
async def list_tokens(fleet: Fleet, guard: Guard, query: PageQuery, visitor: Visitor, caller: Caller) -> Response:
    """List the access tokens, oldest first, those that were revoked or have expired included.

    For operators only. What proves a token is not shown.
    """
    _check_operator(visitor, caller)
    tokens = () if guard.tokens is None else guard.tokens.read().tokens
    now_ms = fleet.context.clock.now_ms()
    return paged(tokens, query, lambda token: _item(token, now_ms), fleet.log.head())


@endpoint("DELETE /<token_name>", gives=NOTHING, refuses=("token_not_found", "agent_refused"))
async def revoke_token(fleet: Fleet, guard: Guard, token_name: str, visitor: Visitor, caller: Caller) -> Response:
    """Revoke an access token at once: open streams end, browsers are logged out, its links open nothing.

    For operators only. This cannot be undone, and no other token can get its name.
    """
    _check_operator(visitor, caller)
    await fleet.records.note_tokens()  # what other processes have changed before
    await _change(guard, partial(revoke, names=[token_name], now_ms=fleet.context.clock.now_ms()))
    _log.info("token_revoked", token_name=token_name, actor=visitor.actor)
    await fleet.records.note_tokens(caller.cause)
    return done(fleet.log.head())


@endpoint(
    "POST /<token_name>/link", gives=LoginLinkItem, refuses=("token_not_found", "agent_refused"), tells_secret=True
)
async def make_link(fleet: Fleet, guard: Guard, token_name: str, visitor: Visitor, caller: Caller) -> Response:
    """Create a link that logs a browser in under an access token, once within ten minutes.

    For operators only. Only this response shows the link; `fleet token link` creates the same.
    """
    _check_operator(visitor, caller)
    now_ms = fleet.context.clock.now_ms()
    code = await _change(guard, partial(link, name=token_name, now_ms=now_ms, lifetime_s=LINK_LIFETIME_S))
    _log.info("login_link_made", token_name=token_name, actor=visitor.actor)
    made = LoginLinkMade(token=token_name, count=1, since_ms=now_ms, at_ms=now_ms)
    await fleet.records.note_repeated(made, caller.cause)
    ends_at = rfc3339(now_ms + int(LINK_LIFETIME_S * 1000))
    return json_response(LoginLinkItem(path=login_url("", code), expires_at=ends_at), position=fleet.log.head())


async def _change(guard: Guard, change: Callable[[Register], tuple[Register, Result]]) -> Result:
    if guard.tokens is None:
        return change(Register())[1]
    return await guard.tokens.change_in_task(change)


def _check_operator(visitor: Visitor, caller: Caller) -> None:
    """Raise `Rejected` read_only for a viewer, agent_refused for a session."""
    visitor.require_operator()
    if caller.on_behalf_of is not None:
        raise Rejected("agent_refused", "a session cannot manage access tokens", hint="Ask a person to do it.")


def _item(token: Token, now_ms: int) -> AccessTokenItem:
    return AccessTokenItem(
        name=token.name,
        role=token.role,
        status=token.status(now_ms),
        created_at=rfc3339(token.created_at_ms),
        expires_at=None if token.expires_at_ms is None else rfc3339(token.expires_at_ms),
        revoked_at=None if token.revoked_at_ms is None else rfc3339(token.revoked_at_ms),
    )
