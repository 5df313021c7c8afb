"""The reports to a session, from its own effects and from its instance (decide_reports.py decides).

Times are Unix milliseconds.
"""

import msgspec

from fleet.core.session.values import NewTurnIds, ProvisionStep, Totals, TurnOutcome
from fleet.ports import Message, OpenRequest, Recipe


class ReportWorkspaceReady(msgspec.Struct, frozen=True):
    """The workspace is prepared and claimed for this session; `recipe` says how it is to be set up."""

    workspace_id: str
    directory: str
    branch: str | None
    at_ms: int
    baseline: str | None = None
    recipe: Recipe | None = None


class ReportSetupHeld(msgspec.Struct, frozen=True):
    """Nobody has allowed the set-up's commands yet."""

    at_ms: int


class ReportSetupStarted(msgspec.Struct, frozen=True):
    """The set-up's commands run now."""

    at_ms: int


class ReportSetupOutput(msgspec.Struct, frozen=True):
    """The set-up's commands have written this."""

    text: str
    at_ms: int


class ReportSetupEnded(msgspec.Struct, frozen=True):
    """The set-up is over; `code` is a problem code where it failed. `baseline` is the directory's tree after it."""

    exit_code: int | None
    code: str | None
    detail: str
    at_ms: int
    baseline: str | None = None


class ReportInstanceReady(msgspec.Struct, frozen=True):
    """An instance is ready and this session is attached to it."""

    instance_id: str
    at_ms: int


class ReportConversationOpen(msgspec.Struct, frozen=True):
    """OpenCode has the session; a fork has these messages from the beginning."""

    opencode_id: str
    at_ms: int
    fresh: NewTurnIds
    copied: tuple[Message, ...] = ()


class ReportProvisionFailed(msgspec.Struct, frozen=True):
    """A step of creation or resume failed; `code` is a problem code."""

    step: ProvisionStep
    code: str
    detail: str
    at_ms: int


class ReportProvisionDelayed(msgspec.Struct, frozen=True):
    """A step of creation or resume has to wait."""

    step: ProvisionStep
    reason: str
    at_ms: int


class ReportPromptDelivered(msgspec.Struct, frozen=True):
    """OpenCode's store has the prompt: it was read back. `kept_as` is its id there, if OpenCode chose another one."""

    message_id: str
    at_ms: int
    kept_as: str | None = None


class ReportTranscript(msgspec.Struct, frozen=True):
    """Messages and finished parts as OpenCode has them now; what is known already is not recorded again."""

    messages: tuple[Message, ...]
    at_ms: int


class ReportTurnSnapshot(msgspec.Struct, frozen=True):
    """The tree as it is right before the turn's prompt is sent."""

    number: int
    tree: str
    at_ms: int


class ReportChanges(msgspec.Struct, frozen=True):
    """What the turn has changed, and the whole session so far; the manifests are blobs (fleet/core/manifest.py).

    `overlaps` names the sessions whose turns ran in the same directory at the same time.
    """

    number: int
    tree: str
    turn_manifest: str
    session_manifest: str
    totals: Totals
    overlaps: tuple[str, ...]
    at_ms: int
    turn_totals: Totals | None = None


class ReportRequestOpened(msgspec.Struct, frozen=True):
    """OpenCode asks for a permission or an answer."""

    request: OpenRequest
    at_ms: int


class ReportRequestClosed(msgspec.Struct, frozen=True):
    """A request was answered or is not open any more."""

    request_id: str
    at_ms: int


class ReportTurnDelayed(msgspec.Struct, frozen=True):
    """Why the running turn does not get on, "" where it does; `is_long` is worth telling a person, once a turn."""

    number: int
    reason: str
    at_ms: int
    is_long: bool = False


class ReportTurnEnded(msgspec.Struct, frozen=True):
    """The turn has ended, by the three signs."""

    number: int
    outcome: TurnOutcome
    evidence: str
    at_ms: int
    fresh: NewTurnIds


class ReportTurnFailed(msgspec.Struct, frozen=True):
    """The turn has ended with an error."""

    number: int
    code: str
    detail: str
    at_ms: int


class ReportSettled(msgspec.Struct, frozen=True):
    """Nothing runs in OpenCode for this session."""

    evidence: str
    at_ms: int
    fresh: NewTurnIds


class ReportInstanceEnded(msgspec.Struct, frozen=True):
    """An instance is gone or going; `orderly` means that Fleet shut it down on purpose."""

    instance_id: str
    orderly: bool
    evidence: str
    at_ms: int


class ReportDetached(msgspec.Struct, frozen=True):
    """The completed session is detached from its instance."""

    instance_id: str
    at_ms: int


class ReportCallbackDelivered(msgspec.Struct, frozen=True):
    """The parent has accepted the callback's prompt."""

    number: int
    at_ms: int


class ReportCallbackUndelivered(msgspec.Struct, frozen=True):
    """The parent can't take it now; it will be tried again."""

    number: int
    reason: str
    at_ms: int


class ReportCallbackDropped(msgspec.Struct, frozen=True):
    """There is no parent any more."""

    number: int
    reason: str
    at_ms: int


class ReportSessionStopped(msgspec.Struct, frozen=True):
    """Termination has done its work: nothing runs and the instance is detached; or it `leaves` one that is silent."""

    evidence: str
    at_ms: int
    leaves: bool = False


Report = (
    ReportWorkspaceReady
    | ReportSetupHeld
    | ReportSetupStarted
    | ReportSetupOutput
    | ReportSetupEnded
    | ReportInstanceReady
    | ReportConversationOpen
    | ReportProvisionFailed
    | ReportProvisionDelayed
    | ReportPromptDelivered
    | ReportTranscript
    | ReportTurnSnapshot
    | ReportChanges
    | ReportRequestOpened
    | ReportRequestClosed
    | ReportTurnEnded
    | ReportTurnDelayed
    | ReportTurnFailed
    | ReportSettled
    | ReportInstanceEnded
    | ReportDetached
    | ReportCallbackDelivered
    | ReportCallbackUndelivered
    | ReportCallbackDropped
    | ReportSessionStopped
)
