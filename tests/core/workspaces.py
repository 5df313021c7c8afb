"""Commands, events and histories of a workspace, with everything filled in that a test does not care about."""

from fleet.core.workspace.commands import (
    ClaimWorkspace,
    PrepareWorkspace,
    RemoveWorkspace,
    ReportPrepared,
    ReportPrepareFailed,
    ReportRemovalFailed,
    ReportRemoved,
    ReportRestored,
    ReportRestoreFailed,
    RestoreWorkspace,
)
from fleet.core.workspace.events import (
    Event,
    WorkPreserved,
    WorkspaceClaimed,
    WorkspaceFailed,
    WorkspaceReady,
    WorkspaceReleased,
    WorkspaceRemovalFailed,
    WorkspaceRemovalRequested,
    WorkspaceRemoved,
    WorkspaceRequested,
    WorkspaceRestoreRequested,
)
from fleet.ports import PreparedWorkspace, PreservedWork, WorkspaceSpec

AT = 1_700_000_000_000
ORDER = WorkspaceSpec("w1", "worktree", "/src", "/trees/w1", "fleet/title", "main")
PREPARED = PreparedWorkspace("/trees/w1", "/src/.git", "fleet/title", "c0ffee")


def prepare(session: str = "s1", order: WorkspaceSpec = ORDER) -> PrepareWorkspace:
    return PrepareWorkspace(order, session, AT)


def claim(session: str) -> ClaimWorkspace:
    return ClaimWorkspace(session, AT)


def remove(session: str = "s1", claims: int = 1) -> RemoveWorkspace:
    return RemoveWorkspace((session,), claims, AT)


def released(session: str = "s1") -> WorkspaceReleased:
    return WorkspaceReleased(session, AT)


def claimed(session: str) -> WorkspaceClaimed:
    return WorkspaceClaimed(session, AT)


REQUESTED = WorkspaceRequested(ORDER, AT)
PREPARING: tuple[Event, ...] = (REQUESTED, claimed("s1"))
READY: tuple[Event, ...] = (*PREPARING, WorkspaceReady(PREPARED, AT))
FAILED: tuple[Event, ...] = (*PREPARING, WorkspaceFailed("git_failed", "no space", AT))
DONE = ReportPrepared(PREPARED, AT)
BROKE = ReportPrepareFailed("git_failed", "no space", AT)

GIVEN = WorkspaceSpec("w1", "existing", "/src", "/src", None, None)
"""A directory that was there before Fleet."""
KEPT = PreservedWork("refs/fleet/kept/w1", "beef", "fleet/title", "c0ffee", ("node_modules/",))
RESTORE = RestoreWorkspace(AT)
REMOVAL = WorkspaceRemovalRequested(AT)
REMOVING: tuple[Event, ...] = (*READY, released(), REMOVAL)
REMOVED: tuple[Event, ...] = (*REMOVING, WorkPreserved(KEPT, AT), WorkspaceRemoved(AT))
RESTORING: tuple[Event, ...] = (*REMOVED, WorkspaceRestoreRequested(AT))
NOT_REMOVED: tuple[Event, ...] = (*REMOVING, WorkspaceRemovalFailed("workspace_busy", "pid 7 works there", AT))
GONE = ReportRemoved(AT)
STAYS = ReportRemovalFailed("workspace_busy", "pid 7 works there", AT)
BACK = ReportRestored(AT)
NOT_BACK = ReportRestoreFailed("git_failed", "no space", AT)
