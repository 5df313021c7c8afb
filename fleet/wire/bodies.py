"""Request bodies and query parameters, in camelCase and checked strictly: unknown members are refused."""

import math
from typing import Annotated, Literal

import msgspec

from fleet.limits import (
    BUDGET_MAX,
    HISTORY_PAGE_DEFAULT,
    HISTORY_PAGE_MAX,
    HOST_CPUS_MAX,
    HOST_LABELS_MAX,
    HOST_MEMORY_MB_MAX,
    HOST_NAME_CHARS_MAX,
    PAGE_DEFAULT,
    PAGE_MAX,
    PATH_CHARS_MAX,
    SESSIONS_PAGE_MAX,
    TAGS_MAX,
    TITLE_CHARS_MAX,
    WEBHOOK_DESCRIPTION_CHARS_MAX,
    WEBHOOK_URL_CHARS_MAX,
)
from fleet.ports import MessageType, Strategy
from fleet.wire.enums import OnHostLoss


class Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A request body: unknown fields are refused."""


Title = Annotated[str, msgspec.Meta(min_length=1, max_length=TITLE_CHARS_MAX)]
Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Tags = Annotated[list[Tag], msgspec.Meta(max_length=TAGS_MAX)]
Path = Annotated[str, msgspec.Meta(min_length=1, max_length=PATH_CHARS_MAX)]
HostWord = Annotated[str, msgspec.Meta(min_length=1, max_length=HOST_NAME_CHARS_MAX)]
HostLabels = Annotated[dict[HostWord, HostWord], msgspec.Meta(min_length=1, max_length=HOST_LABELS_MAX)]
Cpus = Annotated[float, msgspec.Meta(ge=0, le=HOST_CPUS_MAX)]
MemoryMb = Annotated[int, msgspec.Meta(ge=0, le=HOST_MEMORY_MB_MAX)]
_LIMIT = msgspec.Meta(description="The maximum number of items.")
Limit = Annotated[int, msgspec.Meta(ge=1, le=PAGE_MAX), _LIMIT]
Offset = Annotated[int, msgspec.Meta(ge=0, description="The number of items to skip.")]
Position = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
InstanceId = Annotated[
    str | None,
    msgspec.Meta(description="An instance that this session has or had. It is optional; another instance is 404."),
]
At = Annotated[
    Position | Annotated[str, msgspec.Meta(max_length=64)] | None,
    msgspec.Meta(description="A log position, or an RFC 3339 time: the state at that moment."),
]
Statuses = Annotated[str | None, msgspec.Meta(description="Sessions in one of these statuses, separated by commas.")]


class ModelBody(msgspec.Struct, forbid_unknown_fields=True):
    """A model, named as OpenCode names it."""

    providerID: str  # noqa: N815 - OpenCode's spelling
    modelID: str  # noqa: N815


class OnComplete(Body):
    """The session that gets a session's outcomes, by Fleet's or OpenCode's id."""

    notify_session_id: Annotated[str, msgspec.Meta(min_length=1)]
    notify_instance_id: str | None = None


class BudgetBody(Body):
    """What a session may use before it pauses and asks."""

    usd: Annotated[float, msgspec.Meta(ge=0, le=BUDGET_MAX)] | None = None
    tokens: Annotated[int, msgspec.Meta(ge=0, le=BUDGET_MAX)] | None = None
    minutes: Annotated[float, msgspec.Meta(ge=0, le=BUDGET_MAX)] | None = None

    def __post_init__(self) -> None:
        """Refuse infinity and NaN: a client would send them as null, which means no budget. Raises ValueError."""
        if not all(math.isfinite(given) for given in (self.usd, self.tokens, self.minutes) if given is not None):
            raise ValueError("a budget is a finite number")


class CreateBody(Body, kw_only=True):
    """`POST /api/sessions`.

    `host` is the name of a host, or labels that it must have. `cpus` (cores) and `memoryMb` (MiB) are reserved there.
    """

    directory: Annotated[str, msgspec.Meta(min_length=1)]
    title: Title | None = None
    isolation_strategy: Strategy = "existing"
    branch: str | None = None
    base_ref: str | None = None
    initial_prompt: str | None = None
    agent: str | None = None
    model: ModelBody | None = None
    tags: Tags = []
    on_complete: OnComplete | None = None
    budget: BudgetBody | None = None
    host: HostWord | HostLabels | None = None
    cpus: Cpus | None = None
    memory_mb: MemoryMb | None = None
    on_host_loss: OnHostLoss = "ask"


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
    delivery: Literal["queue", "steer"] = "queue"
    resume: bool = False


class PromptTextBody(Body):
    """`PATCH /api/sessions/{id}/queue/{promptId}`."""

    text: str


class EditBody(Body):
    """`PATCH /api/sessions/{id}`."""

    title: Title | None = None
    tags: Tags | None = None
    budget: BudgetBody | msgspec.UnsetType | None = msgspec.UNSET


class CommandBody(Body):
    """`POST /api/sessions/{id}/command`: one of OpenCode's commands."""

    command: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    arguments: str = ""
    instance_id: str | None = None
    agent: str | None = None
    model: ModelBody | None = None


class ForkBody(Body):
    """`POST /api/sessions/{id}/fork`; without `messageId` the whole conversation is copied."""

    title: Title | None = None
    message_id: str | None = None
    isolation_strategy: Strategy | None = None


class ResumeBody(Body):
    """`POST /api/sessions/{id}/resume`: with `fresh`, a new conversation begins in the same workspace."""

    fresh: bool = False


class AnswerBody(Body):
    """`POST /api/sessions/{id}/requests/{requestId}`: `reply` for a permission, `answers` for a question."""

    reply: Literal["once", "always", "reject"] | None = None
    message: str | None = None
    answers: list[list[str]] | None = None


class ReadBody(Body):
    """Marks notifications as read."""

    read: Literal[True] = True


class WebhookBody(Body):
    """`POST /api/webhooks`; without `events` the webhook gets all; without `secret` Fleet creates one."""

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=WEBHOOK_URL_CHARS_MAX)]
    events: Annotated[list[MessageType], msgspec.Meta(min_length=1, max_length=50)] | None = None
    secret: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    description: Annotated[str, msgspec.Meta(max_length=WEBHOOK_DESCRIPTION_CHARS_MAX)] = ""


class SwitchBody(Body):
    """`PATCH /api/webhooks/{id}`."""

    enabled: bool


class PathBody(Body):
    """An absolute path of a directory."""

    path: Path


class WorkspaceBody(Body):
    """`PATCH /api/workspaces/{id}`: a title, or null for none; `sourceDirectory` is its repository's new place."""

    title: Title | msgspec.UnsetType | None = msgspec.UNSET
    source_directory: Path | msgspec.UnsetType = msgspec.UNSET


class Query(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Query parameters: unknown ones are refused, because a mistyped filter would give a wrong response."""


class InstanceQuery(Query, frozen=True):
    """Routes with an optional `instanceId`."""

    instance_id: InstanceId = None


class PageQuery(Query, frozen=True):
    """A page of a list."""

    limit: Limit = PAGE_DEFAULT
    offset: Offset = 0


class InstancePageQuery(PageQuery, frozen=True):
    """A page of a list of a session."""

    instance_id: InstanceId = None


class InstancesQuery(PageQuery, frozen=True):
    """`GET /api/instances`."""

    all: Annotated[bool, msgspec.Meta(description="Also ended ones, the newest first.")] = False


class EndQuery(Query, frozen=True):
    """`DELETE /api/sessions/{id}`."""

    instance_id: InstanceId = None
    permanent: Annotated[
        bool, msgspec.Meta(description="Erase the session for good: transcript, diffs, notifications.")
    ] = False
    cleanup_workspace: Annotated[
        bool, msgspec.Meta(description="Remove its worktree or clone, too, after its work was preserved.")
    ] = False
    force: Annotated[
        bool,
        msgspec.Meta(description="End processes that sessions left there. If it still cannot be removed, leave it."),
    ] = False
    dry_run: Annotated[bool, msgspec.Meta(description="Only report what would be done.")] = False


class DiffQuery(Query, frozen=True):
    """`GET /api/sessions/{id}/diffs`."""

    instance_id: InstanceId = None
    turn: Annotated[
        str | None, msgspec.Meta(description="Only the changes of this turn: its number or a message id.")
    ] = None
    at: At = None
    contents: Annotated[
        bool, msgspec.Meta(description="Whether to send the contents too; without them `encoding` is null.")
    ] = True


class CallbackQuery(PageQuery, frozen=True):
    """`GET /api/callbacks`."""

    status: Annotated[
        Literal["pending", "undelivered", "delivered", "dropped"] | None,
        msgspec.Meta(description="Callbacks with this status."),
    ] = None


class NotificationQuery(PageQuery, frozen=True):
    """`GET /api/notifications`."""

    session: Annotated[str | None, msgspec.Meta(description="Notifications of this session.")] = None
    unread: Annotated[bool, msgspec.Meta(description="Only unread ones.")] = False


class ListQuery(PageQuery, frozen=True):
    """`GET /api/sessions`."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=SESSIONS_PAGE_MAX), _LIMIT] = PAGE_DEFAULT
    status: Statuses = None
    search: Annotated[str | None, msgspec.Meta(description="Sessions whose title contains this, in any case.")] = None
    parent: Annotated[str | None, msgspec.Meta(description="Children of this session.")] = None
    tag: Annotated[str | None, msgspec.Meta(description="Sessions with this tag.")] = None
    workspace: Annotated[str | None, msgspec.Meta(description="Sessions in this workspace.")] = None
    at: At = None


class PastQuery(PageQuery, frozen=True):
    """A page of a list, as it is or as it was."""

    at: At = None


class PastPageQuery(InstancePageQuery, frozen=True):
    """A page of a list of a session, as it is or as it was."""

    at: At = None


class TodosQuery(InstanceQuery, frozen=True):
    """`GET /api/sessions/{id}/todos`."""

    at: At = None


class HistoryQuery(Query, frozen=True):
    """`GET /api/sessions/history`."""

    search: Annotated[str, msgspec.Meta(description="Words that all have to occur; without it, every session.")] = ""
    status: Statuses = None
    from_: Annotated[str | None, msgspec.Meta(description="Created at this date or RFC 3339 time, or later.")] = (
        msgspec.field(default=None, name="from")
    )
    to: Annotated[str | None, msgspec.Meta(description="Created at this date or RFC 3339 time, or earlier.")] = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=HISTORY_PAGE_MAX), _LIMIT] = HISTORY_PAGE_DEFAULT
    offset: Offset = 0


class AtQuery(Query, frozen=True):
    """Reads of a state at an earlier moment."""

    at: At = None


class StreamQuery(Query, frozen=True):
    """The event streams."""

    after: Annotated[
        Position | None,
        msgspec.Meta(description="Continue after this log position; by default the stream begins with new events."),
    ] = None
    instance_id: InstanceId = None
