"""Decides which events a command to a webhook causes, and binds the functions of its `Decider`.

A message that fails is tried again, at growing intervals, for `WEBHOOK_RETRY_WINDOW_S`. Then it is dropped if the
receiver took others meanwhile; if it took none, the webhook is disabled and keeps what waits.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from fleet.backoff import backoff_s
from fleet.core.decider import Decider
from fleet.core.webhook.commands import (
    AdvanceCursor,
    DeleteWebhook,
    DisableWebhook,
    EnableWebhook,
    RegisterWebhook,
    ReportDeliveryFailed,
    ReportDeliverySucceeded,
    ReportDeliveryVoid,
    RequestDelivery,
    SendTestMessage,
    WebhookCommand,
)
from fleet.core.webhook.effects import Effect, pending, react
from fleet.core.webhook.events import (
    CursorAdvanced,
    DeliveryDropped,
    DeliveryFailed,
    DeliveryOrdered,
    DeliverySucceeded,
    WebhookDeleted,
    WebhookDisabled,
    WebhookEnabled,
    WebhookEvent,
    WebhookRegistered,
)
from fleet.core.webhook.evolve import evolve
from fleet.core.webhook.payloads import TEST
from fleet.core.webhook.state import State, initial
from fleet.errors import Rejected
from fleet.limits import WEBHOOK_BACKOFF_FIRST_S, WEBHOOK_BACKOFF_MAX_S, WEBHOOK_RETRY_WINDOW_S

Events = tuple[WebhookEvent, ...]

_GONE: Final = 410
"""The receiver's word for: never again (Standard Webhooks)."""


def decide(command: WebhookCommand, state: State) -> Events:
    """Return the events that `command` causes. Raises `Rejected`."""
    if state.phase == "absent" and isinstance(command, RegisterWebhook):
        return (
            WebhookRegistered(
                origin=command.origin,
                types=command.types,
                description=command.description,
                after=command.after,
                at_ms=command.at_ms,
            ),
        )
    if state.phase in ("absent", "deleted"):
        if type(command) in _REPORTS:
            return ()
        raise Rejected("webhook_not_found", f"there is no webhook {state.id}")
    return _DECIDE[type(command)](command, state)


def _register(_: RegisterWebhook, __: State) -> Events:
    return ()


def _enable(command: EnableWebhook, state: State) -> Events:
    return () if state.phase == "active" else (WebhookEnabled(at_ms=command.at_ms),)


def _disable(command: DisableWebhook, state: State) -> Events:
    return (
        ()
        if state.phase == "disabled"
        else (WebhookDisabled(reason="somebody disabled it", failed=False, at_ms=command.at_ms),)
    )


def _delete(command: DeleteWebhook, _: State) -> Events:
    return (WebhookDeleted(at_ms=command.at_ms),)


def _test(command: SendTestMessage, state: State) -> Events:
    if any(each.is_test for each in state.open):
        return ()
    return (DeliveryOrdered(number=state.numbered + 1, type=TEST, session_id=None, position=None, at_ms=command.at_ms),)


def _note_happening(command: RequestDelivery, state: State) -> Events:
    if state.phase != "active" or command.position <= state.cursor:
        return ()
    number = state.numbered + 1
    return (
        DeliveryOrdered(
            number=number,
            type=command.type,
            session_id=command.session_id,
            position=command.position,
            at_ms=command.at_ms,
        ),
    )


def _note_progress(command: AdvanceCursor, state: State) -> Events:
    if state.phase != "active" or command.position <= state.cursor:
        return ()
    return (CursorAdvanced(position=command.position, at_ms=command.at_ms),)


def _delivered(command: ReportDeliverySucceeded, state: State) -> Events:
    if state.waiting(command.number) is None:
        return ()
    return (
        DeliverySucceeded(number=command.number, status=command.status, took_ms=command.took_ms, at_ms=command.at_ms),
    )


def _not_delivered(command: ReportDeliveryFailed, state: State) -> Events:
    delivery, at_ms = state.waiting(command.number), command.at_ms
    if delivery is None or (state.phase != "active" and not delivery.is_test):
        return ()
    wait_s = backoff_s(delivery.attempts + 1, first_s=WEBHOOK_BACKOFF_FIRST_S, max_s=WEBHOOK_BACKOFF_MAX_S)
    wait_s = max(wait_s, min(command.retry_after_s, WEBHOOK_BACKOFF_MAX_S))
    failed = DeliveryFailed(
        number=command.number,
        status=command.status,
        detail=command.detail,
        took_ms=command.took_ms,
        next_at_ms=at_ms + int(wait_s * 1000),
        at_ms=at_ms,
    )
    gone = WebhookDisabled(reason="the receiver says that it is gone (410)", failed=True, at_ms=at_ms)
    is_gone = command.status == _GONE and state.phase == "active"
    if delivery.is_test:
        dropped = DeliveryDropped(number=command.number, reason=command.detail, at_ms=at_ms)
        return (failed, dropped, gone) if is_gone else (failed, dropped)
    if is_gone:
        return (failed, gone)
    if at_ms - delivery.since_ms < WEBHOOK_RETRY_WINDOW_S * 1000:
        return (failed,)
    days = f"{WEBHOOK_RETRY_WINDOW_S / 86_400:g} days"
    if (state.delivered_at_ms or 0) > delivery.since_ms:
        return (
            failed,
            DeliveryDropped(number=command.number, reason=f"refused for {days}: {command.detail}", at_ms=at_ms),
        )
    return (
        failed,
        WebhookDisabled(reason=f"no message could be delivered for {days}: {command.detail}", failed=True, at_ms=at_ms),
    )


def _void(command: ReportDeliveryVoid, state: State) -> Events:
    if state.waiting(command.number) is None:
        return ()
    return (DeliveryDropped(number=command.number, reason="the session has been erased", at_ms=command.at_ms),)


_REPORTS: Final = frozenset(
    (RequestDelivery, AdvanceCursor, ReportDeliverySucceeded, ReportDeliveryFailed, ReportDeliveryVoid)
)

_DECIDE: Final[Mapping[type[Any], Callable[[Any, State], Events]]] = {
    RegisterWebhook: _register,
    EnableWebhook: _enable,
    DisableWebhook: _disable,
    DeleteWebhook: _delete,
    SendTestMessage: _test,
    RequestDelivery: _note_happening,
    AdvanceCursor: _note_progress,
    ReportDeliverySucceeded: _delivered,
    ReportDeliveryFailed: _not_delivered,
    ReportDeliveryVoid: _void,
}

WEBHOOK: Final[Decider[WebhookCommand, State, WebhookEvent, Effect]] = Decider(
    "webhook", initial, decide, evolve, react, pending
)
