"""The events of a workspace: past tense, as the log holds them. Times are Unix milliseconds."""

from fleet.core.messages import Event
from fleet.ports import Fault, PreparedWorkspace, PreservedWork, Recipe, WorkspaceSpec


class WorkspaceRequested(Event, frozen=True, kw_only=True):
    """The workspace is to be made like this; after a failure it is tried again."""

    order: WorkspaceSpec


class WorkspaceClaimed(Event, frozen=True, kw_only=True):
    """The session uses it."""

    session_id: str


class WorkspaceReady(Event, frozen=True, kw_only=True):
    """It is there: this directory, branch and commit."""

    prepared: PreparedWorkspace


class WorkspaceFailed(Event, frozen=True, kw_only=True):
    """It could not be made, and nothing of it is left."""

    code: str
    detail: str


class WorkspaceLookedAt(Event, frozen=True, kw_only=True):
    """A look at its checkout has found this fault, or that there is none any more."""

    fault: Fault | None


class WorkspaceReleased(Event, frozen=True, kw_only=True):
    """The session does not use it any more."""

    session_id: str


class WorkspaceRemovalRequested(Event, frozen=True, kw_only=True):
    """It is to be removed, when everything that is only in it has been kept."""


class WorkPreserved(Event, frozen=True, kw_only=True):
    """What was only in the workspace is kept there."""

    kept: PreservedWork


class WorkspaceRemoved(Event, frozen=True, kw_only=True):
    """It is gone."""


class WorkspaceRemovalFailed(Event, frozen=True, kw_only=True):
    """It is still there, as it was."""

    code: str
    detail: str


class WorkspaceEdited(Event, frozen=True, kw_only=True):
    """It has this title now, or with None none."""

    title: str | None


class PortsLeased(Event, frozen=True, kw_only=True):
    """It has these ports, which no other workspace has, until it is removed."""

    first: int
    count: int


class WorkspaceSetUp(Event, frozen=True, kw_only=True):
    """Its set-up has begun, or with `complete` has done its work. `repository` is where the recipe is allowed."""

    repository: str | None
    recipe: Recipe
    complete: bool


class WorkspaceTornDown(Event, frozen=True, kw_only=True):
    """Its teardown is over. `exit_code` is None where it was ended; `output` is the end of what it wrote."""

    exit_code: int | None
    detail: str
    output: str


class WorkspaceRebound(Event, frozen=True, kw_only=True):
    """Its source is in this directory from now on."""

    source_directory: str


class WorkspaceRestoreRequested(Event, frozen=True, kw_only=True):
    """It is to be brought back from what was kept."""


class WorkspaceRestored(Event, frozen=True, kw_only=True):
    """It is there again."""


class WorkspaceRestoreFailed(Event, frozen=True, kw_only=True):
    """It is still gone; what was kept is still kept."""

    code: str
    detail: str


WorkspaceEvent = (
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
