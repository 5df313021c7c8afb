"""Chooses the instance that a session runs in: the policy, as a value, and the one place that applies it.

Sessions with the same key share a process. `shared`: one key per source repository, a key of its own for each clone;
`directory`: one key per directory.
"""

from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractContextManager, contextmanager

import trio

from fleet.actors.context import Context
from fleet.actors.runtime.aggregate import Deliver
from fleet.actors.runtime.causation import cause_here
from fleet.core.instance.commands import AttachSession, StartInstance
from fleet.core.instance.state import State as Instance
from fleet.core.session.effects import AttachInstance
from fleet.core.session.state import State
from fleet.errors import Problem, Rejected, Unavailable
from fleet.keyed_locks import Locks
from fleet.limits import INSTANCE_QUEUE_MAX, INSTANCE_QUEUE_POLL_S, INSTANCE_QUEUE_RETRY_S, INSTANCE_QUEUE_S, MIB
from fleet.ports import LOCAL

Delayed = Callable[[str], Awaitable[None]]
"""Reports why a placement has to wait."""


def placement_key(policy: str, session: AttachInstance | State, host: str) -> str:
    """Return the key of the instance that the session shares on its host."""
    strategy = session.settings.strategy if isinstance(session, State) else session.strategy
    where = "" if host == LOCAL else f"{host}:"
    if policy == "directory" or strategy == "clone":
        return f"{where}directory:{session.directory}"
    return f"{where}repository:{session.source_repository or session.directory}"


class Placement:
    """Finds or starts an instance, one decision per key at a time."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._locks = Locks()
        self._line = trio.StrictFIFOLock()
        self._placing = trio.Lock()
        self._reserved: set[str] = set()
        self._closed = False

    def open(self) -> None:
        """Place sessions from now on."""
        self._closed = False

    async def close(self) -> None:
        """Stop placing sessions, at shutdown. Return when running placements are in the views."""
        self._closed = True
        async with self._placing:
            pass

    async def place(self, session_id: str, effect: AttachInstance, delayed: Delayed) -> str:
        """Attach the session to an instance and return its id; idempotent, the instance may still be starting.

        If no further process may be started yet, it waits in a queue and reports that by `delayed(reason)`. Raises
        `Unavailable` overloaded if that takes too long. After `close` it waits until it is cancelled: the order is in
        the log, so the session is placed after the next start of Fleet.
        """
        host = self._host(session_id)
        key = placement_key(self._context.policy.sharing, effect, host)
        async with self._locks.hold(key):
            # A cancelled placement could leave the session attached without a record of it.
            with await self._room(host, key, delayed), trio.CancelScope(shield=True):
                async with self._placing:
                    if not self._closed:
                        return await self._place(host, key, session_id, effect)
            return await trio.sleep_forever()

    async def attached(self, session: State) -> list[str]:
        """Return the live instances that the session is attached to, after any placement that is under way.

        A session that waits in the queue for a process is not attached; its end does not wait for that.
        """
        key = self._key(session)
        async with self._placing:
            return [state.id for state in self._context.views.instances.alive(key) if session.id in state.sessions]

    def shared_with(self, session: State) -> Instance | None:
        """Return the instance that the session would share if it were placed now; None if one would be started."""
        usable = self._usable(self._key(session), session.id)
        return usable[0] if usable else None

    def _host(self, session_id: str) -> str:
        """Return the host of the session's workspace."""
        session = self._context.views.sessions.get(session_id)
        return LOCAL if session is None else self._context.host_of(session.workspace_id).name

    def _key(self, session: State) -> str:
        return placement_key(self._context.policy.sharing, session, self._host(session.id))

    @contextmanager
    def _reservation(self, key: str) -> Generator[None]:
        """Reserve room for a process until it is in the views. The caller must enter it without a checkpoint."""
        self._reserved.add(key)
        try:
            yield
        finally:
            self._reserved.discard(key)

    async def _room(self, host: str, key: str, delayed: Delayed) -> AbstractContextManager[None]:
        """Wait until a process may be started, in order of arrival, unless one can be shared; then reserve room."""
        if host != LOCAL:  # the session has room there: its reservation is the limit
            return self._reservation(key)
        reason = self._shortage(key) or self._line_ahead(key)
        if reason is None:
            return self._reservation(key)
        if self._line.statistics().tasks_waiting >= INSTANCE_QUEUE_MAX:
            raise Unavailable(
                "overloaded",
                f"{reason}, and {INSTANCE_QUEUE_MAX} sessions wait already",
                retry_after_s=INSTANCE_QUEUE_RETRY_S,
            )
        await delayed(f"waits in line for a process: {reason}")
        with trio.move_on_after(INSTANCE_QUEUE_S):
            async with self._line:
                while (shortage := self._shortage(key)) is not None:
                    reason = shortage
                    await trio.sleep(INSTANCE_QUEUE_POLL_S)
                return self._reservation(key)
        raise Unavailable("overloaded", f"no process could be started: {reason}", retry_after_s=INSTANCE_QUEUE_RETRY_S)

    def _line_ahead(self, key: str) -> str | None:
        """Return a reason if other sessions wait for room; None if none does or no room is needed."""
        needs_none = bool(self._context.views.instances.alive(key))
        return "others wait already" if self._line.locked() and not needs_none else None

    def _shortage(self, key: str) -> str | None:
        """Return why no further process may be started; None if one may, or if one can be shared."""
        policy, instances = self._context.policy, self._context.views.instances
        alive = [state for state in instances.alive() if state.host == LOCAL]
        keys = [state.key for state in alive if state.phase != "unreachable"]
        if key in keys:
            return None
        leaving = sum(
            state.phase == "stopping" and state.host == LOCAL for state in instances
        )  # their processes still run
        count = len(alive) + leaving + len(self._reserved.difference(keys))
        if count >= policy.instances_max:
            return f"{count} OpenCode processes run, which is the limit"
        if alive and self._context.local.opencode.free_memory_bytes() < policy.memory_free_bytes_min:
            return f"less than {policy.memory_free_bytes_min // MIB} MiB of memory are free"
        return None

    def _usable(self, key: str, session_id: str) -> list[Instance]:
        """Return the instances that the session may share; an unresponsive one only if it is attached already."""
        alive = self._context.views.instances.alive(key)
        return [state for state in alive if state.phase != "unreachable" or session_id in state.sessions]

    async def _start_in(self, host: str, session_id: str, effect: AttachInstance) -> str:
        """Return the directory where a process starts: the source, or the workspace if the source is not there."""
        if host != LOCAL:
            return effect.directory
        session = self._context.views.sessions.get(session_id)
        workspace = None if session is None else self._context.views.workspaces.get(session.workspace_id)
        spec = None if workspace is None else workspace.spec
        source = effect.source_directory if spec is None else spec.source_directory
        try:
            return (await self._context.local.workspaces.inspect(source)).directory
        except Problem:
            return effect.directory

    async def _place(self, host: str, key: str, session_id: str, effect: AttachInstance) -> str:
        context = self._context
        cause = cause_here(f"session:{session_id}")
        for state in self._usable(key, session_id):
            attach = AttachSession(session_id=session_id, directory=effect.directory, at_ms=context.clock.now_ms())
            try:
                await context.actors.instances.ask(state.id, Deliver(attach, cause))
            except Rejected:  # it is stopping: try the next one
                continue
            return state.id
        instance_id, start_in = context.ids.uuid7(), await self._start_in(host, session_id, effect)
        start = StartInstance(
            instance_id=instance_id,
            key=key,
            directory=start_in,
            session_id=session_id,
            session_directory=effect.directory,
            host=host,
            at_ms=context.clock.now_ms(),
        )
        await context.actors.instances.ask(instance_id, Deliver(start, cause))
        return instance_id
