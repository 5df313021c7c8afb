"""What a session is told (commands) and what happened to it (events).

Commands are imperatives and carry time and fresh ids; those that the session's own effects send back begin with
`Report`. Events are past tense and are what the log holds: a field, once written, keeps its meaning
(events/registry.py). Times are Unix milliseconds.
"""

from hashlib import blake2b
from typing import Literal

import msgspec

from fleet.ports import Attachment, Message, OpenRequest, Strategy, Tokens

ProvisionStep = Literal["workspace", "instance", "conversation"]
TurnOutcome = Literal["finished", "aborted", "interrupted"]


class Model(msgspec.Struct, frozen=True):
    """A model as OpenCode names it."""

    provider_id: str
    model_id: str


class FreshIds(msgspec.Struct, frozen=True):
    """Ids for the turn that a command may start: made right before, because OpenCode orders messages by them."""

    message_id: str
    part_seed: str

    def part_ids(self, count: int) -> tuple[str, ...]:
        """Return `count` part ids (at most 100): the seed with its last two characters counted up."""
        return tuple(f"{self.part_seed[:-2]}{n:02d}" for n in range(count))


def digest(body: msgspec.Raw | bytes) -> str:
    """Return a short digest by which a message or part is recognised as unchanged."""
    return blake2b(bytes(body), digest_size=8).hexdigest()


def raw(body: bytes) -> msgspec.Raw:
    """Return OpenCode's JSON as it is embedded in an event, unparsed."""
    return msgspec.Raw(body)


# ---------------------------------------------------------------------------------------------------------- commands


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

# ------------------------------------------------------------------------------------------------------------ events


class SessionCreated(msgspec.Struct, frozen=True):
    """The session exists; its workspace, instance and conversation are ordered.

    `agent` and `model` are for prompts that name none.
    """

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
    agent: str | None = None
    model: Model | None = None


class SessionDescribed(msgspec.Struct, frozen=True):
    """Title and tags are now these."""

    title: str
    tags: tuple[str, ...]
    at_ms: int


class WorkspaceAttached(msgspec.Struct, frozen=True):
    """The agent works in `directory`, on `branch` (None outside of git and when detached)."""

    workspace_id: str
    directory: str
    branch: str | None
    at_ms: int


class InstanceAttached(msgspec.Struct, frozen=True):
    """The session runs in this instance."""

    instance_id: str
    at_ms: int


class ConversationOpened(msgspec.Struct, frozen=True):
    """OpenCode's session is there: prompts are welcome."""

    opencode_id: str
    at_ms: int


class ResumeRequested(msgspec.Struct, frozen=True):
    """Somebody wants the session back; workspace, instance and conversation are looked for."""

    at_ms: int


class SessionResumed(msgspec.Struct, frozen=True):
    """The session works again, in this instance."""

    instance_id: str
    opencode_id: str
    at_ms: int


class ProvisionFailed(msgspec.Struct, frozen=True):
    """Creation or resume failed at `step`."""

    step: ProvisionStep
    code: str
    detail: str
    at_ms: int


class PromptAccepted(msgspec.Struct, frozen=True):
    """The prompt waits in the queue."""

    prompt_id: str
    text: str
    at_ms: int
    attachments: tuple[Attachment, ...] = ()
    agent: str | None = None
    model: Model | None = None


class PromptWithdrawn(msgspec.Struct, frozen=True):
    """The prompt left the queue without having been sent."""

    prompt_id: str
    reason: str
    at_ms: int


class TurnStarted(msgspec.Struct, frozen=True):
    """The prompt is to be sent under these ids, from now on and in every retry."""

    number: int
    prompt_id: str
    message_id: str
    part_ids: tuple[str, ...]
    at_ms: int


class PromptDelivered(msgspec.Struct, frozen=True):
    """The prompt was read back from OpenCode's store."""

    message_id: str
    at_ms: int


class MessageRecorded(msgspec.Struct, frozen=True):
    """A message's info as OpenCode has it; a later one with the same id replaces it. `body` is OpenCode's JSON."""

    message_id: str
    opencode_id: str
    role: str
    at_ms: int
    body: msgspec.Raw
    cost_usd: float = 0.0
    tokens: Tokens = Tokens()


class PartRecorded(msgspec.Struct, frozen=True):
    """A finished part as OpenCode has it; a later one with the same id replaces it. `body` is OpenCode's JSON."""

    part_id: str
    message_id: str
    type: str
    at_ms: int
    body: msgspec.Raw


class RequestOpened(msgspec.Struct, frozen=True):
    """The turn waits for a person. `body` is OpenCode's JSON."""

    request_id: str
    opencode_id: str
    kind: Literal["permission", "question"]
    at_ms: int
    body: msgspec.Raw


class RequestClosed(msgspec.Struct, frozen=True):
    """The request is not open any more."""

    request_id: str
    at_ms: int


class TurnContinued(msgspec.Struct, frozen=True):
    """No request is open any more; the turn runs on."""

    at_ms: int


class AbortRequested(msgspec.Struct, frozen=True):
    """The running turn is to be stopped."""

    number: int
    at_ms: int


class TurnEnded(msgspec.Struct, frozen=True):
    """The turn is over. An aborted or interrupted one is never called finished."""

    number: int
    outcome: TurnOutcome
    evidence: str
    at_ms: int


class TurnFailed(msgspec.Struct, frozen=True):
    """The turn ended with an error; the session can go on."""

    number: int
    code: str
    detail: str
    at_ms: int


class SessionSettled(msgspec.Struct, frozen=True):
    """A resumed session has nothing to do."""

    evidence: str
    at_ms: int


class InstanceDetached(msgspec.Struct, frozen=True):
    """The session has no instance any more."""

    instance_id: str
    evidence: str
    at_ms: int


class SessionCompleted(msgspec.Struct, frozen=True):
    """It was idle when its instance was shut down on purpose."""

    instance_id: str
    evidence: str
    at_ms: int


class SessionDisconnected(msgspec.Struct, frozen=True):
    """Its instance died, or was shut down in the middle of a turn."""

    instance_id: str
    evidence: str
    at_ms: int


class TerminationRequested(msgspec.Struct, frozen=True):
    """The session is to end."""

    at_ms: int


class SessionStopped(msgspec.Struct, frozen=True):
    """The session was ended by somebody."""

    evidence: str
    at_ms: int


Event = (
    SessionCreated
    | SessionDescribed
    | WorkspaceAttached
    | InstanceAttached
    | ConversationOpened
    | ResumeRequested
    | SessionResumed
    | ProvisionFailed
    | PromptAccepted
    | PromptWithdrawn
    | TurnStarted
    | PromptDelivered
    | MessageRecorded
    | PartRecorded
    | RequestOpened
    | RequestClosed
    | TurnContinued
    | AbortRequested
    | TurnEnded
    | TurnFailed
    | SessionSettled
    | InstanceDetached
    | SessionCompleted
    | SessionDisconnected
    | TerminationRequested
    | SessionStopped
)
