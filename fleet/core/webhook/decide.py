"""Decides which events a command to a webhook causes, and binds the functions of its `Decider`.

A message that fails is retried at growing intervals, for `WEBHOOK_RETRY_WINDOW_S`. Then it is dropped if the receiver
accepted other messages meanwhile; if not, the webhook is disabled and keeps its messages.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from fleet.backoff import backoff_s
from fleet.core.decider import Decider
from fleet.core.webhook import commands, events
from fleet.core.webhook.effects import Effect, pending, react
from fleet.core.webhook.evolve import evolve
from fleet.core.webhook.payloads import TEST
from fleet.core.webhook.state import State, initial
from fleet.errors import Rejected
from fleet.limits import WEBHOOK_BACKOFF_FIRST_S, WEBHOOK_BACKOFF_MAX_S, WEBHOOK_RETRY_WINDOW_S

Events = tuple[events.WebhookEvent, ...]

_GONE: Final = 410
"""The receiver asks for no further messages (Standard Webhooks)."""


def decide(command: commands.WebhookCommand, state: State) -> Events:
    """Return the events that `command` causes. Raises `Rejected`."""
    if state.phase == "absent" and isinstance(command, commands.RegisterWebhook):
        return (
            events.WebhookRegistered(
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


def _register(_: commands.RegisterWebhook, __: State) -> Events:
    return ()


def _enable(command: commands.EnableWebhook, state: State) -> Events:
    return () if state.phase == "active" else (events.WebhookEnabled(at_ms=command.at_ms),)


def _disable(command: commands.DisableWebhook, state: State) -> Events:
    return (
        ()
        if state.phase == "disabled"
        else (events.WebhookDisabled(reason="a person disabled it", failed=False, at_ms=command.at_ms),)
    )


def _delete(command: commands.DeleteWebhook, _: State) -> Events:
    return (events.WebhookDeleted(at_ms=command.at_ms),)


def _test(command: commands.SendTestMessage, state: State) -> Events:
    if any(each.is_test for each in state.open):
        return ()
    return (
        events.DeliveryOrdered(
            number=state.numbered + 1, type=TEST, session_id=None, position=None, at_ms=command.at_ms
        ),
    )


def _note_happening(command: commands.RequestDelivery, state: State) -> Events:
    if state.phase != "active" or command.position <= state.cursor:
        return ()
    number = state.numbered + 1
    return (
        events.DeliveryOrdered(
            number=number,
            type=command.type,
            session_id=command.session_id,
            position=command.position,
            at_ms=command.at_ms,
        ),
    )


def _note_progress(command: commands.AdvanceCursor, state: State) -> Events:
    if state.phase != "active" or command.position <= state.cursor:
        return ()
    return (events.CursorAdvanced(position=command.position, at_ms=command.at_ms),)


def _delivered(command: commands.ReportDeliverySucceeded, state: State) -> Events:
    if state.waiting(command.number) is None:
        return ()
    return (
        events.DeliverySucceeded(
            number=command.number, status=command.status, took_ms=command.took_ms, at_ms=command.at_ms
        ),
    )


def _not_delivered(command: commands.ReportDeliveryFailed, state: State) -> Events:
    delivery, at_ms = state.waiting(command.number), command.at_ms
    if delivery is None or (state.phase != "active" and not delivery.is_test):
        return ()
    wait_s = backoff_s(delivery.attempts + 1, first_s=WEBHOOK_BACKOFF_FIRST_S, max_s=WEBHOOK_BACKOFF_MAX_S)
    wait_s = max(wait_s, min(command.retry_after_s, WEBHOOK_BACKOFF_MAX_S))
    failed = events.DeliveryFailed(
        number=command.number,
        status=command.status,
        detail=command.detail,
        took_ms=command.took_ms,
        next_at_ms=at_ms + int(wait_s * 1000),
        at_ms=at_ms,
    )
    gone = events.WebhookDisabled(reason="the receiver says that it is gone (410)", failed=True, at_ms=at_ms)
    is_gone = command.status == _GONE and state.phase == "active"
    if delivery.is_test:
        dropped = events.DeliveryDropped(number=command.number, reason=command.detail, at_ms=at_ms)
        return (failed, dropped, gone) if is_gone else (failed, dropped)
    if is_gone:
        return (failed, gone)
    if at_ms - delivery.since_ms < WEBHOOK_RETRY_WINDOW_S * 1000:
        return (failed,)
    days = f"{WEBHOOK_RETRY_WINDOW_S / 86_400:g} days"
    if (state.delivered_at_ms or 0) > delivery.since_ms:
        return (
            failed,
            events.DeliveryDropped(number=command.number, reason=f"refused for {days}: {command.detail}", at_ms=at_ms),
        )
    return (
        failed,
        events.WebhookDisabled(
            reason=f"no message could be delivered for {days}: {command.detail}", failed=True, at_ms=at_ms
        ),
    )


def _void(command: commands.ReportDeliveryVoid, state: State) -> Events:
    if state.waiting(command.number) is None:
        return ()
    return (events.DeliveryDropped(number=command.number, reason="the session has been erased", at_ms=command.at_ms),)


_REPORTS: Final = frozenset(
    (
        commands.RequestDelivery,
        commands.AdvanceCursor,
        commands.ReportDeliverySucceeded,
        commands.ReportDeliveryFailed,
        commands.ReportDeliveryVoid,
    )
)

_DECIDE: Final[Mapping[type[Any], Callable[[Any, State], Events]]] = {
    commands.RegisterWebhook: _register,
    commands.EnableWebhook: _enable,
    commands.DisableWebhook: _disable,
    commands.DeleteWebhook: _delete,
    commands.SendTestMessage: _test,
    commands.RequestDelivery: _note_happening,
    commands.AdvanceCursor: _note_progress,
    commands.ReportDeliverySucceeded: _delivered,
    commands.ReportDeliveryFailed: _not_delivered,
    commands.ReportDeliveryVoid: _void,
}

WEBHOOK: Final[Decider[commands.WebhookCommand, State, events.WebhookEvent, Effect]] = Decider(
    "webhook", initial, decide, evolve, react, pending
)
