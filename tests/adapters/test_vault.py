"""Secrets of webhooks on disk: whole, and for Fleet's user alone."""

import stat
from pathlib import Path

import pytest

from fleet.adapters.webhook_secrets import FileVault
from fleet.ports import Target
from tests.contracts.webhooks_contract import ID, VaultContract

TARGET = Target("https://hooks.example/secret", "whsec_abc")


@pytest.fixture
def vault(tmp_path: Path) -> FileVault:
    return FileVault(tmp_path)


class TestFileVault(VaultContract):
    pass


async def test_secrets_are_private_and_found_by_another_store(tmp_path: Path) -> None:
    await FileVault(tmp_path).keep(ID, TARGET)
    file = tmp_path / "webhooks" / f"{ID}.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert await FileVault(tmp_path).read(ID) == TARGET
    assert repr(TARGET) == "Target(***)"


async def test_partial_file_of_a_crash_is_no_target_and_can_be_removed(tmp_path: Path) -> None:
    vault = FileVault(tmp_path)
    await vault.keep(ID, TARGET)
    (tmp_path / "webhooks" / f"{ID}.json.new").write_bytes(b'{"url": "htt')
    await vault.keep(ID, TARGET)
    assert await vault.kept() == [ID]
    (tmp_path / "webhooks" / "other.json.new").write_bytes(b"{")
    assert await vault.kept() == [ID, "other"]
    await vault.forget("other")
    assert await vault.kept() == [ID]
    (tmp_path / "webhooks" / f"{ID}.json").write_bytes(b"{")
    assert await vault.read(ID) is None
