"""Makes an OpenCode process release what it holds for a directory in which no session works any more.

The release aborts everything that runs in the directory, so Fleet does it only if nothing runs there. A prompt that
comes meanwhile waits until it is over: OpenCode responds at once, and takes its time.
"""

import structlog
import trio

from fleet.actors.context import Context
from fleet.core.instance.state import OVER
from fleet.errors import Problem
from fleet.limits import DIRECTORY_RELEASE_S

_log = structlog.get_logger(__name__)


class DirectoryReleases:
    """The releases of directories by all processes."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._until_s: dict[tuple[str, str], float] = {}

    async def left(self, instance_id: str, directory: str) -> None:
        """Release the directory that a session has left, if the process continues and no other session works there."""
        if not self._is_unused(instance_id, directory):
            return
        await self._release(instance_id, directory)
        await self._end_remnants(instance_id, directory)

    async def _end_remnants(self, instance_id: str, directory: str) -> None:
        """Stop processes of the session's tools that still run in its own worktree or clone."""
        if self._context.views.workspaces.is_shared(directory) or not self._is_unused(instance_id, directory):
            return
        if pids := await self._context.host_of_instance(instance_id).opencode.end_in(directory, instance_id):
            _log.info("remnants_ended", instance=instance_id, directory=directory, pids=pids)

    async def _release(self, instance_id: str, directory: str) -> None:
        client = self._context.connections.current(instance_id)
        if client is None:
            return
        try:
            if await client.statuses(directory) or not self._is_unused(instance_id, directory):
                return
            now_s = trio.current_time()
            self._until_s = {key: until_s for key, until_s in self._until_s.items() if until_s > now_s}
            self._until_s[instance_id, directory] = now_s + DIRECTORY_RELEASE_S
            await client.dispose(directory)
        except Problem as problem:  # the memory is freed when the process ends
            _log.info("directory_not_released", instance=instance_id, code=problem.code)

    async def wait_over(self, instance_id: str, directory: str) -> None:
        """Wait until a prompt may be sent."""
        until_s = self._until_s.get((instance_id, directory))
        if until_s is not None:
            await trio.sleep_until(until_s)

    def _is_unused(self, instance_id: str, directory: str) -> bool:
        instance = self._context.views.instances.get(instance_id)
        if instance is None or instance.phase in OVER or not instance.sessions:
            return False
        others = (self._context.views.sessions.get(session_id) for session_id in instance.sessions)
        return all(other is not None and other.directory != directory for other in others)
