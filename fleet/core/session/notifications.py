"""Selects the events that people are notified of. Only reading a notification is an event of its own."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from fleet.core.session.events import (
    BudgetExceeded,
    CallbackUndelivered,
    ProvisionFailed,
    SessionDisconnected,
    SessionEvent,
    SetupHeld,
)
from fleet.core.session.state import Notification, NotificationKind, State
from fleet.core.session.turn_events import RequestOpened, TurnDelayed, TurnEnded, TurnFailed
from fleet.limits import NOTIFICATIONS_MAX

NOTIFIES: Final[Mapping[type[Any], Callable[[Any], tuple[NotificationKind, str] | None]]] = {
    TurnEnded: lambda event: (event.outcome, event.evidence),
    TurnFailed: lambda event: ("error", event.detail),
    ProvisionFailed: lambda event: ("error", event.detail),
    SetupHeld: lambda _: ("request", "the set-up of its workspace waits for a person who allows its commands"),
    RequestOpened: lambda event: ("request", f"a {event.kind} waits for an answer"),
    SessionDisconnected: lambda event: ("disconnected", event.evidence),
    BudgetExceeded: lambda event: ("budget", event.what),
    TurnDelayed: lambda event: ("delayed", event.reason) if event.is_long else None,
    CallbackUndelivered: lambda event: ("callback", event.reason),
}


def notification_for(event: Any) -> tuple[NotificationKind, str] | None:
    """Return the kind and text of the notification for an event; None if there is none."""
    notify = NOTIFIES.get(event.__class__)
    return None if notify is None else notify(event)


def notified(state: State, event: SessionEvent) -> dict[str, Any]:
    """Return the changes of the session's notifications by `event`; `state` is the one before it."""
    notification = notification_for(event)
    if notification is None:
        return {}
    kind, text = notification
    number = state.notified + 1
    newest = (*state.notifications, Notification(number, kind, text, event.at_ms))[-NOTIFICATIONS_MAX:]
    return {"notified": number, "notifications": newest}
