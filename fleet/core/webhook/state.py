"""The webhook's state, its transition table, and `evolve`."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, get_args

import msgspec
from msgspec.structs import replace

from fleet.core.table import ImpossibleEvent, read_table
from fleet.core.webhook import messages as m
from fleet.limits import WEBHOOK_DELIVERIES_REMEMBERED_MAX

Phase = Literal["unborn", "active", "disabled", "deleted"]
PHASES: Final[tuple[Phase, ...]] = get_args(Phase)

TABLE: Final = read_table(
    """
    event             unborn active   disabled deleted
    WebhookRegistered active x        x        x
    WebhookEnabled    x      x        active   x
    WebhookDisabled   x      disabled x        x
    WebhookDeleted    x      deleted  deleted  x
    ProgressNoted     x      =        x        x
    DeliveryOrdered   x      =        =        x
    DeliveryMade      x      =        =        x
    DeliveryFailed    x      =        =        x
    DeliveryDropped   x      =        =        x
    """,
    PHASES,
    get_args(m.Event),
)


class Delivery(msgspec.Struct, frozen=True):
    """A message on its way, or what became of it.

    `since_ms` is when patience with it began: when it was ordered, or the webhook was enabled again. `status`, `detail`
    and `took_ms` are those of the last attempt, `at_ms` its time.
    """

    number: int
    type: str
    session_id: str | None
    position: int | None
    ordered_at_ms: int
    since_ms: int
    outcome: Literal["pending", "delivered", "dropped"] = "pending"
    attempts: int = 0
    status: int | None = None
    detail: str = ""
    took_ms: int = 0
    at_ms: int | None = None
    next_at_ms: int = 0

    @property
    def is_test(self) -> bool:
        """Whether it is about nothing that has happened."""
        return self.position is None


class State(msgspec.Struct, frozen=True):
    """A webhook.

    `cursor`: up to there every event that it is to be told of has a delivery. `numbered` counts deliveries; `open` are
    those on their way, `over` the newest of the others. `failing_since_ms` is when the first attempt after the last
    delivery failed. `reason` says why it is disabled, `failed` that it was Fleet who gave up.
    """

    id: str
    phase: Phase = "unborn"
    since_ms: int = 0
    origin: str = ""
    types: tuple[str, ...] = ()
    description: str = ""
    cursor: int = 0
    numbered: int = 0
    open: tuple[Delivery, ...] = ()
    over: tuple[Delivery, ...] = ()
    delivered_at_ms: int | None = None
    failing_since_ms: int | None = None
    reason: str = ""
    failed: bool = False
    created_at_ms: int = 0

    def waiting(self, number: int) -> Delivery | None:
        """Return the delivery on its way that has this number."""
        return next((delivery for delivery in self.open if delivery.number == number), None)


def initial(webhook_id: str) -> State:
    """Return the state of a webhook that does not exist yet."""
    return State(id=webhook_id)


def evolve(state: State, event: m.Event) -> State:
    """Return the state after `event`. Raises `ImpossibleEvent` for what the table refuses."""
    kind = type(event)
    phase = TABLE[state.phase, kind]
    if phase is None:
        raise ImpossibleEvent(f"{kind.__name__} in a webhook that is {state.phase}")
    changes = _CHANGES[kind](state, event)
    if phase != state.phase:
        changes["phase"] = phase
        changes["since_ms"] = event.at_ms
    return replace(state, **changes)


Changes = dict[str, Any]


def _registered(_: State, event: m.WebhookRegistered) -> Changes:
    return {
        "origin": event.origin,
        "types": event.types,
        "description": event.description,
        "cursor": event.after,
        "created_at_ms": event.at_ms,
    }


def _enabled(state: State, event: m.WebhookEnabled) -> Changes:
    """Begin afresh with what was not delivered: at once, and with all the patience there is."""
    waiting = tuple(
        each if each.is_test else replace(each, since_ms=event.at_ms, attempts=0, next_at_ms=0) for each in state.open
    )
    return {"open": waiting, "reason": "", "failed": False, "failing_since_ms": None}


def _disabled(_: State, event: m.WebhookDisabled) -> Changes:
    return {"reason": event.reason, "failed": event.failed}


def _deleted(_: State, __: m.WebhookDeleted) -> Changes:
    return {"open": (), "over": (), "failed": False}


def _progressed(_: State, event: m.ProgressNoted) -> Changes:
    return {"cursor": event.position}


def _ordered(state: State, event: m.DeliveryOrdered) -> Changes:
    delivery = Delivery(event.number, event.type, event.session_id, event.position, event.at_ms, event.at_ms)
    cursor = state.cursor if event.position is None else event.position
    return {"open": (*state.open, delivery), "numbered": event.number, "cursor": cursor}


def _made(state: State, event: m.DeliveryMade) -> Changes:
    attempt = {"status": event.status, "detail": "", "took_ms": event.took_ms, "at_ms": event.at_ms}
    changes = _ended(state, event.number, outcome="delivered", attempted=1, **attempt)
    return {**changes, "delivered_at_ms": event.at_ms, "failing_since_ms": None}


def _dropped(state: State, event: m.DeliveryDropped) -> Changes:
    return _ended(state, event.number, outcome="dropped", detail=event.reason)


def _ended(state: State, number: int, *, attempted: int = 0, **fields: Any) -> Changes:
    ended = tuple(
        replace(each, attempts=each.attempts + attempted, **fields) for each in state.open if each.number == number
    )
    return {
        "open": tuple(each for each in state.open if each.number != number),
        "over": (*state.over, *ended)[-WEBHOOK_DELIVERIES_REMEMBERED_MAX:],
    }


def _attempt_failed(state: State, event: m.DeliveryFailed) -> Changes:
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


_CHANGES: Final[Mapping[type[Any], Callable[[State, Any], Changes]]] = {
    m.WebhookRegistered: _registered,
    m.WebhookEnabled: _enabled,
    m.WebhookDisabled: _disabled,
    m.WebhookDeleted: _deleted,
    m.ProgressNoted: _progressed,
    m.DeliveryOrdered: _ordered,
    m.DeliveryMade: _made,
    m.DeliveryFailed: _attempt_failed,
    m.DeliveryDropped: _dropped,
}
