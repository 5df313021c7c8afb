"""The commands of callers to a session, which include the time and new ids; report_commands.py has the other commands.

Times are Unix milliseconds.
"""

from collections.abc import Mapping

from fleet.core.messages import Command
from fleet.core.session.report_commands import Report
from fleet.core.session.values import Answer, Budget, Model, NewTurnIds, ReplacedPayload, SessionSettings
from fleet.ports import Attachment


class SubmitPrompt(Command, frozen=True, kw_only=True):
    """Put a prompt into the queue; it starts at once if no turn runs. `resume` resumes a session that has ended.

    With `steer` it is sent into the running turn, if there is one. `lost` rejects the prompt with a reason and a hint.
    """

    prompt_id: str
    text: str
    new_ids: NewTurnIds
    attachments: tuple[Attachment, ...] = ()
    agent: str | None = None
    model: Model | None = None
    resume: bool = False
    command: str | None = None
    steer: bool = False
    lost: tuple[str, str | None] | None = None


class CreateSession(Command, frozen=True, kw_only=True):
    """Create the session. Its workspace has been ordered, or the first effect orders it."""

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
    """Replace the text of a waiting prompt."""

    prompt_id: str
    text: str


class SteerPrompt(Command, frozen=True, kw_only=True):
    """Send a waiting prompt into the running turn."""

    prompt_id: str
    new_ids: NewTurnIds


class AbortTurn(Command, frozen=True, kw_only=True):
    """Abort the running turn or set-up; the session remains."""


class ResumeSession(Command, frozen=True, kw_only=True):
    """Resume a session; with `opencode_id` in a new conversation with this id, in the same workspace."""

    opencode_id: str | None = None


class StopSession(Command, frozen=True, kw_only=True):
    """Abort the running turn and end the session."""


class MoveSession(Command, frozen=True, kw_only=True):
    """Let an idle session leave its process and its host, and resume it on another one."""

    evidence: str


class CompleteIdleSession(Command, frozen=True, kw_only=True):
    """Complete the session if it has been idle since then, so that its instance can be stopped."""

    idle_since_ms: int
    evidence: str


class EraseSession(Command, frozen=True, kw_only=True):
    """Erase a stopped session permanently."""


class EraseCallbacks(Command, frozen=True, kw_only=True):
    """Replace the texts of the callbacks of an erased child; the fields are those of `CallbacksErased`.

    `heads` are how lists show such a text; `lines` are last lines of answers that quote one, before and after.
    """

    child_id: str
    replaced: tuple[ReplacedPayload, ...]
    prompts: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    lines: Mapping[str, str] = {}


class SetBudget(Command, frozen=True, kw_only=True):
    """Change or remove the session's budget; if it is no longer used up, waiting prompts start."""

    budget: Budget | None
    new_ids: NewTurnIds


class AnswerRequest(Command, frozen=True, kw_only=True):
    """Answer a permission request or a question; `actor` is the caller."""

    request_id: str
    answer: Answer
    actor: str | None = None


class ReadNotifications(Command, frozen=True, kw_only=True):
    """Mark these notifications as read; None for all of them."""

    numbers: tuple[int, ...] | None


class EditSession(Command, frozen=True, kw_only=True):
    """Change the session's title or tags; None keeps them."""

    title: str | None = None
    tags: tuple[str, ...] | None = None


class SkipSetup(Command, frozen=True, kw_only=True):
    """Continue without the set-up, which waits for a person or has failed."""


SessionCommand = (
    CreateSession
    | SubmitPrompt
    | WithdrawPrompt
    | EditPrompt
    | SteerPrompt
    | AbortTurn
    | ResumeSession
    | StopSession
    | MoveSession
    | CompleteIdleSession
    | EraseSession
    | EraseCallbacks
    | SetBudget
    | AnswerRequest
    | ReadNotifications
    | EditSession
    | SkipSetup
    | Report
)
