"""The events of a session's turns: prompts, delivery, transcript, changes, requests, ends. See events.py.

Times are Unix milliseconds.
"""

from typing import Literal

import msgspec

from fleet.core.messages import Event
from fleet.core.session.values import Answer, Model, Totals, TurnOutcome
from fleet.ports import Attachment, Tokens


class PromptAccepted(Event, frozen=True, kw_only=True):
    """The prompt waits in the queue."""

    prompt_id: str
    text: str
    attachments: tuple[Attachment, ...] = ()
    agent: str | None = None
    model: Model | None = None
    command: str | None = None


class PromptWithdrawn(Event, frozen=True, kw_only=True):
    """The prompt was removed from the queue; if it was to steer a turn, it may have been sent."""

    prompt_id: str
    reason: str


class PromptEdited(Event, frozen=True, kw_only=True):
    """The waiting prompt has this text now."""

    prompt_id: str
    text: str


class TurnStarted(Event, frozen=True, kw_only=True):
    """The turn begins; its prompt is to be sent with these ids, in every retry too."""

    number: int
    prompt_id: str
    message_id: str
    part_ids: tuple[str, ...]


class TurnSteered(Event, frozen=True, kw_only=True):
    """The prompt is to be sent into the running turn with these ids; OpenCode reads it at its next step."""

    number: int
    prompt_id: str
    message_id: str
    part_ids: tuple[str, ...]


class PromptDelivered(Event, frozen=True, kw_only=True):
    """The prompt was read back from OpenCode's store; `kept_as` is its id there, where OpenCode chose another one."""

    message_id: str
    kept_as: str | None = None


class MessageRecorded(Event, frozen=True, kw_only=True):
    """A message's info as OpenCode has it; a later one with the same id replaces it. `body` is OpenCode's JSON.

    A user's message is recorded once: what OpenCode adds to it later is its own summary of the turn's diffs. `copied`:
    the session is a fork, and the message is one of the session that it was made from.
    """

    message_id: str
    opencode_id: str
    role: str
    body: msgspec.Raw
    cost_usd: float = 0.0
    tokens: Tokens = Tokens()
    created_ms: int = 0
    copied: bool = False


class PartRecorded(Event, frozen=True, kw_only=True):
    """A finished part as OpenCode has it; a later one with the same id replaces it. `body` is OpenCode's JSON.

    `opencode_id` is the conversation: the session's own, or that of a sub-agent. `copied` is as for the message.
    """

    part_id: str
    message_id: str
    type: str
    body: msgspec.Raw
    opencode_id: str = ""
    copied: bool = False


class TurnSnapshotTaken(Event, frozen=True, kw_only=True):
    """The tree of the directory right before the turn's prompt was sent."""

    number: int
    tree: str


class StepSnapshotTaken(Event, frozen=True, kw_only=True):
    """The tree of the directory while the turn runs, taken after the call `part_id` of `tool`.

    It differs from the tree before. Changes of a call that ran when it was taken may be in it.
    """

    number: int
    part_id: str
    tool: str
    tree: str


class ChangesRecorded(Event, frozen=True, kw_only=True):
    """The changes of the turn and of the whole session so far: manifests in the blob store (fleet/core/manifest.py).

    `tree` is the tree at the end of the turn, `totals` counts the changes of the session and `turn_totals` those of the
    turn. `overlaps` names the sessions whose turns ran in the same directory at the same time, so that a change may be
    theirs.
    """

    number: int
    tree: str
    turn_manifest: str
    session_manifest: str
    totals: Totals
    overlaps: tuple[str, ...]
    turn_totals: Totals | None = None


class RequestOpened(Event, frozen=True, kw_only=True):
    """The turn waits for a person. `body` is OpenCode's JSON."""

    request_id: str
    opencode_id: str
    kind: Literal["permission", "question"]
    body: msgspec.Raw


class RequestAnswered(Event, frozen=True, kw_only=True):
    """A request was answered by `actor`; the answer is to be sent. In old logs only the envelope names the actor."""

    request_id: str
    answer: Answer
    actor: str | None = None


class RequestClosed(Event, frozen=True, kw_only=True):
    """The request is no longer open."""

    request_id: str


class TurnContinued(Event, frozen=True, kw_only=True):
    """No request is open any more; the turn continues."""


class TurnDelayed(Event, frozen=True, kw_only=True):
    """Why the running turn is delayed; it replaces the earlier reason, and "" means that it is not delayed.

    If it `is_long`, a person is notified.
    """

    number: int
    reason: str
    is_long: bool = False


class AbortRequested(Event, frozen=True, kw_only=True):
    """The running turn is to be stopped."""

    number: int


class TurnEnded(Event, frozen=True, kw_only=True):
    """The turn has ended. An aborted or interrupted turn never has the outcome finished."""

    number: int
    outcome: TurnOutcome
    evidence: str


class TurnFailed(Event, frozen=True, kw_only=True):
    """The turn ended with an error; the session can continue."""

    number: int
    code: str
    detail: str
