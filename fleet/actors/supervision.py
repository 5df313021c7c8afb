"""The supervision of one Fleet: everything that runs between the log and the gateway, in the order of its start.

    views -> signals -> history -> indexing -> server -> records -> roots -> trust -> hosts -> host-records ->
    workspaces -> instances -> sessions -> webhooks -> recovery -> rooms -> absences -> idle-instances ->
    retention -> workspace-checks -> model-limits

If one crashes, those behind it are started again too. Each registry supervises its actors one by one: an actor that
crashes is restarted alone, from the log. fleet/composition/server.py puts the log's writer before this and the gateway
after it.
"""

from typing import TYPE_CHECKING, Any

import trio
from prometheus_client import Histogram

from fleet.actors.context import Context, Policy, Ports
from fleet.actors.effects.shared import SharedEffects, make_shared_effects
from fleet.actors.effects.workspace_check import WorkspaceChecks
from fleet.actors.fleet import Fleet
from fleet.actors.registries import make_registries
from fleet.actors.runtime.child import ChildSpec
from fleet.actors.runtime.supervisor import Supervisor
from fleet.actors.upkeep.absences import Absences
from fleet.actors.upkeep.host_records import HostRecords
from fleet.actors.upkeep.idle_instances import IdleInstances
from fleet.actors.upkeep.recovery import Recovery
from fleet.actors.upkeep.retention import End, Retention
from fleet.actors.upkeep.server_records import ServerFacts, ServerRecords
from fleet.limits import COMMAND_BUCKETS_S, SHUTDOWN_GRACE_S, SHUTDOWN_REST_S
from fleet.projections.projections import Projections, Stores, open_projections

if TYPE_CHECKING:
    from fleet.traces import Traces


class Supervision:
    """The children of one Fleet. `run` fits a `ChildSpec`; `fleet` is what the gateway may use.

    Without `threads`, writes run in the caller's thread, for simulations. Without `traces` there are no spans, without
    `facts` no events about the server itself. With `read_only` no actor runs, so nothing is started, adopted, stopped
    or sent.
    """

    def __init__(
        self,
        ports: Ports,
        stores: Stores,
        *,
        policy: Policy = Policy(),  # noqa: B008 - a frozen value
        threads: bool = True,
        traces: "Traces | None" = None,
        read_only: bool = False,
        facts: ServerFacts | None = None,
    ) -> None:
        projections = open_projections(stores, ports.clock.now_ms, threads=threads)
        views, inflight = projections.views, projections.inflight
        context = Context(ports, stores.log, stores.blobs, views=views, inflight=inflight, policy=policy)
        effects = make_shared_effects(context, projections)
        seconds = _command_seconds()
        context.actors = make_registries(context, projections, effects, seconds, traces)
        records, host_records = ServerRecords(context, facts), HostRecords(context)
        self.fleet = Fleet(
            context,
            projections,
            effects,
            records,
            command_seconds=seconds,
            traces=traces,
            directory=stores.directory,
            left_out_through=stores.left_out_through,
            read_only=read_only,
        )
        self._children = (
            _followers(projections)
            if read_only
            else _children(
                context, projections, effects, records, host_records=host_records, end=self.fleet.endings.end
            )
        )

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED) -> None:
        """Run everything until `stopping`."""
        supervisor = Supervisor("fleet", self._children, strategy="rest_for_one")
        self.fleet.started(supervisor)
        async with trio.open_nursery() as nursery:
            await nursery.start(supervisor.run, stopping)
            self.fleet.ready = True
            task_status.started(supervisor)


def _followers(projections: Projections) -> tuple[ChildSpec, ...]:
    return (
        ChildSpec("signals", projections.inflight.run),
        ChildSpec("history", projections.history.run),
        ChildSpec("indexing", projections.indexing.run),
    )


def _children(
    context: Context,
    projections: Projections,
    effects: SharedEffects,
    records: ServerRecords,
    *,
    host_records: HostRecords,
    end: End,
) -> tuple[ChildSpec, ...]:
    actors = context.actors
    recovery = Recovery(context, effects.placement, effects.erasure)
    return (
        ChildSpec("views", projections.runner.run),
        ChildSpec("signals", projections.inflight.run),
        ChildSpec("history", projections.history.run),
        ChildSpec("indexing", projections.indexing.run),
        ChildSpec("server", actors.server.run),
        ChildSpec("records", records.run),  # so that the start is its first event, and the stop its last
        ChildSpec("roots", actors.roots.run),
        ChildSpec("trust", actors.trust.run),
        ChildSpec("hosts", actors.hosts.run),
        ChildSpec("host-records", host_records.run),
        ChildSpec("workspaces", actors.workspaces.run),
        ChildSpec("instances", actors.instances.run),
        ChildSpec("sessions", actors.sessions.run),
        ChildSpec("webhooks", actors.webhooks.run),
        ChildSpec("recovery", recovery.run, stop_grace_s=SHUTDOWN_GRACE_S + SHUTDOWN_REST_S),
        ChildSpec("rooms", effects.rooms.run),
        ChildSpec("absences", Absences(context).run),
        ChildSpec("idle-instances", IdleInstances(context).run),
        ChildSpec("retention", Retention(context, end).run),
        ChildSpec("workspace-checks", WorkspaceChecks(context).run),
        ChildSpec("model-limits", effects.model_limits.run),
    )


def _command_seconds() -> Histogram:
    return Histogram(
        "fleet_command_seconds",
        "From a command's way into the mailbox to its reply: decided and durable, or refused",
        ("aggregate", "outcome"),
        registry=None,  # gateway/server/metrics.py collects it: several Fleets in one process do not meet
        buckets=COMMAND_BUCKETS_S,
    )
