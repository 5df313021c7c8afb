"""Which instance a session runs in: the policy, as a value, and the one place that applies it.

Sessions with the same key share a process. `shared`: one key per source repository, a key of its own for each clone;
`directory`: one key per directory.
"""

from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from fleet.actors.aggregate import Deliver
from fleet.actors.context import Context
from fleet.core.instance import messages as m
from fleet.core.session.effects import AttachInstance
from fleet.core.session.state import State
from fleet.errors import Rejected
from fleet.events.envelope import Cause


def placement_key(policy: str, session: AttachInstance | State) -> str:
    """Return the key of the instance that the session shares."""
    if policy == "directory" or session.strategy == "clone":
        return f"directory:{session.directory}"
    return f"repository:{session.source_repository or session.directory}"


class Placement:
    """Finds or starts an instance, one decision per key at a time."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._locks: defaultdict[str, trio.Lock] = defaultdict(trio.Lock)

    async def place(self, session_id: str, effect: AttachInstance) -> str:
        """Attach the session to an instance and return its id; idempotent, the instance may still be starting."""
        key = placement_key(self._context.policy, effect)
        async with self._one_at_a_time(key):
            # Called off half-way, the session would be attached to an instance, and nobody would know.
            with trio.CancelScope(shield=True):
                return await self._place(key, session_id, effect)
            raise RuntimeError("nobody but us has the scope that was cancelled")

    async def attached(self, session: State) -> list[str]:
        """Return the live instances that the session is attached to, after any placement that is under way."""
        key = placement_key(self._context.policy, session)
        async with self._one_at_a_time(key):
            return [state.id for state in self._context.views.instances.alive(key) if session.id in state.sessions]

    @asynccontextmanager
    async def _one_at_a_time(self, key: str) -> AsyncGenerator[None]:
        lock = self._locks[key]
        try:
            async with lock:
                yield
        finally:
            if not lock.locked():
                self._locks.pop(key, None)

    async def _place(self, key: str, session_id: str, effect: AttachInstance) -> str:
        context = self._context
        cause = Cause(f"session:{session_id}", correlation_id=session_id)
        for state in context.views.instances.alive(key):
            attach = m.AttachSession(session_id, effect.directory, context.clock.now_ms())
            try:
                await context.peers.instances.ask(state.id, Deliver(attach, cause))
            except Rejected:  # it is stopping: look on
                continue
            return state.id
        instance_id = context.ids.uuid7()
        start = m.StartInstance(
            instance_id, key, effect.source_directory, session_id, effect.directory, context.clock.now_ms()
        )
        await context.peers.instances.ask(instance_id, Deliver(start, cause))
        return instance_id
