"""The events of a session: past tense, as the log holds them; turn_events.py has those of its turns.

A field, once written, keeps its meaning (events/registry.py). Times are Unix milliseconds.
"""

from fleet.core.messages import Event
from fleet.core.session import turn_events
from fleet.core.session.values import Budget, Outcome, ProvisionStep, ReplacedPayload, SessionSettings
from fleet.ports import Recipe


class SessionCreated(Event, frozen=True, kw_only=True):
    """The session exists; its workspace, instance and conversation are ordered.

    `agent` and `model` apply to prompts that name none. `parent_id` is the session that gets a callback for each
    outcome, `depth` the number of ancestors.
    """

    session_id: str
    settings: SessionSettings
    workspace_id: str
    source_directory: str
    source_repository: str | None
    directory: str
    opencode_id: str
    depth: int = 0


class SessionEdited(Event, frozen=True, kw_only=True):
    """The session has this title and these tags now."""

    title: str
    tags: tuple[str, ...]


class WorkspaceAttached(Event, frozen=True, kw_only=True):
    """The agent works in `directory`, on `branch` (None outside of git and when detached).

    `baseline` is the tree of the directory before any work of the session, None if it could not be computed. With a
    `recipe` the workspace is set up first.
    """

    workspace_id: str
    directory: str
    branch: str | None
    baseline: str | None = None
    recipe: Recipe | None = None


class SetupHeld(Event, frozen=True, kw_only=True):
    """The set-up waits until a person allows its commands."""


class SetupStarted(Event, frozen=True, kw_only=True):
    """The set-up's commands run; after a crash they run again."""


class SetupOutput(Event, frozen=True, kw_only=True):
    """The set-up's commands have written this."""

    text: str


class SetupEnded(Event, frozen=True, kw_only=True):
    """The set-up is over. `exit_code` is None if it was cancelled; `baseline` is the tree of the directory after it."""

    exit_code: int | None
    detail: str
    baseline: str | None = None


class SetupSkipped(Event, frozen=True, kw_only=True):
    """The session continues in a workspace that was not set up."""


class InstanceAttached(Event, frozen=True, kw_only=True):
    """The session runs in this instance."""

    instance_id: str


class ConversationOpened(Event, frozen=True, kw_only=True):
    """OpenCode's session exists, so prompts can be sent."""

    opencode_id: str


class ResumeRequested(Event, frozen=True, kw_only=True):
    """The session is to be resumed: its workspace, instance and conversation are provided again.

    With `opencode_id` a new conversation with this id replaces the old one.
    """

    opencode_id: str | None = None


class SessionResumed(Event, frozen=True, kw_only=True):
    """The session works again, in this instance."""

    instance_id: str
    opencode_id: str


class ProvisionFailed(Event, frozen=True, kw_only=True):
    """Creation or resume failed at `step`."""

    step: ProvisionStep
    code: str
    detail: str


class ProvisionDelayed(Event, frozen=True, kw_only=True):
    """Creation or resume waits at `step`."""

    step: ProvisionStep
    reason: str


class SessionSettled(Event, frozen=True, kw_only=True):
    """OpenCode runs nothing for the resumed session."""

    evidence: str


class InstanceDetaching(Event, frozen=True, kw_only=True):
    """The session no longer uses its instance; if that still runs, the session is detached from it (`leaves`)."""

    instance_id: str
    evidence: str
    leaves: bool = False


class SessionCompleted(Event, frozen=True, kw_only=True):
    """It was idle when its instance was stopped on purpose or had to be freed (`leaves`: it is still attached)."""

    instance_id: str
    evidence: str
    leaves: bool = False


class InstanceDetached(Event, frozen=True, kw_only=True):
    """The completed session is detached from its instance."""

    instance_id: str


class SessionDisconnected(Event, frozen=True, kw_only=True):
    """Its instance ended unexpectedly, or was stopped during a turn; `instance_id` is "" if it had none yet."""

    instance_id: str
    evidence: str


class StopRequested(Event, frozen=True, kw_only=True):
    """The session is to end."""


class SessionStopped(Event, frozen=True, kw_only=True):
    """The session was stopped. If it `leaves`, its instance has not confirmed yet that nothing runs for it."""

    evidence: str
    leaves: bool = False


class SessionErased(Event, frozen=True, kw_only=True):
    """The session is to be erased: the last event of its stream, whose payloads are erased next."""


class CallbackOrdered(Event, frozen=True, kw_only=True):
    """The parent is to get this text about an outcome. `number` counts the callbacks of this session."""

    number: int
    outcome: Outcome
    text: str


class CallbackDelivered(Event, frozen=True, kw_only=True):
    """The parent has accepted the prompt."""

    number: int


class CallbackUndelivered(Event, frozen=True, kw_only=True):
    """The parent cannot accept the callback now; it is retried."""

    number: int
    reason: str


class CallbackDropped(Event, frozen=True, kw_only=True):
    """The parent no longer exists."""

    number: int
    reason: str


class CallbacksErased(Event, frozen=True, kw_only=True):
    """A child was erased, and the texts of its callbacks with it: these events have these payloads from now on.

    `prompts` are the ids of the callbacks, `parts` those of the parts that had such a text. `shown`: the newest prompt
    is one of them. `line` replaces the last line that is shown, which quoted one.
    """

    child_id: str
    replaced: tuple[ReplacedPayload, ...]
    prompts: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    shown: bool = False
    line: str | None = None


class BudgetSet(Event, frozen=True, kw_only=True):
    """The session has this budget now; None: no limit."""

    budget: Budget | None


class BudgetExceeded(Event, frozen=True, kw_only=True):
    """The budget is used up: no further turn begins until a person changes it."""

    what: str


class NotificationsRead(Event, frozen=True, kw_only=True):
    """A person has read these notifications."""

    numbers: tuple[int, ...]


SessionEvent = (
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
    | turn_events.PromptAccepted
    | turn_events.PromptWithdrawn
    | turn_events.PromptEdited
    | turn_events.TurnStarted
    | turn_events.TurnSteered
    | turn_events.PromptDelivered
    | turn_events.MessageRecorded
    | turn_events.PartRecorded
    | turn_events.TurnSnapshotTaken
    | turn_events.StepSnapshotTaken
    | turn_events.ChangesRecorded
    | turn_events.RequestOpened
    | turn_events.RequestAnswered
    | turn_events.RequestClosed
    | turn_events.TurnContinued
    | turn_events.TurnDelayed
    | turn_events.AbortRequested
    | turn_events.TurnEnded
    | turn_events.TurnFailed
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
    | CallbacksErased
    | BudgetSet
    | BudgetExceeded
    | NotificationsRead
)
