"""Evolves a webhook by each event, and has the table of which event may come in which phase."""

from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

from msgspec.structs import replace

from fleet.core.transition_table import StatePatch, patch_of, read_table
from fleet.core.webhook import events
from fleet.core.webhook.state import PHASES, Delivery, State
from fleet.limits import WEBHOOK_DELIVERIES_REMEMBERED_MAX

TABLE: Final = read_table(
    """
    event              absent  active    disabled  deleted
    WebhookRegistered  active  x         x         x
    WebhookEnabled     x       x         active    x
    WebhookDisabled    x       disabled  x         x
    WebhookDeleted     x       deleted   deleted   x
    CursorAdvanced     x       =         x         x
    DeliveryOrdered    x       =         =         x
    DeliverySucceeded  x       =         =         x
    DeliveryFailed     x       =         =         x
    DeliveryDropped    x       =         =         x
    """,
    PHASES,
    get_args(events.WebhookEvent),
)


def evolve(state: State, event: events.WebhookEvent) -> State:
    """Return the state after `event`. Raises `ImpossibleEvent` for what the table refuses."""
    return replace(state, **patch_of(TABLE, _CHANGES, state, event, "a webhook"))


def _registered(_: State, event: events.WebhookRegistered) -> StatePatch:
    return {
        "origin": event.origin,
        "types": event.types,
        "description": event.description,
        "cursor": event.after,
        "created_at_ms": event.at_ms,
    }


def _enabled(state: State, event: events.WebhookEnabled) -> StatePatch:
    """Make all open deliveries due at once, with a new retry window."""
    waiting = tuple(
        each if each.is_test else replace(each, since_ms=event.at_ms, attempts=0, next_at_ms=0) for each in state.open
    )
    return {"open": waiting, "reason": "", "failed": False, "failing_since_ms": None}


def _disabled(_: State, event: events.WebhookDisabled) -> StatePatch:
    return {"reason": event.reason, "failed": event.failed}


def _deleted(_: State, __: events.WebhookDeleted) -> StatePatch:
    return {"open": (), "over": (), "failed": False}


def _progressed(_: State, event: events.CursorAdvanced) -> StatePatch:
    return {"cursor": event.position}


def _ordered(state: State, event: events.DeliveryOrdered) -> StatePatch:
    delivery = Delivery(event.number, event.type, event.session_id, event.position, event.at_ms, event.at_ms)
    cursor = state.cursor if event.position is None else event.position
    return {"open": (*state.open, delivery), "numbered": event.number, "cursor": cursor}


def _made(state: State, event: events.DeliverySucceeded) -> StatePatch:
    attempt = {"status": event.status, "detail": "", "took_ms": event.took_ms, "at_ms": event.at_ms}
    changes = _ended(state, event.number, outcome="delivered", attempted=1, **attempt)
    return {**changes, "delivered_at_ms": event.at_ms, "failing_since_ms": None}


def _dropped(state: State, event: events.DeliveryDropped) -> StatePatch:
    return _ended(state, event.number, outcome="dropped", detail=event.reason)


def _ended(state: State, number: int, *, attempted: int = 0, **fields: Any) -> StatePatch:
    ended = tuple(
        replace(each, attempts=each.attempts + attempted, **fields) for each in state.open if each.number == number
    )
    return {
        "open": tuple(each for each in state.open if each.number != number),
        "over": (*state.over, *ended)[-WEBHOOK_DELIVERIES_REMEMBERED_MAX:],
    }


def _attempt_failed(state: State, event: events.DeliveryFailed) -> StatePatch:
    attempt = {
        "status": event.status,
        "detail": event.detail,
        "took_ms": event.took_ms,
        "at_ms": event.at_ms,
        "next_at_ms": event.next_at_ms,
    }
    failed = state.waiting(event.number)
    waiting = tuple(
        replace(each, attempts=each.attempts + 1, **attempt) if each.number == event.number else each
        for each in state.open
    )
    counts = failed is not None and not failed.is_test and state.failing_since_ms is None
    return {"open": waiting, "failing_since_ms": event.at_ms if counts else state.failing_since_ms}


_CHANGES: Final[Mapping[type[Any], Callable[[State, Any], StatePatch]]] = {
    events.WebhookRegistered: _registered,
    events.WebhookEnabled: _enabled,
    events.WebhookDisabled: _disabled,
    events.WebhookDeleted: _deleted,
    events.CursorAdvanced: _progressed,
    events.DeliveryOrdered: _ordered,
    events.DeliverySucceeded: _made,
    events.DeliveryFailed: _attempt_failed,
    events.DeliveryDropped: _dropped,
}
