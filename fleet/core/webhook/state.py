"""The state of a webhook, folded from its events."""

from typing import Final, Literal, get_args

import msgspec

Phase = Literal["absent", "active", "disabled", "deleted"]
PHASES: Final[tuple[Phase, ...]] = get_args(Phase)


class Delivery(msgspec.Struct, frozen=True):
    """A message and its attempts.

    `since_ms` is the start of its retry window: when it was ordered, or the webhook was enabled again. `status`,
    `detail` and `took_ms` are those of the last attempt, `at_ms` its time.
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
        """Whether it is a test message, without an event."""
        return self.position is None


class State(msgspec.Struct, frozen=True):
    """A webhook.

    `cursor`: every event up to this position that causes a message has a delivery. `numbered` counts deliveries; `open`
    are the unfinished ones, `over` the newest of the others. `failing_since_ms` is when the first attempt after the
    last success failed. `reason` is why it is disabled; `failed`: Fleet gave up on it.
    """

    id: str
    phase: Phase = "absent"
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
        """Return the open delivery with this number."""
        return next((delivery for delivery in self.open if delivery.number == number), None)


def initial(webhook_id: str) -> State:
    """Return the state of a webhook that does not exist yet."""
    return State(id=webhook_id)
