"""The routes for webhooks: addresses that get messages about sessions, and the deliveries to them."""

from typing import cast

from quart import Response

from fleet.actors.caller import Caller
from fleet.actors.fleet import Fleet
from fleet.actors.usecases.webhooks import NewWebhook
from fleet.core.times import rfc3339
from fleet.core.webhook.payloads import MESSAGE_TYPES
from fleet.core.webhook.signing import key_of
from fleet.core.webhook.state import Delivery, State
from fleet.errors import Rejected
from fleet.gateway.openapi.endpoint import Endpoints
from fleet.gateway.openapi.responses import NOTHING
from fleet.gateway.server.requests import done, json_response, paged
from fleet.wire.bodies import PageQuery, SwitchBody, WebhookBody
from fleet.wire.enums import WebhookStatus
from fleet.wire.webhooks import DeliveryItem, NewWebhookItem, WebhookItem

endpoint = Endpoints("/api/webhooks", "webhooks")


@endpoint("GET", gives=list[WebhookItem])
async def list_webhooks(fleet: Fleet, query: PageQuery) -> Response:
    """List the webhooks, oldest first; of their addresses only the origin is shown.

    `reason` says why one is disabled.
    """
    return paged(sorted(fleet.views.webhooks, key=lambda state: state.id), query, webhook_item, fleet.log.head())


@endpoint(
    "POST",
    gives=NewWebhookItem,
    examples=({"url": "https://example.com/hook", "events": ["session.finished"]},),
    refuses=("webhook_url_refused", "webhooks_full"),
    tells_secret=True,
)
async def register_webhook(fleet: Fleet, body: WebhookBody, caller: Caller) -> Response:
    """Create a webhook: from now on Fleet POSTs to this address what happens to sessions.

    Messages have the shape and the signature of Standard Webhooks. Only this response has the secret and the whole
    address.
    """
    if body.secret is not None:
        try:
            key_of(body.secret)
        except ValueError as error:
            hint = (
                "Leave it out, and Fleet makes one; or make one with `echo whsec_$(head -c 24 /dev/urandom | base64)`."
            )
            raise Rejected("invalid", str(error), field="secret", hint=hint) from None
    types = MESSAGE_TYPES if body.events is None else tuple(dict.fromkeys(body.events))
    new = NewWebhook(body.url, types, body.secret, body.description)
    state, target = await fleet.webhooks.register(new, caller)
    return json_response(
        NewWebhookItem(webhook=webhook_item(state), url=target.url, secret=target.secret), position=fleet.log.head()
    )


@endpoint("GET /<webhook_id>", gives=WebhookItem, refuses=("webhook_not_found",))
async def read_webhook(fleet: Fleet, webhook_id: str) -> Response:
    """Read a webhook.

    Address and secret are not shown again.
    """
    return json_response(webhook_item(fleet.webhooks.webhook(webhook_id)))


@endpoint("PATCH /<webhook_id>", gives=WebhookItem, examples=({"enabled": False},), refuses=("webhook_not_found",))
async def switch_webhook(fleet: Fleet, webhook_id: str, body: SwitchBody, caller: Caller) -> Response:
    """Disable a webhook, or enable it again: it continues where it stopped, with earlier events first.

    To skip those, delete it and create another one.
    """
    state = await fleet.webhooks.switch(webhook_id, caller, enabled=body.enabled)
    return json_response(webhook_item(state), position=fleet.log.head())


@endpoint("DELETE /<webhook_id>", gives=NOTHING, refuses=("webhook_not_found",))
async def delete_webhook(fleet: Fleet, webhook_id: str, caller: Caller) -> Response:
    """Delete a webhook with its address and its secret; what was not delivered is not sent any more.

    This cannot be undone; another webhook has another id.
    """
    return done(await fleet.webhooks.delete(webhook_id, caller))


@endpoint("GET /<webhook_id>/deliveries", gives=list[DeliveryItem], refuses=("webhook_not_found",))
async def list_deliveries(fleet: Fleet, webhook_id: str, query: PageQuery) -> Response:
    """List messages, newest first: those on their way, and the newest of those that were delivered or dropped.

    `status` and `detail` are the receiver's response to the last attempt.
    """
    state = fleet.webhooks.webhook(webhook_id)
    found = sorted((*state.open, *state.over), key=lambda delivery: delivery.number, reverse=True)
    return paged(found, query, lambda each: _delivery_item(state.id, each), fleet.log.head())


@endpoint("POST /<webhook_id>/test", gives=DeliveryItem, refuses=("webhook_not_found", "delivery_gone"))
async def try_webhook(fleet: Fleet, webhook_id: str, caller: Caller) -> Response:
    """Send a message of the type `webhook.test` once, also to a disabled webhook, and return the result.

    It is not retried. A webhook whose receiver responds `Gone` (410) is disabled, as by any message.
    """
    delivery = await fleet.webhooks.send_test(webhook_id, caller)
    return json_response(_delivery_item(webhook_id, delivery), position=fleet.log.head())


def webhook_item(state: State) -> WebhookItem:
    """Return what the API shows of a webhook."""
    return WebhookItem(
        id=state.id,
        origin=state.origin,
        events=list(state.types),
        description=state.description,
        status=cast("WebhookStatus", state.phase),  # one that was deleted is in no view
        status_since=rfc3339(state.since_ms),
        reason=state.reason,
        waiting=sum(not each.is_test for each in state.open),
        delivered_at=_time(state.delivered_at_ms),
        failing_since=_time(state.failing_since_ms),
        created_at=rfc3339(state.created_at_ms),
        position=state.cursor,
    )


def _delivery_item(webhook_id: str, delivery: Delivery) -> DeliveryItem:
    waits = delivery.outcome == "pending" and delivery.attempts > 0
    return DeliveryItem(
        id=f"{webhook_id}-{delivery.number}",
        type=delivery.type,
        session_id=delivery.session_id,
        position=delivery.position,
        outcome=delivery.outcome,
        attempts=delivery.attempts,
        status=delivery.status,
        detail=delivery.detail,
        took_ms=delivery.took_ms,
        ordered_at=rfc3339(delivery.ordered_at_ms),
        at=_time(delivery.at_ms),
        next_at=rfc3339(delivery.next_at_ms) if waits else None,
    )


def _time(unix_ms: int | None) -> str | None:
    return None if unix_ms is None else rfc3339(unix_ms)
