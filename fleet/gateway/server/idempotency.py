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
"""What never became a request, or is to be sent again: a mended request may have the same key."""


def changed_nothing(response: Response) -> Response:
    """Return an answer that is not kept, because there is nothing that a repetition could do twice."""
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
        """Answer a request, or repeat its answer."""
        asked = (request_context or request_ctx).request
        rule, dispatch = asked.url_rule, super().dispatch_request
        if rule is None or asked.method == "OPTIONS":
            return await dispatch(request_context)
        if asked.method in READS or "Idempotency-Key" not in asked.headers or rule.endpoint in self.unstored_endpoints:
            view = cast("Callable[..., Awaitable[ResponseReturnValue]]", self.view_functions[rule.endpoint])
            return await view(**(asked.view_args or {}))
        return await self._once(self.fleet.answers, lambda: dispatch(request_context))

    async def _once(self, answers: StoredResponses, dispatch: Callable[[], Awaitable[ResponseReturnValue]]) -> Response:
        who = await read_caller(request)
        async with answers.turn(who):
            earlier = answers.find(who)
            if earlier is not None:
                return _repeated(earlier)
            named = self.fleet.views.sessions.find((request.view_args or {}).get("session_id", ""))
            try:
                result = await dispatch()
            except Exception as error:  # what it comes to is an answer as well
                result = cast("ResponseReturnValue", await self.handle_user_exception(error))
            response = cast("Response", await self.make_response(result))
            body = await response.get_data(as_text=False)
            document = _document(body)
            if _is_taken(response.status_code, document) and not g.get("changed_nothing"):
                headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
                now_ms = self.fleet.context.clock.now_ms()
                answer = ResponseStored(
                    status=response.status_code, headers=headers, body=_kept_body(document, body), at_ms=now_ms
                )
                await answers.keep(who, _session_of(document, None if named is None else named.id), answer)
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
    """Return whom the answer speaks of: the session in it, or the one of the address; an erased one has no words."""
    if document.get("erased"):
        return None
    session = document.get("session")
    return cast("str", session["id"]) if isinstance(session, dict) else document.get("sessionId", named)


def _repeated(answer: ResponseStored) -> Response:
    content_type = "application/problem+json" if answer.status >= 400 else "application/json"
    if answer.status == 204:
        response = Response(b"", 204)
    else:
        response = Response(answer.body, answer.status, content_type=content_type)
    response.headers.update(answer.headers)
    return response
