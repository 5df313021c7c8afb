"""Saves the work of workspaces on other hosts: it is copied to the server's machine before a turn is reported as ended.

So no work that was reported as done is lost with a host. What was committed, and the files as they are, are in the
source's repository under a ref of Fleet's; the workspace records which.
"""

from functools import partial

import structlog

from fleet.actors.context import Context
from fleet.actors.runtime.aggregate import Deliver
from fleet.actors.runtime.causation import cause_here
from fleet.actors.runtime.retry import Patience, persist
from fleet.core.workspace.commands import ReportSaved, WorkspaceCommand
from fleet.errors import Problem
from fleet.limits import SAVE_REFUSED_S, TURN_RECHECK_S
from fleet.ports import LOCAL

_log = structlog.get_logger(__name__)


async def save_session(context: Context, session_id: str) -> None:
    """Save the session's workspace. A refusal by git is logged, and delays nothing."""
    session = context.views.sessions.get(session_id)
    try:
        if session is not None:
            await save(context, session.workspace_id)
    except Problem as problem:
        _log.error("work_not_saved", session=session_id, code=problem.code, detail=problem.detail)


async def save(context: Context, workspace_id: str) -> None:
    """Save the workspace, and record it; a host that does not answer is waited for. Does nothing on `local`.

    Raises `Problem` if git refuses for longer than `SAVE_REFUSED_S`.
    """
    state = context.views.workspaces.get(workspace_id)
    if state is None or state.spec is None or state.spec.host == LOCAL or state.phase != "ready":
        return
    keep = partial(context.at(state.spec.host).removals.keep, state.spec)
    patience = Patience("work_not_saved", refused_s=SAVE_REFUSED_S, workspace=workspace_id)
    saved = await persist(keep, patience, every_s=TURN_RECHECK_S)
    report = ReportSaved(saved=saved, host=state.spec.host, at_ms=context.clock.now_ms())
    deliver = Deliver[WorkspaceCommand](report, cause_here(f"workspace:{workspace_id}"))
    await context.actors.workspaces.ask(workspace_id, deliver)
