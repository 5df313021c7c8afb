"""Secrets of webhooks on disk: whole, and for Fleet's user alone."""

import stat
from pathlib import Path

import pytest

from fleet.adapters.webhook_secrets import FileWebhookSecrets
from fleet.ports import Target
from tests.contracts.webhooks_contract import ID, WebhookSecretsContract

TARGET = Target("https://hooks.example/secret", "whsec_abc")


@pytest.fixture
def webhook_secrets(tmp_path: Path) -> FileWebhookSecrets:
    return FileWebhookSecrets(tmp_path)


class TestFileWebhookSecrets(WebhookSecretsContract):
    pass


async def test_secrets_are_private_and_found_by_another_store(tmp_path: Path) -> None:
    await FileWebhookSecrets(tmp_path).keep(ID, TARGET)
    file = tmp_path / "webhooks" / f"{ID}.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert await FileWebhookSecrets(tmp_path).read(ID) == TARGET
    assert repr(TARGET) == "Target(***)"


async def test_partial_file_of_a_crash_is_no_target_and_can_be_removed(tmp_path: Path) -> None:
    webhook_secrets = FileWebhookSecrets(tmp_path)
    await webhook_secrets.keep(ID, TARGET)
    (tmp_path / "webhooks" / f"{ID}.json.new").write_bytes(b'{"url": "htt')
    await webhook_secrets.keep(ID, TARGET)
    assert await webhook_secrets.kept() == [ID]
    (tmp_path / "webhooks" / "other.json.new").write_bytes(b"{")
    assert await webhook_secrets.kept() == [ID, "other"]
    await webhook_secrets.forget("other")
    assert await webhook_secrets.kept() == [ID]
    (tmp_path / "webhooks" / f"{ID}.json").write_bytes(b"{")
    assert await webhook_secrets.read(ID) is None
