"""The lock of a data directory: one process holds it, and the kernel releases it when that process dies.

Taking the lock makes the directory private, because it holds the log, tokens and passwords. `lock_holder` returns the
pid of the holder without taking the lock.
"""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from fleet.errors import StartupError
from fleet.events.disk import remedy


class DataLock:
    """Holds `fleet.lock` in the data directory, from construction to `close`.

    Raises `StartupError` when another process has the lock, the directory cannot be written, or another user owns it.
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
        with suppress(OSError):  # a full disk: other processes cannot read the pid then
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Release the lock. The file stays: if it were deleted, two processes could each lock a file of this name."""
        os.close(self._descriptor)


def _make_private(directory: Path) -> None:
    """Remove other users' access to an existing directory. Raises `StartupError` when another user owns it."""
    status = directory.stat()
    if status.st_uid != os.geteuid():
        raise StartupError(
            f"The data directory {directory} belongs to another user, who could read all of Fleet's data: "
            "change its owner to this user (chown), or choose another with --data-dir."
        )
    if status.st_mode & 0o077:
        directory.chmod(0o700)


@contextmanager
def shared_lock(directory: Path) -> Generator[None]:
    """Keep servers off the directory while the block reads it; nothing is written. Without a lock file it is a copy.

    Raises `StartupError` when a server has the directory.
    """
    try:
        descriptor = os.open(directory / "fleet.lock", os.O_RDONLY)
    except FileNotFoundError:
        yield
        return
    except OSError as error:
        raise StartupError(f"The data directory {directory} cannot be read ({error.strerror}).") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        raise StartupError(
            f"The data directory {directory} is in use by a server (process {holder}): "
            "ask that server, without --data-dir, or stop it first."
        ) from error
    finally:
        os.close(descriptor)


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
