"""Recovers unfinished work when Fleet starts, and leaves no process behind when it stops.

At the start, every process with the marker of this data directory is checked: the effects of its instance adopt it, or
it is stopped. Then every aggregate with unfinished effects is activated, so that they run again (law 4). At an orderly
shutdown, no further session is placed and the instances on this machine are stopped (those on other hosts are adopted
by the next start): idle sessions become completed, working ones
disconnected. Processes that remain, because an instance was too slow or the disk is full, are stopped directly: no
process outlives the shutdown.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import structlog
import trio

from fleet.actors.context import Context
from fleet.actors.effects import workspace
from fleet.actors.effects.erasure import SessionErasure, is_ordered
from fleet.actors.effects.placement import Placement
from fleet.actors.runtime.aggregate import Deliver
from fleet.actors.upkeep.orphans import find_orphans
from fleet.core.instance.commands import StopInstance
from fleet.errors import Problem, Unavailable
from fleet.events.envelope import Cause
from fleet.limits import RECOVERY_BATCH, RECOVERY_PAUSE_S, SHUTDOWN_GRACE_S
from fleet.ports import LOCAL

_log = structlog.get_logger(__name__)


class Recovery:
    """Works at the start and at the shutdown. `run` fits a `ChildSpec` that comes after all actors."""

    def __init__(self, context: Context, placement: Placement, erasure: SessionErasure) -> None:
        self._context = context
        self._placement = placement
        self._erasure = erasure

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Continue unfinished work, wait, and stop all instances."""
        self._placement.open()
        await self._try("forget secrets", self._forget_secrets)
        await self._try("stop strangers", self._stop_strangers)
        await self._take_up()
        await self._finish_erasures()  # through the OpenCode processes that are taken up
        await self._try("forget workspaces", self._forget_workspaces)
        await self._try("name strays", self._name_strays)
        task_status.started()
        await stopping.wait()
        await self._placement.close()
        if not self._context.policy.leave_running:
            await self._stop_instances()
            await self._try("stop the rest", self._stop_rest)

    async def _try(self, step: str, work: Callable[[], Awaitable[object]]) -> None:
        """Do work that the next start can repeat: an error such as a full disk must not prevent a start or stop."""
        try:
            await work()
        except Problem as problem:
            _log.warning("recovery_incomplete", step=step, code=problem.code, detail=problem.detail)

    async def _finish_erasures(self) -> None:
        unfinished = [(session_id, self._erasure.erase) for session_id in self._erasure.unfinished()]
        erase_workspace = partial(workspace.erase_workspace, self._context)
        ordered = partial(is_ordered, self._context.log, "workspace")
        unfinished += [(each, erase_workspace) for each in self._context.views.workspaces.erasing if ordered(each)]
        for erased_id, erase in unfinished:
            try:
                await erase(erased_id)
            except Unavailable as unavailable:  # the next start continues it
                _log.warning("erasure_unfinished", id=erased_id, code=unavailable.code)

    async def _forget_workspaces(self) -> None:
        """Erase the workspaces and snapshots whose sessions are all erased: a crash came between the two."""
        used = {state.workspace_id for state in self._context.views.sessions}
        for state in list(self._context.views.workspaces):
            if state.id in used:
                continue
            await workspace.forget_trees(self._context, state.id)
            if state.spec is not None and state.spec.strategy != "existing":
                await workspace.forget_workspace(self._context, state.id, Cause())

    async def _forget_secrets(self) -> None:
        """Remove addresses and secrets that belong to no webhook. No caller can register one yet."""
        webhook_secrets, webhooks = self._context.webhook_secrets, self._context.views.webhooks
        for webhook_id in await webhook_secrets.kept():
            if webhooks.get(webhook_id) is None and webhook_id not in webhooks.damaged:
                await webhook_secrets.forget(webhook_id)

    async def _stop_strangers(self) -> None:
        """Stop marked processes that no instance uses: a crash interrupted their stop.

        Of an instance whose stream is damaged it is not known whether it is used.
        """
        instances = self._context.views.instances
        orphans = await find_orphans(self._context.local.opencode, instances.get)
        for instance_id in sorted({process.instance_id for process in orphans} - instances.damaged.keys()):
            _log.warning("process_without_instance_stopped", instance=instance_id)
            await self._context.local.opencode.stop(instance_id, None)

    async def _take_up(self) -> None:
        """Activate actors with unfinished effects, a few at a time, because each may use git and OpenCode at once."""
        actors, views = self._context.actors, self._context.views
        for registry, view in (
            (actors.workspaces, views.workspaces),
            (actors.instances, views.instances),
            (actors.sessions, views.sessions),
            (actors.webhooks, views.webhooks),
        ):
            for number, aggregate_id in enumerate(view.unfinished(), start=1):
                registry.activate(aggregate_id)
                if number % RECOVERY_BATCH == 0:
                    await trio.sleep(RECOVERY_PAUSE_S)

    async def _name_strays(self) -> None:
        """Log Fleet's directories that no workspace knows. They may contain work, so a person decides."""
        known = frozenset(state.id for state in self._context.views.workspaces)
        for stray in await self._context.local.workspaces.strays(known):
            _log.warning("stray_workspace_directory", directory=stray)

    async def _stop_instances(self) -> None:
        instances = self._context.views.instances
        stopping = [state.id for state in instances.alive() if state.host == LOCAL]
        with trio.move_on_after(SHUTDOWN_GRACE_S):
            async with trio.open_nursery() as nursery:
                for instance_id in stopping:
                    nursery.start_soon(self._stop_instance, instance_id)
                for state in instances:
                    if state.phase == "stopping" and state.host == LOCAL:
                        nursery.start_soon(self._await_end, state.id)

    async def _stop_rest(self) -> None:
        """Stop the remaining processes; the next start records that they have ended."""
        host = self._context.local.opencode
        left = sorted({process.instance_id for process in await host.find()})
        async with trio.open_nursery() as nursery:
            for instance_id in left:
                _log.warning("process_stopped_without_instance", instance=instance_id)
                nursery.start_soon(self._try, "stop the rest", partial(host.stop, instance_id, None))

    async def _stop_instance(self, instance_id: str) -> None:
        stop = StopInstance(reason="shutdown", at_ms=self._context.clock.now_ms())
        try:
            await self._context.actors.instances.ask(instance_id, Deliver(stop, Cause("policy:shutdown")))
        except Problem as problem:
            _log.warning("instance_not_stopped", instance=instance_id, code=problem.code, detail=problem.detail)
            return
        await self._await_end(instance_id)

    async def _await_end(self, instance_id: str) -> None:
        """Wait until the process has ended and all its sessions are notified."""
        await self._context.views.instances.wait(
            instance_id, lambda s: s.phase in ("stopped", "lost") and s.swept and not s.sessions
        )
