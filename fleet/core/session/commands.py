"""What a session is told. Imperatives, with time and fresh ids inside; reports of its own effects begin with `Report`.

Times are Unix milliseconds.
"""

import msgspec

from fleet.core.session.values import FreshIds, Model, ProvisionStep, TurnOutcome
from fleet.ports import Attachment, Message, OpenRequest, Strategy


class SubmitPrompt(msgspec.Struct, frozen=True):
    """Put a prompt into the queue; it starts at once where nothing runs. `resume` wakes a session that has ended."""

    prompt_id: str
    text: str
    at_ms: int
    fresh: FreshIds
    attachments: tuple[Attachment, ...] = ()
    agent: str | None = None
    model: Model | None = None
    resume: bool = False


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


class WithdrawPrompt(msgspec.Struct, frozen=True):
    """Take a waiting prompt out of the queue."""

    prompt_id: str
    at_ms: int


class AbortTurn(msgspec.Struct, frozen=True):
    """Stop what runs; the session stays."""

    at_ms: int


class ResumeSession(msgspec.Struct, frozen=True):
    """Bring a session that has ended, failed or lost its instance back to work."""

    at_ms: int


class TerminateSession(msgspec.Struct, frozen=True):
    """Stop what runs and end the session."""

    at_ms: int


class DescribeSession(msgspec.Struct, frozen=True):
    """Give the session another title or other tags; None leaves them."""

    at_ms: int
    title: str | None = None
    tags: tuple[str, ...] | None = None


class ReportWorkspaceReady(msgspec.Struct, frozen=True):
    """The workspace is prepared and claimed for this session."""

    workspace_id: str
    directory: str
    branch: str | None
    at_ms: int


class ReportInstanceReady(msgspec.Struct, frozen=True):
    """An instance is ready and this session is attached to it."""

    instance_id: str
    at_ms: int


class ReportConversationOpen(msgspec.Struct, frozen=True):
    """OpenCode has the session."""

    opencode_id: str
    at_ms: int
    fresh: FreshIds


class ReportProvisionFailed(msgspec.Struct, frozen=True):
    """A step of creation or resume failed; `code` is a problem code."""

    step: ProvisionStep
    code: str
    detail: str
    at_ms: int


class ReportDelivered(msgspec.Struct, frozen=True):
    """OpenCode's store has the prompt: it was read back."""

    message_id: str
    at_ms: int


class ReportTranscript(msgspec.Struct, frozen=True):
    """Messages and finished parts as OpenCode has them now; what is known already is not recorded again."""

    messages: tuple[Message, ...]
    at_ms: int


class ReportRequestOpened(msgspec.Struct, frozen=True):
    """OpenCode asks for a permission or an answer."""

    request: OpenRequest
    at_ms: int


class ReportRequestClosed(msgspec.Struct, frozen=True):
    """A request was answered or is not open any more."""

    request_id: str
    at_ms: int


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


class ReportEnded(msgspec.Struct, frozen=True):
    """Termination has done its work: nothing runs and the instance is detached."""

    evidence: str
    at_ms: int


Command = (
    CreateSession
    | SubmitPrompt
    | WithdrawPrompt
    | AbortTurn
    | ResumeSession
    | TerminateSession
    | DescribeSession
    | ReportWorkspaceReady
    | ReportInstanceReady
    | ReportConversationOpen
    | ReportProvisionFailed
    | ReportDelivered
    | ReportTranscript
    | ReportRequestOpened
    | ReportRequestClosed
    | ReportTurnEnded
    | ReportTurnFailed
    | ReportSettled
    | ReportInstanceEnded
    | ReportEnded
)
