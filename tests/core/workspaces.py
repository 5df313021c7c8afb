"""Commands, events and histories of a workspace, with everything filled in that a test does not care about."""

from fleet.core.workspace import messages as m
from fleet.ports import PreparedWorkspace, WorkspaceOrder

AT = 1_700_000_000_000
ORDER = WorkspaceOrder("w1", "worktree", "/src", "/trees/w1", "fleet/title", "main")
PREPARED = PreparedWorkspace("/trees/w1", "/src/.git", "fleet/title", "c0ffee")


def prepare(session: str = "s1", order: WorkspaceOrder = ORDER) -> m.PrepareWorkspace:
    return m.PrepareWorkspace(order, session, AT)


def claim(session: str) -> m.ClaimWorkspace:
    return m.ClaimWorkspace(session, AT)


def claimed(session: str) -> m.WorkspaceClaimed:
    return m.WorkspaceClaimed(session, AT)


REQUESTED = m.WorkspaceRequested(ORDER, AT)
PREPARING: tuple[m.Event, ...] = (REQUESTED, claimed("s1"))
READY: tuple[m.Event, ...] = (*PREPARING, m.WorkspaceReady(PREPARED, AT))
FAILED: tuple[m.Event, ...] = (*PREPARING, m.WorkspaceFailed("git_failed", "no space", AT))
DONE = m.ReportPrepared(PREPARED, AT)
BROKE = m.ReportPrepareFailed("git_failed", "no space", AT)
