"""The whole life of each OpenCode instance, read from its stream.

The views have the current state of an instance. The exit of its process, and the steps that stopped it and the
processes of its tools, are read from the log on demand.
"""

from typing import Any

import msgspec
from msgspec.structs import replace

from fleet.core.instance.events import InstanceLost, InstanceStopped, RemnantsKilled
from fleet.core.instance.evolve import evolve
from fleet.core.instance.state import State, initial
from fleet.events.log import Log
from fleet.limits import REPLAY_PAGE_EVENTS
from fleet.ports import Exit, StopStep

_PREFIX = "instance-"


class Life(msgspec.Struct, frozen=True):
    """An instance and its end. `exit`: the process ended by itself; `steps`: what Fleet did to stop it."""

    state: State
    exit: Exit | None = None
    steps: tuple[StopStep, ...] = ()
    ended_at_ms: int | None = None


def life(log: Log, instance_id: str) -> Life:
    """Return the life of an instance."""
    found = Life(initial(instance_id))
    for _, _, event in log.replay(_PREFIX + instance_id):
        found = _lived(found, event)
    return found


def lives(log: Log) -> list[Life]:
    """Return the lives of all instances, oldest first. Reads the whole log; for a log that no server has open."""
    found: dict[str, Life] = {}
    position = 0
    while page := log.read_all(position, REPLAY_PAGE_EVENTS):
        position = page[-1].position
        for recorded in page:
            if recorded.stream.startswith(_PREFIX):
                instance_id = recorded.stream.removeprefix(_PREFIX)
                found[instance_id] = _lived(found.get(instance_id, Life(initial(instance_id))), recorded.event)
    return list(found.values())


def _lived(before: Life, event: Any) -> Life:
    after = replace(before, state=evolve(before.state, event))
    if isinstance(event, InstanceLost):
        return replace(after, exit=event.exit, ended_at_ms=event.at_ms)
    if isinstance(event, InstanceStopped):
        return replace(after, steps=event.steps, ended_at_ms=event.at_ms)
    if isinstance(event, RemnantsKilled):
        return replace(after, steps=event.steps)
    return after
