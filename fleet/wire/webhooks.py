"""Response bodies about webhooks; see items.py."""

from fleet.wire.enums import DeliveryOutcome, WebhookStatus
from fleet.wire.items import WireItem


class WebhookItem(WireItem, kw_only=True):
    """A webhook. `origin` is its address without the path. `position`: events up to there have their messages.

    `waiting` counts messages that are not delivered yet; `reason` says why the webhook is disabled.
    """

    id: str
    origin: str
    events: list[str]
    description: str
    status: WebhookStatus
    status_since: str
    reason: str
    waiting: int
    delivered_at: str | None
    failing_since: str | None
    created_at: str
    position: int


class NewWebhookItem(WireItem, kw_only=True):
    """The response to a registration. Address and secret are shown only this time."""

    webhook: WebhookItem
    url: str
    secret: str


class DeliveryItem(WireItem, kw_only=True):
    """A message to a webhook; `id` is its `webhook-id`. `status`, `detail`, `tookMs` and `at` are of the last attempt.

    `outcome` is `pending`, `delivered`, or `dropped`: it is not sent (again). `status` is null without a response,
    `sessionId` and `position` are null for a test.
    """

    id: str
    type: str
    session_id: str | None
    position: int | None
    outcome: DeliveryOutcome
    attempts: int
    status: int | None
    detail: str
    took_ms: int
    ordered_at: str
    at: str | None
    next_at: str | None
