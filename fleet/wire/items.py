"""Response bodies, camelCase; times are RFC 3339 in UTC. openapi.json is made from them."""

from typing import Literal

import msgspec

from fleet.wire.allowances import AllowanceItem
from fleet.wire.bodies import BudgetBody, ModelBody
from fleet.wire.enums import (
    AbortOutcome,
    OnHostLoss,
    RequestKind,
    SetupStatus,
    SnippetKind,
    Status,
    Strategy,
    TurnOutcome,
)
from fleet.wire.returned_work import ReturnedItem

Encoding = Literal["utf-8", "base64"]


class WireItem(msgspec.Struct, rename="camel"):
    """A response body."""


class TokensItem(WireItem, kw_only=True):
    """Token counts, as OpenCode gives them."""

    input: int
    output: int
    reasoning: int
    cache_read: int
    cache_write: int


class FailureItem(WireItem, kw_only=True):
    """The reason why a session is in `error`, or could not be resumed."""

    code: str
    detail: str
    at: str


class ChangesItem(WireItem, kw_only=True):
    """The numbers of changed files and lines of a session."""

    files: int
    additions: int
    deletions: int


class RequestItem(WireItem, kw_only=True):
    """An open permission request or question; `request` is OpenCode's JSON. `answered`: the answer is being sent."""

    id: str
    kind: RequestKind
    opencode_id: str
    opened_at: str
    answered: bool
    request: msgspec.Raw


class ActivityItem(WireItem, kw_only=True):
    """What a session does now, or its last line, in at most 200 characters. `tool` names a running tool."""

    kind: Literal["text", "reasoning", "tool", "request", "prompt"]
    text: str
    tool: str | None
    at: str


class LastTurnItem(WireItem, kw_only=True):
    """The newest turn of a session. `endedAt` and `outcome` are null while it runs."""

    number: int
    started_at: str
    ended_at: str | None
    outcome: TurnOutcome | None


class SetupBrief(WireItem, kw_only=True):
    """The state of the set-up of a session's workspace. `exitCode` is null until its commands have ended."""

    status: SetupStatus
    exit_code: int | None
    detail: str
    started_at: str | None
    ended_at: str | None


class SetupItem(SetupBrief, kw_only=True):
    """A set-up with the commands of the repository's `.fleet.toml`. `digest` is the SHA-256 of that file."""

    digest: str
    setup: str
    teardown: str
    submodules: bool


class NeedItem(WireItem, kw_only=True):
    """What a session asked of its host: a name or labels, cores and MiB, and what follows when the host is lost."""

    host: str | None
    labels: dict[str, str]
    cpus: float | None
    memory_mb: int | None
    on_host_loss: OnHostLoss


class SessionItem(WireItem, kw_only=True):
    """A session. `branch` is the first branch of its workspace; the workspace's own item has the current one.

    `agent` and `model` are those of its creation. `contextTokens` is the size of the context at the last message,
    `contextLimit` the model's limit if it is known, `runningMs` the time that it was active, up to `statusSince`.
    `queuePaused` says why waiting prompts are not sent, `rehearsal` that the scripted model is used. `setup` is the
    set-up of its repository, null if there is none. `host` is the machine that it works on, null until it has one;
    `need` is null if the session asked for nothing. `returned` is newer work of this session's workspace that came back
    from hosts which it had left.
    """

    id: str
    opencode_id: str
    title: str
    status: Status
    status_since: str
    evidence: str
    evidence_at: str
    instance_id: str | None
    workspace_id: str
    directory: str
    source_directory: str
    isolation_strategy: Strategy
    branch: str | None
    parent_id: str | None
    tags: list[str]
    created_at: str
    updated_at: str
    ended_at: str | None
    turns: int
    queued: int
    open_requests: int
    tokens: TokensItem
    cost_usd: float
    budget: BudgetBody | None
    changes: ChangesItem | None
    outcome: TurnOutcome | None
    failure: FailureItem | None
    agent: str | None
    model: ModelBody | None
    repository: str | None
    context_tokens: int | None
    context_limit: int | None
    running_ms: int
    last_turn: LastTurnItem | None
    rehearsal: bool
    queue_paused: str | None
    activity: ActivityItem | None
    setup: SetupBrief | None
    host: str | None
    need: NeedItem | None
    returned: list[ReturnedItem]


class Created(WireItem, kw_only=True):
    """The response to a create. `instance_id` is null while a set-up waits or runs.

    `filesAsOf` is set for a fork whose files are from an earlier moment than its conversation, because none were
    recorded later: the position of the event with which they were.
    """

    instance_id: str | None
    workspace_id: str
    session: SessionItem
    files_as_of: int | None = None


class Resumed(WireItem, kw_only=True):
    """The response to a resume. `instance_id` is null while a set-up waits or runs."""

    instance_id: str | None
    session: SessionItem


class Aborted(WireItem, kw_only=True):
    """The response to an abort: `aborted`, `ended` (it ended by itself first), `nothing_to_abort`, or `aborting`."""

    outcome: AbortOutcome
    session: SessionItem


class Relative(WireItem, kw_only=True):
    """An ancestor or child of a session."""

    id: str
    title: str
    status: Status


class SessionDetail(SessionItem, kw_only=True):
    """A session with its ancestors (the root first), children, open requests, and what it is allowed without asking.

    `sharing` are the other sessions that OpenCode does not ask after an answer `always` to this one.
    """

    ancestors: list[Relative]
    children: list[Relative]
    requests: list[RequestItem]
    sharing: list[str]
    allowed: list[AllowanceItem]


class KeptItem(WireItem, kw_only=True):
    """The ref that keeps the work of a removed workspace, null for none; ignored files are listed or counted only."""

    ref: str | None
    commit: str | None
    branch: str | None
    ignored: list[str]
    ignored_more: int


class EndedWorkspace(WireItem, kw_only=True):
    """The state of the workspace after a stop; `reason` says why it still exists."""

    id: str
    removed: bool
    reason: str | None
    kept: KeptItem | None


class Ended(WireItem, kw_only=True):
    """The response to a stop. `session` is null if it was erased: nothing of it is shown any more.

    `left` says what is left of an erased session where Fleet cannot erase it; a repeated response does not have it.
    """

    session: SessionItem | None
    erased: bool
    workspace: EndedWorkspace | None
    left: list[str]


class RelativeTitle(WireItem, kw_only=True):
    """A session by its title."""

    id: str
    title: str


class EndedWorkspacePreview(WireItem, kw_only=True):
    """What would happen to a workspace. `reason` says why it would stay, `keptRef` where its work would be kept."""

    id: str
    directory: str
    isolation_strategy: Strategy
    branch: str | None
    removed: bool
    reason: str | None
    dirty: bool | None
    kept_ref: str | None
    ignored: list[str]
    ignored_more: int


class EndPreview(WireItem, kw_only=True):
    """What a stop would do: what it would erase or remove, and what it would keep where. Nothing was done."""

    session: RelativeTitle
    erased: bool
    workspace: EndedWorkspacePreview | None


class DiffItem(WireItem, kw_only=True):
    """A changed file, in base64 if a side is not UTF-8. `overlapsWith`: sessions that worked there meanwhile.

    The digests are the names of the contents in `GET …/blobs/{digest}`. `fileBytes` is a non-UTF-8 name, in base64.
    `asOfTurn` is the turn at whose end it was so, null for a moment within a turn. `asOfPosition` is the event of the
    log with whose snapshot it was so, null for now. `running`: a turn ran at that moment, whose later changes are not
    in it; with `asOfTurn` none of its changes are.
    """

    file: str
    before: str | None
    after: str | None
    additions: int
    deletions: int
    status: Literal["added", "deleted", "modified"]
    is_binary: bool
    is_truncated: bool
    old_file: str | None
    mode_before: str | None
    mode_after: str | None
    overlaps_with: list[str]
    encoding: Encoding | None
    before_digest: str | None
    after_digest: str | None
    file_bytes: str | None = None
    old_file_bytes: str | None = None
    as_of_turn: int | None = None
    as_of_position: int | None = None
    running: bool = False


class SnippetItem(WireItem, kw_only=True):
    """A match of a search in a `title`, `prompt`, `answer` or `tool` output. `hits` are [start, end) in `text`."""

    kind: SnippetKind
    text: str
    hits: list[list[int]]


class HistoryItem(SessionItem, kw_only=True):
    """A session of the history, with a snippet of the match."""

    snippet: SnippetItem | None


class QueuedItem(WireItem, kw_only=True):
    """A prompt in the queue."""

    id: str
    text: str
    accepted_at: str
    attachments: int
    agent: str | None
    model: ModelBody | None = None
    command: str | None = None
    actor: str | None = None


class BranchItem(WireItem, kw_only=True):
    """A branch of a repository. `checkedOutAt` is the work tree that has it."""

    name: str
    kind: Literal["local", "remote"]
    current: bool
    checked_out_at: str | None
    committed_at: str
    commit: str


class TodoItem(WireItem, kw_only=True):
    """An entry of the agent's own todo list, in OpenCode's words."""

    content: str
    status: str
    priority: str | None
