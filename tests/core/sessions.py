"""Commands, events and histories of a session, with everything filled in that a test does not care about."""

from msgspec.structs import replace

from fleet.core.session.commands import CompleteIdleSession, CreateSession, SubmitPrompt
from fleet.core.session.events import (
    ConversationOpened,
    Event,
    InstanceAttached,
    InstanceDetaching,
    ProvisionFailed,
    ResumeRequested,
    SessionCompleted,
    SessionCreated,
    SessionDisconnected,
    SessionErased,
    SessionResumed,
    SessionStopped,
    StopRequested,
    WorkspaceAttached,
)
from fleet.core.session.report_commands import (
    ReportChanges,
    ReportConversationOpen,
    ReportInstanceEnded,
    ReportInstanceReady,
    ReportProvisionFailed,
    ReportRequestClosed,
    ReportRequestOpened,
    ReportSettled,
    ReportSetupEnded,
    ReportTranscript,
    ReportTurnEnded,
    ReportTurnFailed,
    ReportWorkspaceReady,
)
from fleet.core.session.turn_events import (
    AbortRequested,
    MessageRecorded,
    PromptAccepted,
    PromptDelivered,
    PromptWithdrawn,
    RequestOpened,
    TurnEnded,
    TurnFailed,
    TurnStarted,
)
from fleet.core.session.values import Budget, NewTurnIds, ProvisionStep, Totals, TurnOutcome, raw
from fleet.ports import Message, MessageInfo, OpenRequest, Part, Recipe, Tokens

AT = 1_700_000_000_000
"""When everything in these tests happens, unless time matters."""


def fresh(name: str = "p1") -> NewTurnIds:
    return NewTurnIds(f"msg_{name}", f"prt_{name}__")


def submit(name: str = "p1", *, text: str = "do it", resume: bool = False, steer: bool = False) -> SubmitPrompt:
    return SubmitPrompt(name, text, AT, fresh(name), resume=resume, steer=steer)


def create(
    *,
    title: str = "Title",
    initial: SubmitPrompt | None = None,
    parent: str | None = None,
    budget: Budget | None = None,
) -> CreateSession:
    return CreateSession(
        "s1",
        title,
        "w1",
        "worktree",
        "/src",
        "/src/.git",
        "/trees/w1",
        "ses_1",
        AT,
        initial_prompt=initial,
        parent_id=parent,
        budget=budget,
    )


def accepted(name: str = "p1") -> PromptAccepted:
    return PromptAccepted(name, "do it", AT)


def started(number: int, name: str, ids: str | None = None) -> TurnStarted:
    """Turn `number` began with prompt `name`, under the fresh ids called `ids` (those of the prompt)."""
    message = ids or name
    return TurnStarted(number, name, f"msg_{message}", (f"prt_{message}00",), AT)


def ended(number: int, outcome: TurnOutcome, evidence: str = "three signs") -> TurnEnded:
    return TurnEnded(number, outcome, evidence, AT)


def withdrawn(name: str, reason: str) -> PromptWithdrawn:
    return PromptWithdrawn(name, reason, AT)


def attached(instance: str) -> InstanceAttached:
    return InstanceAttached(instance, AT)


def detached(instance: str = "i1", evidence: str = "why") -> InstanceDetaching:
    return InstanceDetaching(instance, evidence, AT)


def failed(step: ProvisionStep, code: str = "git_failed", detail: str = "no") -> ProvisionFailed:
    return ProvisionFailed(step, code, detail, AT)


def request(name: str) -> RequestOpened:
    return RequestOpened(name, "ses_1", "permission", AT, raw(b'{"tool":"bash"}'))


def disconnected(instance: str = "i1", evidence: str = "why") -> SessionDisconnected:
    return SessionDisconnected(instance, evidence, AT)


CREATED: tuple[Event, ...] = (
    SessionCreated("s1", "Title", "w1", "worktree", "/src", "/src/.git", "/trees/w1", "ses_1", AT),
)
WORKSPACE = WorkspaceAttached("w1", "/trees/w1", "fleet/title", AT)
OPENED = ConversationOpened("ses_1", AT)
RECIPE = Recipe("d1", "npm ci", "docker compose down")
TO_SET_UP: tuple[Event, ...] = (
    *CREATED,
    WorkspaceAttached("w1", "/trees/w1", "fleet/title", AT, recipe=RECIPE),
)
IN_WORKSPACE: tuple[Event, ...] = (*CREATED, WORKSPACE)
ON_INSTANCE: tuple[Event, ...] = (*IN_WORKSPACE, attached("i1"))
IDLE: tuple[Event, ...] = (*ON_INSTANCE, OPENED)
SENDING: tuple[Event, ...] = (*IDLE, accepted("p1"), started(1, "p1"))
"""Active, and the prompt is not known to have arrived."""
ACTIVE: tuple[Event, ...] = (*SENDING, PromptDelivered("msg_p1", AT))
WAITING: tuple[Event, ...] = (*ACTIVE, request("r1"))
ABORTING: tuple[Event, ...] = (*ACTIVE, AbortRequested(1, AT))
FINISHED: tuple[Event, ...] = (*ACTIVE, ended(1, "finished"))
FAILED: tuple[Event, ...] = (*ACTIVE, TurnFailed(1, "APIError", "no credit", AT))
"""In error after a turn; the instance is there."""
BROKEN: tuple[Event, ...] = (*CREATED, failed("workspace"))
"""In error because creation failed."""
HALF_OPEN: tuple[Event, ...] = (*ON_INSTANCE, failed("conversation"))
"""In error because creation failed at its last step, with an instance attached."""
COMPLETED: tuple[Event, ...] = (*FINISHED, SessionCompleted("i1", "shut down", AT))
DISCONNECTED: tuple[Event, ...] = (*FINISHED, disconnected())
LOST_TURN: tuple[Event, ...] = (*ACTIVE, disconnected())
"""Disconnected in the middle of a turn."""
STOPPED: tuple[Event, ...] = (*FINISHED, StopRequested(AT), SessionStopped("ended", AT))
RESUMING: tuple[Event, ...] = (*DISCONNECTED, ResumeRequested(AT))
RESUMED: tuple[Event, ...] = (*RESUMING, WORKSPACE, attached("i2"), SessionResumed("i2", "ses_1", AT))
"""Active without a turn: what OpenCode does is being looked at."""

LIVING: dict[str, tuple[Event, ...]] = {
    "created": CREATED,
    "created, to be set up": TO_SET_UP,
    "created, workspace ready": IN_WORKSPACE,
    "created, instance ready": ON_INSTANCE,
    "idle": IDLE,
    "active, sending": SENDING,
    "active": ACTIVE,
    "active, resumed": RESUMED,
    "active, aborting": ABORTING,
    "waiting_input": WAITING,
    "error after a turn": FAILED,
    "error at creation": BROKEN,
    "error at creation, half open": HALF_OPEN,
    "completed": COMPLETED,
    "disconnected": DISCONNECTED,
    "disconnected, turn lost": LOST_TURN,
    "resuming": RESUMING,
}
"""Each situation that is not stopped."""


# ----------------------------------------------------------------------------------------------------------- reports


def workspace_ready(recipe: Recipe | None = None) -> ReportWorkspaceReady:
    return ReportWorkspaceReady("w1", "/trees/w1", "fleet/title", AT, recipe=recipe)


def setup_ended(exit_code: int | None = 0, code: str | None = None) -> ReportSetupEnded:
    return ReportSetupEnded(exit_code, code, "" if code is None else "no", AT)


def instance_ready(instance: str = "i1") -> ReportInstanceReady:
    return ReportInstanceReady(instance, AT)


def conversation_open(ids: str = "p1") -> ReportConversationOpen:
    return ReportConversationOpen("ses_1", AT, fresh(ids))


def provision_failed(step: ProvisionStep, code: str = "git_failed") -> ReportProvisionFailed:
    return ReportProvisionFailed(step, code, "no", AT)


def turn_ended(number: int, outcome: TurnOutcome = "finished", ids: str = "next") -> ReportTurnEnded:
    return ReportTurnEnded(number, outcome, "three signs", AT, fresh(ids))


def turn_failed(number: int) -> ReportTurnFailed:
    return ReportTurnFailed(number, "APIError", "no credit", AT)


def settled(ids: str = "next") -> ReportSettled:
    return ReportSettled("nothing runs", AT, fresh(ids))


def instance_ended(instance: str = "i1", *, orderly: bool = False) -> ReportInstanceEnded:
    return ReportInstanceEnded(instance, orderly, "why", AT)


def request_opened(name: str) -> ReportRequestOpened:
    return ReportRequestOpened(OpenRequest(name, "ses_1", "permission", b'{"tool":"bash"}'), AT)


def request_closed(name: str) -> ReportRequestClosed:
    return ReportRequestClosed(name, AT)


def part(name: str, body: str = "1", *, message: str = "msg_a", finished: bool = True) -> Part:
    return Part(name, "ses_1", message, "text", finished, body.encode())


def message(name: str, *parts: Part, body: str = "1", cost_usd: float = 0.0, output: int = 0) -> Message:
    tokens = Tokens(output=output)
    return Message(MessageInfo(name, "ses_1", "assistant", AT, body.encode(), cost_usd=cost_usd, tokens=tokens), parts)


def transcript(*messages: Message) -> ReportTranscript:
    return ReportTranscript(messages, AT)


def changes(number: int = 1, files: int = 2, tree: str = "t2") -> ReportChanges:
    return ReportChanges(number, tree, "turn", "session", Totals(files, 10, 3), (), AT)


# ----------------------------------------------------------------------------------------------- children and budgets


def child(*history: Event) -> tuple[Event, ...]:
    """The same history, but the session has a parent, `s0`, which hears of its outcomes."""
    return tuple(replace(e, parent_id="s0", depth=1) if isinstance(e, SessionCreated) else e for e in history)


def limited(budget: Budget, *history: Event) -> tuple[Event, ...]:
    """The same history, but the session has a budget."""
    return tuple(replace(e, budget=budget) if isinstance(e, SessionCreated) else e for e in history)


def paid(cost_usd: float, output: int = 0, name: str = "msg_a") -> MessageRecorded:
    """A message of the turn cost so much."""
    return MessageRecorded(name, "ses_1", "assistant", AT, raw(b"1"), cost_usd, Tokens(output=output))


def retire(idle_since_ms: int = AT) -> CompleteIdleSession:
    return CompleteIdleSession(idle_since_ms, "wanted back", AT)


RETIRED: tuple[Event, ...] = (*FINISHED, SessionCompleted("i1", "wanted back", AT, leaves=True))
"""Completed, and still attached to its instance."""
ERASED: tuple[Event, ...] = (*STOPPED, SessionErased(AT))
