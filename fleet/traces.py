"""OpenTelemetry traces: spans, and their export to a collector over OTLP/HTTP.

Imported only where traces are on: the libraries are the extra `traces`. The spans begin in these modules: requests in
gateway/server/tracing.py, commands and effects in actors/runtime/tracing.py, commits in events/writer.py. Keeps: a
span's name and attributes are kinds, ids, codes and numbers, never what people or agents said, nor a path, nor an
error's text; only the end of Fleet waits for the collector, for a moment; what it does not accept is dropped.
"""

import logging
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final, cast

import structlog
import trio
from opentelemetry.context import attach, detach
from opentelemetry.context.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    format_trace_id,
    get_current_span,
    set_span_in_context,
)

from fleet import __version__
from fleet.errors import Problem, Rejected
from fleet.limits import TRACE_BATCH_SPANS, TRACE_END_S, TRACE_EXPORT_S, TRACE_INTERVAL_S, TRACE_QUEUE_SPANS

_log = structlog.get_logger(__name__)

Attributes = Mapping[str, str | int | float | None]
"""Attributes of a span; those that are None are left out."""

NOWHERE: Final = Context()
"""A context without a span: a span in it begins a trace."""


class Traces:
    """Makes the spans of one Fleet with `tracer`."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def span(
        self,
        name: str,
        parent: Context,
        attributes: Attributes,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[SpanContext] = (),
        began_ns: int | None = None,
    ) -> Generator[Span]:
        """Run the block with a span as the current one; log lines get its trace's id.

        If the block raises, `error.type` is the code of a `Problem`, or the class. An internal span has
        `fleet.outcome`: done, rejected, cancelled or failed. `began_ns` is the Unix time of an earlier begin.
        """
        given = {name: value for name, value in attributes.items() if value is not None}
        span = self._tracer.start_span(
            name,
            parent,
            kind,
            given,
            [Link(each) for each in links if each.is_valid],
            began_ns,
            record_exception=False,
            set_status_on_exception=False,
        )
        token = attach(set_span_in_context(span, parent))
        outcome = "done"
        try:
            with structlog.contextvars.bound_contextvars(trace_id=format_trace_id(span.get_span_context().trace_id)):
                yield span
        except BaseException as error:
            outcome = _outcome(error)
            if outcome != "cancelled":  # not its text, which may hold messages
                span.set_attribute("error.type", error.code if isinstance(error, Problem) else type(error).__name__)
            if outcome == "failed":
                span.set_status(Status(StatusCode.ERROR))
            raise
        finally:
            if kind is SpanKind.INTERNAL:
                span.set_attribute("fleet.outcome", outcome)
            span.end()
            detach(token)


def _outcome(error: BaseException) -> str:
    if isinstance(error, Rejected):
        return "rejected"
    if isinstance(error, BaseExceptionGroup):
        _, rest = cast("BaseExceptionGroup[BaseException]", error).split(trio.Cancelled)
        return "cancelled" if rest is None else "failed"
    return "cancelled" if isinstance(error, trio.Cancelled) else "failed"


def span_of_task(task: trio.lowlevel.Task) -> SpanContext:
    """Return the span that a waiting task is in, an invalid one if none. Not for the running task."""
    return task.context.run(get_current_span).get_span_context()


@asynccontextmanager
async def open_traces(endpoint: str) -> AsyncGenerator[Traces]:
    """Send spans to the OTLP/HTTP receiver at this URL while the block runs.

    The specification's `OTEL_*` variables set everything else: headers, certificates, compression, sampler, the
    resource's name and attributes. An orderly end waits up to `TRACE_END_S` for the last spans to be sent.
    """
    # `_LoggingExporter` logs it once; the library would log each batch, with the address.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    resource = Resource.create().merge(Resource({"service.name": "fleet", "service.version": __version__}))
    provider = TracerProvider(resource=resource.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    provider.add_span_processor(
        BatchSpanProcessor(
            _LoggingExporter(OTLPSpanExporter(endpoint, timeout=TRACE_EXPORT_S)),
            max_queue_size=TRACE_QUEUE_SPANS,
            schedule_delay_millis=TRACE_INTERVAL_S * 1000,
            max_export_batch_size=TRACE_BATCH_SPANS,
        )
    )
    try:
        yield Traces(provider.get_tracer("fleet", __version__))
    finally:
        with trio.move_on_after(TRACE_END_S):  # its thread may continue until the process ends
            await trio.to_thread.run_sync(provider.shutdown, abandon_on_cancel=True)


class _LoggingExporter(SpanExporter):
    """Logs when the collector stops accepting spans, and when it accepts them again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._taken = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export a batch; runs in the thread of the processor."""
        result = self._exporter.export(spans)
        taken = result is SpanExportResult.SUCCESS
        if taken is not self._taken:
            self._taken = taken
            if taken:
                _log.info("traces_sent_again")
            else:
                _log.warning("traces_dropped", hint="The collector at the address in `traces` accepts no spans.")
        return result

    def shutdown(self) -> None:
        """End."""
        self._exporter.shutdown()
