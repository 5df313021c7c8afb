"""The ports for webhooks: the store of addresses and secrets, and the sender of messages."""

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

MessageType = Literal[
    "session.finished",
    "session.aborted",
    "session.interrupted",
    "session.error",
    "session.request",
    "session.budget",
    "session.delayed",
    "session.callback",
    "session.disconnected",
    "session.completed",
    "session.stopped",
]
"""What a webhook can be told of."""


class Target(msgspec.Struct, frozen=True):
    """Where a webhook's messages go and what they are signed with. Both are secrets (law 11)."""

    url: str
    secret: str

    def __repr__(self) -> str:
        """Keep it out of representations."""
        return "Target(***)"


class DeliveryAttempt(msgspec.Struct, frozen=True):
    """What became of an attempt: the answer's `status`, or None and in `detail` why there was none.

    `retry_after_s` is the pause that the receiver asks for.
    """

    status: int | None
    detail: str
    took_ms: int
    retry_after_s: float = 0.0

    @property
    def taken(self) -> bool:
        """Whether the receiver has taken the message."""
        return self.status is not None and 200 <= self.status < 300


class WebhookSecrets(Protocol):
    """Keeps targets by webhook id, where only Fleet's user can read them."""

    def fresh_key(self) -> bytes:
        """Return random bytes for a secret."""
        ...

    async def keep(self, webhook_id: str, target: Target) -> None:
        """Keep it, durably when this returns; the same again is harmless. Raises `Unavailable` disk_full."""
        ...

    async def read(self, webhook_id: str) -> Target | None:
        """Return it, None where there is none."""
        ...

    async def forget(self, webhook_id: str) -> None:
        """Remove it. Idempotent."""
        ...

    async def kept(self) -> list[str]:
        """Return the ids of all that is kept, sorted."""
        ...


class WebhookSender(Protocol):
    """Sends messages to the receivers that the configuration allows."""

    async def check(self, url: str) -> None:
        """Say whether messages may go there now. Raises `Rejected` webhook_url_refused with the reason."""
        ...

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> DeliveryAttempt:
        """POST the body. Follows no redirect, gives up after `WEBHOOK_TIMEOUT_S`; an error is a result, too.

        The name is looked up once, every address is checked, and one of them is connected to.
        """
        ...
