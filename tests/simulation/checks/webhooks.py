"""A webhook gets everything that it asked for, at least once and under one id."""

from collections.abc import Iterator

import msgspec

from fleet.core.webhook.events import DeliveryDropped, DeliveryOrdered, DeliverySucceeded, WebhookRegistered
from fleet.core.webhook.payloads import webhook_payload
from fleet.events.envelope import Erased
from tests.simulation.evidence import Evidence


def messages_are_ordered_once(evidence: Evidence) -> Iterator[str]:
    """Each event behind the registration has one delivery, in the order of the log, after all crashes (1, 4)."""
    erased = {recorded.position for recorded in evidence.history if isinstance(recorded.event, Erased)}
    for webhook in evidence.views.webhooks:
        deliveries = [recorded.event for recorded in evidence.stream(f"webhook-{webhook.id}")]
        ordered = [each.position for each in deliveries if isinstance(each, DeliveryOrdered)]
        after = next(each.after for each in deliveries if isinstance(each, WebhookRegistered))
        owed = [
            each.position
            for each in evidence.history
            if each.position > after and webhook_payload(each.event) is not None
        ]
        if [position for position in ordered if position not in erased] != owed:
            yield f"webhook {webhook.id} ordered {ordered} and owed {owed}"


def messages_arrive(evidence: Evidence) -> Iterator[str]:
    """At rest each message has arrived, or its session is erased; one id stands for one event (4)."""
    got = {(each.id, each.json["data"]["position"]) for each in evidence.got}
    if len(got) != len({name for name, _ in got}):
        yield f"an id stands for two events: {sorted(got)}"
    for webhook in evidence.views.webhooks:
        deliveries = [recorded.event for recorded in evidence.stream(f"webhook-{webhook.id}")]
        made = {each.number for each in deliveries if isinstance(each, DeliverySucceeded)}
        dropped = {each.number for each in deliveries if isinstance(each, DeliveryDropped)}
        for each in deliveries:
            if isinstance(each, DeliveryOrdered):
                arrived = (f"{webhook.id}-{each.number}", each.position) in got
                void = each.number in dropped and each.session_id in evidence.erased
                if not (void or (arrived and each.number in made)):
                    yield f"webhook {webhook.id}: {msgspec.json.encode(each).decode()} did not arrive"
