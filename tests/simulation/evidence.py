"""What a run leaves for the checkers: the log, the world, what callers heard and readers got. Taken at rest."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fleet.core.session.state import State
from fleet.events import codec
from fleet.events.envelope import Recorded
from fleet.events.memory_log import MemoryDisk
from fleet.ports import ProcessIdentity
from fleet.projections.states import States
from fleet.projections.store import MemoryStore
from fleet.projections.views import Views
from tests.fakes.opencode import FakeOpenCodeWorld
from tests.fakes.workspaces import FakeDisk
from tests.simulation.clients import Ledger
from tests.simulation.machine import REGISTRY
from tests.simulation.readers import StreamReader


@dataclass
class Probe:
    """A prompt that was put to a session at rest, to see whether the session still works."""

    session: str
    mark: str
    refusal: str | None = None


@dataclass
class Evidence:
    """Everything there is to be seen. `replies` are the states that the sessions' actors answer with."""

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
    _states: dict[str, dict[str, list[tuple[int, Any]]]] = field(init=False, default_factory=dict[str, Any])

    @cached_property
    def records(self) -> list[codec.Record]:
        """What is on the disk, as raw records."""
        return [codec.decode(record) for record in self.disk.records]

    @cached_property
    def history(self) -> list[Recorded]:
        """What is on the disk, with its events."""
        return [codec.decode_recorded(record, REGISTRY) for record in self.disk.records]

    def states(self, view: States[Any]) -> dict[str, list[tuple[int, Any]]]:
        """Every state that each aggregate of a kind has been in, with its position: folded from the disk alone."""
        known = self._states.get(view.name)
        if known is None:
            known = self._states[view.name] = {
                stream.partition("-")[2]: list(_fold(view, events))
                for stream, events in self.streams.items()
                if stream.startswith(view.stream(""))
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
