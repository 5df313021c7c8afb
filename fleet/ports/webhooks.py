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
"""The events that a webhook can be notified of."""


class Target(msgspec.Struct, frozen=True):
    """The URL and signing key of a webhook. Both are secrets (law 11)."""

    url: str
    secret: str

    def __repr__(self) -> str:
        """Hide the secrets in representations."""
        return "Target(***)"


class DeliveryAttempt(msgspec.Struct, frozen=True):
    """The result of an attempt: the `status` of the response, or None, and then `detail` is the reason.

    `retry_after_s` is the pause that the receiver requests.
    """

    status: int | None
    detail: str
    took_ms: int
    retry_after_s: float = 0.0

    @property
    def taken(self) -> bool:
        """Whether the receiver has accepted the message."""
        return self.status is not None and 200 <= self.status < 300


class WebhookSecrets(Protocol):
    """Stores targets by webhook id, readable only by Fleet's user."""

    def fresh_key(self) -> bytes:
        """Return random bytes for a secret."""
        ...

    async def keep(self, webhook_id: str, target: Target) -> None:
        """Store it durably; repeating the call is harmless. Raises `Unavailable` disk_full."""
        ...

    async def read(self, webhook_id: str) -> Target | None:
        """Return the target, None where there is none."""
        ...

    async def forget(self, webhook_id: str) -> None:
        """Remove the target. Idempotent."""
        ...

    async def kept(self) -> list[str]:
        """Return the ids of all stored targets, sorted."""
        ...


class WebhookSender(Protocol):
    """Sends messages to the receivers that the configuration allows."""

    async def check(self, url: str) -> None:
        """Check that messages may be sent there now. Raises `Rejected` webhook_url_refused with the reason."""
        ...

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> DeliveryAttempt:
        """POST the body. Follows no redirect, and ends after `WEBHOOK_TIMEOUT_S`; errors are returned as results.

        It resolves the name once, checks every address, and connects to one of them.
        """
        ...
