"""The files of one instance, in `<data_dir>/instances/<instance_id>` (0700): `password` (0600), `opencode.log`, `tmp`.

The log receives stdout and stderr, so that OpenCode never blocks on a pipe without a reader after a crash of Fleet. It
also contains the announced port, and the evidence of a failed start. `tmp` receives the libraries that OpenCode
unpacks, 5.6 MB at each start, and never removes. `evidence` hides all secrets. Logs are cut, and those of old instances
removed, so that they do not fill the disk.
"""

import os
import re
import secrets
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from fleet.errors import Unavailable
from fleet.limits import OPENCODE_LOG_BYTES_MAX, OPENCODE_LOG_HEAD_BYTES, OPENCODE_LOG_TAIL_BYTES, OPENCODE_LOGS_KEPT
from fleet.private_files import make_private_directory, write_private

_PASSWORD: Final = "password"  # noqa: S105 - the name of its file
_LOG: Final = "opencode.log"
_SCRATCH: Final = "tmp"
_ANNOUNCEMENT: Final = re.compile(rb"listening on http://(?:\[[^\s\]]+\]|[^\s:]+):(\d+)\s")
_PORT_TAKEN: Final = re.compile(rb"EADDRINUSE|ServeError|Failed to start server|in use")


def forget_old_logs(data_dir: Path) -> None:
    """Remove the oldest logs of ended instances."""
    over = _over(data_dir)
    over.sort(key=lambda each: each.stat().st_mtime, reverse=True)
    for old in over[OPENCODE_LOGS_KEPT:]:
        shutil.rmtree(old)


def forget_old_scratch(data_dir: Path) -> None:
    """Remove the temporary files of ended instances, which a crash may have left."""
    for old in _over(data_dir):
        shutil.rmtree(old / _SCRATCH, ignore_errors=True)


def _over(data_dir: Path) -> list[Path]:
    """Return the directories of ended instances, which no longer have a password."""
    return [each for each in (data_dir / "instances").glob("*") if not (each / _PASSWORD).exists()]


class InstanceFiles:
    """The directory of one instance; it does not exist before `make_password`."""

    def __init__(self, data_dir: Path, instance_id: str) -> None:
        self._directory = data_dir / "instances" / instance_id
        self._password = self._directory / _PASSWORD
        self.log = self._directory / _LOG
        self.scratch = self._directory / _SCRATCH

    def make_password(self) -> str:
        """Write a new password to a file that is created readable only by its owner, and return it."""
        make_private_directory(self.scratch)
        password = secrets.token_urlsafe(24)
        write_private(self._password, password.encode())
        return password

    def password(self) -> str:
        """Return the password. Raises `Unavailable` opencode_unreachable if there is none."""
        try:
            return self._password.read_text()
        except OSError as error:
            raise Unavailable(
                "opencode_unreachable",
                f"the password in {self._directory} cannot be read: {error.strerror}",
                hint="The instance was stopped; resume the session on a new one.",
            ) from error

    def forget(self) -> None:
        """Remove the temporary files and the password of an ended process."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self._password.unlink(missing_ok=True)

    def empty_log(self) -> None:
        """Make an empty log. It is written in append mode, so that its writers always write at its current end."""
        self.log.touch(0o600)
        os.truncate(self.log, 0)

    def cut_log(self) -> None:
        """Cut a log that is too long down to its beginning, which contains the port."""
        with suppress(OSError):  # the next call tries again
            if self.log.stat().st_size > OPENCODE_LOG_BYTES_MAX:
                os.truncate(self.log, OPENCODE_LOG_HEAD_BYTES)

    def announced_port(self) -> int | None:
        """Return the port that OpenCode has announced in the log."""
        found = _ANNOUNCEMENT.search(self._head())
        return int(found[1]) if found else None

    def reports_taken_port(self) -> bool:
        """Whether the log says that OpenCode's port was in use."""
        return _PORT_TAKEN.search(self._head()) is not None

    def _head(self) -> bytes:
        try:
            with self.log.open("rb") as log:
                return log.read(OPENCODE_LOG_HEAD_BYTES)
        except FileNotFoundError:
            return b""

    def evidence(self, known_secrets: Iterable[str]) -> str:
        """Return the end of the log, with the password and `known_secrets` removed."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - OPENCODE_LOG_TAIL_BYTES))
                tail = log.read().decode(errors="replace")
            hidden = [self._password.read_text(), *known_secrets]
        except FileNotFoundError:
            return ""
        for secret in hidden:
            tail = tail.replace(secret, "***")
        return tail.strip()
