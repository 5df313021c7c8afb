"""What messages have cost: the charge of a message that was recorded again, and the sums by agent and model."""

from collections.abc import Iterable

from msgspec.structs import replace

from fleet.core.session.turn_events import MessageRecorded
from fleet.evidence.bodies import AgentMessage
from fleet.evidence.document import Used
from fleet.ports import Tokens
from fleet.projections.index_queries import Charge


def charge(event: MessageRecorded, before: MessageRecorded | None) -> Charge:
    """Return what the message has cost since it was recorded `before`."""
    if before is None:
        return Charge(event.cost_usd, event.tokens)
    return Charge(event.cost_usd - before.cost_usd, event.tokens - before.tokens)


def used(messages: Iterable[tuple[MessageRecorded, AgentMessage]]) -> tuple[Used, ...]:
    """Return the agents and models of these messages, with their sums."""
    found: dict[tuple[str, str], Used] = {}
    for event, body in messages:
        if event.role != "assistant":
            continue
        key = (body.agent or "unknown", body.model or "unknown")
        known = found.get(key) or Used(agent=key[0], model=key[1], messages=0, cost_usd=0.0, tokens=Tokens())
        found[key] = replace(
            known,
            messages=known.messages + 1,
            cost_usd=known.cost_usd + event.cost_usd,
            tokens=known.tokens + event.tokens,
        )
    return tuple(found.values())
