"""The way to the collector: what arrives, and that no task waits for one that does not answer."""

import logging
import time
from collections.abc import Callable

import pytest
import trio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from structlog.testing import capture_logs

from fleet import traces
from fleet.errors import Rejected
from fleet.traces import NOWHERE, Traces, open_traces
from tests.adapters.receiver import Receiver


def arrived(receiver: Receiver) -> list[Span]:
    return [
        span
        for _, body in receiver.got
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def resource_of(receiver: Receiver) -> dict[str, str]:
    body = ExportTraceServiceRequest.FromString(receiver.got[0][1])
    return {each.key: each.value.string_value for each in body.resource_spans[0].resource.attributes}


def make(source: Traces, name: str, count: int = 1) -> None:
    for _ in range(count):
        with source.span(name, NOWHERE, {"fleet.one": 1, "fleet.none": None}):
            pass


async def test_spans_arrive_at_the_end_at_the_latest() -> None:
    with Receiver(200).listening() as receiver:
        async with open_traces(receiver.url) as source:
            make(source, "first")
            with pytest.raises(Rejected), source.span("second", NOWHERE, {}):
                raise Rejected("session_not_found", "WORDS")
        first, second = sorted(arrived(receiver), key=lambda span: span.name)
        assert {each.key for each in first.attributes} == {"fleet.one", "fleet.outcome"}
        said = {each.key: each.value.string_value for each in second.attributes}
        assert said == {"fleet.outcome": "rejected", "error.type": "session_not_found"}
        assert resource_of(receiver)["service.name"] == "fleet"
        assert b"WORDS" not in receiver.got[0][1]


async def test_the_specifications_variables_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20key")
    with Receiver(200).listening() as receiver:
        async with open_traces(receiver.url) as source:
            make(source, "first")
        assert resource_of(receiver)["service.name"] == "mine"
        assert resource_of(receiver)["deployment.environment"] == "test"
        assert receiver.got[0][0]["authorization"] == "Bearer key"


async def test_a_collector_that_takes_nothing_costs_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "TRACE_INTERVAL_S", 0.01)
    heard = _Heard()
    logging.getLogger().addHandler(heard)
    try:
        with capture_logs() as lines, Receiver(500).listening() as receiver:
            async with open_traces(receiver.url) as source:
                for count in range(1, 4):
                    make(source, "lost")
                    await _requests(receiver, count)
                receiver.meets = [200]
                make(source, "taken")
        assert [(line["event"], line["log_level"]) for line in lines] == [
            ("traces_dropped", "warning"),
            ("traces_sent_again", "info"),
        ]
        assert heard.lines == []
        assert receiver.url not in str(lines)
    finally:
        logging.getLogger().removeHandler(heard)


async def test_collector_that_hangs_delays_no_end_and_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "TRACE_END_S", 0.1)
    monkeypatch.setattr(traces, "TRACE_QUEUE_SPANS", 600)
    monkeypatch.setattr(traces, "TRACE_BATCH_SPANS", 100)
    with Receiver("hangs").listening() as receiver:
        began_s = time.monotonic()
        async with open_traces(receiver.url) as source:
            make(source, "first", 100)
            await _requests(receiver, 1)
            make(source, "more", 2000)
        assert time.monotonic() - began_s < 5  # the time-out of an export alone is as long
        receiver.meets = [200]
        receiver.released.set()
        await _until(lambda: len({span.span_id for span in arrived(receiver)}) == 100 + 600)


class _Heard(logging.Handler):
    """Keeps the lines of libraries."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


async def _requests(receiver: Receiver, count: int) -> None:
    await _until(lambda: len(receiver.got) == count)


async def _until(true: Callable[[], bool]) -> None:
    with trio.fail_after(20):
        while not true():  # noqa: ASYNC110 - threads send no notification
            await trio.sleep(0.01)
