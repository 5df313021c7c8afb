"""Leases each worktree and clone its own range of ports, so that programs of two workspaces do not use the same port.

An event of the workspace records the lease, and its removal ends it. A range is chosen and recorded under one lock, so
that no range is leased twice.
"""

import structlog
import trio

from fleet.actors.context import Context
from fleet.actors.runtime.aggregate import Deliver
from fleet.actors.runtime.causation import cause_here
from fleet.core.workspace.commands import LeasePorts, WorkspaceCommand
from fleet.core.workspace.state import State
from fleet.limits import PORTS_EACH, PORTS_END, PORTS_FIRST

_log = structlog.get_logger(__name__)


class PortRanges:
    """The ranges of all workspaces."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._choosing = trio.Lock()

    async def lease(self, state: State) -> State:
        """Return the workspace with its own range; without one if it is a person's directory or no range is left."""
        if state.spec is None or state.spec.strategy == "existing" or state.ports is not None:
            return state
        async with self._choosing:
            first = await self._free(state.spec.host)
            if first is None:
                _log.warning("no_ports_left", workspace=state.id)
                return state
            command = LeasePorts(first=first, count=PORTS_EACH, at_ms=self._context.clock.now_ms())
            deliver = Deliver[WorkspaceCommand](command, cause_here(f"workspace:{state.id}"))
            return (await self._context.actors.workspaces.ask(state.id, deliver)).state

    async def _free(self, host: str) -> int | None:
        """Return the first port of a range that is leased on no host and free on this one; None if there is none."""
        held = {state.ports.first for state in self._context.views.workspaces if state.ports is not None}
        for first in range(PORTS_FIRST, PORTS_END, PORTS_EACH):
            if first not in held and await self._context.at(host).shells.are_free(first, PORTS_EACH):
                return first
        return None
