"""The trace span of each request: method, route pattern, status. A caller's `traceparent` is continued.

Keeps: like the metrics' labels it shows no path and no query; a request that the guard refuses has none, because a
client that is not admitted must not fill the collector.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from opentelemetry.context.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from quart import Request, Response

from fleet.traces import NOWHERE, Traces

_PROPAGATOR = TraceContextTextMapPropagator()


@contextmanager
def request_span(traces: Traces, request: Request, request_id: str) -> Generator[Callable[[Response], None]]:
    """Open a span for a request; call the yielded function with the response when its head is complete."""
    rule = request.url_rule
    method = request.method if rule else "_OTHER"
    attributes = {
        "http.request.method": method,
        "http.route": rule.rule if rule else None,
        "fleet.correlation_id": request_id,
    }
    name = f"{method} {rule.rule}" if rule else method
    with traces.span(name, _asker(request), attributes, kind=SpanKind.SERVER) as span:

        def end(response: Response) -> None:
            span.set_attribute("http.response.status_code", response.status_code)
            if response.status_code >= 500:
                span.set_status(Status(StatusCode.ERROR))

        yield end


def _asker(request: Request) -> Context:
    """Return the span that the caller's header names, or none."""
    carrier = {name: request.headers[name] for name in ("traceparent", "tracestate") if name in request.headers}
    return _PROPAGATOR.extract(carrier, NOWHERE)
