"""The state of a session, folded from its events. decide.py has its rules, effects.py its outside work."""

from typing import Literal

import msgspec

from fleet.core.session.activity import Activity
from fleet.core.session.transitions import ENDED, PHASES, RESTING, RUNNING, TABLE, Phase
from fleet.core.session.values import Answer, Model, Outcome, ProvisionStep, SessionSettings, Totals
from fleet.ports import Attachment, Recipe, Tokens

__all__ = [
    "ENDED",
    "PHASES",
    "RESTING",
    "RUNNING",
    "TABLE",
    "Answered",
    "Callback",
    "ContextSize",
    "Failure",
    "Notification",
    "NotificationKind",
    "Phase",
    "QueuedPrompt",
    "Request",
    "Setup",
    "State",
    "Turn",
    "initial",
    "is_held",
    "newest_tree",
    "status_of",
]


class QueuedPrompt(msgspec.Struct, frozen=True):
    """A prompt that waits for its turn; with `command`, one of OpenCode's commands whose arguments are the text.

    A prompt with ids was to be sent into a turn that ended first. OpenCode may have it, so it keeps its ids.
    """

    prompt_id: str
    text: str
    accepted_at_ms: int
    attachments: tuple[Attachment, ...] = ()
    agent: str | None = None
    model: Model | None = None
    command: str | None = None
    message_id: str | None = None
    part_ids: tuple[str, ...] = ()


class Turn(msgspec.Struct, frozen=True):
    """The running turn, or the unfinished one of a lost instance. `steering` are prompts that are being sent into it.

    `delay` is why it does not progress; `delay_told`: a person was notified of a delay; `delay_is_long`: of this one.
    `base` is the tree right before its prompt was sent, where it was taken, `step_tree` the newest one since.
    `resumed_at_ms` is when it was resumed on another process; it is 0 once that process was seen working on it.
    """

    number: int
    prompt: QueuedPrompt
    message_id: str
    part_ids: tuple[str, ...]
    delivered: bool = False
    aborting: bool = False
    base: str | None = None
    steering: tuple[QueuedPrompt, ...] = ()
    resumed_at_ms: int = 0
    delay: str = ""
    delay_told: bool = False
    delay_is_long: bool = False
    step_tree: str | None = None


class Failure(msgspec.Struct, frozen=True):
    """Why the session is in `error`, or its last resume failed; `code` is a problem code or an error of OpenCode's."""

    code: str
    detail: str
    at_ms: int
    step: ProvisionStep | None = None


SetupStatus = Literal["required", "held", "running", "done", "failed", "skipped"]
"""`held`: it waits until a person allows its commands."""


class Setup(msgspec.Struct, frozen=True):
    """The set-up of the session's workspace. `exit_code` is None until its commands have ended.

    `attempt` is when it was ordered, which tells it from earlier ones of the workspace.
    """

    recipe: Recipe
    status: SetupStatus = "required"
    exit_code: int | None = None
    detail: str = ""
    started_at_ms: int = 0
    ended_at_ms: int = 0
    attempt: int = 0


class Request(msgspec.Struct, frozen=True):
    """A permission request or question that waits; `body` is OpenCode's JSON. `answer` is being sent to OpenCode."""

    id: str
    opencode_id: str
    kind: Literal["permission", "question"]
    body: bytes
    opened_at_ms: int
    answer: Answer | None = None


class Answered(msgspec.Struct, frozen=True):
    """An answer that was given; a second answer is rejected and names it. `reply` is its text, truncated."""

    request_id: str
    reply: str
    at_ms: int
    actor: str | None


class Callback(msgspec.Struct, frozen=True):
    """A report of an outcome to the parent. An `undelivered` one is retried; ended ones are shown for a while."""

    number: int
    outcome: Outcome
    text: str
    at_ms: int
    status: Literal["pending", "undelivered", "delivered", "dropped"] = "pending"
    reason: str = ""


TurnEnd = Literal["finished", "aborted", "interrupted", "error"]
"""How a turn ended; `error`: it failed."""


class ContextSize(msgspec.Struct, frozen=True):
    """The size of the conversation at an answer, in tokens, and the model that answered."""

    tokens: int
    created_ms: int
    provider_id: str = ""
    model_id: str = ""


NotificationKind = Literal[
    "finished", "aborted", "interrupted", "error", "request", "disconnected", "budget", "callback", "delayed"
]


class Notification(msgspec.Struct, frozen=True):
    """A message for people about the session; `number` counts the session's notifications."""

    number: int
    kind: NotificationKind
    text: str
    at_ms: int
    read: bool = False


class PromptQueue(msgspec.Struct, frozen=True):
    """The waiting prompts, in order. `paused` holds them after an abort or error until a person prompts."""

    prompts: tuple[QueuedPrompt, ...] = ()
    paused: bool = False


class SessionUsage(msgspec.Struct, frozen=True):
    """What the session has used. `by_message` is the share of each message; `exceeded` says which limit was reached."""

    cost_usd: float = 0.0
    tokens: Tokens = Tokens()
    by_message: dict[str, tuple[float, Tokens]] = {}
    exceeded: str | None = None


class ParentCallbacks(msgspec.Struct, frozen=True):
    """The callbacks to the parent. `owed`: the outcome of the newest prompt was not reported yet."""

    owed: bool = False
    sent: tuple[Callback, ...] = ()


class Snapshots(msgspec.Struct, frozen=True):
    """Trees of the workspace: `baseline` before any work, `newest`; and what changed between them.

    `manifest` is the blob that lists the changed files, `totals` their numbers.
    """

    baseline: str | None = None
    newest: str | None = None
    manifest: str | None = None
    totals: Totals | None = None


class OpenCodeLink(msgspec.Struct, frozen=True):
    """The session's side of OpenCode.

    `session_id` is OpenCode's id of the session, `session_exists` whether it was created there. `instance_id` is its
    present process, `instance_ids` all it has had, `detaching_from` the one that it is still to be detached from.
    `opened_by` is the process in which its conversation was found or created last: the store of its host has it.
    """

    session_id: str = ""
    earlier_session_ids: tuple[str, ...] = ()
    session_exists: bool = False
    instance_id: str | None = None
    instance_ids: tuple[str, ...] = ()
    detaching_from: str | None = None
    opened_by: str | None = None


class State(msgspec.Struct, frozen=True):
    """The state of a session. Times are Unix milliseconds, 0 if there is none yet."""

    id: str
    phase: Phase = "absent"
    since_ms: int = 0  # when the phase began
    evidence: str = ""  # the reason for the phase, for a person
    evidence_at_ms: int = 0
    settings: SessionSettings = SessionSettings(title="", strategy="existing")
    workspace_id: str = ""
    source_directory: str = ""  # the directory that the caller named
    source_repository: str | None = None  # the common git directory, None outside of git
    directory: str = ""  # where the agent works
    opencode: OpenCodeLink = OpenCodeLink()
    provisioning: ProvisionStep | None = None  # the step of a creation or resume that is under way
    setup: Setup | None = None
    failure: Failure | None = None  # of the newest attempt or turn
    stopping: bool = False  # a stop was asked for and has not ended
    queue: PromptQueue = PromptQueue()
    turn: Turn | None = None  # the one that runs
    turns: int = 0
    turn_started_at_ms: int = 0  # of the newest turn
    turn_ended_at_ms: int = 0
    running_ms: int = 0  # of all turns, without the time of waiting for a person
    last_outcome: TurnEnd | None = None
    requests: tuple[Request, ...] = ()  # open ones
    settled_requests: tuple[str, ...] = ()  # the newest closed ones: OpenCode may still list them
    answered: tuple[Answered, ...] = ()  # the newest answers of people
    digest_by_id: dict[str, str] = {}  # of messages and parts in the log: of this turn and the newest earlier ones
    erased_parts: tuple[str, ...] = ()  # those that quoted an erased child: they are not recorded again
    usage: SessionUsage = SessionUsage()
    snapshots: Snapshots = Snapshots()
    depth: int = 0  # how many ancestors
    callbacks: ParentCallbacks = ParentCallbacks()
    asked: str = ""  # the head of the newest prompt that was sent
    answering: str = ""  # the id of the newest answer's message
    last_line: Activity | None = None  # of the newer of both
    context: ContextSize | None = None
    notified: int = 0  # how many notifications there were
    notifications: tuple[Notification, ...] = ()
    created_at_ms: int = 0
    changed_at_ms: int = 0
    ended_at_ms: int | None = None

    @property
    def is_detached(self) -> bool:
        """Whether it uses no OpenCode process and is not being detached from one."""
        return self.opencode.instance_id is None and self.opencode.detaching_from is None

    @property
    def is_changing(self) -> bool:
        """Whether its creation, a resume or a stop is under way."""
        return self.stopping or self.provisioning is not None

    @property
    def has_nothing_to_end(self) -> bool:
        """Whether a stop finds nothing: no running resume, no instance of a failed one, no prompt."""
        return self.provisioning is None and self.is_detached and not self.queue.prompts

    @property
    def needs_resume(self) -> bool:
        """Whether only a resume can repair the failed session: it has no instance, or got stuck before one."""
        half_way = self.failure is not None and self.failure.step is not None
        return self.phase == "error" and (self.opencode.instance_id is None or half_way)

    @property
    def can_start_turn(self) -> bool:
        """Whether a turn could begin: OpenCode is available, and nothing runs, starts or ends."""
        return not self.is_changing and (self.phase == "idle" or (self.phase == "error" and not self.needs_resume))

    @property
    def has_lost_conversation(self) -> bool:
        """Whether OpenCode has reported that it lost the conversation; a resume may find it again."""
        return self.provisioning is None and self.failure is not None and self.failure.code == "session_gone"


def is_held(state: State) -> bool:
    """Return whether the set-up of its workspace waits until a person allows its commands."""
    return state.provisioning == "setup" and state.setup is not None and state.setup.status == "held"


def newest_tree(state: State) -> str | None:
    """Return the newest tree of its directory, None if none could be taken."""
    turn = state.turn
    return (turn and (turn.step_tree or turn.base)) or state.snapshots.newest


def is_long_delayed(state: State) -> bool:
    """Return whether its turn has made no progress for so long that a person was notified."""
    return state.turn is not None and state.turn.delay_is_long


def status_of(state: State) -> Phase:
    """Return the phase as it is shown: `waiting_input` if the set-up waits for a person."""
    return "waiting_input" if is_held(state) else state.phase


def initial(session_id: str) -> State:
    """Return the state of a session that does not exist yet."""
    return State(id=session_id)
