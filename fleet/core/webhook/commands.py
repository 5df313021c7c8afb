"""The commands to a webhook: what callers ask, and what its own effects report. Times are Unix milliseconds."""

import msgspec


class RegisterWebhook(msgspec.Struct, frozen=True):
    """Tell this address of everything of these types that stands behind the position `after` of the log."""

    origin: str
    types: tuple[str, ...]
    description: str
    after: int
    at_ms: int


class EnableWebhook(msgspec.Struct, frozen=True):
    """Go on with a disabled webhook, where it stopped."""

    at_ms: int


class DisableWebhook(msgspec.Struct, frozen=True):
    """Send nothing until somebody enables it."""

    at_ms: int


class DeleteWebhook(msgspec.Struct, frozen=True):
    """Send nothing any more."""

    at_ms: int


class SendTestMessage(msgspec.Struct, frozen=True):
    """Send a test message, once; while one is on its way this is that one."""

    at_ms: int


class RequestDelivery(msgspec.Struct, frozen=True):
    """The event at `position` is one that the webhook is to be told of."""

    position: int
    type: str
    session_id: str
    at_ms: int


class AdvanceCursor(msgspec.Struct, frozen=True):
    """Up to `position` there is nothing more that the webhook is to be told of."""

    position: int
    at_ms: int


class ReportDeliverySucceeded(msgspec.Struct, frozen=True):
    """The receiver has taken the message."""

    number: int
    status: int
    took_ms: int
    at_ms: int


class ReportDeliveryFailed(msgspec.Struct, frozen=True):
    """It has not: it answered with `status`, or (None) not at all. It may have asked for a pause."""

    number: int
    status: int | None
    detail: str
    took_ms: int
    at_ms: int
    retry_after_s: float = 0.0


class ReportDeliveryVoid(msgspec.Struct, frozen=True):
    """What the message was to tell of has been erased."""

    number: int
    at_ms: int


Command = (
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
