"""The commands to a workspace: what callers ask, and what its own effects report. Times are Unix milliseconds."""

import msgspec

from fleet.ports import Fault, PreparedWorkspace, PreservedWork, Recipe, WorkspaceSpec


class PrepareWorkspace(msgspec.Struct, frozen=True):
    """Make the workspace and let the session use it. Where it is being made or ready, only the claim is added."""

    order: WorkspaceSpec
    session_id: str
    at_ms: int


class ClaimWorkspace(msgspec.Struct, frozen=True):
    """Let a session use the workspace; one that failed is tried again."""

    session_id: str
    at_ms: int


class ReportPrepared(msgspec.Struct, frozen=True):
    """It is there."""

    prepared: PreparedWorkspace
    at_ms: int


class ReportPrepareFailed(msgspec.Struct, frozen=True):
    """It could not be made, and nothing of it is left; `code` is a problem code."""

    code: str
    detail: str
    at_ms: int


class ReportFault(msgspec.Struct, frozen=True):
    """Report what is wrong with the checkout of a workspace that is ready; for None, nothing is."""

    fault: Fault | None
    at_ms: int


class RemoveWorkspace(msgspec.Struct, frozen=True):
    """These sessions do not need it any more; a worktree or clone that no other session claims is removed.

    With `guests`, sessions that build on its directory by workspaces of their own, it stays. Nothing happens where
    there have been other than these `claims`: the session may have been resumed since somebody decided this.
    """

    session_ids: tuple[str, ...]
    claims: int
    at_ms: int
    guests: bool = False


class EditWorkspace(msgspec.Struct, frozen=True):
    """Give the workspace a title, or with None none."""

    title: str | None
    at_ms: int


class LeasePorts(msgspec.Struct, frozen=True):
    """Give it these ports of the loopback address, unless it has some."""

    first: int
    count: int
    at_ms: int


class RecordSetup(msgspec.Struct, frozen=True):
    """Its set-up has begun, or with `complete` has done its work.

    Its teardown is this recipe's, which is allowed in `repository`.
    """

    repository: str | None
    recipe: Recipe
    complete: bool
    at_ms: int


class ReportTornDown(msgspec.Struct, frozen=True):
    """Its teardown is over, whatever came of it."""

    exit_code: int | None
    detail: str
    output: str
    at_ms: int


class RebindWorkspace(msgspec.Struct, frozen=True):
    """The source of the workspace is in this real directory now."""

    source_directory: str
    at_ms: int


class RestoreWorkspace(msgspec.Struct, frozen=True):
    """Bring a removed workspace back."""

    at_ms: int


class ReportPreserved(msgspec.Struct, frozen=True):
    """What is only in the workspace is kept; now it may go."""

    kept: PreservedWork
    at_ms: int


class ReportRemoved(msgspec.Struct, frozen=True):
    """It is gone."""

    at_ms: int


class ReportRemovalFailed(msgspec.Struct, frozen=True):
    """It could not be removed and is as it was; `code` is a problem code."""

    code: str
    detail: str
    at_ms: int


class ReportRestored(msgspec.Struct, frozen=True):
    """It is there again."""

    at_ms: int


class ReportRestoreFailed(msgspec.Struct, frozen=True):
    """It could not be brought back; what was kept is still kept."""

    code: str
    detail: str
    at_ms: int


Command = (
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
