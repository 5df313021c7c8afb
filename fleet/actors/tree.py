"""The supervision tree: everything that runs between the log and the door, in the order in which it starts.

    views -> workspaces -> instances -> sessions -> recovery        (one for all: rest_for_one, stopped in reverse)

Each directory supervises its actors one by one: an actor that crashes is restarted alone, from the log. fleet/main.py
puts the log's writer before this and the gateway after it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import trio

from fleet.actors.actor import Inbox
from fleet.actors.aggregate import Aggregate, Deliver, Perform, Reply, Shape, shape_of
from fleet.actors.child import ChildSpec
from fleet.actors.context import Context, Peers, Ports
from fleet.actors.conversation import Conversations
from fleet.actors.directory import Directory
from fleet.actors.instance import InstanceEffects
from fleet.actors.orders import Orders
from fleet.actors.placement import Placement
from fleet.actors.recovery import Recovery
from fleet.actors.session import SessionEffects
from fleet.actors.supervisor import Supervisor
from fleet.actors.workspace import WorkspaceEffects
from fleet.events.feed import Feed
from fleet.events.log import Log
from fleet.limits import SHUTDOWN_GRACE_S
from fleet.projections.inflight import InFlight
from fleet.projections.runner import Runner, Write
from fleet.projections.states import States
from fleet.projections.store import Store
from fleet.projections.transcripts import Transcripts
from fleet.projections.views import make_views


class Tree:
    """One Fleet without its door. `run` fits a `ChildSpec`; `orders` and `context.views` are what a door needs.

    `write` runs a write of the views' store off the event loop (projections/runner.py).
    """

    def __init__(
        self,
        ports: Ports,
        log: Log,
        store: Store,
        *,
        policy: str = "shared",
        leave_running: bool = False,
        write: Write = trio.to_thread.run_sync,
    ) -> None:
        views = make_views()
        self.log = log
        self.views = views
        self.runner = Runner(log, store, views, write)
        self.runner.open()
        self.inflight = InFlight()
        log.listen(self.inflight.on_commit)
        self.feed = Feed(log)
        self.transcripts = Transcripts(log)
        context = self.context = Context(ports, log, views, self.inflight, policy)
        conversations = Conversations(context)
        sessions = SessionEffects(context, conversations, Placement(context))
        instances = InstanceEffects(context, conversations)
        workspaces = WorkspaceEffects(context)
        context.peers = Peers(
            Directory("sessions", _residents(views.sessions, log, sessions.perform)),
            Directory("instances", _residents(views.instances, log, instances.perform)),
            Directory("workspaces", _residents(views.workspaces, log, workspaces.perform)),
        )
        self.orders = Orders(context)
        self.ready = False
        self._recovery = Recovery(context, leave_running=leave_running)

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED) -> None:
        """Run everything until `stopping`."""
        peers = self.context.peers
        children = (
            ChildSpec("views", self.runner.run),
            ChildSpec("workspaces", peers.workspaces.run),
            ChildSpec("instances", peers.instances.run),
            ChildSpec("sessions", peers.sessions.run),
            ChildSpec("recovery", self._recovery.run, stop_grace_s=SHUTDOWN_GRACE_S + 5),
        )
        supervisor = Supervisor("fleet", children, strategy="rest_for_one")
        async with trio.open_nursery() as nursery:
            await nursery.start(supervisor.run, stopping)
            self.ready = True
            task_status.started(supervisor)


def _residents(
    view: States[Any], log: Log, perform: Callable[[str, Any, Any], Any]
) -> Callable[[str, Inbox[Deliver[Any], Reply[Any]]], Aggregate[Any, Any, Any, Any]]:
    """Return what makes the actor of one id, over the inbox that the directory keeps for it."""
    shape: Shape = shape_of(view.decider.kind, view.state_type, view.decider.revision)

    def create(aggregate_id: str, inbox: Inbox[Deliver[Any], Reply[Any]]) -> Aggregate[Any, Any, Any, Any]:
        bound: Perform[Any, Any] = partial(perform, aggregate_id)
        return Aggregate(aggregate_id, view.decider, shape, log, bound, inbox=inbox)

    return create
