"""What every implementation of `WebhookSender` and `WebhookSecrets` keeps. Subclass and give it a `world` fixture."""

from typing import Protocol

import pytest

from fleet.errors import Rejected
from fleet.limits import WEBHOOK_TIMEOUT_S
from fleet.ports import Target, WebhookSecrets, WebhookSender

ID = "01936f2e-0000-7000-8000-000000000001"
OTHER = "01936f2e-0000-7000-8000-000000000002"
HEADERS = {"webhook-id": "msg-1", "webhook-timestamp": "1767225600", "webhook-signature": "v1,abc"}


class World(Protocol):
    """Receivers, and the sender to them."""

    @property
    def sender(self) -> WebhookSender: ...

    def receiver(self, *meets: int | tuple[int, float] | str) -> str:
        """Return the URL of a receiver that answers so, time after time; its path is `/secret/path?token=1`."""
        ...

    def got(self) -> list[tuple[dict[str, str], bytes]]:
        """Return headers (by names in lower case) and body of what came."""
        ...


class SenderContract:
    async def test_a_message_arrives_with_its_headers(self, world: World) -> None:
        receipt = await world.sender.send(world.receiver(204), HEADERS, b'{"a": 1}')
        assert (receipt.status, receipt.taken) == (204, True)
        ((headers, body),) = world.got()
        assert headers.items() >= HEADERS.items()
        assert body == b'{"a": 1}'

    @pytest.mark.parametrize("status", [301, 307, 400, 410, 500])
    async def test_another_answer_is_no_delivery_and_a_redirect_leads_nowhere(self, world: World, status: int) -> None:
        receipt = await world.sender.send(world.receiver(status), HEADERS, b"{}")
        assert (receipt.status, receipt.taken) == (status, False)
        assert str(status) in receipt.detail
        assert len(world.got()) == 1

    async def test_a_pause_that_the_receiver_asks_for_is_reported(self, world: World) -> None:
        receipt = await world.sender.send(world.receiver((503, 120.0)), HEADERS, b"{}")
        assert (receipt.status, receipt.retry_after_s) == (503, 120.0)

    @pytest.mark.parametrize("meets", ["absent", "silent"])
    async def test_receiver_that_does_not_respond_is_named_without_its_address(self, world: World, meets: str) -> None:
        receipt = await world.sender.send(world.receiver(meets), HEADERS, b"{}")
        assert (receipt.status, receipt.taken) == (None, False)
        assert receipt.detail
        assert "secret" not in receipt.detail
        assert receipt.took_ms <= WEBHOOK_TIMEOUT_S * 1000

    async def test_a_good_address_passes_the_check(self, world: World) -> None:
        await world.sender.check(world.receiver(200))

    @pytest.mark.parametrize(
        "url",
        [
            "ftp://hooks.example/x",
            "https://",
            "hooks.example/x",
            "https://user:pass@hooks.example/x",
            "https://hooks.example/x#part",
            "https://10.0.0.1/x",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/x",
        ],
    )
    async def test_a_wrong_or_private_address_does_not(self, world: World, url: str) -> None:
        with pytest.raises(Rejected) as refused:
            await world.sender.check(url)
        assert (refused.value.code, refused.value.field) == ("webhook_url_refused", "url")


class WebhookSecretsContract:
    async def test_what_is_kept_is_there_until_it_is_forgotten(self, webhook_secrets: WebhookSecrets) -> None:
        first, second = Target("https://a.example/x", "whsec_a"), Target("https://b.example/y", "whsec_b")
        assert await webhook_secrets.read(ID) is None
        await webhook_secrets.forget(ID)
        await webhook_secrets.keep(ID, first)
        await webhook_secrets.keep(ID, first)
        await webhook_secrets.keep(OTHER, first)
        await webhook_secrets.keep(OTHER, second)
        assert (await webhook_secrets.read(ID), await webhook_secrets.read(OTHER)) == (first, second)
        assert await webhook_secrets.kept() == [ID, OTHER]
        await webhook_secrets.forget(ID)
        assert await webhook_secrets.read(ID) is None
        assert await webhook_secrets.kept() == [OTHER]

    async def test_keys_are_long_and_differ(self, webhook_secrets: WebhookSecrets) -> None:
        keys = {webhook_secrets.fresh_key() for _ in range(20)}
        assert len(keys) == 20
        assert all(len(key) >= 24 for key in keys)
