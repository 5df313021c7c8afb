"""The state of a session, folded from its events. decide.py says what it may do, effects.py what is to be done."""

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
    "status_of",
]


class QueuedPrompt(msgspec.Struct, frozen=True):
    """A prompt that waits for its turn; with `command`, one of OpenCode's commands whose arguments are the text.

    One that has ids already was to be sent into a turn that ended first: it may have arrived, so it keeps them.
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
    """The turn that runs, or that a lost instance left behind. `steering` are prompts on their way into it.

    `delay` is why it does not get on, `delay_told` that a person was told of one. `resumed_at_ms` is when it was taken
    up on another process, and 0 as soon as that was seen to work on it.
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


class Failure(msgspec.Struct, frozen=True):
    """Why the session is in `error`, or its last resume failed; `code` is a problem code or an error of OpenCode's."""

    code: str
    detail: str
    at_ms: int
    step: ProvisionStep | None = None


SetupStatus = Literal["required", "held", "running", "done", "failed", "skipped"]
"""`queue_paused`: it waits for a person who allows its commands."""


class Setup(msgspec.Struct, frozen=True):
    """The set-up of the session's workspace. `exit_code` is None until its commands have come to an end."""

    recipe: Recipe
    status: SetupStatus = "required"
    exit_code: int | None = None
    detail: str = ""
    started_at_ms: int = 0
    ended_at_ms: int = 0


class Request(msgspec.Struct, frozen=True):
    """A permission request or question that waits; `body` is OpenCode's JSON. `answer`: OpenCode is being told."""

    id: str
    opencode_id: str
    kind: Literal["permission", "question"]
    body: bytes
    opened_at_ms: int
    answer: Answer | None = None


class Answered(msgspec.Struct, frozen=True):
    """An answer that was given; a second one is refused with it. `reply` is the answer in words, cut."""

    request_id: str
    reply: str
    at_ms: int
    actor: str | None


class Callback(msgspec.Struct, frozen=True):
    """Word of an outcome to the parent. An `undelivered` one is tried again; what is over is shown for a while."""

    number: int
    outcome: Outcome
    text: str
    at_ms: int
    status: Literal["pending", "undelivered", "delivered", "dropped"] = "pending"
    reason: str = ""


TurnEnd = Literal["finished", "aborted", "interrupted", "error"]
"""How a turn ended; `error` is that of a turn that failed."""


class ContextSize(msgspec.Struct, frozen=True):
    """How large the conversation was at an answer, in tokens, and the model that gave it: what its window held."""

    tokens: int
    created_ms: int
    provider_id: str = ""
    model_id: str = ""


NotificationKind = Literal[
    "finished", "aborted", "interrupted", "error", "request", "disconnected", "budget", "callback", "delayed"
]


class Notification(msgspec.Struct, frozen=True):
    """Something that a person may want to see; `number` counts those of the session."""

    number: int
    kind: NotificationKind
    text: str
    at_ms: int
    read: bool = False


class PromptQueue(msgspec.Struct, frozen=True):
    """The prompts that wait, in order. `paused` keeps them back after an abort or error, until a person prompts."""

    prompts: tuple[QueuedPrompt, ...] = ()
    paused: bool = False


class SessionUsage(msgspec.Struct, frozen=True):
    """What the session has used. `by_message` is the share of each message; `exceeded` says which limit was reached."""

    cost_usd: float = 0.0
    tokens: Tokens = Tokens()
    by_message: dict[str, tuple[float, Tokens]] = {}
    exceeded: str | None = None


class ParentCallbacks(msgspec.Struct, frozen=True):
    """ParentCallbacks to the parent. `owed`: the parent has not heard yet what became of the newest prompt."""

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

    `session_id` is what OpenCode calls the session, `session_exists` whether it was made there. `instance_id` is the
    process that works for it now, `instance_ids` all that have, `detaching_from` one that it is still to leave.
    """

    session_id: str = ""
    earlier_session_ids: tuple[str, ...] = ()
    session_exists: bool = False
    instance_id: str | None = None
    instance_ids: tuple[str, ...] = ()
    detaching_from: str | None = None


class State(msgspec.Struct, frozen=True):
    """A session, as its events have made it. Times are Unix milliseconds, 0 where there is none yet."""

    id: str
    phase: Phase = "absent"
    since_ms: int = 0  # when the phase began
    evidence: str = ""  # why this is believed, for a person
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
    running_ms: int = 0  # in all turns, without the time that a person was waited for
    last_outcome: TurnEnd | None = None
    requests: tuple[Request, ...] = ()  # open ones
    settled_requests: tuple[str, ...] = ()  # the newest closed ones: OpenCode goes on listing some
    answered: tuple[Answered, ...] = ()  # the newest answers of people
    digest_by_id: dict[
        str, str
    ] = {}  # of messages and parts that the log has: those of this turn and the newest before
    usage: SessionUsage = SessionUsage()
    snapshots: Snapshots = Snapshots()
    depth: int = 0  # how many ancestors
    callbacks: ParentCallbacks = ParentCallbacks()
    asked: str = ""  # the head of the newest prompt that was sent
    answering: str = ""  # the id of the newest answer's message
    last_line: Activity | None = None  # what the newer of both showed
    context: ContextSize | None = None
    notified: int = 0  # how many notifications there were
    notifications: tuple[Notification, ...] = ()
    created_at_ms: int = 0
    changed_at_ms: int = 0
    ended_at_ms: int | None = None

    @property
    def is_detached(self) -> bool:
        """Whether no OpenCode process works for it or is still to be left."""
        return self.opencode.instance_id is None and self.opencode.detaching_from is None


def is_held(state: State) -> bool:
    """Return whether the set-up of its workspace waits for a person who allows its commands."""
    return state.provisioning == "setup" and state.setup is not None and state.setup.status == "held"


def status_of(state: State) -> Phase:
    """Return the phase as it is shown: a set-up that waits for a person is a session that does."""
    return "waiting_input" if is_held(state) else state.phase


def initial(session_id: str) -> State:
    """Return the state of a session that does not exist yet."""
    return State(id=session_id)
