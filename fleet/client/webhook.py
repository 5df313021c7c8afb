"""One webhook in the client."""

from urllib.parse import quote

from fleet.client.connection import Connection, Page
from fleet.wire.bodies import PageQuery, SwitchBody
from fleet.wire.webhooks import DeliveryItem, WebhookItem


class Webhook:
    """A webhook of a Fleet. It is a name, not a copy: every call asks the server.

    Every method raises `FleetError`: `NotFound` where there is no such webhook.

    >>> made = await fleet.register_webhook("https://hooks.example/fleet", events=["session.finished"])
    >>> webhook = fleet.webhook(made.webhook.id)
    >>> (await webhook.test()).outcome
    'delivered'
    """

    def __init__(self, connection: Connection, webhook_id: str) -> None:
        self.id = webhook_id
        self._connection = connection
        self._path = f"/webhooks/{quote(webhook_id, safe='')}"

    def __repr__(self) -> str:
        return f"Webhook({self.id!r})"

    async def read(self) -> WebhookItem:
        """Return the webhook; of its address, only the origin."""
        return await self._connection.read(WebhookItem, self._path)

    async def switch(self, *, enabled: bool) -> WebhookItem:
        """Disable it, or enable it again: then it continues where it stopped, with earlier events first."""
        return await self._connection.write(WebhookItem, "PATCH", self._path, body=SwitchBody(enabled))

    async def delete(self) -> None:
        """Delete it with its address and its secret; messages that were not delivered are not sent any more."""
        await self._connection.command("DELETE", self._path)

    async def test(self) -> DeliveryItem:
        """Send it a message of the type `webhook.test`, once, and return the result."""
        return await self._connection.write(DeliveryItem, "POST", f"{self._path}/test")

    async def deliveries(self, *, limit: int = 50, offset: int = 0) -> Page[DeliveryItem]:
        """Return messages, newest first: waiting ones, and the newest that were delivered or dropped."""
        return await self._connection.page(DeliveryItem, f"{self._path}/deliveries", PageQuery(limit, offset))
