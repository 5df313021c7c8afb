"""The facade of one Fleet for the gateway: its use cases, its views, and the feeds that streams follow.

It runs no tasks: fleet/actors/supervision.py creates it and runs the children.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import trio
from prometheus_client import Histogram

from fleet.actors.context import Context
from fleet.actors.effects.shared import SharedEffects
from fleet.actors.runtime.supervisor import Supervisor
from fleet.actors.upkeep.retention import due
from fleet.actors.upkeep.server_records import ServerRecords
from fleet.actors.usecases.forks import Forks
from fleet.actors.usecases.hosts import HostUseCases
from fleet.actors.usecases.opencode_catalog import OpenCodeCatalog
from fleet.actors.usecases.rebinding import Rebinding
from fleet.actors.usecases.removal import RemovalUseCases
from fleet.actors.usecases.removal_preview import RemovalPreviews
from fleet.actors.usecases.repositories import Repositories
from fleet.actors.usecases.sessions import SessionUseCases
from fleet.actors.usecases.trust import Trust
from fleet.actors.usecases.webhooks import WebhookUseCases
from fleet.actors.usecases.workspace_roots import WorkspaceRoots
from fleet.core.instance.state import State as Instance
from fleet.core.session.state import State as Session
from fleet.limits import DAMAGED_LISTED_MAX
from fleet.projections.projections import Projections

if TYPE_CHECKING:
    from fleet.traces import Traces


class Fleet:
    """One Fleet without its gateway. Without `traces` there are no spans."""

    def __init__(
        self,
        context: Context,
        projections: Projections,
        effects: SharedEffects,
        records: ServerRecords,
        *,
        command_seconds: Histogram,
        traces: "Traces | None",
        directory: Path | None = None,
        left_out_through: int = 0,
        read_only: bool = False,
    ) -> None:
        self.context = context
        self.command_seconds = command_seconds
        self.traces = traces
        # What is stored, and what is folded from it.
        self.log = context.log
        self.blobs = context.blobs
        self.directory = directory
        self.left_out_through = left_out_through
        self.views = projections.views
        self.stored_views = projections.runner.store
        self.indexes = projections.indexes
        self.runner = projections.runner
        self.feed = projections.feed
        self.inflight = projections.inflight
        self.touched = projections.touched
        self.transcripts = projections.transcripts
        self.change_records = projections.change_records
        self.times = projections.times
        self.setup_outputs = projections.setup_outputs
        self.past = projections.past
        self.history = projections.history
        # What actors keep in memory.
        self.diffs = effects.diffs
        self.stored_responses = effects.stored_responses
        self.model_limits = effects.model_limits
        self.records = records
        # Use cases.
        self.sessions = SessionUseCases(context, effects.rooms)
        self.forks = Forks(context, self.sessions, projections.change_records)
        self.endings = RemovalUseCases(context, self.sessions, effects.erasure)
        self.end_previews = RemovalPreviews(context, self.sessions)
        self.offers = OpenCodeCatalog(context)
        self.roots = WorkspaceRoots(context)
        self.rebinding = Rebinding(context, self.roots)
        self.trust = Trust(context, self.sessions)
        self.repositories = Repositories(context, effects.known_offers, self.roots)
        self.hosts = HostUseCases(context)
        self.webhooks = WebhookUseCases(context)
        # The state of the server.
        self.read_only = read_only
        self.ready = False
        self.rehearsal: str | None = None
        self.started_at_ms = 0
        self.supervisor: Supervisor | None = None
        self._started_s: float | None = None

    def started(self, supervisor: Supervisor) -> None:
        """Note that the children of `supervisor` are being started."""
        self._started_s = trio.current_time()
        self.started_at_ms = self.context.clock.now_ms()
        self.supervisor = supervisor

    def rehearse(self, provider: str | None) -> None:
        """Note the provider of the scripted model; None if OpenCode uses a real one."""
        if provider != self.rehearsal:
            self.rehearsal = provider
            self.touched.touch_where(lambda _: True)

    def memory_bytes(self, instance: Instance) -> int | None:
        """Return the resident memory of an instance's process; None while it has none, or if it is gone."""
        host = self.context.at(instance.host)
        return None if instance.identity is None else host.opencode.memory_bytes(instance.identity)

    def expiring(self) -> list[Session]:
        """Return the sessions that retention erases next, the longest ended first."""
        before_ms = self.context.kept_since_ms()
        return [] if before_ms is None else due(self.views.sessions, before_ms)

    def limitations(self) -> list[str]:
        """Return a sentence for each thing that keeps the server from its full work."""
        shortage = self.log.statistics().shortage
        damaged = [
            f"event {position} of {view.stream(aggregate_id)} is damaged: Fleet does without this {view.name}"
            for view in self.views
            for aggregate_id, position in view.damaged.items()
        ]
        reading = ["the server is read-only: it refuses every change"] if self.read_only else []
        short = [] if shortage is None else [shortage]
        return [*reading, *short, *self.hosts.limitations(), *damaged[:DAMAGED_LISTED_MAX]]

    @property
    def uptime_s(self) -> float:
        """The seconds since its start, on the monotonic clock."""
        return 0.0 if self._started_s is None else trio.current_time() - self._started_s
