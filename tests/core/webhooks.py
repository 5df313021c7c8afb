"""Commands, events and histories of a webhook."""

from fleet.core.webhook.commands import RegisterWebhook, ReportDeliveryFailed, ReportDeliverySucceeded, RequestDelivery
from fleet.core.webhook.events import (
    DeliveryFailed,
    DeliveryOrdered,
    DeliverySucceeded,
    WebhookDisabled,
    WebhookEvent,
    WebhookRegistered,
)

AT = 1_700_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR
TYPES = ("session.finished", "session.error")
REGISTER = RegisterWebhook(origin="https://hooks.example", types=TYPES, description="chat", after=10, at_ms=AT)
REGISTERED: WebhookEvent = WebhookRegistered(
    origin="https://hooks.example", types=TYPES, description="chat", after=10, at_ms=AT
)
DISABLED: WebhookEvent = WebhookDisabled(reason="a person disabled it", failed=False, at_ms=AT)


def note(position: int, at_ms: int = AT) -> RequestDelivery:
    return RequestDelivery(position=position, type="session.finished", session_id="s1", at_ms=at_ms)


def ordered(number: int, position: int, at_ms: int = AT) -> DeliveryOrdered:
    return DeliveryOrdered(number=number, type="session.finished", session_id="s1", position=position, at_ms=at_ms)


def tried(number: int) -> DeliveryOrdered:
    return DeliveryOrdered(number=number, type="webhook.test", session_id=None, position=None, at_ms=AT)


def fails(number: int, at_ms: int, status: int | None = 500, pause_s: float = 0) -> ReportDeliveryFailed:
    return ReportDeliveryFailed(
        number=number, status=status, detail=f"answered {status}", took_ms=7, at_ms=at_ms, retry_after_s=pause_s
    )


def failed(number: int, at_ms: int, wait_s: int, status: int | None = 500) -> DeliveryFailed:
    return DeliveryFailed(
        number=number,
        status=status,
        detail=f"answered {status}",
        took_ms=7,
        next_at_ms=at_ms + wait_s * 1000,
        at_ms=at_ms,
    )


def takes(number: int, at_ms: int = AT) -> ReportDeliverySucceeded:
    return ReportDeliverySucceeded(number=number, status=204, took_ms=7, at_ms=at_ms)


def made(number: int, at_ms: int = AT) -> DeliverySucceeded:
    return DeliverySucceeded(number=number, status=204, took_ms=7, at_ms=at_ms)


WAITING: tuple[WebhookEvent, ...] = (REGISTERED, ordered(1, 12))
