"""Clears what is left on other hosts when they answer: processes that the log does not place there, and directories of
workspaces that have moved to another host.

A directory goes only after its work is on the server's machine: what is newer there than what had been saved is kept
under `refs/fleet/returned/` and recorded with the workspace.
"""

import structlog

from fleet.actors.context import Context
from fleet.actors.effects.workspace import forget_workspace
from fleet.actors.runtime.aggregate import Deliver
from fleet.actors.upkeep.orphans import find_orphans
from fleet.core.instance.state import State as Instance
from fleet.core.workspace.commands import ReportLeftovers, WorkspaceCommand
from fleet.core.workspace.state import Leftover
from fleet.errors import Problem
from fleet.events.envelope import Cause
from fleet.ports import PreservedWork

_log = structlog.get_logger(__name__)

_CAUSE = Cause("policy:hosts")


class Leftovers:
    """Clears one host at a time."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on(self, host: str) -> list[tuple[str, Leftover]]:
        """Return what workspaces have left on the host, each with the workspace's id."""
        return [
            (state.id, left)
            for state in self._context.views.workspaces
            for left in state.left
            if left.spec.host == host and not self._runs_in(state.id, host)
        ]

    async def stop_strangers(self, host: str) -> None:
        """Stop the processes on the host that belong to none of its instances. Raises `Problem`."""
        views, opencode = self._context.views, self._context.at(host).opencode

        def here(instance_id: str) -> Instance | None:
            state = views.instances.get(instance_id)
            return None if state is None or state.host != host else state

        setups = {f"setup-{state.workspace_id}" for state in views.sessions if state.provisioning == "setup"}
        orphans = await find_orphans(opencode, here, setups)
        for instance_id in sorted({process.instance_id for process in orphans} - views.instances.damaged.keys()):
            _log.warning("process_without_instance_stopped", host=host, instance=instance_id)
            await opencode.stop(instance_id, None)

    async def remove(self, workspace_id: str, left: Leftover) -> None:
        """Keep what is newer in a directory, and remove it; a problem is logged, and the next call tries again."""
        name = left.spec.host
        try:
            kept = await self._remove(left)
            report = ReportLeftovers(host=name, kept=kept, at_ms=self._context.clock.now_ms())
            await self._context.actors.workspaces.ask(workspace_id, Deliver[WorkspaceCommand](report, _CAUSE))
            await forget_workspace(self._context, workspace_id, _CAUSE)
        except Problem as problem:
            _log.warning("leftovers_not_removed", host=name, workspace=workspace_id, detail=problem.detail)

    async def _remove(self, left: Leftover) -> PreservedWork | None:
        """Remove the directory, and return the work in it that is newer than what was saved."""
        host = self._context.at(left.spec.host)
        if not left.made:
            await host.workspaces.discard(left.spec)
            return None
        kept = await host.removals.keep(left.spec)
        await host.removals.remove(left.spec, kept)
        is_newer = kept.commit is not None and (left.saved is None or kept.commit != left.saved.commit)
        return kept if is_newer else None

    def _runs_in(self, workspace_id: str, host: str) -> bool:
        """Return whether a session may still use the workspace through a process of this host."""
        sessions = self._context.views.sessions
        return any(
            (session := sessions.get(each)) is not None and session.workspace_id == workspace_id
            for instance in self._context.views.instances
            if instance.host == host and instance.keeps_processes
            for each in instance.sessions
        )
