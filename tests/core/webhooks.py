"""Commands, events and histories of a webhook."""

from fleet.core.webhook.commands import RegisterWebhook, ReportDeliveryFailed, ReportDeliverySucceeded, RequestDelivery
from fleet.core.webhook.events import (
    DeliveryFailed,
    DeliveryOrdered,
    DeliverySucceeded,
    Event,
    WebhookDisabled,
    WebhookRegistered,
)

AT = 1_700_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR
TYPES = ("session.finished", "session.error")
REGISTER = RegisterWebhook("https://hooks.example", TYPES, "chat", 10, AT)
REGISTERED: Event = WebhookRegistered("https://hooks.example", TYPES, "chat", 10, AT)
DISABLED: Event = WebhookDisabled("somebody disabled it", False, AT)


def note(position: int, at_ms: int = AT) -> RequestDelivery:
    return RequestDelivery(position, "session.finished", "s1", at_ms)


def ordered(number: int, position: int, at_ms: int = AT) -> DeliveryOrdered:
    return DeliveryOrdered(number, "session.finished", "s1", position, at_ms)


def tried(number: int) -> DeliveryOrdered:
    return DeliveryOrdered(number, "webhook.test", None, None, AT)


def fails(number: int, at_ms: int, status: int | None = 500, pause_s: float = 0) -> ReportDeliveryFailed:
    return ReportDeliveryFailed(number, status, f"answered {status}", 7, at_ms, pause_s)


def failed(number: int, at_ms: int, wait_s: int, status: int | None = 500) -> DeliveryFailed:
    return DeliveryFailed(number, status, f"answered {status}", 7, at_ms + wait_s * 1000, at_ms)


def takes(number: int, at_ms: int = AT) -> ReportDeliverySucceeded:
    return ReportDeliverySucceeded(number, 204, 7, at_ms)


def made(number: int, at_ms: int = AT) -> DeliverySucceeded:
    return DeliverySucceeded(number, 204, 7, at_ms)


WAITING: tuple[Event, ...] = (REGISTERED, ordered(1, 12))
