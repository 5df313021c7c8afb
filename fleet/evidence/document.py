"""The document of an evidence pack, `pack.json`: one session in the words of an auditor.

It is made from the log alone (gather.py), and each fact has the position of the event that it comes from, so that a
reader finds it in `events.jsonl`. Times are RFC 3339.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Literal, NamedTuple, TypeVar

import msgspec

from fleet.core.permission_rules import Rule
from fleet.core.session.values import Budget, Model, Totals
from fleet.ports import Tokens

FORMAT = 1
"""Version of the document. A reader of an older one may not understand a newer one."""


Verdict = Literal["once", "always", "reject", "closed", "open"]


Item = TypeVar("Item")


class PackItem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of the document."""


class Act(PackItem, frozen=True, kw_only=True):
    """Who did something, when, and the position of the event."""

    actor: str
    at: str
    position: int


class Attached(PackItem, frozen=True, kw_only=True):
    """A file that came with a prompt; `sha256` is the digest of its bytes."""

    filename: str
    mime: str
    size_bytes: int
    sha256: str


class PackedEdit(PackItem, frozen=True, kw_only=True):
    """A change of a prompt that waited."""

    text: str
    by: Act


class PackedPrompt(PackItem, frozen=True, kw_only=True):
    """A prompt: what was asked for, and by whom. `turns` are the turns that it began or steered."""

    prompt_id: str
    text: str
    by: Act
    command: str | None
    agent: str | None
    model: Model | None
    attachments: tuple[Attached, ...]
    edits: tuple[PackedEdit, ...]
    turns: tuple[int, ...]
    fate: str


class Decision(PackItem, frozen=True, kw_only=True):
    """A permission request and its end. `why` is a sentence.

    `decision` is `closed` where it ended without a decision, and `open` where it still waits. `rule` has the patterns
    that `always` allowed from then on.
    """

    request_id: str
    call_id: str | None
    permission: str
    asked: str
    patterns: tuple[str, ...]
    opened_at: str
    position: int
    turn: int
    subagent: str | None
    decision: Verdict
    by: Act | None
    message: str | None
    rule: tuple[str, ...]
    why: str


class PackedQuestion(PackItem, frozen=True, kw_only=True):
    """One question of a request, and what was answered."""

    header: str
    question: str
    options: tuple[str, ...]
    answers: tuple[str, ...]


class PackedQuestions(PackItem, frozen=True, kw_only=True):
    """A request with questions of the agent, and its end."""

    request_id: str
    questions: tuple[PackedQuestion, ...]
    opened_at: str
    position: int
    turn: int
    subagent: str | None
    by: Act | None
    why: str


class PackedCall(PackItem, frozen=True, kw_only=True):
    """A tool call. A command has `command`, and `exit_code` where it ended by itself.

    `output` is cut in the middle where it was longer than the pack shows (`output_bytes` counts all of it). `allowed`
    says in a sentence why it could run.
    """

    call_id: str
    tool: str
    title: str
    command: str | None
    status: str
    exit_code: int | None
    output: str
    output_bytes: int
    output_cut: bool
    started_at: str | None
    ended_at: str | None
    position: int
    turn: int
    subagent: str | None
    allowed: str


class PackedMessage(PackItem, frozen=True, kw_only=True):
    """A text that the agent wrote."""

    text: str
    agent: str | None
    model: str | None
    at: str
    position: int
    turn: int
    subagent: str | None


class PackedTurn(PackItem, frozen=True, kw_only=True):
    """A turn: what began it, how it ended, and what it used."""

    number: int
    prompt_id: str
    started_at: str
    position: int
    ended_at: str | None
    end_position: int | None
    outcome: str
    evidence: str
    aborted_by: Act | None
    cost_usd: float
    tokens: Tokens
    changes: Totals | None


class PackedFile(PackItem, frozen=True, kw_only=True):
    """A file that the session has changed: digests of its content before and after, None where it did not exist."""

    file: str
    old_file: str | None
    status: str
    additions: int
    deletions: int
    is_binary: bool
    is_truncated: bool
    before_sha256: str | None
    after_sha256: str | None


class PackedChanges(PackItem, frozen=True, kw_only=True):
    """The files that the session has changed. `manifest_sha256` is in the event at `position`; it lists the files.

    `overlaps` are sessions that worked in the same directory at the same time: a change may be theirs.
    """

    position: int | None
    manifest_sha256: str | None
    totals: Totals
    files: tuple[PackedFile, ...]
    overlaps: tuple[str, ...]


class Used(PackItem, frozen=True, kw_only=True):
    """What one agent has used with one model."""

    agent: str
    model: str
    messages: int
    cost_usd: float
    tokens: Tokens


class SetUp(PackItem, frozen=True, kw_only=True):
    """A set-up of the workspace: the commands, who allowed them, and how they ended.

    `trusted` is None where no one has allowed them; `trusted_before`: that event is earlier than the events that the
    pack can prove.
    """

    digest: str
    commands: str
    trusted: Act | None
    trusted_before: bool
    output: str
    exit_code: int | None
    result: str
    position: int


class PackedItems(Generic[Item]):
    """Items of the document that are made from the log whenever they are iterated, because all may be too many."""

    def __init__(self, make: Callable[[], Iterator[Item]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Item]:
        return self._make()


class PackedAgentRules(PackItem, frozen=True, kw_only=True):
    """The permission rules of one of OpenCode's agents, in order: the last one that matches decides."""

    agent: str
    rules: tuple[Rule, ...]


class PackedRules(PackItem, frozen=True, kw_only=True):
    """The rules by which an OpenCode process asked, allowed and denied in a directory.

    They are recorded in the log of the process, so `position` is no event of the session.
    """

    instance_id: str
    directory: str
    at: str
    position: int
    agents: tuple[PackedAgentRules, ...]


class RelatedSession(PackItem, frozen=True, kw_only=True):
    """Another session: the parent, a child, or the origin of a fork."""

    session_id: str
    title: str
    outcome: str


class LifeEvent(PackItem, frozen=True, kw_only=True):
    """A step in the life of the session, as a sentence."""

    sentence: str
    by: Act


class PackProof(PackItem, frozen=True, kw_only=True):
    """What `events.jsonl` proves: the positions that it covers, and the last digest; `key` has signed it."""

    first: int
    last: int
    own_events: int
    digest: str
    key: str | None


class PackDocument(PackItem, frozen=True, kw_only=True):
    """The whole document."""

    format: int
    fleet_version: str
    made_at: str
    made_by: str
    session_id: str
    opencode_id: str
    title: str
    status: str
    evidence: str
    tags: tuple[str, ...]
    created: Act
    ended_at: str | None
    strategy: str
    source_directory: str
    directory: str
    branch: str | None
    budget: Budget | None
    cost_usd: float
    tokens: Tokens
    used: tuple[Used, ...]
    prompts: tuple[PackedPrompt, ...]
    turns: tuple[PackedTurn, ...]
    decisions: tuple[Decision, ...]
    questions: tuple[PackedQuestions, ...]
    calls: PackedItems[PackedCall]
    messages: PackedItems[PackedMessage]
    changes: PackedChanges
    rules: tuple[PackedRules, ...]
    setups: tuple[SetUp, ...]
    life: tuple[LifeEvent, ...]
    parent: RelatedSession | None
    origin: RelatedSession | None
    children: tuple[RelatedSession, ...]
    proof: PackProof | None


class Relatives(NamedTuple):
    """Other sessions that the document names. The pack has no more of them than this."""

    parent: RelatedSession | None = None
    origin: RelatedSession | None = None
    children: Sequence[RelatedSession] = ()


class Made(NamedTuple):
    """Which version of Fleet made a pack, when (RFC 3339), and for whom."""

    version: str
    at: str
    by: str
