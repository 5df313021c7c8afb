"""The commands of callers to a session, with time and new ids inside; report_commands.py has the rest.

Times are Unix milliseconds.
"""

from fleet.core.messages import Command
from fleet.core.session.report_commands import Report
from fleet.core.session.values import Answer, Budget, Model, NewTurnIds, SessionSettings
from fleet.ports import Attachment


class SubmitPrompt(Command, frozen=True, kw_only=True):
    """Put a prompt into the queue; it starts at once where nothing runs. `resume` wakes a session that has ended.

    With `steer` it goes into the turn that runs, where one does. `lost` refuses it: a reason and a hint.
    """

    prompt_id: str
    text: str
    fresh: NewTurnIds
    attachments: tuple[Attachment, ...] = ()
    agent: str | None = None
    model: Model | None = None
    resume: bool = False
    command: str | None = None
    steer: bool = False
    lost: tuple[str, str | None] | None = None


class CreateSession(Command, frozen=True, kw_only=True):
    """Make the session; the workspace it names has been ordered or will be by the first effect."""

    session_id: str
    settings: SessionSettings
    workspace_id: str
    source_directory: str
    source_repository: str | None
    directory: str
    opencode_id: str
    initial_prompt: SubmitPrompt | None = None
    depth: int = 0


class WithdrawPrompt(Command, frozen=True, kw_only=True):
    """Take a waiting prompt out of the queue."""

    prompt_id: str


class EditPrompt(Command, frozen=True, kw_only=True):
    """Give a waiting prompt another text."""

    prompt_id: str
    text: str


class SteerPrompt(Command, frozen=True, kw_only=True):
    """Send a waiting prompt into the turn that runs."""

    prompt_id: str
    fresh: NewTurnIds


class AbortTurn(Command, frozen=True, kw_only=True):
    """Stop what runs; the session stays."""


class ResumeSession(Command, frozen=True, kw_only=True):
    """Bring a session back to work; with `opencode_id` in a new conversation under this id, in the same workspace."""

    opencode_id: str | None = None


class StopSession(Command, frozen=True, kw_only=True):
    """Stop what runs and end the session."""


class CompleteIdleSession(Command, frozen=True, kw_only=True):
    """Complete the session if it is still idle since then: its instance is wanted back."""

    idle_since_ms: int
    evidence: str


class EraseSession(Command, frozen=True, kw_only=True):
    """Erase a session that has stopped, for good."""


class SetBudget(Command, frozen=True, kw_only=True):
    """Give the session another budget, or none; where that leaves room, waiting prompts go on."""

    budget: Budget | None
    fresh: NewTurnIds


class AnswerRequest(Command, frozen=True, kw_only=True):
    """Answer a permission request or a question; `actor` is the caller."""

    request_id: str
    answer: Answer
    actor: str | None = None


class ReadNotifications(Command, frozen=True, kw_only=True):
    """Somebody has seen these notifications; None for all of them."""

    numbers: tuple[int, ...] | None


class EditSession(Command, frozen=True, kw_only=True):
    """Give the session another title or other tags; None leaves them."""

    title: str | None = None
    tags: tuple[str, ...] | None = None


class SkipSetup(Command, frozen=True, kw_only=True):
    """Go on without the set-up, which waits for a person or has failed."""


SessionCommand = (
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
