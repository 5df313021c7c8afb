"""Commands, events and histories of a session, with everything filled in that a test does not care about."""

from typing import Any

from msgspec.structs import replace

from fleet.core.session.commands import CompleteIdleSession, CreateSession, SubmitPrompt
from fleet.core.session.events import (
    ConversationOpened,
    InstanceAttached,
    InstanceDetaching,
    ProvisionFailed,
    ResumeRequested,
    SessionCompleted,
    SessionCreated,
    SessionDisconnected,
    SessionErased,
    SessionEvent,
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
from fleet.core.session.values import Budget, NewTurnIds, ProvisionStep, SessionSettings, Totals, TurnOutcome, raw
from fleet.ports import Message, MessageInfo, OpenRequest, Part, Recipe, Tokens

AT = 1_700_000_000_000
"""When everything in these tests happens, unless time matters."""


def new_ids(name: str = "p1") -> NewTurnIds:
    return NewTurnIds(f"msg_{name}", f"prt_{name}__")


def submit(name: str = "p1", *, text: str = "do it", resume: bool = False, steer: bool = False) -> SubmitPrompt:
    return SubmitPrompt(prompt_id=name, text=text, at_ms=AT, new_ids=new_ids(name), resume=resume, steer=steer)


def create(
    *,
    title: str = "Title",
    initial: SubmitPrompt | None = None,
    parent: str | None = None,
    budget: Budget | None = None,
) -> CreateSession:
    return CreateSession(
        session_id="s1",
        settings=SessionSettings(title=title, strategy="worktree", parent_id=parent, budget=budget),
        workspace_id="w1",
        source_directory="/src",
        source_repository="/src/.git",
        directory="/trees/w1",
        opencode_id="ses_1",
        at_ms=AT,
        initial_prompt=initial,
    )


def accepted(name: str = "p1") -> PromptAccepted:
    return PromptAccepted(prompt_id=name, text="do it", at_ms=AT)


def started(number: int, name: str, ids: str | None = None) -> TurnStarted:
    """Turn `number` began with prompt `name`, under the fresh ids called `ids` (those of the prompt)."""
    message = ids or name
    return TurnStarted(
        number=number, prompt_id=name, message_id=f"msg_{message}", part_ids=(f"prt_{message}00",), at_ms=AT
    )


def ended(number: int, outcome: TurnOutcome, evidence: str = "three signs") -> TurnEnded:
    return TurnEnded(number=number, outcome=outcome, evidence=evidence, at_ms=AT)


def withdrawn(name: str, reason: str) -> PromptWithdrawn:
    return PromptWithdrawn(prompt_id=name, reason=reason, at_ms=AT)


def attached(instance: str) -> InstanceAttached:
    return InstanceAttached(instance_id=instance, at_ms=AT)


def detached(instance: str = "i1", evidence: str = "why") -> InstanceDetaching:
    return InstanceDetaching(instance_id=instance, evidence=evidence, at_ms=AT)


def failed(step: ProvisionStep, code: str = "git_failed", detail: str = "no") -> ProvisionFailed:
    return ProvisionFailed(step=step, code=code, detail=detail, at_ms=AT)


def request(name: str) -> RequestOpened:
    return RequestOpened(
        request_id=name, opencode_id="ses_1", kind="permission", at_ms=AT, body=raw(b'{"tool":"bash"}')
    )


def disconnected(instance: str = "i1", evidence: str = "why") -> SessionDisconnected:
    return SessionDisconnected(instance_id=instance, evidence=evidence, at_ms=AT)


CREATED: tuple[SessionEvent, ...] = (
    SessionCreated(
        session_id="s1",
        settings=SessionSettings(title="Title", strategy="worktree"),
        workspace_id="w1",
        source_directory="/src",
        source_repository="/src/.git",
        directory="/trees/w1",
        opencode_id="ses_1",
        at_ms=AT,
    ),
)
WORKSPACE = WorkspaceAttached(workspace_id="w1", directory="/trees/w1", branch="fleet/title", at_ms=AT)
OPENED = ConversationOpened(opencode_id="ses_1", at_ms=AT)
RECIPE = Recipe("d1", "npm ci", "docker compose down")
TO_SET_UP: tuple[SessionEvent, ...] = (
    *CREATED,
    WorkspaceAttached(workspace_id="w1", directory="/trees/w1", branch="fleet/title", at_ms=AT, recipe=RECIPE),
)
IN_WORKSPACE: tuple[SessionEvent, ...] = (*CREATED, WORKSPACE)
ON_INSTANCE: tuple[SessionEvent, ...] = (*IN_WORKSPACE, attached("i1"))
IDLE: tuple[SessionEvent, ...] = (*ON_INSTANCE, OPENED)
SENDING: tuple[SessionEvent, ...] = (*IDLE, accepted("p1"), started(1, "p1"))
"""Active, and the prompt is not known to have arrived."""
ACTIVE: tuple[SessionEvent, ...] = (*SENDING, PromptDelivered(message_id="msg_p1", at_ms=AT))
WAITING: tuple[SessionEvent, ...] = (*ACTIVE, request("r1"))
ABORTING: tuple[SessionEvent, ...] = (*ACTIVE, AbortRequested(number=1, at_ms=AT))
FINISHED: tuple[SessionEvent, ...] = (*ACTIVE, ended(1, "finished"))
FAILED: tuple[SessionEvent, ...] = (*ACTIVE, TurnFailed(number=1, code="APIError", detail="no credit", at_ms=AT))
"""In error after a turn; the instance is there."""
BROKEN: tuple[SessionEvent, ...] = (*CREATED, failed("workspace"))
"""In error because creation failed."""
HALF_OPEN: tuple[SessionEvent, ...] = (*ON_INSTANCE, failed("conversation"))
"""In error because creation failed at its last step, with an instance attached."""
COMPLETED: tuple[SessionEvent, ...] = (*FINISHED, SessionCompleted(instance_id="i1", evidence="shut down", at_ms=AT))
DISCONNECTED: tuple[SessionEvent, ...] = (*FINISHED, disconnected())
LOST_TURN: tuple[SessionEvent, ...] = (*ACTIVE, disconnected())
"""Disconnected in the middle of a turn."""
STOPPED: tuple[SessionEvent, ...] = (*FINISHED, StopRequested(at_ms=AT), SessionStopped(evidence="ended", at_ms=AT))
RESUMING: tuple[SessionEvent, ...] = (*DISCONNECTED, ResumeRequested(at_ms=AT))
RESUMED: tuple[SessionEvent, ...] = (
    *RESUMING,
    WORKSPACE,
    attached("i2"),
    SessionResumed(instance_id="i2", opencode_id="ses_1", at_ms=AT),
)
"""Active without a turn: Fleet checks what OpenCode runs."""

LIVING: dict[str, tuple[SessionEvent, ...]] = {
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
    return ReportWorkspaceReady(workspace_id="w1", directory="/trees/w1", branch="fleet/title", at_ms=AT, recipe=recipe)


def setup_ended(exit_code: int | None = 0, code: str | None = None) -> ReportSetupEnded:
    return ReportSetupEnded(exit_code=exit_code, code=code, detail="" if code is None else "no", at_ms=AT)


def instance_ready(instance: str = "i1") -> ReportInstanceReady:
    return ReportInstanceReady(instance_id=instance, at_ms=AT)


def conversation_open(ids: str = "p1", *, restored: bool = False) -> ReportConversationOpen:
    return ReportConversationOpen(opencode_id="ses_1", at_ms=AT, new_ids=new_ids(ids), restored=restored)


def provision_failed(step: ProvisionStep, code: str = "git_failed") -> ReportProvisionFailed:
    return ReportProvisionFailed(step=step, code=code, detail="no", at_ms=AT)


def turn_ended(number: int, outcome: TurnOutcome = "finished", ids: str = "next") -> ReportTurnEnded:
    return ReportTurnEnded(number=number, outcome=outcome, evidence="three signs", at_ms=AT, new_ids=new_ids(ids))


def turn_failed(number: int) -> ReportTurnFailed:
    return ReportTurnFailed(number=number, code="APIError", detail="no credit", at_ms=AT)


def settled(ids: str = "next") -> ReportSettled:
    return ReportSettled(evidence="nothing runs", at_ms=AT, new_ids=new_ids(ids))


def instance_ended(instance: str = "i1", *, orderly: bool = False, host_lost: bool = False) -> ReportInstanceEnded:
    return ReportInstanceEnded(instance_id=instance, orderly=orderly, evidence="why", at_ms=AT, host_lost=host_lost)


def request_opened(name: str) -> ReportRequestOpened:
    return ReportRequestOpened(request=OpenRequest(name, "ses_1", "permission", b'{"tool":"bash"}'), at_ms=AT)


def request_closed(name: str) -> ReportRequestClosed:
    return ReportRequestClosed(request_id=name, at_ms=AT)


def part(name: str, body: str = "1", *, message: str = "msg_a", finished: bool = True) -> Part:
    return Part(name, "ses_1", message, "text", finished, body.encode())


def message(name: str, *parts: Part, body: str = "1", cost_usd: float = 0.0, output: int = 0) -> Message:
    tokens = Tokens(output=output)
    return Message(MessageInfo(name, "ses_1", "assistant", AT, body.encode(), cost_usd=cost_usd, tokens=tokens), parts)


def transcript(*messages: Message) -> ReportTranscript:
    return ReportTranscript(messages=messages, at_ms=AT)


def changes(number: int = 1, files: int = 2, tree: str = "t2") -> ReportChanges:
    return ReportChanges(
        number=number,
        tree=tree,
        turn_manifest="turn",
        session_manifest="session",
        totals=Totals(files, 10, 3),
        overlaps=(),
        at_ms=AT,
    )


# ----------------------------------------------------------------------------------------------- children and budgets


def child(*history: SessionEvent) -> tuple[SessionEvent, ...]:
    """The same history, but the session has a parent, `s0`, which hears of its outcomes."""
    return tuple(replace(_with(e, parent_id="s0"), depth=1) if isinstance(e, SessionCreated) else e for e in history)


def roaming(*history: SessionEvent) -> tuple[SessionEvent, ...]:
    """The same history, but the session is resumed on another host when its host is lost."""
    return tuple(_with(e, on_host_loss="resume") if isinstance(e, SessionCreated) else e for e in history)


def limited(budget: Budget, *history: SessionEvent) -> tuple[SessionEvent, ...]:
    """The same history, but the session has a budget."""
    return tuple(_with(e, budget=budget) if isinstance(e, SessionCreated) else e for e in history)


def paid(cost_usd: float, output: int = 0, name: str = "msg_a") -> MessageRecorded:
    """A message of the turn cost so much."""
    return MessageRecorded(
        message_id=name,
        opencode_id="ses_1",
        role="assistant",
        at_ms=AT,
        body=raw(b"1"),
        cost_usd=cost_usd,
        tokens=Tokens(output=output),
    )


def retire(idle_since_ms: int = AT) -> CompleteIdleSession:
    return CompleteIdleSession(idle_since_ms=idle_since_ms, evidence="wanted back", at_ms=AT)


RETIRED: tuple[SessionEvent, ...] = (
    *FINISHED,
    SessionCompleted(instance_id="i1", evidence="wanted back", at_ms=AT, leaves=True),
)
"""Completed, and still attached to its instance."""
ERASED: tuple[SessionEvent, ...] = (*STOPPED, SessionErased(at_ms=AT))


def _with(created: SessionCreated, **settings: Any) -> SessionCreated:
    return replace(created, settings=replace(created.settings, **settings))
