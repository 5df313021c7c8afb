"""The events of a webhook: past tense, as the log holds them. Times are Unix milliseconds.

Law 11: no event contains the address (its path is often a secret) or the secret. Both are in a file, found by the
webhook's id (ports/webhooks.py). `origin` is the address without path and query.
"""

from fleet.core.messages import Event


class WebhookRegistered(Event, frozen=True, kw_only=True):
    """The webhook gets messages of these types, for events after `after`."""

    origin: str
    types: tuple[str, ...]
    description: str
    after: int


class WebhookEnabled(Event, frozen=True, kw_only=True):
    """The webhook is active again."""


class WebhookDisabled(Event, frozen=True, kw_only=True):
    """Nothing is sent until it is enabled. `failed`: Fleet gave up, and a person is notified."""

    reason: str
    failed: bool


class WebhookDeleted(Event, frozen=True, kw_only=True):
    """The webhook no longer exists."""


class CursorAdvanced(Event, frozen=True, kw_only=True):
    """A restart reads the log after `position`."""

    position: int


class DeliveryOrdered(Event, frozen=True, kw_only=True):
    """A message is to be sent; it has this `number` in every retry. `position` None: a test."""

    number: int
    type: str
    session_id: str | None
    position: int | None


class DeliverySucceeded(Event, frozen=True, kw_only=True):
    """The receiver has accepted the message."""

    number: int
    status: int
    took_ms: int


class DeliveryFailed(Event, frozen=True, kw_only=True):
    """An attempt failed; the next one is due at `next_at_ms`."""

    number: int
    status: int | None
    detail: str
    took_ms: int
    next_at_ms: int


class DeliveryDropped(Event, frozen=True, kw_only=True):
    """The message is discarded."""

    number: int
    reason: str


WebhookEvent = (
    WebhookRegistered
    | WebhookEnabled
    | WebhookDisabled
    | WebhookDeleted
    | CursorAdvanced
    | DeliveryOrdered
    | DeliverySucceeded
    | DeliveryFailed
    | DeliveryDropped
)
