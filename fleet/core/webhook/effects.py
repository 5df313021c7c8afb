"""The effects of a webhook: the outside work that its events ask for.

An event with a number orders each message before it is sent (law 4): after a crash it is sent again with the same id.
"""

import msgspec

from fleet.core.webhook.events import DeliveryOrdered, WebhookEnabled, WebhookEvent, WebhookRegistered
from fleet.core.webhook.state import Delivery, State


class FollowLog(msgspec.Struct, frozen=True):
    """Follow the log behind `after`: `RequestDelivery` for each event of these types, in order, and `AdvanceCursor`.

    At most `WEBHOOK_OPEN_MAX` deliveries are open at a time.
    """

    key: str
    after: int
    types: tuple[str, ...]


class SendMessage(msgspec.Struct, frozen=True):
    """Send the message when it is due, then `ReportDeliverySucceeded`, `…Failed` (and retry) or `…Void`."""

    key: str
    number: int
    position: int | None
    ordered_at_ms: int
    next_at_ms: int


Effect = FollowLog | SendMessage


def pending(state: State) -> tuple[Effect, ...]:
    """Return the effects that are ordered and not yet reported done. A disabled webhook gets tests too."""
    if state.phase not in ("active", "disabled"):
        return ()
    active = state.phase == "active"
    follow = (FollowLog("follow", state.cursor, state.types),) if active else ()
    return (*follow, *(_deliver(each) for each in state.open if active or each.is_test))


def _deliver(delivery: Delivery) -> SendMessage:
    key = f"deliver {delivery.number}"
    return SendMessage(key, delivery.number, delivery.position, delivery.ordered_at_ms, delivery.next_at_ms)


def react(state: State, event: WebhookEvent) -> tuple[Effect, ...]:
    """Return the effects that `event` orders, given the state after it."""
    if isinstance(event, DeliveryOrdered):
        ordered = state.waiting(event.number)
        return () if ordered is None else (_deliver(ordered),)
    if not isinstance(event, WebhookRegistered | WebhookEnabled):
        return ()
    tests = {f"deliver {each.number}" for each in state.open if each.is_test}  # they run while it is disabled, too
    return tuple(effect for effect in pending(state) if effect.key not in tests)
