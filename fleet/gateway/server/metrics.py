"""The metrics of Fleet, in Prometheus' text format at `/api/metrics`.

Most values are read on demand, from `statistics()` and the views; only what is over by then is counted where it
happens. Keeps: labels have few values (kinds, statuses, routes, event types), never an id or a title.
"""

from collections import Counter as Count
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import trio
from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from quart import Request, Response

from fleet import __version__
from fleet.actors.fleet import Fleet
from fleet.core.instance.state import OVER
from fleet.core.session.state import status_of
from fleet.core.session.transitions import STATUSES
from fleet.events.envelope import Recorded
from fleet.limits import COMMIT_BUCKETS_EVENTS, REQUEST_BUCKETS_S

# Without it, each series has another one for the time at which it began, which no reader needs.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types here


class Metrics:
    """The instruments of one Fleet. Make one for each Fleet: it listens to the log from then on."""

    def __init__(self, fleet: Fleet) -> None:
        self.registry = CollectorRegistry()
        self._request_seconds = Histogram(
            "fleet_http_request_seconds",
            "From a request's arrival to the head of its response",
            ("method", "route", "status"),
            registry=self.registry,
            buckets=REQUEST_BUCKETS_S,
        )
        self._observed: dict[tuple[str, str, str], Histogram] = {}  # what `labels` gives, which takes its time
        self._refusals = Counter(
            "fleet_http_refusals",
            "Responses with a problem, by its code",
            ("code",),
            registry=self.registry,
        )
        self._events = Counter("fleet_events", "Events appended since the start", ("type",), registry=self.registry)
        self._commit_events = Histogram(
            "fleet_log_commit_events",
            "Events in one commit of the log",
            registry=self.registry,
            buckets=COMMIT_BUCKETS_EVENTS,
        )
        self.registry.register(fleet.command_seconds)
        self.registry.register(_Fleet(fleet))
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        fleet.log.listen(self._on_commit)

    def text(self) -> bytes:
        """Return everything as it is now."""
        return generate_latest(self.registry)

    async def measure(self, request: Request, response: Response, took_s: float) -> None:
        """Record a request and its response."""
        rule = request.url_rule
        labels = (request.method if rule else "other", rule.rule if rule else "none", str(response.status_code))
        observed = self._observed.get(labels)
        if observed is None:
            observed = self._observed[labels] = self._request_seconds.labels(*labels)
        observed.observe(took_s)
        if response.mimetype == "application/problem+json":
            self._refusals.labels(_code_of(await response.get_data(as_text=False))).inc()

    def _on_commit(self, commit: Sequence[Recorded]) -> None:
        self._commit_events.observe(len(commit))
        for recorded in commit:
            self._events.labels(recorded.type).inc()


class _Coded(msgspec.Struct):
    """The member of a problem that says what kind it is of."""

    code: str


def _code_of(problem: bytes) -> str:
    return msgspec.json.decode(problem, type=_Coded).code


class _Fleet(Collector):
    """Everything that is read when the metrics are."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def describe(self) -> Iterator[Metric]:
        """Return nothing: Fleet may not run yet when the registry asks."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield all current values."""
        yield _gauge("fleet_build_info", "The version that runs", {(__version__,): 1}, "version")
        yield from self._log()
        yield from self._actors()
        yield from self._readers()
        yield from self._sessions()
        yield from self._instances()
        yield from self._hosts()
        yield from self._webhooks()

    def _log(self) -> Iterator[Metric]:
        log, blobs = self._fleet.log.statistics(), self._fleet.blobs.statistics()
        yield _gauge("fleet_log_position", "Position of the last event", self._fleet.log.head())
        yield _counter("fleet_log_commits", "Commits since the start", log.commits)
        yield _counter("fleet_log_appends", "Appends that were committed since the start", log.appends)
        yield _gauge("fleet_log_appends_waiting", "Appends that wait for the writer", log.waiting)
        yield _gauge("fleet_log_waiting_bytes", "Payload of the appends that wait for the writer", log.waiting_bytes)
        yield _gauge("fleet_blobs", "Contents in the blob store", blobs.blobs)
        yield _gauge("fleet_blobs_stored_bytes", "Disk that they take", blobs.stored_bytes)
        yield _counter("fleet_blob_puts", "Contents put since the start", blobs.puts)
        yield _counter("fleet_blob_puts_repeated", "Those that were there already", blobs.repeated)
        yield _counter("fleet_blob_content_bytes", "Bytes of new contents since the start", blobs.content_bytes)

    def _actors(self) -> Iterator[Metric]:
        actors = self._fleet.context.actors
        found = [
            each.statistics()
            for each in (actors.sessions, actors.instances, actors.workspaces, actors.roots, actors.webhooks)
        ]
        for name, text, values in (
            ("fleet_actors_active", "Actors in memory", {each.name: each.active for each in found}),
            ("fleet_actors_busy", "Actors with something in hand", {each.name: each.busy for each in found}),
            ("fleet_mailbox_messages", "Messages that wait", {each.name: each.waiting_messages for each in found}),
            (
                "fleet_mailbox_deepest",
                "Those of the fullest mailbox",
                {each.name: each.deepest_mailbox for each in found},
            ),
        ):
            yield _gauge(name, text, values, "directory")
        for name, text, values in (
            ("fleet_actor_activations", "Actors brought up", {each.name: each.activations for each in found}),
            (
                "fleet_actor_passivations",
                "Idle actors that left memory",
                {each.name: each.passivations for each in found},
            ),
            ("fleet_actor_restarts", "Actors restarted after a crash", {each.name: each.restarts for each in found}),
            (
                "fleet_actor_failures",
                "Actors that could not be brought up",
                {each.name: each.failures for each in found},
            ),
        ):
            yield _counter(name, text, values, "directory")
        supervisor = self._fleet.supervisor
        children = () if supervisor is None else supervisor.statistics().children
        restarts = {child.name: child.restarts for child in children}
        yield _counter("fleet_child_restarts", "Restarts of the children of the supervision", restarts, "child")
        yield _gauge("fleet_tasks", "Tasks of the event loop", trio.lowlevel.current_statistics().tasks_living)

    def _readers(self) -> Iterator[Metric]:
        fleet = self._fleet
        readers = fleet.feed.statistics()
        phases = dict.fromkeys(("catching_up", "live", "saturated"), 0) | Count(each.phase for each in readers)
        yield _gauge("fleet_feed_readers", "Readers of the log, Fleet's own included", phases, "phase")
        yield _gauge(
            "fleet_feed_lag_events", "How far the slowest is behind", max((r.behind for r in readers), default=0)
        )
        yield _gauge(
            "fleet_feed_waiting_events", "Events in the readers' buffers", sum(each.waiting for each in readers)
        )
        yield _counter("fleet_feed_saturations", "How often a reader was too slow", fleet.feed.saturations)
        yield _gauge("fleet_signal_readers", "Live readers of what is being written", fleet.inflight.readers())
        lags = {"rows": fleet.runner.unsaved, "history": fleet.log.head() - max(0, fleet.history.position)}
        yield _gauge("fleet_view_lag_events", "Events that a view on disk is behind", lags, "view")

    def _sessions(self) -> Iterator[Metric]:
        """Sums over the sessions that are there: erasing one takes its share away, hence no counters."""
        sessions = list(self._fleet.views.sessions)
        statuses = dict.fromkeys(sorted(STATUSES), 0) | Count(status_of(state) for state in sessions)
        yield _gauge("fleet_sessions", "Sessions", statuses, "status")
        yield _gauge("fleet_prompts_queued", "Prompts that wait", sum(len(state.queue.prompts) for state in sessions))
        yield _gauge("fleet_requests_open", "Open requests", sum(len(state.requests) for state in sessions))
        undelivered = sum(each.status == "undelivered" for state in sessions for each in state.callbacks.sent)
        yield _gauge("fleet_callbacks_undelivered", "Callbacks that no parent takes", undelivered)
        kinds = ("input", "output", "reasoning", "cache_read", "cache_write")
        tokens = {kind: sum(getattr(state.usage.tokens, kind) for state in sessions) for kind in kinds}
        yield _gauge("fleet_tokens", "Tokens that all sessions have used", tokens, "kind")
        yield _gauge("fleet_cost_usd", "What all sessions have cost", sum(state.usage.cost_usd for state in sessions))

    def _instances(self) -> Iterator[Metric]:
        fleet = self._fleet
        alive = [state for state in fleet.views.instances.alive() if state.phase not in OVER]
        yield _gauge("fleet_instances", "OpenCode processes", Count(state.phase for state in alive), "status")
        sizes = [fleet.memory_bytes(state) for state in alive]
        known = [size for size in sizes if size is not None]
        yield _gauge("fleet_instance_memory_bytes", "Resident memory of all OpenCode processes", sum(known))
        yield _gauge("fleet_instance_memory_largest_bytes", "That of the largest", max(known, default=0))

    def _hosts(self) -> Iterator[Metric]:
        phases = {"up": 0, "silent": 0, "lost": 0} | Count(view.known.phase for view in self._fleet.hosts.views())
        yield _gauge("fleet_hosts", "Machines on which sessions work", phases, "phase")

    def _webhooks(self) -> Iterator[Metric]:
        webhooks = list(self._fleet.views.webhooks)
        statuses = {"active": 0, "disabled": 0} | Count(state.phase for state in webhooks)
        yield _gauge("fleet_webhooks", "Webhooks", statuses, "status")
        yield _gauge("fleet_webhook_messages", "Messages on their way", sum(len(state.open) for state in webhooks))
        failing = sum(state.failing_since_ms is not None for state in webhooks)
        yield _gauge("fleet_webhooks_failing", "Webhooks whose receiver took nothing lately", failing)


Values = float | Mapping[Any, float]


def _gauge(name: str, text: str, values: Values, *labels: str) -> Metric:
    return _filled(GaugeMetricFamily(name, text, labels=labels), values)


def _counter(name: str, text: str, values: Values, *labels: str) -> Metric:
    return _filled(CounterMetricFamily(name, text, labels=labels), values)


def _filled(family: Any, values: Values) -> Metric:
    for label, value in values.items() if isinstance(values, Mapping) else [((), values)]:
        family.add_metric((label,) if isinstance(label, str) else label, value)
    filled: Metric = family
    return filled
