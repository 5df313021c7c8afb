"""The fakes pass the contracts."""

import pytest
from trio.testing import MockClock

from tests.contracts.webhooks_contract import SenderContract, WebhookSecretsContract
from tests.fakes.webhooks import FakeSender, MemoryWebhookSecrets


class FakeWorld:
    def __init__(self) -> None:
        self.sender = FakeSender()

    def receiver(self, *meets: int | tuple[int, float] | str) -> str:
        url = "https://hooks.example/secret/path?token=1"
        self.sender.script[url] = list(meets)
        return url

    def got(self) -> list[tuple[dict[str, str], bytes]]:
        return [(dict(got.headers), got.body) for got in self.sender.got]


@pytest.fixture
def world(autojump_clock: MockClock) -> FakeWorld:
    return FakeWorld()


@pytest.fixture
def webhook_secrets() -> MemoryWebhookSecrets:
    return MemoryWebhookSecrets()


class TestFakeSender(SenderContract):
    pass


class TestMemoryWebhookSecrets(WebhookSecretsContract):
    pass
