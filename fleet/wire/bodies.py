"""Request bodies and query parameters, camelCase, checked strictly: what is not known is refused."""

import math
from typing import Annotated, Literal

import msgspec

from fleet.limits import (
    BUDGET_MAX,
    FIND_QUERY_CHARS_MAX,
    HISTORY_PAGE_DEFAULT,
    HISTORY_PAGE_MAX,
    PAGE_DEFAULT,
    PAGE_MAX,
    PATH_CHARS_MAX,
    TAGS_MAX,
    TITLE_CHARS_MAX,
    WEBHOOK_DESCRIPTION_CHARS_MAX,
    WEBHOOK_URL_CHARS_MAX,
)
from fleet.ports import MessageType, Strategy


class Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A request body: unknown fields are refused."""


Title = Annotated[str, msgspec.Meta(min_length=1, max_length=TITLE_CHARS_MAX)]
Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Tags = Annotated[list[Tag], msgspec.Meta(max_length=TAGS_MAX)]
Path = Annotated[str, msgspec.Meta(min_length=1, max_length=PATH_CHARS_MAX)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=PAGE_MAX)]
Offset = Annotated[int, msgspec.Meta(ge=0)]
Position = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class ModelBody(msgspec.Struct, forbid_unknown_fields=True):
    """A model, named as OpenCode names it."""

    providerID: str  # noqa: N815 - OpenCode's spelling
    modelID: str  # noqa: N815


class OnComplete(Body):
    """Who hears of a session's outcomes: a session's id, Fleet's or OpenCode's."""

    notify_session_id: Annotated[str, msgspec.Meta(min_length=1)]
    notify_instance_id: str | None = None


class BudgetBody(Body):
    """What a session may use before it asks."""

    usd: Annotated[float, msgspec.Meta(ge=0, le=BUDGET_MAX)] | None = None
    tokens: Annotated[int, msgspec.Meta(ge=0, le=BUDGET_MAX)] | None = None
    minutes: Annotated[float, msgspec.Meta(ge=0, le=BUDGET_MAX)] | None = None

    def __post_init__(self) -> None:
        """Refuse what JSON cannot say: a client would send it as null, which is no budget. Raises ValueError."""
        if not all(math.isfinite(given) for given in (self.usd, self.tokens, self.minutes) if given is not None):
            raise ValueError("a budget is a finite number")


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
    on_complete: OnComplete | None = None
    budget: BudgetBody | None = None


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


class DescribeBody(Body):
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
    """`POST /api/sessions/{id}/fork`; without `messageId` the whole conversation comes along."""

    title: Title | None = None
    message_id: str | None = None
    isolation_strategy: Strategy | None = None


class AnswerBody(Body):
    """`POST /api/sessions/{id}/requests/{requestId}`: `reply` for a permission, `answers` for a question."""

    reply: Literal["once", "always", "reject"] | None = None
    message: str | None = None
    answers: list[list[str]] | None = None


class ReadBody(Body):
    """Notifications that have been seen."""

    read: Literal[True] = True


class WebhookBody(Body):
    """`POST /api/webhooks`; without `events` it is told of all, without a `secret` Fleet makes one."""

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=WEBHOOK_URL_CHARS_MAX)]
    events: Annotated[list[MessageType], msgspec.Meta(min_length=1, max_length=50)] | None = None
    secret: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    description: Annotated[str, msgspec.Meta(max_length=WEBHOOK_DESCRIPTION_CHARS_MAX)] = ""


class SwitchBody(Body):
    """`PATCH /api/webhooks/{id}`."""

    enabled: bool


class Query(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Query parameters: unknown ones are refused, because a mistyped filter is a wrong answer."""


class InstanceQuery(Query):
    """Routes that take an `instanceId` that they do not need."""

    instance_id: str | None = None


class PageQuery(Query):
    """A page of a list."""

    limit: Limit = PAGE_DEFAULT
    offset: Offset = 0


class InstancePageQuery(PageQuery):
    """A page of a list of a session."""

    instance_id: str | None = None


class InstancesQuery(PageQuery):
    """`GET /api/instances`: those that run; with `all` every one there ever was, newest first."""

    all: bool = False


class DirectoryQuery(PageQuery):
    """`GET /api/directories`; without a path the user's home where that is allowed, else the first root."""

    path: Path | None = None


class RootQuery(Query):
    """`DELETE /api/workspace-roots`."""

    path: Path


class PathBody(Body):
    """An absolute path of a directory."""

    path: Path


class WorkspaceBody(Body):
    """`PATCH /api/workspaces/{id}`: a title, or null for none."""

    title: Title | None


class OfferQuery(PageQuery):
    """What an instance offers, in its own directory or in that of one of its sessions."""

    session: str | None = None


class FindQuery(Query):
    """`GET /api/instances/{id}/find/files`."""

    query: Annotated[str, msgspec.Meta(max_length=FIND_QUERY_CHARS_MAX)]
    session: str | None = None
    limit: Limit = PAGE_DEFAULT


class LogQuery(Query):
    """`GET /api/log`: events behind a position."""

    after: Position = 0
    limit: Limit = PAGE_DEFAULT


class ExportQuery(Query):
    """`GET /api/log/export`: events behind a position, up to another one or to the end."""

    after: Position = 0
    through: Position | None = None


class EndQuery(Query):
    """`DELETE /api/sessions/{id}`."""

    instance_id: str | None = None
    permanent: bool = False
    cleanup_workspace: bool = False
    force: bool = False


class DiffQuery(Query):
    """`GET /api/sessions/{id}/diffs`: of the session, of a `turn` (its number or a message id), as of a position."""

    instance_id: str | None = None
    turn: str | None = None
    at: Position | None = None


class CallbackQuery(PageQuery):
    """`GET /api/callbacks`."""

    status: Literal["pending", "undelivered", "delivered", "dropped"] | None = None


class NotificationQuery(PageQuery):
    """`GET /api/notifications`."""

    session: str | None = None
    unread: bool = False


class ListQuery(PageQuery):
    """`GET /api/sessions`."""

    status: str | None = None
    search: str | None = None
    parent: str | None = None
    tag: str | None = None
    workspace: str | None = None


class HistoryQuery(Query):
    """`GET /api/sessions/history`; `from` and `to` are dates or RFC 3339 times of the creation."""

    search: str = ""
    status: str | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    to: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=HISTORY_PAGE_MAX)] = HISTORY_PAGE_DEFAULT
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
