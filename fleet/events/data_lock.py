"""One process per data directory: a lock that the kernel gives back when its holder dies, however it dies.

`lock_holder` looks who has it, for those who must not take it.
"""

import fcntl
import os
from pathlib import Path

from fleet.errors import StartupError


class DataLock:
    """Holds `fleet.lock` in the data directory, from construction to `close`.

    Raises `StartupError` when another process has it, or when the directory cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        file = directory / "fleet.lock"
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StartupError(
                f"The data directory {directory} cannot be written ({error.strerror}): "
                "make it writable for this user, or choose another with --data-dir."
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise StartupError(
                f"The data directory {directory} is in use by another Fleet (process {holder}): "
                "stop that one, or choose another with --data-dir."
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Let others have the directory. The file stays: unlinking it would let two processes hold 'the' lock."""
        os.close(self._descriptor)


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
