"""Commands, events and histories of a workspace, with everything filled in that a test does not care about."""

from fleet.core.workspace import messages as m
from fleet.ports import Kept, PreparedWorkspace, WorkspaceOrder

AT = 1_700_000_000_000
ORDER = WorkspaceOrder("w1", "worktree", "/src", "/trees/w1", "fleet/title", "main")
PREPARED = PreparedWorkspace("/trees/w1", "/src/.git", "fleet/title", "c0ffee")


def prepare(session: str = "s1", order: WorkspaceOrder = ORDER) -> m.PrepareWorkspace:
    return m.PrepareWorkspace(order, session, AT)


def claim(session: str) -> m.ClaimWorkspace:
    return m.ClaimWorkspace(session, AT)


def remove(session: str = "s1", claims: int = 1) -> m.RemoveWorkspace:
    return m.RemoveWorkspace((session,), claims, AT)


def released(session: str = "s1") -> m.WorkspaceReleased:
    return m.WorkspaceReleased(session, AT)


def claimed(session: str) -> m.WorkspaceClaimed:
    return m.WorkspaceClaimed(session, AT)


REQUESTED = m.WorkspaceRequested(ORDER, AT)
PREPARING: tuple[m.Event, ...] = (REQUESTED, claimed("s1"))
READY: tuple[m.Event, ...] = (*PREPARING, m.WorkspaceReady(PREPARED, AT))
FAILED: tuple[m.Event, ...] = (*PREPARING, m.WorkspaceFailed("git_failed", "no space", AT))
DONE = m.ReportPrepared(PREPARED, AT)
BROKE = m.ReportPrepareFailed("git_failed", "no space", AT)

GIVEN = WorkspaceOrder("w1", "existing", "/src", "/src", None, None)
"""A directory that was there before Fleet."""
KEPT = Kept("refs/fleet/kept/w1", "beef", "fleet/title", "c0ffee", ("node_modules/",))
RESTORE = m.RestoreWorkspace(AT)
REMOVAL = m.WorkspaceRemovalRequested(AT)
REMOVING: tuple[m.Event, ...] = (*READY, released(), REMOVAL)
REMOVED: tuple[m.Event, ...] = (*REMOVING, m.WorkspaceKept(KEPT, AT), m.WorkspaceRemoved(AT))
RESTORING: tuple[m.Event, ...] = (*REMOVED, m.WorkspaceRestoreRequested(AT))
NOT_REMOVED: tuple[m.Event, ...] = (*REMOVING, m.WorkspaceRemovalFailed("workspace_busy", "pid 7 works there", AT))
GONE = m.ReportRemoved(AT)
STAYS = m.ReportRemovalFailed("workspace_busy", "pid 7 works there", AT)
BACK = m.ReportRestored(AT)
NOT_BACK = m.ReportRestoreFailed("git_failed", "no space", AT)
