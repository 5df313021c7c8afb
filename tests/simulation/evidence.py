"""What a run leaves for the checkers: the log, the world, what callers heard and readers got. Taken at rest."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fleet.core.session.events import SessionErased
from fleet.core.session.state import State
from fleet.events import codec
from fleet.events.envelope import Erased, Recorded
from fleet.events.replacements import proof_in
from fleet.ports import ProcessIdentity
from fleet.projections.states import States
from fleet.projections.transcripts import MessageView
from fleet.projections.views import Views
from tests.fakes.cluster import LEASE_S, Reserved
from tests.fakes.machine import FakeMachine
from tests.fakes.memory_log import MemoryDisk
from tests.fakes.memory_store import MemoryStore
from tests.fakes.opencode import FakeOpenCodeWorld
from tests.fakes.webhooks import Got
from tests.fakes.workspaces import FakeDisk
from tests.simulation.clients import Ledger
from tests.simulation.machine import REGISTRY, Ran
from tests.simulation.readers import StreamReader


@dataclass
class Probe:
    """A prompt that was put to a session at rest, to see whether the session still works."""

    session: str
    mark: str
    refusal: str | None = None


@dataclass
class Evidence:
    """Everything there is to be seen.

    `replies` are the states that the sessions' actors answer with, `found` the statuses that the history shows,
    `transcripts` what each session shows of its own conversation, `unlogged` the bugs that no line of the log
    reports, `crowds` what was said when there were more processes than there may be, `got` what the webhooks' receiver
    got, `ran` the set-ups and teardowns that were started. `machines` are the server's and all others, which
    `world` and `directories` have together; `left_slots` is the room that was reserved when all sessions were
    stopped, `unreported` says of which finished turns the head lacked the work.
    """

    disk: MemoryDisk
    store: MemoryStore
    views: Views
    world: FakeOpenCodeWorld
    directories: FakeDisk
    ledger: Ledger
    readers: list[StreamReader] = field(default_factory=list[StreamReader])
    probes: list[Probe] = field(default_factory=list[Probe])
    replies: dict[str, State] = field(default_factory=dict[str, State])
    overlaps: list[str] = field(default_factory=list[str])
    crashes: list[str] = field(default_factory=list[str])
    unlogged: list[str] = field(default_factory=list[str])
    crowds: list[str] = field(default_factory=list[str])
    found: dict[str, str] = field(default_factory=dict[str, str])
    transcripts: dict[str, list[MessageView]] = field(default_factory=dict[str, list[MessageView]])
    got: list[Got] = field(default_factory=list[Got])
    ran: list[Ran] = field(default_factory=list[Ran])
    committed: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    machines: list[FakeMachine] = field(default_factory=list[FakeMachine])
    reserved: list[Reserved] = field(default_factory=list[Reserved])
    left_slots: list[str] = field(default_factory=list[str])
    unreported: list[str] = field(default_factory=list[str])
    lease_s: float = LEASE_S
    _states: dict[str, dict[str, list[tuple[int, Any]]]] = field(init=False, default_factory=dict[str, Any])

    @cached_property
    def records(self) -> list[codec.Record]:
        """What is on the disk, as raw records."""
        return [codec.decode(record) for record in self.disk.records]

    @cached_property
    def history(self) -> list[Recorded]:
        """What is on the disk, with its events."""
        prove = proof_in(lambda position: self.disk.records[position - 1])
        return [codec.decode_recorded(record, REGISTRY, prove) for record in self.disk.records]

    def states(self, view: States[Any]) -> dict[str, list[tuple[int, Any]]]:
        """Every state that each aggregate of a kind has been in, with its position: folded from the disk alone."""
        known = self._states.get(view.name)
        if known is None:
            known = self._states[view.name] = {
                stream.partition("-")[2]: list(_fold(view, events))
                for stream, events in self.streams.items()
                if stream.startswith(view.stream("")) and stream.partition("-")[2] not in self.erased
            }
        return known

    def folds(self, view: States[Any]) -> dict[str, Any]:
        """The state that each aggregate of a kind is in, from the disk alone."""
        return {aggregate_id: states[-1][1] for aggregate_id, states in self.states(view).items()}

    def stream(self, name: str) -> list[Recorded]:
        """The events of one stream."""
        return self.streams.get(name, [])

    @cached_property
    def streams(self) -> dict[str, list[Recorded]]:
        """The events by stream."""
        streams: dict[str, list[Recorded]] = {}
        for recorded in self.history:
            streams.setdefault(recorded.stream, []).append(recorded)
        return streams

    @cached_property
    def erased(self) -> set[str]:
        """The sessions that were erased, or begun to be."""
        erased = {recorded.stream for recorded in self.history if isinstance(recorded.event, Erased | SessionErased)}
        return {stream.partition("-")[2] for stream in erased}

    @property
    def erased_opencode(self) -> set[str]:
        """The ids that erased sessions have in OpenCode, as callers were told."""
        outcomes = [outcome for request in self.ledger.requests for outcome in request.outcomes]
        return {outcome.session.opencode.session_id for outcome in outcomes if outcome.session.id in self.erased}

    @property
    def waiting(self) -> dict[str, str]:
        """The requests whose answer OpenCode waits for, with the OpenCode session that asks."""
        return {
            request_id: process.requests[request_id][1]["sessionID"]
            for process in self.world.living()
            for request_id in sorted(process.waiting & process.requests.keys())
        }

    @property
    def nodes(self) -> list[FakeMachine]:
        """The machines beside the server's."""
        return [machine for machine in self.machines if not machine.is_local]

    def living(self) -> list[tuple[str, ProcessIdentity]]:
        """Instance and identity of every process that lives."""
        return [(process.instance_id, process.identity) for process in self.world.living()]

    def tools(self) -> list[str]:
        """The instances whose tools' shells live."""
        return [tool.instance_id for tool in self.world.orphans]

    def busy(self) -> set[str]:
        """The OpenCode sessions for which something runs."""
        return {session for process in self.world.living() for session in (*process.turns, *process.statuses)}


def _fold(view: States[Any], events: list[Recorded]) -> Iterator[tuple[int, Any]]:
    state = view.decider.initial(events[0].stream.partition("-")[2])
    for recorded in events:
        state = view.decider.evolve(state, recorded.event)
        yield recorded.position, state
