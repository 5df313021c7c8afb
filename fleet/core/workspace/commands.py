"""The commands to a workspace: what callers ask, and what its own effects report. Times are Unix milliseconds."""

from fleet.core.messages import Command
from fleet.ports import Fault, PreparedWorkspace, PreservedWork, Recipe, WorkspaceSpec


class PrepareWorkspace(Command, frozen=True, kw_only=True):
    """Make the workspace and let the session use it. Where it is being made or ready, only the claim is added."""

    order: WorkspaceSpec
    session_id: str


class ClaimWorkspace(Command, frozen=True, kw_only=True):
    """Let a session use the workspace; one that failed is tried again."""

    session_id: str


class ReportPrepared(Command, frozen=True, kw_only=True):
    """It is there."""

    prepared: PreparedWorkspace


class ReportPrepareFailed(Command, frozen=True, kw_only=True):
    """It could not be made, and nothing of it is left; `code` is a problem code."""

    code: str
    detail: str


class ReportFault(Command, frozen=True, kw_only=True):
    """Report what is wrong with the checkout of a workspace that is ready; for None, nothing is."""

    fault: Fault | None


class RemoveWorkspace(Command, frozen=True, kw_only=True):
    """These sessions do not need it any more; a worktree or clone that no other session claims is removed.

    With `guests`, sessions that build on its directory by workspaces of their own, it stays. Nothing happens where
    there have been other than these `claims`: the session may have been resumed since somebody decided this.
    """

    session_ids: tuple[str, ...]
    claims: int
    guests: bool = False


class EditWorkspace(Command, frozen=True, kw_only=True):
    """Give the workspace a title, or with None none."""

    title: str | None


class LeasePorts(Command, frozen=True, kw_only=True):
    """Give it these ports of the loopback address, unless it has some."""

    first: int
    count: int


class RecordSetup(Command, frozen=True, kw_only=True):
    """Its set-up has begun, or with `complete` has done its work.

    Its teardown is this recipe's, which is allowed in `repository`.
    """

    repository: str | None
    recipe: Recipe
    complete: bool


class ReportTornDown(Command, frozen=True, kw_only=True):
    """Its teardown is over, whatever came of it."""

    exit_code: int | None
    detail: str
    output: str


class RebindWorkspace(Command, frozen=True, kw_only=True):
    """The source of the workspace is in this real directory now."""

    source_directory: str


class RestoreWorkspace(Command, frozen=True, kw_only=True):
    """Bring a removed workspace back."""


class ReportPreserved(Command, frozen=True, kw_only=True):
    """What is only in the workspace is kept; now it may go."""

    kept: PreservedWork


class ReportRemoved(Command, frozen=True, kw_only=True):
    """It is gone."""


class ReportRemovalFailed(Command, frozen=True, kw_only=True):
    """It could not be removed and is as it was; `code` is a problem code."""

    code: str
    detail: str


class ReportRestored(Command, frozen=True, kw_only=True):
    """It is there again."""


class ReportRestoreFailed(Command, frozen=True, kw_only=True):
    """It could not be brought back; what was kept is still kept."""

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
    | RebindWorkspace
    | RestoreWorkspace
    | ReportPreserved
    | ReportRemoved
    | ReportRemovalFailed
    | ReportRestored
    | ReportRestoreFailed
)
