"""What goes over the wire: request and response bodies, camelCase, checked strictly on the way in.

The contract is docs of the API; the shapes here are its one source (openapi.json is made from them). Times are RFC 3339
in UTC.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec

from fleet.core.instance import state as instance_state
from fleet.core.session.state import Failure, State
from fleet.core.workspace import machine as workspace
from fleet.limits import PAGE_DEFAULT, PAGE_MAX, TAGS_MAX, TITLE_CHARS_MAX
from fleet.ports import Strategy, Tokens


class Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A request body: unknown fields are refused."""


class Answer(msgspec.Struct, rename="camel"):
    """A response body."""


Title = Annotated[str, msgspec.Meta(min_length=1, max_length=TITLE_CHARS_MAX)]
Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Tags = Annotated[list[Tag], msgspec.Meta(max_length=TAGS_MAX)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=PAGE_MAX)]
Offset = Annotated[int, msgspec.Meta(ge=0)]
Position = Annotated[int, msgspec.Meta(ge=0)]

# ---------------------------------------------------------------------------------------------------------- requests


class ModelBody(msgspec.Struct, forbid_unknown_fields=True):
    """A model, named as OpenCode names it."""

    providerID: str  # noqa: N815 - OpenCode's spelling
    modelID: str  # noqa: N815


class CreateBody(Body):
    """`POST /api/sessions`."""

    directory: Annotated[str, msgspec.Meta(min_length=1)]
    title: Title | None = None
    isolation_strategy: Strategy = "existing"
    branch: str | None = None
    base_ref: str | None = None
    initial_prompt: str | None = None
    agent: str | None = None
    model: ModelBody | None = None
    tags: Tags = []


class AttachmentBody(Body):
    """A file that goes with a prompt; `data` is base64."""

    mime: Annotated[str, msgspec.Meta(min_length=3, max_length=200)]
    filename: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    data: bytes


class PromptBody(Body):
    """`POST /api/sessions/{id}/prompt`."""

    text: str = ""
    instance_id: str | None = None
    attachments: list[AttachmentBody] = []
    agent: str | None = None
    model: ModelBody | None = None
    delivery: Literal["queue"] = "queue"
    resume: bool = False


class DescribeBody(Body):
    """`PATCH /api/sessions/{id}`."""

    title: Title | None = None
    tags: Tags | None = None


class Query(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Query parameters: unknown ones are refused, because a mistyped filter is a wrong answer."""


class InstanceQuery(Query):
    """Routes that take an `instanceId` that they do not need."""

    instance_id: str | None = None


class ListQuery(Query):
    """`GET /api/sessions`."""

    status: str | None = None
    search: str | None = None
    tag: str | None = None
    workspace: str | None = None
    limit: Limit = PAGE_DEFAULT
    offset: Offset = 0


class AtQuery(Query):
    """A session as it was at a log position."""

    at: Position | None = None


class MessagesQuery(Query):
    """`GET /api/sessions/{id}/messages`."""

    limit: Limit = PAGE_DEFAULT
    before: str | None = None
    after: str | None = None
    at: Position | None = None
    instance_id: str | None = None


class StreamQuery(Query):
    """The event streams."""

    after: Position | None = None
    instance_id: str | None = None


# --------------------------------------------------------------------------------------------------------- responses


class TokensItem(Answer):
    """Token counts, as OpenCode gives them."""

    input: int
    output: int
    reasoning: int
    cache_read: int
    cache_write: int


class FailureItem(Answer):
    """Why a session is in `error`, or could not be resumed."""

    code: str
    detail: str
    at: str


class SessionItem(Answer):
    """A session."""

    id: str
    opencode_id: str
    title: str
    status: str
    status_since: str
    evidence: str
    instance_id: str | None
    workspace_id: str
    directory: str
    source_directory: str
    isolation_strategy: str
    branch: str | None
    tags: list[str]
    created_at: str
    updated_at: str
    ended_at: str | None
    turns: int
    queued: int
    open_requests: int
    tokens: TokensItem
    cost_usd: float
    outcome: str | None
    failure: FailureItem | None


class Created(Answer):
    """The answer to a create."""

    instance_id: str
    workspace_id: str
    session: SessionItem


class Resumed(Answer):
    """The answer to a resume."""

    instance_id: str
    session: SessionItem


class Aborted(Answer):
    """The answer to an abort: `aborted`, `ended` (it ended by itself first), `nothing_to_abort`, or `aborting`."""

    outcome: str
    session: SessionItem


class Ended(Answer):
    """The answer to a terminate."""

    session: SessionItem


class QueuedItem(Answer):
    """A prompt that waits."""

    id: str
    text: str
    accepted_at: str
    attachments: int
    agent: str | None


class MessageItem(Answer):
    """A message: OpenCode's own `info` and `parts`."""

    info: msgspec.Raw
    parts: list[msgspec.Raw]


class Pagination(Answer):
    """Ids to go on from with `before` and `after`; null where the transcript ends."""

    before: str | None
    after: str | None
    total: int


class Messages(Answer):
    """A stretch of a transcript, oldest first."""

    messages: list[MessageItem]
    pagination: Pagination


class InstanceItem(Answer):
    """An OpenCode process."""

    id: str
    status: str
    status_since: str
    evidence: str
    pid: int | None
    version: str | None
    memory_bytes: int | None
    sessions: list[str]
    created_at: str


class WorkspaceItem(Answer):
    """A workspace."""

    id: str
    status: str
    isolation_strategy: str
    source_directory: str
    directory: str
    branch: str | None
    sessions: list[str]


class Health(Answer):
    """Liveness and readiness."""

    status: Literal["ok", "starting"]
    version: str
    position: int


# -------------------------------------------------------------------------------------------------------- conversion


def rfc3339(unix_ms: int) -> str:
    """Return the time as text, to the millisecond."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def session_item(state: State) -> SessionItem:
    """Return what the API shows of a session."""
    return SessionItem(
        id=state.id,
        opencode_id=state.opencode_id,
        title=state.title,
        status=state.phase,
        status_since=rfc3339(state.since_ms),
        evidence=state.evidence,
        instance_id=last_instance(state),
        workspace_id=state.workspace_id,
        directory=state.directory,
        source_directory=state.source_directory,
        isolation_strategy=state.strategy,
        branch=state.branch,
        tags=list(state.tags),
        created_at=rfc3339(state.created_at_ms),
        updated_at=rfc3339(state.changed_at_ms),
        ended_at=None if state.ended_at_ms is None else rfc3339(state.ended_at_ms),
        turns=state.turns,
        queued=len(state.queue),
        open_requests=len(state.requests),
        tokens=tokens_item(state.tokens),
        cost_usd=state.cost_usd,
        outcome=state.last_outcome,
        failure=_failure_item(state.failure),
    )


def last_instance(state: State) -> str | None:
    """Return the instance that the session has, or else the last that it had."""
    if state.instance_id is not None:
        return state.instance_id
    return state.instances[-1] if state.instances else None


def tokens_item(tokens: Tokens) -> TokensItem:
    """Return the token counts."""
    return TokensItem(tokens.input, tokens.output, tokens.reasoning, tokens.cache_read, tokens.cache_write)


def _failure_item(failure: Failure | None) -> FailureItem | None:
    return None if failure is None else FailureItem(failure.code, failure.detail, rfc3339(failure.at_ms))


def instance_item(state: instance_state.State, memory_bytes: int | None) -> InstanceItem:
    """Return what the API shows of an instance."""
    return InstanceItem(
        id=state.id,
        status=state.phase,
        status_since=rfc3339(state.since_ms),
        evidence=state.evidence,
        pid=None if state.identity is None else state.identity.pid,
        version=None if state.endpoint is None else state.endpoint.version,
        memory_bytes=memory_bytes,
        sessions=list(state.sessions),
        created_at=rfc3339(state.created_at_ms),
    )


def workspace_item(state: workspace.State) -> WorkspaceItem:
    """Return what the API shows of a workspace."""
    order, prepared = state.order, state.prepared
    return WorkspaceItem(
        id=state.id,
        status=state.phase,
        isolation_strategy="" if order is None else order.strategy,
        source_directory="" if order is None else order.source_directory,
        directory=prepared.directory if prepared is not None else "" if order is None else order.directory,
        branch=None if prepared is None else prepared.branch,
        sessions=list(state.sessions),
    )
