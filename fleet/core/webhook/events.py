"""The events of a webhook: past tense, as the log holds them. Times are Unix milliseconds.

Law 11: the address (its path is often a secret) and the secret are in none of them; both are in a file that the
webhook's id leads to (ports/webhooks.py). `origin` is the address without path and query.
"""

from fleet.core.messages import Event


class WebhookRegistered(Event, frozen=True, kw_only=True):
    """The webhook is told of these types from `after` on."""

    origin: str
    types: tuple[str, ...]
    description: str
    after: int


class WebhookEnabled(Event, frozen=True, kw_only=True):
    """It goes on."""


class WebhookDisabled(Event, frozen=True, kw_only=True):
    """Nothing is sent until it is enabled. `failed`: Fleet gave up on it, and a person is to know."""

    reason: str
    failed: bool


class WebhookDeleted(Event, frozen=True, kw_only=True):
    """It is no more."""


class CursorAdvanced(Event, frozen=True, kw_only=True):
    """A restart need not look at the log before `position`."""

    position: int


class DeliveryOrdered(Event, frozen=True, kw_only=True):
    """A message is to be sent, as `number` from now on and in every retry. `position` None: a test."""

    number: int
    type: str
    session_id: str | None
    position: int | None


class DeliverySucceeded(Event, frozen=True, kw_only=True):
    """The receiver has taken the message."""

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
    """The message will not be sent (again)."""

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
