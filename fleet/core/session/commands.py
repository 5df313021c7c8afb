"""The commands of callers to a session, with time and new ids inside; report_commands.py has the rest.

Times are Unix milliseconds.
"""

import msgspec

from fleet.core.session.report_commands import Report
from fleet.core.session.values import Answer, Budget, ForkPoint, Model, NewTurnIds
from fleet.ports import Attachment, Strategy


class SubmitPrompt(msgspec.Struct, frozen=True):
    """Put a prompt into the queue; it starts at once where nothing runs. `resume` wakes a session that has ended.

    With `steer` it goes into the turn that runs, where one does. `lost` refuses it: a reason and a hint.
    """

    prompt_id: str
    text: str
    at_ms: int
    fresh: NewTurnIds
    attachments: tuple[Attachment, ...] = ()
    agent: str | None = None
    model: Model | None = None
    resume: bool = False
    command: str | None = None
    steer: bool = False
    lost: tuple[str, str | None] | None = None


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
    parent_id: str | None = None
    depth: int = 0
    budget: Budget | None = None
    origin: ForkPoint | None = None


class WithdrawPrompt(msgspec.Struct, frozen=True):
    """Take a waiting prompt out of the queue."""

    prompt_id: str
    at_ms: int


class EditPrompt(msgspec.Struct, frozen=True):
    """Give a waiting prompt another text."""

    prompt_id: str
    text: str
    at_ms: int


class SteerPrompt(msgspec.Struct, frozen=True):
    """Send a waiting prompt into the turn that runs."""

    prompt_id: str
    at_ms: int
    fresh: NewTurnIds


class AbortTurn(msgspec.Struct, frozen=True):
    """Stop what runs; the session stays."""

    at_ms: int


class ResumeSession(msgspec.Struct, frozen=True):
    """Bring a session back to work; with `opencode_id` in a new conversation under this id, in the same workspace."""

    at_ms: int
    opencode_id: str | None = None


class StopSession(msgspec.Struct, frozen=True):
    """Stop what runs and end the session."""

    at_ms: int


class CompleteIdleSession(msgspec.Struct, frozen=True):
    """Complete the session if it is still idle since then: its instance is wanted back."""

    idle_since_ms: int
    evidence: str
    at_ms: int


class EraseSession(msgspec.Struct, frozen=True):
    """Erase a session that has stopped, for good."""

    at_ms: int


class SetBudget(msgspec.Struct, frozen=True):
    """Give the session another budget, or none; where that leaves room, waiting prompts go on."""

    budget: Budget | None
    at_ms: int
    fresh: NewTurnIds


class AnswerRequest(msgspec.Struct, frozen=True):
    """Answer a permission request or a question; `actor` is the caller."""

    request_id: str
    answer: Answer
    at_ms: int
    actor: str | None = None


class ReadNotifications(msgspec.Struct, frozen=True):
    """Somebody has seen these notifications; None for all of them."""

    numbers: tuple[int, ...] | None
    at_ms: int


class EditSession(msgspec.Struct, frozen=True):
    """Give the session another title or other tags; None leaves them."""

    at_ms: int
    title: str | None = None
    tags: tuple[str, ...] | None = None


class SkipSetup(msgspec.Struct, frozen=True):
    """Go on without the set-up, which waits for a person or has failed."""

    at_ms: int


Command = (
    CreateSession
    | SubmitPrompt
    | WithdrawPrompt
    | EditPrompt
    | SteerPrompt
    | AbortTurn
    | ResumeSession
    | StopSession
    | CompleteIdleSession
    | EraseSession
    | SetBudget
    | AnswerRequest
    | ReadNotifications
    | EditSession
    | SkipSetup
    | Report
)
