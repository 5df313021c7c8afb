"""The events of a webhook: past tense, as the log holds them. Times are Unix milliseconds.

Law 11: the address (its path is often a secret) and the secret are in none of them; both are in a file that the
webhook's id leads to (ports/webhooks.py). `origin` is the address without path and query.
"""

import msgspec


class WebhookRegistered(msgspec.Struct, frozen=True):
    """The webhook is told of these types from `after` on."""

    origin: str
    types: tuple[str, ...]
    description: str
    after: int
    at_ms: int


class WebhookEnabled(msgspec.Struct, frozen=True):
    """It goes on."""

    at_ms: int


class WebhookDisabled(msgspec.Struct, frozen=True):
    """Nothing is sent until it is enabled. `failed`: Fleet gave up on it, and a person is to know."""

    reason: str
    failed: bool
    at_ms: int


class WebhookDeleted(msgspec.Struct, frozen=True):
    """It is no more."""

    at_ms: int


class CursorAdvanced(msgspec.Struct, frozen=True):
    """A restart need not look at the log before `position`."""

    position: int
    at_ms: int


class DeliveryOrdered(msgspec.Struct, frozen=True):
    """A message is to be sent, as `number` from now on and in every retry. `position` None: a test."""

    number: int
    type: str
    session_id: str | None
    position: int | None
    at_ms: int


class DeliverySucceeded(msgspec.Struct, frozen=True):
    """The receiver has taken the message."""

    number: int
    status: int
    took_ms: int
    at_ms: int


class DeliveryFailed(msgspec.Struct, frozen=True):
    """An attempt failed; the next one is due at `next_at_ms`."""

    number: int
    status: int | None
    detail: str
    took_ms: int
    next_at_ms: int
    at_ms: int


class DeliveryDropped(msgspec.Struct, frozen=True):
    """The message will not be sent (again)."""

    number: int
    reason: str
    at_ms: int


Event = (
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
