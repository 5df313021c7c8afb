"""The trace span of each request: method, route pattern, status. A caller's `traceparent` is continued.

Keeps: like the metrics' labels it shows no path and no query; a request that the guard refuses has none, because a
client that is not admitted must not fill the collector.
"""

from contextlib import ExitStack

from opentelemetry.context.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from quart import Response, g, request
from quart_trio import QuartTrio

from fleet.traces import NOWHERE, Traces

_PROPAGATOR = TraceContextTextMapPropagator()


def trace_requests(app: QuartTrio, traces: Traces) -> None:
    """Give every request of `app` a span, to the head of its answer; install it behind the guard."""

    @app.before_request
    async def begin() -> None:
        rule = request.url_rule
        method = request.method if rule else "_OTHER"
        attributes = {
            "http.request.method": method,
            "http.route": rule.rule if rule else None,
            "fleet.correlation_id": g.request_id,
        }
        g.in_span = ExitStack()
        name = f"{method} {rule.rule}" if rule else method
        g.span = g.in_span.enter_context(traces.span(name, _asker(), attributes, kind=SpanKind.SERVER))

    @app.after_request
    async def end(response: Response) -> Response:
        span: Span | None = g.get("span")
        if span is not None:
            span.set_attribute("http.response.status_code", response.status_code)
            if response.status_code >= 500:
                span.set_status(Status(StatusCode.ERROR))
        return response

    @app.teardown_request
    async def leave(error: BaseException | None) -> None:
        in_span: ExitStack | None = g.get("in_span")
        if in_span is not None:
            in_span.__exit__(None if error is None else type(error), error, None)


def _asker() -> Context:
    """Return the caller's span as it says, or nowhere."""
    carrier = {name: request.headers[name] for name in ("traceparent", "tracestate") if name in request.headers}
    return _PROPAGATOR.extract(carrier, NOWHERE)
