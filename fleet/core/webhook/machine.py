"""What a webhook may be ordered to do, and the effects that follow.

A message is ordered by an event before it is sent, under a number that it keeps (law 4): what a crash leaves is sent
again under the same id. One that fails is tried again, longer and longer apart, for `WEBHOOK_PATIENCE_S`. Then it is
dropped if the receiver took others meanwhile; if it took none, the webhook is disabled and keeps what waits.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from fleet.core.backoff import backoff_s
from fleet.core.decider import Decider
from fleet.core.webhook import messages as m
from fleet.core.webhook.state import Delivery, State, evolve, initial
from fleet.core.webhook.telling import TEST
from fleet.errors import Rejected
from fleet.limits import WEBHOOK_BACKOFF_FIRST_S, WEBHOOK_BACKOFF_MAX_S, WEBHOOK_PATIENCE_S

__all__ = ["WEBHOOK", "Deliver", "Effect", "Follow", "decide", "pending", "react"]

Events = tuple[m.Event, ...]

_GONE: Final = 410
"""The receiver's word for: never again (Standard Webhooks)."""

# ----------------------------------------------------------------------------------------------------------- effects


class Follow(msgspec.Struct, frozen=True):
    """Follow the log behind `after`: `NoteHappening` for each event of these types, in order, and `NoteProgress`.

    Leaves room: no more than `WEBHOOK_OPEN_MAX` deliveries are open at a time.
    """

    key: str
    after: int
    types: tuple[str, ...]


class Deliver(msgspec.Struct, frozen=True):
    """Send the message when it is due, then `ReportDelivered`, `ReportNotDelivered` (and again), or `ReportVoid`."""

    key: str
    number: int
    position: int | None
    ordered_at_ms: int
    next_at_ms: int


Effect = Follow | Deliver


def pending(state: State) -> tuple[Effect, ...]:
    """Return what is ordered and not yet answered. A test is sent to a disabled webhook as well."""
    if state.phase not in ("active", "disabled"):
        return ()
    active = state.phase == "active"
    follow = (Follow("follow", state.cursor, state.types),) if active else ()
    return (*follow, *(_deliver(each) for each in state.open if active or each.is_test))


def _deliver(delivery: Delivery) -> Deliver:
    key = f"deliver {delivery.number}"
    return Deliver(key, delivery.number, delivery.position, delivery.ordered_at_ms, delivery.next_at_ms)


def react(state: State, event: m.Event) -> tuple[Effect, ...]:
    """Return the effects that `event` orders, given the state after it."""
    if isinstance(event, m.DeliveryOrdered):
        ordered = state.waiting(event.number)
        return () if ordered is None else (_deliver(ordered),)
    if not isinstance(event, m.WebhookRegistered | m.WebhookEnabled):
        return ()
    tests = {f"deliver {each.number}" for each in state.open if each.is_test}  # they run while it is disabled, too
    return tuple(effect for effect in pending(state) if effect.key not in tests)


# ------------------------------------------------------------------------------------------------------------ decide


def decide(command: m.Command, state: State) -> Events:
    """Return the events that `command` causes. Raises `Rejected`."""
    if state.phase == "unborn" and isinstance(command, m.RegisterWebhook):
        return (m.WebhookRegistered(command.origin, command.types, command.description, command.after, command.at_ms),)
    if state.phase in ("unborn", "deleted"):
        if type(command) in _REPORTS:
            return ()
        raise Rejected("webhook_not_found", f"there is no webhook {state.id}")
    return _DECIDE[type(command)](command, state)


def _register(_: m.RegisterWebhook, __: State) -> Events:
    return ()


def _enable(command: m.EnableWebhook, state: State) -> Events:
    return () if state.phase == "active" else (m.WebhookEnabled(command.at_ms),)


def _disable(command: m.DisableWebhook, state: State) -> Events:
    return () if state.phase == "disabled" else (m.WebhookDisabled("somebody disabled it", False, command.at_ms),)


def _delete(command: m.DeleteWebhook, _: State) -> Events:
    return (m.WebhookDeleted(command.at_ms),)


def _test(command: m.TryWebhook, state: State) -> Events:
    if any(each.is_test for each in state.open):
        return ()
    return (m.DeliveryOrdered(state.numbered + 1, TEST, None, None, command.at_ms),)


def _note_happening(command: m.NoteHappening, state: State) -> Events:
    if state.phase != "active" or command.position <= state.cursor:
        return ()
    number = state.numbered + 1
    return (m.DeliveryOrdered(number, command.type, command.session_id, command.position, command.at_ms),)


def _note_progress(command: m.NoteProgress, state: State) -> Events:
    if state.phase != "active" or command.position <= state.cursor:
        return ()
    return (m.ProgressNoted(command.position, command.at_ms),)


def _delivered(command: m.ReportDelivered, state: State) -> Events:
    if state.waiting(command.number) is None:
        return ()
    return (m.DeliveryMade(command.number, command.status, command.took_ms, command.at_ms),)


def _not_delivered(command: m.ReportNotDelivered, state: State) -> Events:
    delivery, at_ms = state.waiting(command.number), command.at_ms
    if delivery is None or (state.phase != "active" and not delivery.is_test):
        return ()
    wait_s = backoff_s(
        delivery.attempts + 1, 0, first_s=WEBHOOK_BACKOFF_FIRST_S, max_s=WEBHOOK_BACKOFF_MAX_S
    )  # one receiver at a time: there is nobody to spread the waits from
    wait_s = max(wait_s, min(command.retry_after_s, WEBHOOK_BACKOFF_MAX_S))
    failed = m.DeliveryFailed(
        command.number, command.status, command.detail, command.took_ms, at_ms + int(wait_s * 1000), at_ms
    )
    gone = m.WebhookDisabled("the receiver says that it is gone (410)", True, at_ms)
    is_gone = command.status == _GONE and state.phase == "active"
    if delivery.is_test:
        dropped = m.DeliveryDropped(command.number, command.detail, at_ms)
        return (failed, dropped, gone) if is_gone else (failed, dropped)
    if is_gone:
        return (failed, gone)
    if at_ms - delivery.since_ms < WEBHOOK_PATIENCE_S * 1000:
        return (failed,)
    days = f"{WEBHOOK_PATIENCE_S / 86_400:g} days"
    if (state.delivered_at_ms or 0) > delivery.since_ms:
        return (failed, m.DeliveryDropped(command.number, f"refused for {days}: {command.detail}", at_ms))
    return (failed, m.WebhookDisabled(f"no message could be delivered for {days}: {command.detail}", True, at_ms))


def _void(command: m.ReportVoid, state: State) -> Events:
    if state.waiting(command.number) is None:
        return ()
    return (m.DeliveryDropped(command.number, "the session has been erased", command.at_ms),)


_REPORTS: Final = frozenset((m.NoteHappening, m.NoteProgress, m.ReportDelivered, m.ReportNotDelivered, m.ReportVoid))

_DECIDE: Final[Mapping[type[Any], Callable[[Any, State], Events]]] = {
    m.RegisterWebhook: _register,
    m.EnableWebhook: _enable,
    m.DisableWebhook: _disable,
    m.DeleteWebhook: _delete,
    m.TryWebhook: _test,
    m.NoteHappening: _note_happening,
    m.NoteProgress: _note_progress,
    m.ReportDelivered: _delivered,
    m.ReportNotDelivered: _not_delivered,
    m.ReportVoid: _void,
}

WEBHOOK: Final[Decider[m.Command, State, m.Event, Effect]] = Decider("webhook", initial, decide, evolve, react, pending)
