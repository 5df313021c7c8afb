"""Commands, events and histories of a session, with everything filled in that a test does not care about."""

from msgspec.structs import replace

from fleet.core.session import messages as m
from fleet.ports import Message, MessageInfo, OpenRequest, Part, Recipe, Tokens

AT = 1_700_000_000_000
"""When everything in these tests happens, unless time matters."""


def fresh(name: str = "p1") -> m.FreshIds:
    return m.FreshIds(f"msg_{name}", f"prt_{name}__")


def submit(name: str = "p1", *, text: str = "do it", resume: bool = False, steer: bool = False) -> m.SubmitPrompt:
    return m.SubmitPrompt(name, text, AT, fresh(name), resume=resume, steer=steer)


def create(
    *,
    title: str = "Title",
    initial: m.SubmitPrompt | None = None,
    parent: str | None = None,
    budget: m.Budget | None = None,
) -> m.CreateSession:
    return m.CreateSession(
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


def accepted(name: str = "p1") -> m.PromptAccepted:
    return m.PromptAccepted(name, "do it", AT)


def started(number: int, name: str, ids: str | None = None) -> m.TurnStarted:
    """Turn `number` began with prompt `name`, under the fresh ids called `ids` (those of the prompt)."""
    message = ids or name
    return m.TurnStarted(number, name, f"msg_{message}", (f"prt_{message}00",), AT)


def ended(number: int, outcome: m.TurnOutcome, evidence: str = "three signs") -> m.TurnEnded:
    return m.TurnEnded(number, outcome, evidence, AT)


def withdrawn(name: str, reason: str) -> m.PromptWithdrawn:
    return m.PromptWithdrawn(name, reason, AT)


def attached(instance: str) -> m.InstanceAttached:
    return m.InstanceAttached(instance, AT)


def detached(instance: str = "i1", evidence: str = "why") -> m.InstanceDetached:
    return m.InstanceDetached(instance, evidence, AT)


def failed(step: m.ProvisionStep, code: str = "git_failed", detail: str = "no") -> m.ProvisionFailed:
    return m.ProvisionFailed(step, code, detail, AT)


def request(name: str) -> m.RequestOpened:
    return m.RequestOpened(name, "ses_1", "permission", AT, m.raw(b'{"tool":"bash"}'))


def disconnected(instance: str = "i1", evidence: str = "why") -> m.SessionDisconnected:
    return m.SessionDisconnected(instance, evidence, AT)


CREATED: tuple[m.Event, ...] = (
    m.SessionCreated("s1", "Title", "w1", "worktree", "/src", "/src/.git", "/trees/w1", "ses_1", AT),
)
WORKSPACE = m.WorkspaceAttached("w1", "/trees/w1", "fleet/title", AT)
OPENED = m.ConversationOpened("ses_1", AT)
RECIPE = Recipe("d1", "npm ci", "docker compose down")
TO_SET_UP: tuple[m.Event, ...] = (
    *CREATED,
    m.WorkspaceAttached("w1", "/trees/w1", "fleet/title", AT, recipe=RECIPE),
)
IN_WORKSPACE: tuple[m.Event, ...] = (*CREATED, WORKSPACE)
ON_INSTANCE: tuple[m.Event, ...] = (*IN_WORKSPACE, attached("i1"))
IDLE: tuple[m.Event, ...] = (*ON_INSTANCE, OPENED)
SENDING: tuple[m.Event, ...] = (*IDLE, accepted("p1"), started(1, "p1"))
"""Active, and the prompt is not known to have arrived."""
ACTIVE: tuple[m.Event, ...] = (*SENDING, m.PromptDelivered("msg_p1", AT))
WAITING: tuple[m.Event, ...] = (*ACTIVE, request("r1"))
ABORTING: tuple[m.Event, ...] = (*ACTIVE, m.AbortRequested(1, AT))
FINISHED: tuple[m.Event, ...] = (*ACTIVE, ended(1, "finished"))
FAILED: tuple[m.Event, ...] = (*ACTIVE, m.TurnFailed(1, "APIError", "no credit", AT))
"""In error after a turn; the instance is there."""
BROKEN: tuple[m.Event, ...] = (*CREATED, failed("workspace"))
"""In error because creation failed."""
HALF_OPEN: tuple[m.Event, ...] = (*ON_INSTANCE, failed("conversation"))
"""In error because creation failed at its last step, with an instance attached."""
COMPLETED: tuple[m.Event, ...] = (*FINISHED, m.SessionCompleted("i1", "shut down", AT))
DISCONNECTED: tuple[m.Event, ...] = (*FINISHED, disconnected())
LOST_TURN: tuple[m.Event, ...] = (*ACTIVE, disconnected())
"""Disconnected in the middle of a turn."""
STOPPED: tuple[m.Event, ...] = (*FINISHED, m.TerminationRequested(AT), m.SessionStopped("ended", AT))
RESUMING: tuple[m.Event, ...] = (*DISCONNECTED, m.ResumeRequested(AT))
RESUMED: tuple[m.Event, ...] = (*RESUMING, WORKSPACE, attached("i2"), m.SessionResumed("i2", "ses_1", AT))
"""Active without a turn: what OpenCode does is being looked at."""

LIVING: dict[str, tuple[m.Event, ...]] = {
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


def workspace_ready(recipe: Recipe | None = None) -> m.ReportWorkspaceReady:
    return m.ReportWorkspaceReady("w1", "/trees/w1", "fleet/title", AT, recipe=recipe)


def setup_ended(exit_code: int | None = 0, code: str | None = None) -> m.ReportSetupEnded:
    return m.ReportSetupEnded(exit_code, code, "" if code is None else "no", AT)


def instance_ready(instance: str = "i1") -> m.ReportInstanceReady:
    return m.ReportInstanceReady(instance, AT)


def conversation_open(ids: str = "p1") -> m.ReportConversationOpen:
    return m.ReportConversationOpen("ses_1", AT, fresh(ids))


def provision_failed(step: m.ProvisionStep, code: str = "git_failed") -> m.ReportProvisionFailed:
    return m.ReportProvisionFailed(step, code, "no", AT)


def turn_ended(number: int, outcome: m.TurnOutcome = "finished", ids: str = "next") -> m.ReportTurnEnded:
    return m.ReportTurnEnded(number, outcome, "three signs", AT, fresh(ids))


def turn_failed(number: int) -> m.ReportTurnFailed:
    return m.ReportTurnFailed(number, "APIError", "no credit", AT)


def settled(ids: str = "next") -> m.ReportSettled:
    return m.ReportSettled("nothing runs", AT, fresh(ids))


def instance_ended(instance: str = "i1", *, orderly: bool = False) -> m.ReportInstanceEnded:
    return m.ReportInstanceEnded(instance, orderly, "why", AT)


def request_opened(name: str) -> m.ReportRequestOpened:
    return m.ReportRequestOpened(OpenRequest(name, "ses_1", "permission", b'{"tool":"bash"}'), AT)


def request_closed(name: str) -> m.ReportRequestClosed:
    return m.ReportRequestClosed(name, AT)


def part(name: str, body: str = "1", *, message: str = "msg_a", finished: bool = True) -> Part:
    return Part(name, "ses_1", message, "text", finished, body.encode())


def message(name: str, *parts: Part, body: str = "1", cost_usd: float = 0.0, output: int = 0) -> Message:
    tokens = Tokens(output=output)
    return Message(MessageInfo(name, "ses_1", "assistant", AT, body.encode(), cost_usd=cost_usd, tokens=tokens), parts)


def transcript(*messages: Message) -> m.ReportTranscript:
    return m.ReportTranscript(messages, AT)


def changes(number: int = 1, files: int = 2, tree: str = "t2") -> m.ReportChanges:
    return m.ReportChanges(number, tree, "turn", "session", m.Totals(files, 10, 3), (), AT)


# ----------------------------------------------------------------------------------------------- children and budgets


def child(*history: m.Event) -> tuple[m.Event, ...]:
    """The same history, but the session has a parent, `s0`, which hears of its outcomes."""
    return tuple(replace(e, parent_id="s0", depth=1) if isinstance(e, m.SessionCreated) else e for e in history)


def limited(budget: m.Budget, *history: m.Event) -> tuple[m.Event, ...]:
    """The same history, but the session has a budget."""
    return tuple(replace(e, budget=budget) if isinstance(e, m.SessionCreated) else e for e in history)


def paid(cost_usd: float, output: int = 0, name: str = "msg_a") -> m.MessageRecorded:
    """A message of the turn cost so much."""
    return m.MessageRecorded(name, "ses_1", "assistant", AT, m.raw(b"1"), cost_usd, Tokens(output=output))


def retire(idle_since_ms: int = AT) -> m.RetireSession:
    return m.RetireSession(idle_since_ms, "wanted back", AT)


RETIRED: tuple[m.Event, ...] = (*FINISHED, m.SessionCompleted("i1", "wanted back", AT, leaves=True))
"""Completed, and still attached to its instance."""
ERASED: tuple[m.Event, ...] = (*STOPPED, m.SessionErased(AT))
