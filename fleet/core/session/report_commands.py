"""The reports to a session, from its own effects and from its instance (decide_reports.py handles them).

Times are Unix milliseconds.
"""

from fleet.core.messages import Command
from fleet.core.session.values import NewTurnIds, ProvisionStep, Totals, TurnOutcome
from fleet.ports import Message, OpenRequest, Recipe


class ReportWorkspaceReady(Command, frozen=True, kw_only=True):
    """The workspace is prepared and claimed for this session; `recipe` says how it is to be set up."""

    workspace_id: str
    directory: str
    branch: str | None
    baseline: str | None = None
    recipe: Recipe | None = None


class ReportSetupHeld(Command, frozen=True, kw_only=True):
    """No person has allowed the set-up's commands yet."""


class ReportSetupStarted(Command, frozen=True, kw_only=True):
    """The set-up's commands run now."""


class ReportSetupOutput(Command, frozen=True, kw_only=True):
    """The set-up's commands have written this."""

    text: str


class ReportSetupEnded(Command, frozen=True, kw_only=True):
    """The set-up is over; `code` is a problem code where it failed. `baseline` is the directory's tree after it.

    `host_lost`: it has ended with its host.
    """

    exit_code: int | None
    code: str | None
    detail: str
    baseline: str | None = None
    host_lost: bool = False


class ReportInstanceReady(Command, frozen=True, kw_only=True):
    """An instance is ready and this session is attached to it."""

    instance_id: str


class ReportConversationOpen(Command, frozen=True, kw_only=True):
    """OpenCode has the session; a fork has these messages from the beginning.

    `restored`: this is another host, whose OpenCode has got the recorded conversation.
    """

    opencode_id: str
    new_ids: NewTurnIds
    copied: tuple[Message, ...] = ()
    restored: bool = False


class ReportProvisionFailed(Command, frozen=True, kw_only=True):
    """A step of creation or resume failed; `code` is a problem code. `host_lost`: its host is lost."""

    step: ProvisionStep
    code: str
    detail: str
    host_lost: bool = False


class ReportProvisionDelayed(Command, frozen=True, kw_only=True):
    """A step of creation or resume is delayed."""

    step: ProvisionStep
    reason: str


class ReportPromptDelivered(Command, frozen=True, kw_only=True):
    """OpenCode's store has the prompt: it was read back. `kept_as` is its id there, if OpenCode chose another one."""

    message_id: str
    kept_as: str | None = None


class ReportTranscript(Command, frozen=True, kw_only=True):
    """Messages and finished parts as OpenCode has them now; those in the log already are not recorded again."""

    messages: tuple[Message, ...]


class ReportTurnSnapshot(Command, frozen=True, kw_only=True):
    """The tree of the directory right before the turn's prompt is sent."""

    number: int
    tree: str


class ReportStepSnapshot(Command, frozen=True, kw_only=True):
    """The tree of the directory, taken after the call `part_id` of `tool` while the turn runs."""

    number: int
    part_id: str
    tool: str
    tree: str


class ReportChanges(Command, frozen=True, kw_only=True):
    """The changes of the turn and of the whole session so far; the manifests are blobs (fleet/core/manifest.py).

    `overlaps` names the sessions whose turns ran in the same directory at the same time.
    """

    number: int
    tree: str
    turn_manifest: str
    session_manifest: str
    totals: Totals
    overlaps: tuple[str, ...]
    turn_totals: Totals | None = None


class ReportRequestOpened(Command, frozen=True, kw_only=True):
    """OpenCode asks for a permission or asks a question."""

    request: OpenRequest


class ReportRequestClosed(Command, frozen=True, kw_only=True):
    """A request was answered or is no longer open."""

    request_id: str


class ReportTurnDelayed(Command, frozen=True, kw_only=True):
    """Why the running turn is delayed, "" if it is not; if it `is_long`, a person is notified, once a turn."""

    number: int
    reason: str
    is_long: bool = False


class ReportTurnEnded(Command, frozen=True, kw_only=True):
    """The turn has ended, by the three signs (actors/effects/turn.py).

    `moves` is why the session leaves its host, None if it stays: a prompt that waits runs on the next host.
    """

    number: int
    outcome: TurnOutcome
    evidence: str
    new_ids: NewTurnIds
    moves: str | None = None


class ReportTurnFailed(Command, frozen=True, kw_only=True):
    """The turn has ended with an error."""

    number: int
    code: str
    detail: str


class ReportSettled(Command, frozen=True, kw_only=True):
    """Nothing runs in OpenCode for this session."""

    evidence: str
    new_ids: NewTurnIds


class ReportInstanceEnded(Command, frozen=True, kw_only=True):
    """An instance has ended or is ending; `orderly` means that Fleet stopped it on purpose.

    `host_lost`: it was lost with its host.
    """

    instance_id: str
    orderly: bool
    evidence: str
    host_lost: bool = False


class ReportDetached(Command, frozen=True, kw_only=True):
    """The completed session is detached from its instance."""

    instance_id: str


class ReportCallbackDelivered(Command, frozen=True, kw_only=True):
    """The parent has accepted the callback's prompt."""

    number: int


class ReportCallbackUndelivered(Command, frozen=True, kw_only=True):
    """The parent cannot accept the callback now; it is retried."""

    number: int
    reason: str


class ReportCallbackDropped(Command, frozen=True, kw_only=True):
    """The parent no longer exists."""

    number: int
    reason: str


class ReportSessionStopped(Command, frozen=True, kw_only=True):
    """The session has ended: nothing runs and it is detached; or it `leaves` an instance that does not respond."""

    evidence: str
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
    | ReportStepSnapshot
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
