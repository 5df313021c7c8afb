"""The commands to a webhook: what callers ask, and what its own effects report. Times are Unix milliseconds."""

from fleet.core.messages import Command


class RegisterWebhook(Command, frozen=True, kw_only=True):
    """Tell this address of everything of these types that stands behind the position `after` of the log."""

    origin: str
    types: tuple[str, ...]
    description: str
    after: int


class EnableWebhook(Command, frozen=True, kw_only=True):
    """Go on with a disabled webhook, where it stopped."""


class DisableWebhook(Command, frozen=True, kw_only=True):
    """Send nothing until somebody enables it."""


class DeleteWebhook(Command, frozen=True, kw_only=True):
    """Send nothing any more."""


class SendTestMessage(Command, frozen=True, kw_only=True):
    """Send a test message, once; while one is on its way this is that one."""


class RequestDelivery(Command, frozen=True, kw_only=True):
    """The event at `position` is one that the webhook is to be told of."""

    position: int
    type: str
    session_id: str


class AdvanceCursor(Command, frozen=True, kw_only=True):
    """Up to `position` there is nothing more that the webhook is to be told of."""

    position: int


class ReportDeliverySucceeded(Command, frozen=True, kw_only=True):
    """The receiver has taken the message."""

    number: int
    status: int
    took_ms: int


class ReportDeliveryFailed(Command, frozen=True, kw_only=True):
    """It has not: it answered with `status`, or (None) not at all. It may have asked for a pause."""

    number: int
    status: int | None
    detail: str
    took_ms: int
    retry_after_s: float = 0.0


class ReportDeliveryVoid(Command, frozen=True, kw_only=True):
    """What the message was to tell of has been erased."""

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
