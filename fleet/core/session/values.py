"""The values that commands, events and the state of a session are made of."""

from hashlib import blake2b
from typing import Final, Literal

import msgspec

from fleet.ports import Strategy

ProvisionStep = Literal["workspace", "setup", "instance", "conversation"]
COMPACT: Final = "compact"
"""The command that Fleet carries out itself: OpenCode has it in its own interface alone."""

TurnOutcome = Literal["finished", "aborted", "interrupted"]
Outcome = Literal["finished", "aborted", "interrupted", "error", "stopped", "disconnected"]
"""What became of a child, as its parent hears it."""


class Model(msgspec.Struct, frozen=True):
    """A model as OpenCode names it."""

    provider_id: str
    model_id: str


class NewTurnIds(msgspec.Struct, frozen=True):
    """Ids for the turn that a command may start: made right before, because OpenCode orders messages by them."""

    message_id: str
    part_seed: str

    def part_ids(self, count: int) -> tuple[str, ...]:
        """Return `count` part ids (at most 100): the seed with its last two characters counted up."""
        return tuple(f"{self.part_seed[:-2]}{n:02d}" for n in range(count))


class Answer(msgspec.Struct, frozen=True):
    """The answer to a permission request (`reply`, with a `message` for the agent) or to a question (`answers`).

    A question may be rejected too. `answers` holds the chosen labels or free texts, one tuple per question.
    """

    reply: Literal["once", "always", "reject"] | None = None
    message: str | None = None
    answers: tuple[tuple[str, ...], ...] | None = None

    @property
    def words(self) -> str:
        """The answer as a person reads it."""
        return self.reply or "; ".join(", ".join(labels) for labels in self.answers or ())


class Budget(msgspec.Struct, frozen=True):
    """What a session may use before it asks: dollars, tokens of all kinds, minutes of running turns. None: no limit."""

    usd: float | None = None
    tokens: int | None = None
    minutes: float | None = None


class Totals(msgspec.Struct, frozen=True):
    """How much a diff changes."""

    files: int = 0
    additions: int = 0
    deletions: int = 0


class ForkPoint(msgspec.Struct, frozen=True):
    """Where a fork comes from: the session, what it is in OpenCode, and the files.

    `message_id` is the first message that does not come along, None for all; `tree` one of `workspace_id`, None where
    the fork works in the same directory.
    """

    session_id: str
    opencode_id: str
    message_id: str | None
    workspace_id: str
    tree: str | None


class SessionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller chooses for a session, from the command that makes it through its event into its state.

    `agent` and `model` are for prompts that name none. `parent_id` is the session that hears of this one's outcomes.
    """

    title: str
    strategy: Strategy
    branch: str | None = None
    base_ref: str | None = None
    tags: tuple[str, ...] = ()
    agent: str | None = None
    model: Model | None = None
    budget: Budget | None = None
    parent_id: str | None = None
    origin: ForkPoint | None = None


def callback_id(session_id: str, number: int) -> str:
    """Return the id of the prompt by which a child tells its parent: the same at every try."""
    return f"callback:{session_id}:{number}"


def is_callback(prompt_id: str) -> bool:
    """Return whether the prompt is a child's word to its parent."""
    return prompt_id.startswith("callback:")


def digest(body: msgspec.Raw | bytes) -> str:
    """Return a short digest by which a message or part is recognised as unchanged."""
    return blake2b(body, digest_size=8).hexdigest()


def raw(body: bytes) -> msgspec.Raw:
    """Return OpenCode's JSON as it is embedded in an event, unparsed."""
    return msgspec.Raw(body)
