"""Checks that workspaces still exist: a person may delete a directory, or move the repository of a worktree.

OpenCode continues in a missing directory: it creates an empty one in its place. So each workspace is checked before a
prompt and after a turn, and every workspace in use is checked periodically.
"""

import math

import structlog
import trio

from fleet.actors.context import Context
from fleet.actors.runtime.aggregate import Deliver
from fleet.core.workspace.commands import ReportFault, WorkspaceCommand
from fleet.core.workspace.faults import described
from fleet.core.workspace.state import State
from fleet.errors import Problem
from fleet.events.envelope import Cause
from fleet.limits import LOOKS_REMEMBERED_MAX, WORKSPACE_LOOK_S, WORKSPACE_SWEEP_S
from fleet.ports import LOCAL

_log = structlog.get_logger(__name__)


async def look(context: Context, workspace_id: str) -> State | None:
    """Check the workspace's checkout and return its state; a change is logged first."""
    state = context.views.workspaces.get(workspace_id)
    if state is None or state.phase != "ready" or state.spec is None:
        return state
    try:
        began_s = trio.current_time()
        fault = await context.at(state.spec.host).workspaces.fault(state.spec)
        _remember(context, workspace_id, began_s)
        if fault == state.fault:
            return state
        report = Deliver[WorkspaceCommand](
            ReportFault(fault=fault, at_ms=context.clock.now_ms()), Cause("policy:workspace-checks")
        )
        return (await context.actors.workspaces.ask(workspace_id, report)).state
    except Problem as problem:  # without a result nothing is recorded
        _log.warning("workspace_not_looked_at", workspace=workspace_id, code=problem.code, detail=problem.detail)
        return state


async def missing(context: Context, session_id: str, *, again: bool = True) -> str | None:
    """Check the workspace of a session. Return a sentence if it is missing, else None.

    Without `again`, a check of the last `WORKSPACE_LOOK_S` counts on another host, where each takes a call.
    """
    session = context.views.sessions.get(session_id)
    if session is not None and not again and _is_fresh(context, session.workspace_id):
        workspace = context.views.workspaces.get(session.workspace_id)
    else:
        workspace = None if session is None else await look(context, session.workspace_id)
    return described(workspace) if workspace is not None and workspace.fault == "missing" else None


def _is_fresh(context: Context, workspace_id: str) -> bool:
    looked_s = context.looked_s.get(workspace_id, -math.inf)
    is_near = context.host_of(workspace_id).name == LOCAL
    return not is_near and trio.current_time() - looked_s <= WORKSPACE_LOOK_S


def _remember(context: Context, workspace_id: str, looked_s: float) -> None:
    context.looked_s.pop(workspace_id, None)
    context.looked_s[workspace_id] = looked_s
    if len(context.looked_s) > LOOKS_REMEMBERED_MAX:
        del context.looked_s[next(iter(context.looked_s))]


class WorkspaceChecks:
    """Checks the workspaces of all sessions that have not ended. `run` fits a `ChildSpec`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(self, stopping: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Check every `WORKSPACE_SWEEP_S` seconds until `stopping`."""
        task_status.started()
        while not stopping.is_set():
            with trio.move_on_after(WORKSPACE_SWEEP_S):
                await stopping.wait()
            used = {state.workspace_id for state in self._context.views.sessions if state.ended_at_ms is None}
            for workspace_id in sorted(used):
                if stopping.is_set():
                    return
                await look(self._context, workspace_id)
