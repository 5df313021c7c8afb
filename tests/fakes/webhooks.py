"""Receivers of webhooks and the place of their secrets, in memory. They outlive a Fleet."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import trio

from fleet.errors import Rejected
from fleet.limits import WEBHOOK_TIMEOUT_S
from fleet.ports import DeliveryAttempt, Target


class MemoryWebhookSecrets:
    """`WebhookSecrets` without a disk."""

    def __init__(self) -> None:
        self.targets: dict[str, Target] = {}
        self._made = 0

    def fresh_key(self) -> bytes:
        self._made += 1
        return self._made.to_bytes(24, "big")

    async def keep(self, webhook_id: str, target: Target) -> None:
        await trio.lowlevel.checkpoint()
        self.targets[webhook_id] = target

    async def read(self, webhook_id: str) -> Target | None:
        await trio.lowlevel.checkpoint()
        return self.targets.get(webhook_id)

    async def forget(self, webhook_id: str) -> None:
        await trio.lowlevel.checkpoint()
        self.targets.pop(webhook_id, None)

    async def kept(self) -> list[str]:
        await trio.lowlevel.checkpoint()
        return sorted(self.targets)


class Got(NamedTuple):
    """A message as a receiver got it, and when on trio's clock."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    at_s: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> dict[str, Any]:
        message: dict[str, Any] = msgspec.json.decode(self.body)
        return message


class FakeSender:
    """`WebhookSender` to receivers that answer by a script: a status, with a pause; `silent`, or `absent`.

    `script[url]` is what the next attempts meet, the last of it without end; 200 where there is none.
    """

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.script: dict[str, list[int | tuple[int, float] | str]] = {}
        self.sending = self.sending_most = 0
        self._came = trio.Event()

    async def check(self, url: str) -> None:
        await trio.lowlevel.checkpoint()
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or parts.fragment:
            raise Rejected("webhook_url_refused", "it is not a URL", field="url")
        if not parts.hostname.endswith(".example"):
            raise Rejected("webhook_url_refused", f"{parts.hostname} is not a public address", field="url")

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> DeliveryAttempt:
        self.sending += 1
        self.sending_most = max(self.sending_most, self.sending)
        try:
            return await self._send(url, headers, body)
        finally:
            self.sending -= 1

    async def _send(self, url: str, headers: Mapping[str, str], body: bytes) -> DeliveryAttempt:
        await trio.lowlevel.checkpoint()
        script = self.script.get(url, [200])
        meets = script.pop(0) if len(script) > 1 else script[0]
        if meets == "absent":
            return DeliveryAttempt(None, "no connection: Connection refused", 0)
        self.got.append(Got(url, headers, body, trio.current_time()))
        self._came.set()
        if isinstance(meets, str):
            await trio.sleep(WEBHOOK_TIMEOUT_S)
            return DeliveryAttempt(None, f"no response within {WEBHOOK_TIMEOUT_S:.0f} s", int(WEBHOOK_TIMEOUT_S * 1000))
        status, pause_s = meets if isinstance(meets, tuple) else (meets, 0.0)
        return DeliveryAttempt(status, f"the receiver responded with {status}", 0, pause_s)

    async def received(self, count: int) -> list[Got]:
        """Wait until so many messages came, attempts counted each; of virtual time there is an hour."""
        with trio.fail_after(3600):
            while len(self.got) < count:
                self._came = trio.Event()
                await self._came.wait()
        return self.got
