"""What happened to a session: past tense, and what the log holds.

A field, once written, keeps its meaning (events/registry.py). Times are Unix milliseconds.
"""

from typing import Literal

import msgspec

from fleet.core.session.values import Model, ProvisionStep, TurnOutcome
from fleet.ports import Attachment, Strategy, Tokens


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
