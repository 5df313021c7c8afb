"""Shuts down instances whose sessions have all been idle for long enough; these sessions become completed. Sessions in
error count as idle, too: they stay in error, without a process until the next prompt.

The sessions are completed one by one, and only if they are still idle: a prompt in between keeps its session and the
instance. When no session is left, the process is stopped.
"""

import structlog
import trio

from fleet.actors.context import Context
from fleet.actors.runtime.aggregate import Deliver
from fleet.core.instance.state import State
from fleet.core.session.commands import CompleteIdleSession
from fleet.core.session.state import RESTING
from fleet.errors import Problem
from fleet.events.envelope import Cause
from fleet.limits import IDLE_SWEEP_S

_log = structlog.get_logger(__name__)


class IdleInstances:
    """Checks the instances periodically. `run` fits a `ChildSpec`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Sweep until `stopping`."""
        task_status.started()
        while not stopping.is_set():
            with trio.move_on_after(min(IDLE_SWEEP_S, self._context.policy.idle_timeout_s)):
                await stopping.wait()
            if not stopping.is_set():
                await self._sweep()

    async def _sweep(self) -> None:
        before_ms = self._context.clock.now_ms() - int(self._context.policy.idle_timeout_s * 1000)
        for instance in self._context.views.instances.alive():
            if instance.sessions and self._all_idle(instance, before_ms):
                for session_id in instance.sessions:
                    await self._retire(session_id, before_ms)

    def _all_idle(self, instance: State, before_ms: int) -> bool:
        """Return whether all its sessions have been idle since then, or are being detached already."""
        states = [self._context.views.sessions.get(session_id) for session_id in instance.sessions]
        staying = [state for state in states if state is None or state.opencode.detaching_from != instance.id]
        return all(s is not None and s.phase in RESTING and s.since_ms <= before_ms for s in staying)

    async def _retire(self, session_id: str, before_ms: int) -> None:
        evidence = (
            f"idle for {self._context.policy.idle_timeout_s / 60:g} minutes; its OpenCode process is no longer needed"
        )
        retire = CompleteIdleSession(idle_since_ms=before_ms, evidence=evidence, at_ms=self._context.clock.now_ms())
        try:
            await self._context.actors.sessions.ask(session_id, Deliver(retire, Cause("policy:idle")))
        except Problem as problem:
            _log.warning("session_not_retired", session=session_id, code=problem.code)
