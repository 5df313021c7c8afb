"""Carries out what a workspace's events order: prepare it, or take away what a failed attempt left."""

import structlog

from fleet.actors.aggregate import Report
from fleet.actors.context import Context
from fleet.core.workspace import machine
from fleet.core.workspace import messages as m
from fleet.errors import Problem

_log = structlog.get_logger(__name__)


class WorkspaceEffects:
    """The effects of all workspaces."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def perform(self, _: str, effect: machine.Effect, report: Report[m.Command]) -> None:
        """Prepare the workspace and report."""
        workspaces, clock = self._context.workspaces, self._context.clock
        try:
            prepared = await workspaces.prepare(effect.order)
        except Problem as problem:
            await self._discard(effect)
            await report(m.ReportPrepareFailed(problem.code, problem.detail, clock.now_ms()))
            return
        await report(m.ReportPrepared(prepared, clock.now_ms()))

    async def _discard(self, effect: machine.Effect) -> None:
        try:
            await self._context.workspaces.discard(effect.order)
        except Problem as problem:  # the next attempt, or the next start, finds it again
            _log.warning("workspace_not_discarded", workspace=effect.order.workspace_id, detail=problem.detail)
