"""Looks at a run while it continues: what is true at rest may have been false for a moment that mattered (law 8)."""

from typing import Final

import trio

from fleet.core.session.state import State
from tests.simulation.machine import Incarnation, Machine

LOOK_S: Final = 1.0
UNSEEN_LOOKS_MAX: Final = 4
"""A prompt that OpenCode stores late runs for a moment before Fleet sees it; longer than 4 s nothing runs unseen."""


class Watch:
    """Complains of sessions that are called idle while OpenCode works for them."""

    def __init__(self, machine: Machine) -> None:
        self.complaints: list[str] = []
        self._machine = machine
        self._fleet: Incarnation | None = None
        self._unseen: dict[str, int] = {}

    async def run(self) -> None:
        while True:
            await trio.sleep(LOOK_S)
            fleet = await self._machine.fleet()
            if fleet is not self._fleet:
                self._fleet, self._unseen = fleet, {}
            self._look(fleet)

    def _look(self, fleet: Incarnation) -> None:
        working = {key for process in self._machine.living() if not process.is_silent for key in process.statuses}
        unseen = {
            state.id: state
            for state in fleet.fleet.views.sessions
            if _rests(state) and state.opencode.session_id in working
        }
        self._unseen = {session_id: self._unseen.get(session_id, 0) + 1 for session_id in unseen}
        for session_id, looks in self._unseen.items():
            if looks == UNSEEN_LOOKS_MAX:
                state = unseen[session_id]
                self.complaints.append(f"session {session_id} is {state.phase} and OpenCode works ({state.evidence})")


def _rests(state: State) -> bool:
    return state.phase in ("idle", "error") and state.provisioning is None and not state.stopping
