"""The steps of every request in the gateway: it is named, admitted, dispatched, measured, logged, compressed.

It takes the place of the framework's own hooks and signals before and after a request, which look up each function and
the request again for each of them. A WebSocket's handshake is admitted by a hook (app.py); it has no response of ours.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, cast

import trio
from quart import Request, Response
from quart.ctx import RequestContext
from quart.globals import request_ctx
from quart.routing import QuartRule
from quart_trio.wrappers import TrioRequest
from werkzeug.datastructures import Headers

from fleet.actors.fleet import Fleet
from fleet.gateway.server import problems
from fleet.gateway.server.client_limits import Visit
from fleet.gateway.server.encoding import compress_json
from fleet.gateway.server.guard import Guard
from fleet.gateway.server.idempotency import KeyedApp
from fleet.gateway.server.metrics import Metrics
from fleet.gateway.server.middleware import visit_of
from fleet.gateway.server.refused import note_refusal, note_use
from fleet.gateway.server.request_id import HEADER, log_result, name_request
from fleet.gateway.server.requests import read_to_its_end

EndSpan = Callable[[Response], None]


class FoundHeaders(Headers):
    """The headers of a request in a dictionary: the framework walks over all of them, and most are not there."""

    def __init__(self, headers: Headers) -> None:
        super().__init__(headers)
        self._by_name = {name.lower(): value for name, value in reversed(list(headers))}

    def _get_key(self, key: str) -> str:
        return self._by_name[key.lower()]


class FleetRequest(TrioRequest):
    """A request whose headers are looked up quickly."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.headers = FoundHeaders(self.headers)


class MatchedRule(QuartRule):
    """A rule that requests are matched with. Fleet builds no addresses from rules.

    The framework compiles two functions for each rule that build its addresses: two thirds of the time in which the
    application is made.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:  # noqa: ARG002 - theirs
        return _build_no_address


def _build_no_address(rule: MatchedRule, **values: object) -> tuple[str, str]:
    raise NotImplementedError(f"Fleet builds no address from the rule {rule.rule} with {values}")


class Pipeline(KeyedApp):
    """The framework's application, with Fleet's own way of a request through it. `install` it before the first one."""

    request_class = FleetRequest
    url_rule_class = MatchedRule  # type: ignore[assignment]  # as the framework does with its own

    def install(self, fleet: Fleet, guard: Guard, metrics: Metrics) -> None:
        """Serve this Fleet."""
        self.fleet = fleet
        self._guard = guard
        self._metrics = metrics
        self._span: Callable[[Request, str], AbstractContextManager[EndSpan]] = _no_span
        if fleet.traces is not None:
            from fleet.gateway.server.tracing import request_span

            self._span = partial(request_span, fleet.traces)

    async def full_dispatch_request(self, request_context: RequestContext | None = None) -> Response:
        """Return the response to a request."""
        context = request_context or request_ctx
        request, began_s = context.request, trio.current_time()
        visit = visit_of(request)
        visit.request_id = name_request(request, self.fleet.context.ids)
        try:
            self._guard.admit(request, visit)
        except Exception as refusal:  # has no span: a client that is not admitted must not fill the collector
            note_refusal(self.fleet, request, refusal, visit)
            return await self._finish(request, await self._of_error(refusal), visit, began_s)
        await note_use(self.fleet, visit)
        with self._span(request, visit.request_id) as end_span:
            response = await self._dispatch(context)
            if response.mimetype == "text/event-stream" and (too_many := visit.stream()) is not None:
                response = problems.problem_response(too_many)
            end_span(response)
            return await self._finish(request, response, visit, began_s)

    async def _dispatch(self, context: RequestContext) -> Response:
        try:
            result = await self.dispatch_request(context)
            return cast("Response", result if isinstance(result, Response) else await self.make_response(result))
        except (Exception, BaseExceptionGroup) as error:
            return await self._of_error(error)

    async def _of_error(self, error: Exception | BaseExceptionGroup[BaseException]) -> Response:
        return cast("Response", await self.make_response(await self.handle_user_exception(error)))

    async def _finish(self, request: Request, response: Response, visit: Visit, began_s: float) -> Response:
        await read_to_its_end(request)
        if request.method == "OPTIONS" and response.status_code == 200:  # the framework's own response
            del response.headers["Content-Type"]
        took_s = trio.current_time() - began_s
        await self._metrics.measure(request, response, took_s)
        response.headers[HEADER] = visit.request_id or ""
        log_result(request, response, visit, took_s)
        await compress_json(request, response)
        return response


def _no_span(_: Request, __: str) -> AbstractContextManager[EndSpan]:
    return nullcontext(lambda _: None)
