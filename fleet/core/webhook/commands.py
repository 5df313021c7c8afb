"""The commands to a webhook: what callers ask, and what its own effects report. Times are Unix milliseconds."""

from fleet.core.messages import Command


class RegisterWebhook(Command, frozen=True, kw_only=True):
    """Send messages of these types to this address, for events after the position `after` of the log."""

    origin: str
    types: tuple[str, ...]
    description: str
    after: int


class EnableWebhook(Command, frozen=True, kw_only=True):
    """Enable a disabled webhook; it continues at its cursor."""


class DisableWebhook(Command, frozen=True, kw_only=True):
    """Send nothing until the webhook is enabled again."""


class DeleteWebhook(Command, frozen=True, kw_only=True):
    """Send nothing any more."""


class SendTestMessage(Command, frozen=True, kw_only=True):
    """Send a test message; if one is being sent already, do nothing."""


class RequestDelivery(Command, frozen=True, kw_only=True):
    """Order a message for the event at `position`."""

    position: int
    type: str
    session_id: str


class AdvanceCursor(Command, frozen=True, kw_only=True):
    """Note that no further event up to `position` needs a message."""

    position: int


class ReportDeliverySucceeded(Command, frozen=True, kw_only=True):
    """The receiver has accepted the message."""

    number: int
    status: int
    took_ms: int


class ReportDeliveryFailed(Command, frozen=True, kw_only=True):
    """The attempt failed: the receiver responded with `status`, or (None) not at all. It may have asked for a pause."""

    number: int
    status: int | None
    detail: str
    took_ms: int
    retry_after_s: float = 0.0


class ReportDeliveryVoid(Command, frozen=True, kw_only=True):
    """The session that the message is about has been erased."""

    number: int


WebhookCommand = (
    RegisterWebhook
    | EnableWebhook
    | DisableWebhook
    | DeleteWebhook
    | SendTestMessage
    | RequestDelivery
    | AdvanceCursor
    | ReportDeliverySucceeded
    | ReportDeliveryFailed
    | ReportDeliveryVoid
)
