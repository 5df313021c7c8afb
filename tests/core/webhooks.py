"""Commands, events and histories of a webhook."""

from fleet.core.webhook import messages as m

AT = 1_700_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR
TYPES = ("session.finished", "session.error")
REGISTER = m.RegisterWebhook("https://hooks.example", TYPES, "chat", 10, AT)
REGISTERED: m.Event = m.WebhookRegistered("https://hooks.example", TYPES, "chat", 10, AT)
DISABLED: m.Event = m.WebhookDisabled("somebody disabled it", False, AT)


def note(position: int, at_ms: int = AT) -> m.NoteHappening:
    return m.NoteHappening(position, "session.finished", "s1", at_ms)


def ordered(number: int, position: int, at_ms: int = AT) -> m.DeliveryOrdered:
    return m.DeliveryOrdered(number, "session.finished", "s1", position, at_ms)


def tried(number: int) -> m.DeliveryOrdered:
    return m.DeliveryOrdered(number, "webhook.test", None, None, AT)


def fails(number: int, at_ms: int, status: int | None = 500, pause_s: float = 0) -> m.ReportNotDelivered:
    return m.ReportNotDelivered(number, status, f"answered {status}", 7, at_ms, pause_s)


def failed(number: int, at_ms: int, wait_s: int, status: int | None = 500) -> m.DeliveryFailed:
    return m.DeliveryFailed(number, status, f"answered {status}", 7, at_ms + wait_s * 1000, at_ms)


def takes(number: int, at_ms: int = AT) -> m.ReportDelivered:
    return m.ReportDelivered(number, 204, 7, at_ms)


def made(number: int, at_ms: int = AT) -> m.DeliveryMade:
    return m.DeliveryMade(number, 204, 7, at_ms)


WAITING: tuple[m.Event, ...] = (REGISTERED, ordered(1, 12))
