"""The events of a workspace: past tense, as the log holds them. Times are Unix milliseconds.

The log and the state's snapshots hold a `spec` under its old name, `order`.
"""

from msgspec import field

from fleet.core.messages import Event
from fleet.ports import Fault, PreparedWorkspace, PreservedWork, Recipe, WorkspaceSpec


class WorkspaceRequested(Event, frozen=True, kw_only=True):
    """The workspace is to be created by this spec; after a failure, again."""

    spec: WorkspaceSpec = field(name="order")


class WorkspaceClaimed(Event, frozen=True, kw_only=True):
    """The session uses it."""

    session_id: str


class WorkspaceReady(Event, frozen=True, kw_only=True):
    """The workspace is ready, with this directory, branch and commit."""

    prepared: PreparedWorkspace


class WorkspaceFailed(Event, frozen=True, kw_only=True):
    """The workspace could not be created, and nothing of it is left."""

    code: str
    detail: str


class WorkspaceLookedAt(Event, frozen=True, kw_only=True):
    """A check of its checkout has found this fault, or none any more."""

    fault: Fault | None


class WorkspaceReleased(Event, frozen=True, kw_only=True):
    """The session no longer uses it."""

    session_id: str


class WorkspaceRemovalRequested(Event, frozen=True, kw_only=True):
    """It is to be removed, once everything that exists only in it is preserved."""


class WorkPreserved(Event, frozen=True, kw_only=True):
    """Everything that existed only in the workspace is preserved under these refs."""

    kept: PreservedWork


class WorkSaved(Event, frozen=True, kw_only=True):
    """The work of a workspace on another host is on the server's machine too, under these refs."""

    saved: PreservedWork


class WorkspaceRemoved(Event, frozen=True, kw_only=True):
    """The workspace is removed.

    `left`: its host is lost, and its directory there is removed when the host comes back.
    """

    left: bool = False


class WorkspaceRemovalFailed(Event, frozen=True, kw_only=True):
    """The removal failed; the workspace is unchanged."""

    code: str
    detail: str


class WorkspaceEdited(Event, frozen=True, kw_only=True):
    """It has this title now; None: no title."""

    title: str | None


class PortsLeased(Event, frozen=True, kw_only=True):
    """These ports are leased to the workspace alone until it is removed."""

    first: int
    count: int


class WorkspaceSetUp(Event, frozen=True, kw_only=True):
    """Its set-up has begun, or with `complete` has succeeded. The recipe is allowed in `repository`."""

    repository: str | None
    recipe: Recipe
    complete: bool


class WorkspaceTornDown(Event, frozen=True, kw_only=True):
    """Its teardown has ended. `exit_code` is None if it was cancelled; `output` is the end of its output."""

    exit_code: int | None
    detail: str
    output: str


class WorkspaceRebound(Event, frozen=True, kw_only=True):
    """Its source is in this directory from now on."""

    source_directory: str


class WorkspaceRelocated(Event, frozen=True, kw_only=True):
    """The data directory was restored in another place: from now on the workspace is where these say."""

    spec: WorkspaceSpec = field(name="order")
    prepared: PreparedWorkspace | None


class WorkspaceMoved(Event, frozen=True, kw_only=True):
    """It is to be made by this spec on another host, because its host is lost or drained.

    What it has there is looked at and removed when that host answers.
    """

    spec: WorkspaceSpec = field(name="order")
    evidence: str


class LeftoversRemoved(Event, frozen=True, kw_only=True):
    """What it had left on a host is removed there. `kept`: work that was newer than what had been saved."""

    host: str
    kept: PreservedWork | None


class WorkspaceRestoreRequested(Event, frozen=True, kw_only=True):
    """It is to be restored from its preserved work."""


class WorkspaceRestored(Event, frozen=True, kw_only=True):
    """The workspace is restored."""


class WorkspaceRestoreFailed(Event, frozen=True, kw_only=True):
    """The restore failed; the preserved work is still there."""

    code: str
    detail: str


class WorkspaceErased(Event, frozen=True, kw_only=True):
    """The workspace is to be erased: the last event of its stream, whose payloads are erased next."""


WorkspaceEvent = (
    WorkspaceRequested
    | WorkspaceClaimed
    | WorkspaceReady
    | WorkspaceFailed
    | WorkspaceLookedAt
    | WorkspaceReleased
    | WorkspaceRemovalRequested
    | WorkPreserved
    | WorkSaved
    | WorkspaceRemoved
    | WorkspaceRemovalFailed
    | WorkspaceEdited
    | PortsLeased
    | WorkspaceRebound
    | WorkspaceRelocated
    | WorkspaceMoved
    | LeftoversRemoved
    | WorkspaceSetUp
    | WorkspaceTornDown
    | WorkspaceRestoreRequested
    | WorkspaceRestored
    | WorkspaceRestoreFailed
    | WorkspaceErased
)
