"""The values in a session's commands, events and state."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final, Literal

import msgspec

from fleet.ports import Strategy

ProvisionStep = Literal["workspace", "setup", "instance", "conversation"]
COMPACT: Final = "compact"
"""The slash command that Fleet implements itself: OpenCode has it only in its own interface."""

TurnOutcome = Literal["finished", "aborted", "interrupted"]
OnHostLoss = Literal["ask", "resume"]
Outcome = Literal["finished", "aborted", "interrupted", "error", "stopped", "disconnected"]
"""The outcome of a child in a callback to its parent."""


class Model(msgspec.Struct, frozen=True):
    """A model as OpenCode names it."""

    provider_id: str
    model_id: str


class NewTurnIds(msgspec.Struct, frozen=True):
    """Ids for a turn that a command may start, made just before: OpenCode orders messages by their ids."""

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
        """The answer as text for a person."""
        return self.reply or "; ".join(", ".join(labels) for labels in self.answers or ())


class Budget(msgspec.Struct, frozen=True):
    """What a session may use before it asks: dollars, tokens of all kinds, minutes of running turns. None: no limit."""

    usd: float | None = None
    tokens: int | None = None
    minutes: float | None = None


class Totals(msgspec.Struct, frozen=True):
    """The number of files, additions and deletions of a diff."""

    files: int = 0
    additions: int = 0
    deletions: int = 0


class ForkPoint(msgspec.Struct, frozen=True):
    """The origin of a fork: the session, its id in OpenCode, and the files.

    `message_id` is the first message that is not copied, None to copy all; `tree` is a tree of `workspace_id`, None if
    the fork works in the same directory. `files_as_of` is the position of the tree's event if no tree was taken right
    before that message, so that this one is from an earlier moment.
    """

    session_id: str
    opencode_id: str
    message_id: str | None
    workspace_id: str
    tree: str | None
    files_as_of: int | None = None


class SessionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that a caller chooses for a session; the command, the event and the state all contain them.

    `agent` and `model` apply to prompts that name none. `parent_id` is the session that gets a callback per outcome.
    `host` and `host_labels` say on which hosts the session may work, `cpus` (cores) and `memory_mb` (MiB) how much room
    it needs there, None: as much as the server is configured for. `on_host_loss` says what follows when its host is
    lost: it waits for a person, or is resumed on another host.
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
    host: str | None = None
    host_labels: Mapping[str, str] = {}
    cpus: float | None = None
    memory_mb: int | None = None
    on_host_loss: OnHostLoss = "ask"


class ReplacedPayload(msgspec.Struct, frozen=True):
    """The position of an event, and its new payload: JSON, see events/replacements.py."""

    position: int
    payload: msgspec.Raw


def erased_callback(session_id: str) -> str:
    """Return the text that replaces the callbacks of an erased session."""
    return f"[Session {session_id} was erased, and what it had reported here with it.]"


def callback_id(session_id: str, number: int) -> str:
    """Return the id of a callback's prompt to the parent: the same in every retry."""
    return f"callback:{session_id}:{number}"


def is_callback(prompt_id: str) -> bool:
    """Return whether the prompt is a callback from a child to its parent."""
    return prompt_id.startswith("callback:")


def digest(body: msgspec.Raw | bytes) -> str:
    """Return a short digest that shows whether a message or part has changed."""
    return blake2b(body, digest_size=8).hexdigest()


def raw(body: bytes) -> msgspec.Raw:
    """Return OpenCode's JSON as it is embedded in an event, unparsed."""
    return msgspec.Raw(body)
