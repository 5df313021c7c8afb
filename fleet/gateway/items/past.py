"""The items of sessions as they were at a log position.

Text in flight and running tool calls are signals and not in the log, so they are not in these items.
"""

from collections.abc import Iterable, Sequence

import trio

from fleet.actors.fleet import Fleet
from fleet.core.hosts import HOSTS_ID
from fleet.core.session.state import State
from fleet.core.workspace.state import ReturnedWork
from fleet.gateway.items.session import SessionItems
from fleet.gateway.items.states import Surroundings, last_instance
from fleet.limits import RESPONSE_SLICE_ITEMS
from fleet.wire.items import SessionItem


async def sessions_at(fleet: Fleet, at: int, states: Iterable[State]) -> list[State]:
    """Return these sessions as they were; those that did not exist yet or cannot be read are left out."""
    earlier = [await fleet.past.sessions.readable(state.id, at) for state in states]
    return [state for state in earlier if state is not None]


async def items_at(fleet: Fleet, items: SessionItems, at: int, states: Sequence[State]) -> list[SessionItem]:
    """Return the items of states of then."""
    found: list[SessionItem] = []
    for number, state in enumerate(states, 1):
        found.append(items.earlier(state, await then(fleet, at, state)))
        if number % RESPONSE_SLICE_ITEMS == 0:
            await trio.lowlevel.checkpoint()  # other tasks run
    return found


async def then(fleet: Fleet, at: int, state: State) -> Surroundings:
    """Return what the log says around a session of then: its process where that did not answer, and its host."""
    host, returned = await _workspace_at(fleet, at, state.workspace_id)
    instance_id = None if state.ended_at_ms is not None else last_instance(state)
    instance = None if instance_id is None else await fleet.past.instances.readable(instance_id, at)
    silent = instance if instance is not None and instance.phase == "unreachable" else None
    return Surroundings(silent=silent, host=host, returned=returned)


async def _workspace_at(fleet: Fleet, at: int, workspace_id: str) -> tuple[str | None, tuple[ReturnedWork, ...]]:
    """Return the host of a workspace of then, and what had come back to it."""
    if fleet.views.hosts.get(HOSTS_ID) is None:  # there never was another machine
        return fleet.hosts.name_of(workspace_id), ()
    workspace = await fleet.past.workspaces.readable(workspace_id, at)
    if workspace is None or workspace.spec is None:
        return None, ()
    return workspace.spec.host, workspace.returned
