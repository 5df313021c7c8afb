"""Creates the registries of all actors, each with the function that carries out the effects of its kind."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from prometheus_client import Histogram

from fleet.actors.context import ActorRegistries, Context
from fleet.actors.effects.callbacks import Callbacks
from fleet.actors.effects.instance import InstanceEffects
from fleet.actors.effects.live_events import LiveEvents
from fleet.actors.effects.restored_conversations import RestoredConversations
from fleet.actors.effects.session import SessionEffects
from fleet.actors.effects.setup import Setups
from fleet.actors.effects.shared import SharedEffects
from fleet.actors.effects.webhook import WebhookEffects
from fleet.actors.effects.workspace import WorkspaceEffects
from fleet.actors.runtime.actor import Inbox
from fleet.actors.runtime.aggregate import Aggregate, Deliver, StateReply
from fleet.actors.runtime.failures import reporting_failures
from fleet.actors.runtime.registry import ActorRegistry
from fleet.actors.runtime.shape import Shape, shape_of
from fleet.core.instance.effects import OperateProcess
from fleet.core.webhook.effects import FollowLog
from fleet.projections.projections import Projections
from fleet.projections.states import States

if TYPE_CHECKING:
    from fleet.actors.runtime.tracing import Spans
    from fleet.traces import Traces

Perform = Callable[[str, Any, Any], Any]
"""Carries out an effect of an aggregate: its id, the effect, and where the effect reports to."""


def make_registries(
    context: Context,
    projections: Projections,
    effects: SharedEffects,
    command_seconds: Histogram,
    traces: "Traces | None",
) -> ActorRegistries:
    """Return the registries; `command_seconds` records the duration of each command."""
    views = projections.views
    live_events = LiveEvents(context)
    setups = Setups(context, effects.diffs)
    callbacks = Callbacks(context, projections.change_records, projections.transcripts)
    sessions = SessionEffects(
        context,
        live_events,
        effects.placement,
        effects.diffs,
        effects.erasure,
        setups=setups,
        callbacks=callbacks,
        rooms=effects.rooms,
        restored=RestoredConversations(context, projections.transcripts),
    )
    instances = InstanceEffects(context, live_events, effects.known_offers)

    def registry(name: str, view: States[Any], perform: Perform) -> ActorRegistry[Any, Any]:
        def observe(outcome: str, seconds: float) -> None:
            command_seconds.labels(view.name, outcome).observe(seconds)

        if traces is None:
            return ActorRegistry(name, _actors(context, view, perform), observe=observe)
        from fleet.actors.runtime.tracing import Spans, TracedMailbox

        create = _actors(context, view, perform, Spans(traces, (OperateProcess, FollowLog)))
        return ActorRegistry(name, create, observe=observe, mailbox=TracedMailbox)

    return ActorRegistries(
        sessions=registry("sessions", views.sessions, sessions.perform),
        instances=registry("instances", views.instances, instances.perform),
        workspaces=registry("workspaces", views.workspaces, WorkspaceEffects(context, setups).perform),
        roots=registry("roots", views.roots, _no_effect),
        webhooks=registry("webhooks", views.webhooks, WebhookEffects(context, projections.feed).perform),
        trust=registry("trust", views.trust, _no_effect),
        server=registry("server", views.server, _no_effect),
        hosts=registry("hosts", views.hosts, _no_effect),
    )


async def _no_effect(*_: object) -> None:
    """Do nothing: roots, trust, server and hosts have no effects."""


def _actors(
    context: Context, view: States[Any], perform: Perform, spans: "Spans | None" = None
) -> Callable[[str, Inbox[Deliver[Any], StateReply[Any]]], Aggregate[Any, Any, Any, Any]]:
    """Return the function that creates the actor of an id, with the inbox that the registry keeps for it."""
    shape: Shape = shape_of(view.decider.kind, view.state_type, view.decider.revision)
    now_ms = context.clock.now_ms

    def create(aggregate_id: str, inbox: Inbox[Deliver[Any], StateReply[Any]]) -> Aggregate[Any, Any, Any, Any]:
        bound = reporting_failures(partial(perform, aggregate_id), view.decider.failure, now_ms)
        return Aggregate(aggregate_id, view.decider, shape, context.log, bound, inbox=inbox, spans=spans)

    return create
