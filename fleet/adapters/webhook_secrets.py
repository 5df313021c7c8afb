"""Stores webhooks' addresses and secrets: `<data_dir>/webhooks/<webhook id>.json`, mode 0600 in a directory of 0700."""

import secrets
from pathlib import Path

import msgspec
import structlog
import trio

from fleet.core.webhook.signing import KEY_BYTES_MIN
from fleet.ports import Target
from fleet.private_files import make_private_directory, write_private

_log = structlog.get_logger(__name__)


class FileWebhookSecrets:
    """`WebhookSecrets` on this machine's disk."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir / "webhooks"

    def fresh_key(self) -> bytes:
        """Return random bytes."""
        return secrets.token_bytes(KEY_BYTES_MIN)

    async def keep(self, webhook_id: str, target: Target) -> None:
        """See `WebhookSecrets`."""
        await trio.to_thread.run_sync(self._keep, webhook_id, target)

    def _keep(self, webhook_id: str, target: Target) -> None:
        make_private_directory(self._directory)
        write_private(self._file(webhook_id), msgspec.json.encode(target), durable=True)

    async def read(self, webhook_id: str) -> Target | None:
        """See `WebhookSecrets`. A file that cannot be parsed counts as missing."""
        return await trio.to_thread.run_sync(self._read, webhook_id)

    def _read(self, webhook_id: str) -> Target | None:
        try:
            return msgspec.json.decode(self._file(webhook_id).read_bytes(), type=Target)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("webhook_secret_unreadable", webhook=webhook_id, error=type(error).__name__)
            return None

    async def forget(self, webhook_id: str) -> None:
        """See `WebhookSecrets`."""
        await trio.to_thread.run_sync(self._forget, webhook_id)

    def _forget(self, webhook_id: str) -> None:
        for each in self._directory.glob(f"{webhook_id}.*"):  # including a partial file that a crash has left
            each.unlink(missing_ok=True)

    async def kept(self) -> list[str]:
        """See `WebhookSecrets`."""
        return await trio.to_thread.run_sync(self._kept)

    def _kept(self) -> list[str]:
        return sorted({file.name.partition(".")[0] for file in self._directory.glob("*.*")})

    def _file(self, webhook_id: str) -> Path:
        return self._directory / f"{webhook_id}.json"
