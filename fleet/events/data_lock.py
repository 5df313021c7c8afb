"""The lock of a data directory: one process holds it, and the kernel releases it when that process dies.

Who takes it makes the directory private: others have no way to the log, the tokens and the passwords in it.

`lock_holder` looks who has it, for those who must not take it.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from fleet.errors import StartupError
from fleet.events.disk import remedy


class DataLock:
    """Holds `fleet.lock` in the data directory, from construction to `close`.

    Raises `StartupError` when another process has it, when the directory cannot be written, or is another user's.
    """

    def __init__(self, directory: Path) -> None:
        file = directory / "fleet.lock"
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            advice = remedy(error, "make it writable for this user, or choose another with --data-dir.")
            why = f"The data directory {directory} cannot be written ({error.strerror})"
            raise StartupError(f"{why}: {advice}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise StartupError(
                f"The data directory {directory} is in use by another Fleet (process {holder}): "
                "stop that one, or choose another with --data-dir."
            ) from error
        try:
            _make_private(directory)
        except StartupError:
            os.close(self._descriptor)
            raise
        with suppress(OSError):  # on a full disk; others then cannot say which process has it
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Let others have the directory. The file stays: unlinking it would let two processes hold 'the' lock."""
        os.close(self._descriptor)


def _make_private(directory: Path) -> None:
    """Shut other users out of a directory that was there before. Raises `StartupError` where it is theirs."""
    status = directory.stat()
    if status.st_uid != os.geteuid():
        raise StartupError(
            f"The data directory {directory} belongs to another user, who could read all that Fleet holds: "
            "make it this user's (chown), or choose another with --data-dir."
        )
    if status.st_mode & 0o077:
        directory.chmod(0o700)


def lock_holder(directory: Path) -> int | None:
    """Return the pid of the server that has the data directory, None when none has it."""
    try:
        descriptor = os.open(directory / "fleet.lock", os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.read(descriptor, 32) or b"0")
    else:
        return None
    finally:
        os.close(descriptor)
