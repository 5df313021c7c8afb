"""The events of a workspace: past tense, as the log holds them. Times are Unix milliseconds."""

import msgspec

from fleet.ports import Fault, PreparedWorkspace, PreservedWork, Recipe, WorkspaceSpec


class WorkspaceRequested(msgspec.Struct, frozen=True):
    """The workspace is to be made like this; after a failure it is tried again."""

    order: WorkspaceSpec
    at_ms: int


class WorkspaceClaimed(msgspec.Struct, frozen=True):
    """The session uses it."""

    session_id: str
    at_ms: int


class WorkspaceReady(msgspec.Struct, frozen=True):
    """It is there: this directory, branch and commit."""

    prepared: PreparedWorkspace
    at_ms: int


class WorkspaceFailed(msgspec.Struct, frozen=True):
    """It could not be made, and nothing of it is left."""

    code: str
    detail: str
    at_ms: int


class WorkspaceLookedAt(msgspec.Struct, frozen=True):
    """A look at its checkout has found this fault, or that there is none any more."""

    fault: Fault | None
    at_ms: int


class WorkspaceReleased(msgspec.Struct, frozen=True):
    """The session does not use it any more."""

    session_id: str
    at_ms: int


class WorkspaceRemovalRequested(msgspec.Struct, frozen=True):
    """It is to be removed, when everything that is only in it has been kept."""

    at_ms: int


class WorkPreserved(msgspec.Struct, frozen=True):
    """What was only in the workspace is kept there."""

    kept: PreservedWork
    at_ms: int


class WorkspaceRemoved(msgspec.Struct, frozen=True):
    """It is gone."""

    at_ms: int


class WorkspaceRemovalFailed(msgspec.Struct, frozen=True):
    """It is still there, as it was."""

    code: str
    detail: str
    at_ms: int


class WorkspaceEdited(msgspec.Struct, frozen=True):
    """It has this title now, or with None none."""

    title: str | None
    at_ms: int


class PortsLeased(msgspec.Struct, frozen=True):
    """It has these ports, which no other workspace has, until it is removed."""

    first: int
    count: int
    at_ms: int


class WorkspaceSetUp(msgspec.Struct, frozen=True):
    """Its set-up has begun, or with `complete` has done its work. `repository` is where the recipe is allowed."""

    repository: str | None
    recipe: Recipe
    complete: bool
    at_ms: int


class WorkspaceTornDown(msgspec.Struct, frozen=True):
    """Its teardown is over. `exit_code` is None where it was ended; `output` is the end of what it wrote."""

    exit_code: int | None
    detail: str
    output: str
    at_ms: int


class WorkspaceRebound(msgspec.Struct, frozen=True):
    """Its source is in this directory from now on."""

    source_directory: str
    at_ms: int


class WorkspaceRestoreRequested(msgspec.Struct, frozen=True):
    """It is to be brought back from what was kept."""

    at_ms: int


class WorkspaceRestored(msgspec.Struct, frozen=True):
    """It is there again."""

    at_ms: int


class WorkspaceRestoreFailed(msgspec.Struct, frozen=True):
    """It is still gone; what was kept is still kept."""

    code: str
    detail: str
    at_ms: int


Event = (
    WorkspaceRequested
    | WorkspaceClaimed
    | WorkspaceReady
    | WorkspaceFailed
    | WorkspaceLookedAt
    | WorkspaceReleased
    | WorkspaceRemovalRequested
    | WorkPreserved
    | WorkspaceRemoved
    | WorkspaceRemovalFailed
    | WorkspaceEdited
    | PortsLeased
    | WorkspaceRebound
    | WorkspaceSetUp
    | WorkspaceTornDown
    | WorkspaceRestoreRequested
    | WorkspaceRestored
    | WorkspaceRestoreFailed
)
