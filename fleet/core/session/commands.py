"""What a session is told. Imperatives, with time and fresh ids inside; reports of its own effects begin with `Report`.

Times are Unix milliseconds.
"""

import msgspec

from fleet.core.session.values import Answer, Budget, FreshIds, Model, Origin, ProvisionStep, Totals, TurnOutcome
from fleet.ports import Attachment, Message, OpenRequest, Recipe, Strategy


class SubmitPrompt(msgspec.Struct, frozen=True):
    """Put a prompt into the queue; it starts at once where nothing runs. `resume` wakes a session that has ended.

    With `steer` it goes into the turn that runs, where one does. `lost` says that the workspace is missing, and
    `way_out` what helps: then the prompt is refused.
    """

    prompt_id: str
    text: str
    at_ms: int
    fresh: FreshIds
    attachments: tuple[Attachment, ...] = ()
    agent: str | None = None
    model: Model | None = None
    resume: bool = False
    command: str | None = None
    steer: bool = False
    lost: str | None = None
    way_out: str | None = None


class CreateSession(msgspec.Struct, frozen=True):
    """Make the session; the workspace it names has been ordered or will be by the first effect."""

    session_id: str
    title: str
    workspace_id: str
    strategy: Strategy
    source_directory: str
    source_repository: str | None
    directory: str
    opencode_id: str
    at_ms: int
    branch: str | None = None
    base_ref: str | None = None
    tags: tuple[str, ...] = ()
    initial_prompt: SubmitPrompt | None = None
    agent: str | None = None
    model: Model | None = None
    parent_id: str | None = None
    depth: int = 0
    budget: Budget | None = None
    origin: Origin | None = None


class WithdrawPrompt(msgspec.Struct, frozen=True):
    """Take a waiting prompt out of the queue."""

    prompt_id: str
    at_ms: int


class EditPrompt(msgspec.Struct, frozen=True):
    """Give a waiting prompt another text."""

    prompt_id: str
    text: str
    at_ms: int


class SteerPrompt(msgspec.Struct, frozen=True):
    """Send a waiting prompt into the turn that runs."""

    prompt_id: str
    at_ms: int
    fresh: FreshIds


class AbortTurn(msgspec.Struct, frozen=True):
    """Stop what runs; the session stays."""

    at_ms: int


class ResumeSession(msgspec.Struct, frozen=True):
    """Bring a session that has ended, failed or lost its instance back to work.

    With `opencode_id` it begins a new conversation under this id, in the same workspace.
    """

    at_ms: int
    opencode_id: str | None = None


class TerminateSession(msgspec.Struct, frozen=True):
    """Stop what runs and end the session."""

    at_ms: int


class RetireSession(msgspec.Struct, frozen=True):
    """Complete the session if it is still idle since then: its instance is wanted back."""

    idle_since_ms: int
    evidence: str
    at_ms: int


class EraseSession(msgspec.Struct, frozen=True):
    """Erase a session that has stopped, for good."""

    at_ms: int


class SetBudget(msgspec.Struct, frozen=True):
    """Give the session another budget, or none; where that leaves room, waiting prompts go on."""

    budget: Budget | None
    at_ms: int
    fresh: FreshIds


class AnswerRequest(msgspec.Struct, frozen=True):
    """Answer a permission request or a question; `actor` is the caller."""

    request_id: str
    answer: Answer
    at_ms: int
    actor: str | None = None


class ReadNotifications(msgspec.Struct, frozen=True):
    """Somebody has seen these notifications; None for all of them."""

    numbers: tuple[int, ...] | None
    at_ms: int


class DescribeSession(msgspec.Struct, frozen=True):
    """Give the session another title or other tags; None leaves them."""

    at_ms: int
    title: str | None = None
    tags: tuple[str, ...] | None = None


class ReportWorkspaceReady(msgspec.Struct, frozen=True):
    """The workspace is prepared and claimed for this session; `recipe` says how it is to be set up."""

    workspace_id: str
    directory: str
    branch: str | None
    at_ms: int
    baseline: str | None = None
    recipe: Recipe | None = None


class SkipSetup(msgspec.Struct, frozen=True):
    """Go on without the set-up, which waits for a person or has failed."""

    at_ms: int


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
    fresh: FreshIds
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


class ReportDelivered(msgspec.Struct, frozen=True):
    """OpenCode's store has the prompt: it was read back."""

    message_id: str
    at_ms: int


class ReportTranscript(msgspec.Struct, frozen=True):
    """Messages and finished parts as OpenCode has them now; what is known already is not recorded again."""

    messages: tuple[Message, ...]
    at_ms: int


class ReportTurnTree(msgspec.Struct, frozen=True):
    """The tree as it is right before the turn's prompt is sent."""

    number: int
    tree: str
    at_ms: int


class ReportChanges(msgspec.Struct, frozen=True):
    """What the turn has changed, and the whole session so far; the manifests are blobs (fleet/core/changes.py).

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
    fresh: FreshIds


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
    fresh: FreshIds


class ReportInstanceEnded(msgspec.Struct, frozen=True):
    """An instance is gone or going; `orderly` means that Fleet shut it down on purpose."""

    instance_id: str
    orderly: bool
    evidence: str
    at_ms: int


class ReportLeft(msgspec.Struct, frozen=True):
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


class ReportEnded(msgspec.Struct, frozen=True):
    """Termination has done its work: nothing runs and the instance is detached; or it `leaves` one that is silent."""

    evidence: str
    at_ms: int
    leaves: bool = False


Command = (
    CreateSession
    | SubmitPrompt
    | WithdrawPrompt
    | EditPrompt
    | SteerPrompt
    | AbortTurn
    | ResumeSession
    | TerminateSession
    | RetireSession
    | EraseSession
    | SetBudget
    | AnswerRequest
    | ReadNotifications
    | DescribeSession
    | SkipSetup
    | ReportWorkspaceReady
    | ReportSetupHeld
    | ReportSetupStarted
    | ReportSetupOutput
    | ReportSetupEnded
    | ReportInstanceReady
    | ReportConversationOpen
    | ReportProvisionFailed
    | ReportProvisionDelayed
    | ReportDelivered
    | ReportTranscript
    | ReportTurnTree
    | ReportChanges
    | ReportRequestOpened
    | ReportRequestClosed
    | ReportTurnEnded
    | ReportTurnDelayed
    | ReportTurnFailed
    | ReportSettled
    | ReportInstanceEnded
    | ReportLeft
    | ReportCallbackDelivered
    | ReportCallbackUndelivered
    | ReportCallbackDropped
    | ReportEnded
)
