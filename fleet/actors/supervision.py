"""The supervision tree: everything that runs between the log and the gateway, in the order in which it starts.

    views -> signals -> history -> roots -> trust -> workspaces -> instances -> sessions -> webhooks -> recovery
        -> idleness -> standing -> model-limits

If one crashes, those behind it are started again too. Each directory supervises its actors one by one: an actor that
crashes is restarted alone, from the log. fleet/main.py puts the log's writer before this and the gateway after it.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import trio
from prometheus_client import Histogram

from fleet.actors.context import ActorRegistries, Context, Policy, Ports
from fleet.actors.effects.callbacks import Callbacks
from fleet.actors.effects.diffs import Changes
from fleet.actors.effects.erasure import SessionErasure
from fleet.actors.effects.instance import InstanceEffects
from fleet.actors.effects.known_offers import KnownOffers
from fleet.actors.effects.live_events import Conversations
from fleet.actors.effects.model_limits import ModelLimits
from fleet.actors.effects.placement import Placement
from fleet.actors.effects.session import SessionEffects
from fleet.actors.effects.setup import Setups
from fleet.actors.effects.stored_responses import StoredResponses
from fleet.actors.effects.webhook import WebhookEffects
from fleet.actors.effects.workspace import WorkspaceEffects
from fleet.actors.effects.workspace_check import Standing
from fleet.actors.runtime.actor import Inbox
from fleet.actors.runtime.aggregate import Aggregate, Deliver, Shape, StateReply, shape_of
from fleet.actors.runtime.child import ChildSpec
from fleet.actors.runtime.failures import answering
from fleet.actors.runtime.registry import ActorRegistry
from fleet.actors.runtime.supervisor import Supervisor
from fleet.actors.upkeep.idle_instances import Idleness
from fleet.actors.upkeep.recovery import Recovery
from fleet.actors.usecases.forks import Forks
from fleet.actors.usecases.opencode_catalog import Offers
from fleet.actors.usecases.rebinding import Rebinding
from fleet.actors.usecases.removal import Endings
from fleet.actors.usecases.removal_preview import EndPreviews
from fleet.actors.usecases.repositories import Repositories
from fleet.actors.usecases.sessions import SessionUseCases
from fleet.actors.usecases.trust import Trust
from fleet.actors.usecases.webhooks import WebhookUseCases
from fleet.actors.usecases.workspace_roots import Roots
from fleet.core.instance.effects import OperateProcess
from fleet.core.webhook.effects import FollowLog
from fleet.events.blobs import Blobs
from fleet.events.feed import Feed
from fleet.events.log import Log
from fleet.limits import COMMAND_BUCKETS_S, SHUTDOWN_GRACE_S, SHUTDOWN_REST_S
from fleet.projections.activities import Activities
from fleet.projections.change_records import change_records
from fleet.projections.history import History, inline
from fleet.projections.inflight import InFlight
from fleet.projections.past import past_of
from fleet.projections.runner import Runner
from fleet.projections.setup_output import setup_outputs
from fleet.projections.states import States
from fleet.projections.store import ViewStore
from fleet.projections.touched import Touched
from fleet.projections.transcripts import Transcripts
from fleet.projections.views import make_views

if TYPE_CHECKING:
    from fleet.actors.runtime.tracing import Spans
    from fleet.traces import Traces


class Stores(NamedTuple):
    """What is on disk. The views' rows and the history are disposable; `history_file` None keeps it in memory."""

    log: Log
    blobs: Blobs
    views: ViewStore
    history_file: Path | None = None


class Tree:
    """One Fleet without its door. `run` fits a `ChildSpec`; `orders` and `context.views` are what a door needs.

    Without `threads` everything is written where it is called: for simulations. Without `traces` there are no spans.
    """

    def __init__(
        self,
        ports: Ports,
        stores: Stores,
        *,
        policy: Policy = Policy(),  # noqa: B008 - a frozen value
        threads: bool = True,
        traces: "Traces | None" = None,
    ) -> None:
        log, blobs = stores.log, stores.blobs
        views = make_views()
        self.traces = traces
        self.log = log
        self.blobs = blobs
        self.views = views
        self.runner = Runner(log, stores.views, views, trio.to_thread.run_sync if threads else inline)
        self.runner.open()
        self.inflight = InFlight(Activities(ports.clock.now_ms))
        log.listen(self.inflight.on_commit)
        self.touched = Touched(log, views, self.inflight.activities)
        self.feed = Feed(log)
        self.transcripts = Transcripts(log)
        self.change_records = change_records(log)
        self.past = past_of(views, log)
        self.history = History(log, self.feed, stores.history_file, run_sync=None if threads else inline)
        context = self.context = Context(ports, log, blobs, views=views, inflight=self.inflight, policy=policy)
        self.changes = Changes(context)
        self.answers = StoredResponses(log, views)
        self.setup_outputs = setup_outputs(log)
        caches = (self.setup_outputs, self.transcripts, self.change_records, self.past.sessions, self.changes.live)
        erasure = SessionErasure(log, blobs, views, self.inflight, answers=self.answers, caches=caches)
        placement = Placement(context)
        self.model_limits = ModelLimits(context, self.touched)
        known_offers = KnownOffers(context, self.model_limits)
        self.command_seconds = Histogram(
            "fleet_command_seconds",
            "From a command's way into the mailbox to its answer: decided and durable, or refused",
            ("aggregate", "outcome"),
            registry=None,  # gateway/server/metrics.py collects it: several Fleets in one process do not meet
            buckets=COMMAND_BUCKETS_S,
        )
        context.actors = self._peers(known_offers, placement, erasure)
        self.orders = SessionUseCases(context)
        self.forks = Forks(context, self.orders)
        self.endings = Endings(context, self.orders, erasure)
        self.end_previews = EndPreviews(context, self.orders)
        self.offers = Offers(context)
        self.roots = Roots(context)
        self.rebinding = Rebinding(context, self.roots)
        self.trust = Trust(context, self.orders)
        self.repositories = Repositories(context, known_offers, self.roots)
        self.webhooks = WebhookUseCases(context)
        self.ready = False
        self.rehearsal: str | None = None
        self._began_s: float | None = None
        self.started_at_ms = 0
        self.supervisor: Supervisor | None = None
        self._recovery = Recovery(context, placement, erasure)
        self._idleness = Idleness(context, policy.idle_timeout_s)

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED) -> None:
        """Run everything until `stopping`."""
        self._began_s = trio.current_time()
        self.started_at_ms = self.context.clock.now_ms()
        peers = self.context.actors
        children = (
            ChildSpec("views", self.runner.run),
            ChildSpec("signals", self.inflight.run),
            ChildSpec("history", self.history.run),
            ChildSpec("roots", peers.roots.run),
            ChildSpec("trust", peers.trust.run),
            ChildSpec("workspaces", peers.workspaces.run),
            ChildSpec("instances", peers.instances.run),
            ChildSpec("sessions", peers.sessions.run),
            ChildSpec("webhooks", peers.webhooks.run),
            ChildSpec("recovery", self._recovery.run, stop_grace_s=SHUTDOWN_GRACE_S + SHUTDOWN_REST_S),
            ChildSpec("idleness", self._idleness.run),
            ChildSpec("standing", Standing(self.context).run),
            ChildSpec("model-limits", self.model_limits.run),
        )
        supervisor = self.supervisor = Supervisor("fleet", children, strategy="rest_for_one")
        async with trio.open_nursery() as nursery:
            await nursery.start(supervisor.run, stopping)
            self.ready = True
            task_status.started(supervisor)

    def rehearse(self, provider: str | None) -> None:
        """Take note of the provider of the scripted model, None where OpenCode has a real one."""
        if provider != self.rehearsal:
            self.rehearsal = provider
            self.touched.touch_where(lambda _: True)

    @property
    def uptime_s(self) -> float:
        """For how many seconds it has been running, on the monotonic clock."""
        return 0.0 if self._began_s is None else trio.current_time() - self._began_s

    def _peers(self, known_offers: KnownOffers, placement: Placement, erasure: SessionErasure) -> ActorRegistries:
        """Return the directories of all actors, each with what carries out its effects."""
        context, views = self.context, self.views
        conversations = Conversations(context)
        setups = Setups(context, self.changes)
        callbacks = Callbacks(context, self.change_records, self.transcripts)
        sessions = SessionEffects(
            context, conversations, placement, self.changes, erasure, setups=setups, callbacks=callbacks
        )
        instances = InstanceEffects(context, conversations, known_offers)
        workspaces = WorkspaceEffects(context, setups)
        webhooks = WebhookEffects(context, self.feed)
        return ActorRegistries(
            self._directory("sessions", views.sessions, sessions.perform),
            self._directory("instances", views.instances, instances.perform),
            self._directory("workspaces", views.workspaces, workspaces.perform),
            self._directory("roots", views.roots, _no_effect),
            self._directory("webhooks", views.webhooks, webhooks.perform),
            self._directory("trust", views.trust, _no_effect),
        )

    def _directory(
        self, name: str, view: States[Any], perform: Callable[[str, Any, Any], Any]
    ) -> ActorRegistry[Any, Any]:
        def observe(outcome: str, seconds: float) -> None:
            self.command_seconds.labels(view.name, outcome).observe(seconds)

        now_ms = self.context.clock.now_ms
        if self.traces is None:
            return ActorRegistry(name, _residents(view, self.log, perform, now_ms), observe=observe)
        from fleet.actors.runtime.tracing import Spans, TracedMailbox

        create = _residents(view, self.log, perform, now_ms, Spans(self.traces, (OperateProcess, FollowLog)))
        return ActorRegistry(name, create, observe=observe, mailbox=TracedMailbox)


async def _no_effect(*_: object) -> None:
    """Roots and trust order nothing outside."""


def _residents(
    view: States[Any],
    log: Log,
    perform: Callable[[str, Any, Any], Any],
    now_ms: Callable[[], int],
    spans: "Spans | None" = None,
) -> Callable[[str, Inbox[Deliver[Any], StateReply[Any]]], Aggregate[Any, Any, Any, Any]]:
    """Return what makes the actor of one id, over the inbox that the directory keeps for it."""
    shape: Shape = shape_of(view.decider.kind, view.state_type, view.decider.revision)

    def create(aggregate_id: str, inbox: Inbox[Deliver[Any], StateReply[Any]]) -> Aggregate[Any, Any, Any, Any]:
        bound = answering(partial(perform, aggregate_id), view.decider.failure, now_ms)
        return Aggregate(aggregate_id, view.decider, shape, log, bound, inbox=inbox, spans=spans)

    return create
