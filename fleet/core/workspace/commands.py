"""The commands to a workspace: what callers ask, and what its own effects report. Times are Unix milliseconds."""

from fleet.core.messages import Command
from fleet.ports import Fault, PreparedWorkspace, PreservedWork, Recipe, WorkspaceSpec


class PrepareWorkspace(Command, frozen=True, kw_only=True):
    """Create the workspace for the session. If it is ready or being created, only the session's claim is added."""

    spec: WorkspaceSpec
    session_id: str


class ClaimWorkspace(Command, frozen=True, kw_only=True):
    """Claim the workspace for a session; a failed workspace is retried."""

    session_id: str


class ReportPrepared(Command, frozen=True, kw_only=True):
    """The workspace is ready."""

    prepared: PreparedWorkspace


class ReportPrepareFailed(Command, frozen=True, kw_only=True):
    """The workspace could not be created, and nothing of it is left; `code` is a problem code."""

    code: str
    detail: str


class ReportFault(Command, frozen=True, kw_only=True):
    """The checkout of a ready workspace has this fault; None: it has none."""

    fault: Fault | None


class RemoveWorkspace(Command, frozen=True, kw_only=True):
    """Release the workspace for these sessions; a worktree or clone that no other session claims is removed.

    It remains if there are `guests`: sessions with their own workspaces that use its directory. Nothing happens if its
    number of `claims` differs: a session may have been resumed since the caller decided.
    """

    session_ids: tuple[str, ...]
    claims: int
    guests: bool = False


class EditWorkspace(Command, frozen=True, kw_only=True):
    """Set the title of the workspace; None removes it."""

    title: str | None


class LeasePorts(Command, frozen=True, kw_only=True):
    """Lease these ports of the loopback address to the workspace, unless it has ports."""

    first: int
    count: int


class RecordSetup(Command, frozen=True, kw_only=True):
    """Its set-up has begun, or with `complete` has succeeded.

    Its teardown is this recipe's, which is allowed in `repository`.
    """

    repository: str | None
    recipe: Recipe
    complete: bool


class ReportTornDown(Command, frozen=True, kw_only=True):
    """Its teardown has ended, with or without success."""

    exit_code: int | None
    detail: str
    output: str


class RelocateWorkspace(Command, frozen=True, kw_only=True):
    """Let the workspace be where these say, because the data directory was restored in another place."""

    spec: WorkspaceSpec
    prepared: PreparedWorkspace | None


class MoveWorkspace(Command, frozen=True, kw_only=True):
    """Make the workspace on another host than `source`, from the work that was saved last; `evidence` says why.

    Nothing happens if it is no longer on `source`, or if its number of `claims` differs: a session may have been
    resumed there since the caller decided.
    """

    source: str
    host: str
    claims: int
    evidence: str


class ReportLeftovers(Command, frozen=True, kw_only=True):
    """What the workspace had left on a host is removed there; `kept` is work that was newer than what was saved."""

    host: str
    kept: PreservedWork | None


class RebindWorkspace(Command, frozen=True, kw_only=True):
    """The source of the workspace is in this real directory now."""

    source_directory: str


class RestoreWorkspace(Command, frozen=True, kw_only=True):
    """Restore a removed workspace."""


class EraseWorkspace(Command, frozen=True, kw_only=True):
    """Erase what the log holds of a workspace that is gone and that no session has any more."""


class ReportPreserved(Command, frozen=True, kw_only=True):
    """Everything that existed only in the workspace is preserved, so it may be removed."""

    kept: PreservedWork


class ReportSaved(Command, frozen=True, kw_only=True):
    """The work in the workspace on this host was saved on the server's machine, and continues there."""

    saved: PreservedWork
    host: str


class ReportRemoved(Command, frozen=True, kw_only=True):
    """The workspace is removed; with `left` its host is lost, and still has its directory."""

    left: bool = False


class ReportRemovalFailed(Command, frozen=True, kw_only=True):
    """The workspace could not be removed and is unchanged; `code` is a problem code."""

    code: str
    detail: str


class ReportRestored(Command, frozen=True, kw_only=True):
    """The workspace is restored."""


class ReportRestoreFailed(Command, frozen=True, kw_only=True):
    """The workspace could not be restored; its preserved work is still there."""

    code: str
    detail: str


WorkspaceCommand = (
    PrepareWorkspace
    | ClaimWorkspace
    | ReportPrepared
    | ReportPrepareFailed
    | ReportFault
    | RemoveWorkspace
    | EditWorkspace
    | LeasePorts
    | RecordSetup
    | ReportTornDown
    | MoveWorkspace
    | ReportLeftovers
    | RebindWorkspace
    | RelocateWorkspace
    | RestoreWorkspace
    | EraseWorkspace
    | ReportPreserved
    | ReportSaved
    | ReportRemoved
    | ReportRemovalFailed
    | ReportRestored
    | ReportRestoreFailed
)
