"""The events of a session: past tense, as the log holds them; turn_events.py has those of its turns.

A field, once written, keeps its meaning (events/registry.py). Times are Unix milliseconds.
"""

import msgspec

from fleet.core.session.turn_events import (
    AbortRequested,
    ChangesRecorded,
    MessageRecorded,
    PartRecorded,
    PromptAccepted,
    PromptDelivered,
    PromptEdited,
    PromptWithdrawn,
    RequestAnswered,
    RequestClosed,
    RequestOpened,
    TurnContinued,
    TurnDelayed,
    TurnEnded,
    TurnFailed,
    TurnSnapshotTaken,
    TurnStarted,
    TurnSteered,
)
from fleet.core.session.values import Budget, ForkPoint, Model, Outcome, ProvisionStep
from fleet.ports import Recipe, Strategy


class SessionCreated(msgspec.Struct, frozen=True):
    """The session exists; its workspace, instance and conversation are ordered.

    `agent` and `model` are for prompts that name none. `parent_id` is the session that hears of this one's outcomes,
    `depth` the number of its ancestors.
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
    parent_id: str | None = None
    depth: int = 0
    budget: Budget | None = None
    origin: ForkPoint | None = None


class SessionEdited(msgspec.Struct, frozen=True):
    """Title and tags are now these."""

    title: str
    tags: tuple[str, ...]
    at_ms: int


class WorkspaceAttached(msgspec.Struct, frozen=True):
    """The agent works in `directory`, on `branch` (None outside of git and when detached).

    `baseline` is the tree of the directory before the session has done anything, None where it could not be taken.
    With a `recipe` the workspace is set up first.
    """

    workspace_id: str
    directory: str
    branch: str | None
    at_ms: int
    baseline: str | None = None
    recipe: Recipe | None = None


class SetupHeld(msgspec.Struct, frozen=True):
    """The set-up waits for a person who allows its commands."""

    at_ms: int


class SetupStarted(msgspec.Struct, frozen=True):
    """The set-up's commands run; after a crash they run again."""

    at_ms: int


class SetupOutput(msgspec.Struct, frozen=True):
    """The set-up's commands have written this."""

    text: str
    at_ms: int


class SetupEnded(msgspec.Struct, frozen=True):
    """The set-up is over. `exit_code` is None where it was ended; `baseline` is the tree of the directory after it."""

    exit_code: int | None
    detail: str
    at_ms: int
    baseline: str | None = None


class SetupSkipped(msgspec.Struct, frozen=True):
    """The session goes on in a workspace that was not set up."""

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
    """Somebody wants the session back; workspace, instance and conversation are looked for.

    With `opencode_id` the conversation is left, and a new one is to begin under this id.
    """

    at_ms: int
    opencode_id: str | None = None


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


class ProvisionDelayed(msgspec.Struct, frozen=True):
    """Creation or resume waits at `step`."""

    step: ProvisionStep
    reason: str
    at_ms: int


class SessionSettled(msgspec.Struct, frozen=True):
    """A resumed session has nothing to do."""

    evidence: str
    at_ms: int


class InstanceDetaching(msgspec.Struct, frozen=True):
    """The session has no instance any more; one that still runs it `leaves`."""

    instance_id: str
    evidence: str
    at_ms: int
    leaves: bool = False


class SessionCompleted(msgspec.Struct, frozen=True):
    """It was idle when its instance was shut down on purpose, or was wanted back (`leaves`: it is still attached)."""

    instance_id: str
    evidence: str
    at_ms: int
    leaves: bool = False


class InstanceDetached(msgspec.Struct, frozen=True):
    """The completed session is detached from its instance."""

    instance_id: str
    at_ms: int


class SessionDisconnected(msgspec.Struct, frozen=True):
    """Its instance died, or was shut down in the middle of a turn."""

    instance_id: str
    evidence: str
    at_ms: int


class StopRequested(msgspec.Struct, frozen=True):
    """The session is to end."""

    at_ms: int


class SessionStopped(msgspec.Struct, frozen=True):
    """The session was ended by somebody. Where it `leaves`, its instance has not shown yet that nothing runs for it."""

    evidence: str
    at_ms: int
    leaves: bool = False


class SessionErased(msgspec.Struct, frozen=True):
    """Nothing of the session is to be kept: the last event of its stream, whose payloads go now."""

    at_ms: int


class CallbackOrdered(msgspec.Struct, frozen=True):
    """The parent is to hear of an outcome, in these words. `number` counts the callbacks of this session."""

    number: int
    outcome: Outcome
    text: str
    at_ms: int


class CallbackDelivered(msgspec.Struct, frozen=True):
    """The parent has accepted the prompt."""

    number: int
    at_ms: int


class CallbackUndelivered(msgspec.Struct, frozen=True):
    """The parent can't take it now; it will be tried again."""

    number: int
    reason: str
    at_ms: int


class CallbackDropped(msgspec.Struct, frozen=True):
    """There is no parent any more that could hear of it."""

    number: int
    reason: str
    at_ms: int


class BudgetSet(msgspec.Struct, frozen=True):
    """The session may use so much from now on; None: no limit."""

    budget: Budget | None
    at_ms: int


class BudgetExceeded(msgspec.Struct, frozen=True):
    """The session has used more than it may: no further turn begins until somebody says so."""

    what: str
    at_ms: int


class NotificationsRead(msgspec.Struct, frozen=True):
    """Somebody has seen these notifications."""

    numbers: tuple[int, ...]
    at_ms: int


Event = (
    SessionCreated
    | SessionEdited
    | WorkspaceAttached
    | SetupHeld
    | SetupStarted
    | SetupOutput
    | SetupEnded
    | SetupSkipped
    | InstanceAttached
    | ConversationOpened
    | ResumeRequested
    | SessionResumed
    | ProvisionFailed
    | ProvisionDelayed
    | PromptAccepted
    | PromptWithdrawn
    | PromptEdited
    | TurnStarted
    | TurnSteered
    | PromptDelivered
    | MessageRecorded
    | PartRecorded
    | TurnSnapshotTaken
    | ChangesRecorded
    | RequestOpened
    | RequestAnswered
    | RequestClosed
    | TurnContinued
    | TurnDelayed
    | AbortRequested
    | TurnEnded
    | TurnFailed
    | SessionSettled
    | InstanceDetaching
    | SessionCompleted
    | InstanceDetached
    | SessionDisconnected
    | StopRequested
    | SessionStopped
    | SessionErased
    | CallbackOrdered
    | CallbackDelivered
    | CallbackUndelivered
    | CallbackDropped
    | BudgetSet
    | BudgetExceeded
    | NotificationsRead
)
