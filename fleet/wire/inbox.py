"""Response bodies about what waits for a person: the inbox and the notifications; see items.py."""

import msgspec

from fleet.wire.enums import InboxKind, NotificationKind
from fleet.wire.items import RequestItem, SetupItem, WireItem


class InboxContext(WireItem, kw_only=True):
    """The origin of an inbox item; `tool` is the part of the tool call, in OpenCode's JSON, cut; or null."""

    turn: int | None
    prompt: str | None
    directory: str
    repository: str | None
    branch: str | None
    tool: msgspec.Raw


class InboxItem(WireItem, kw_only=True):
    """Something that waits for a person: a request, a failure, a used-up budget, an undelivered callback, a set-up.

    Or a turn that has made no progress for long (`delay`). Or a webhook that Fleet gave up on: it has `webhookId`, no
    session and no `context`. The `id` stays the same as long as it waits; what waits again has another.
    """

    id: str
    kind: InboxKind
    session_id: str | None
    title: str
    at: str
    detail: str
    request: RequestItem | None
    webhook_id: str | None
    context: InboxContext | None
    setup: SetupItem | None = None


class NotificationItem(WireItem, kw_only=True):
    """A notification; `id` is made of the session's id and a number."""

    id: str
    session_id: str
    kind: NotificationKind
    text: str
    at: str
    read: bool


class Count(WireItem, kw_only=True):
    """A number of items."""

    count: int
