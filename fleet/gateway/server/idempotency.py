"""The `Idempotency-Key` header: a repeated request gets the first response again, byte for byte, also after a crash.

The guard runs first: a client that is not admitted does not get another client's response.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import msgspec
from quart import Response, g, request
from quart.ctx import RequestContext
from quart.globals import request_ctx
from quart.typing import ResponseReturnValue
from quart_trio import QuartTrio

from fleet.actors.effects.stored_responses import StoredResponses
from fleet.actors.fleet import Fleet
from fleet.core.stored_responses import ResponseStored
from fleet.gateway.server.guard import READS
from fleet.gateway.server.requests import read_caller

_KEPT_HEADERS: Final = ("Fleet-Position", "X-Total-Count")
_NOT_TAKEN: Final = frozenset((400, 408, 413, 415, 429))
_NOT_TAKEN_CODES: Final = frozenset(("invalid", "idempotency_conflict"))
"""Refusals of what was not carried out, or is to be sent again: a corrected request may have the same key."""


def changed_nothing(response: Response) -> Response:
    """Return the response, marked as not to be stored: a repetition can do nothing twice."""
    g.changed_nothing = True
    return response


class KeyedApp(QuartTrio):
    """The framework's application, which stores responses. `fleet` is set before the first request.

    The responses of `unstored_endpoints` are not stored: these endpoints change nothing, or they have a secret in
    their responses (law 11) and respond to repetitions themselves.
    """

    fleet: Fleet
    unstored_endpoints: frozenset[str] = frozenset()

    async def dispatch_request(self, request_context: RequestContext | None = None) -> ResponseReturnValue:
        """Respond to a request, or repeat its response."""
        asked = (request_context or request_ctx).request
        rule, dispatch = asked.url_rule, super().dispatch_request
        if rule is None or asked.method == "OPTIONS":
            return await dispatch(request_context)
        if asked.method in READS or "Idempotency-Key" not in asked.headers or rule.endpoint in self.unstored_endpoints:
            view = cast("Callable[..., Awaitable[ResponseReturnValue]]", self.view_functions[rule.endpoint])
            return await view(**(asked.view_args or {}))
        return await self._once(self.fleet.stored_responses, lambda: dispatch(request_context))

    async def _once(self, stored: StoredResponses, dispatch: Callable[[], Awaitable[ResponseReturnValue]]) -> Response:
        who = await read_caller(request)
        async with stored.turn(who):
            earlier = stored.find(who)
            if earlier is not None:
                return _repeated(earlier)
            named = self.fleet.views.sessions.find((request.view_args or {}).get("session_id", ""))
            try:
                result = await dispatch()
            except Exception as error:  # the response to the problem is stored, too
                result = cast("ResponseReturnValue", await self.handle_user_exception(error))
            response = cast("Response", await self.make_response(result))
            body = await response.get_data(as_text=False)
            document = _document(body)
            if _is_taken(response.status_code, document) and not g.get("changed_nothing"):
                headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
                now_ms = self.fleet.context.clock.now_ms()
                to_store = ResponseStored(
                    status=response.status_code, headers=headers, body=_kept_body(document, body), at_ms=now_ms
                )
                await stored.keep(who, _session_of(document, None if named is None else named.id), to_store)
            return response


def _document(body: bytes) -> dict[str, Any]:
    document: Any = msgspec.json.decode(body) if body else {}
    return cast("dict[str, Any]", document) if isinstance(document, dict) else {}


def _kept_body(document: dict[str, Any], body: bytes) -> str:
    """Return the body to keep: of an erased session without what is left of it, because that names the session."""
    return msgspec.json.encode({**document, "left": []}).decode() if document.get("erased") else body.decode()


def _is_taken(status: int, document: dict[str, Any]) -> bool:
    return status < 500 and status not in _NOT_TAKEN and not (status >= 400 and document["code"] in _NOT_TAKEN_CODES)


def _session_of(document: dict[str, Any], named: str | None) -> str | None:
    """Return the session that the response is about: the one in it, or that of the address; None for an erased one."""
    if document.get("erased"):
        return None
    session = document.get("session")
    return cast("str", session["id"]) if isinstance(session, dict) else document.get("sessionId", named)


def _repeated(stored: ResponseStored) -> Response:
    content_type = "application/problem+json" if stored.status >= 400 else "application/json"
    if stored.status == 204:
        response = Response(b"", 204)
    else:
        response = Response(stored.body, stored.status, content_type=content_type)
    response.headers.update(stored.headers)
    return response
