"""Commands, events and histories of a workspace, with everything filled in that a test does not care about."""

from msgspec.structs import replace

from fleet.core.workspace.commands import (
    ClaimWorkspace,
    MoveWorkspace,
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
    WorkPreserved,
    WorkspaceClaimed,
    WorkspaceEvent,
    WorkspaceFailed,
    WorkspaceMoved,
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
ELSEWHERE = WorkspaceSpec("w1", "worktree", "/src", "/trees/w1", "fleet/title", "main", host="n1")
PREPARED = PreparedWorkspace("/trees/w1", "/src/.git", "fleet/title", "c0ffee")


def prepare(session: str = "s1", spec: WorkspaceSpec = ORDER) -> PrepareWorkspace:
    return PrepareWorkspace(spec=spec, session_id=session, at_ms=AT)


def claim(session: str) -> ClaimWorkspace:
    return ClaimWorkspace(session_id=session, at_ms=AT)


def move(source: str = "n1", host: str = "n2", claims: int = 1) -> MoveWorkspace:
    return MoveWorkspace(source=source, host=host, claims=claims, evidence="n1 is lost", at_ms=AT)


def moved(host: str = "n2") -> WorkspaceMoved:
    return WorkspaceMoved(spec=replace(ELSEWHERE, host=host), evidence="n1 is lost", at_ms=AT)


def remove(session: str = "s1", claims: int = 1) -> RemoveWorkspace:
    return RemoveWorkspace(session_ids=(session,), claims=claims, at_ms=AT)


def released(session: str = "s1") -> WorkspaceReleased:
    return WorkspaceReleased(session_id=session, at_ms=AT)


def claimed(session: str) -> WorkspaceClaimed:
    return WorkspaceClaimed(session_id=session, at_ms=AT)


REQUESTED = WorkspaceRequested(spec=ORDER, at_ms=AT)
PREPARING: tuple[WorkspaceEvent, ...] = (REQUESTED, claimed("s1"))
READY: tuple[WorkspaceEvent, ...] = (*PREPARING, WorkspaceReady(prepared=PREPARED, at_ms=AT))
FAILED: tuple[WorkspaceEvent, ...] = (*PREPARING, WorkspaceFailed(code="git_failed", detail="no space", at_ms=AT))
AWAY: tuple[WorkspaceEvent, ...] = (
    WorkspaceRequested(spec=ELSEWHERE, at_ms=AT),
    claimed("s1"),
    WorkspaceReady(prepared=PREPARED, at_ms=AT),
)
"""Ready on the host `n1`."""
DONE = ReportPrepared(prepared=PREPARED, at_ms=AT)
BROKE = ReportPrepareFailed(code="git_failed", detail="no space", at_ms=AT)

GIVEN = WorkspaceSpec("w1", "existing", "/src", "/src", None, None)
"""A directory that was there before Fleet."""
KEPT = PreservedWork("refs/fleet/kept/w1", "beef", "fleet/title", "c0ffee", ("node_modules/",))
RESTORE = RestoreWorkspace(at_ms=AT)
REMOVAL = WorkspaceRemovalRequested(at_ms=AT)
REMOVING: tuple[WorkspaceEvent, ...] = (*READY, released(), REMOVAL)
REMOVED: tuple[WorkspaceEvent, ...] = (*REMOVING, WorkPreserved(kept=KEPT, at_ms=AT), WorkspaceRemoved(at_ms=AT))
RESTORING: tuple[WorkspaceEvent, ...] = (*REMOVED, WorkspaceRestoreRequested(at_ms=AT))
NOT_REMOVED: tuple[WorkspaceEvent, ...] = (
    *REMOVING,
    WorkspaceRemovalFailed(code="workspace_busy", detail="pid 7 works there", at_ms=AT),
)
GONE = ReportRemoved(at_ms=AT)
STAYS = ReportRemovalFailed(code="workspace_busy", detail="pid 7 works there", at_ms=AT)
BACK = ReportRestored(at_ms=AT)
NOT_BACK = ReportRestoreFailed(code="git_failed", detail="no space", at_ms=AT)
