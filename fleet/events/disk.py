"""The disk of the data directory: whether there is room for what is to be written, and how a full one is told.

Keeps: a reserve stays free, so that LMDB does not meet a full disk half-way. lmdb_log.py and lmdb_blobs.py ask.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import lmdb

from fleet.errors import Unavailable
from fleet.limits import DISK_FREE_BYTES_MIN

_FULL: Final = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_IO_ERROR: Final = os.strerror(errno.EIO)


class Disk:
    """The disk that `path` is on. `free_bytes` tells the space left, by default what the platform says."""

    def __init__(self, path: Path, free_bytes: Callable[[], int] | None = None) -> None:
        self._free_bytes = free_bytes or (lambda: _free_bytes(path))

    def check(self, size_bytes: int) -> None:
        """Raise `Unavailable` disk_full unless there is room for so much more."""
        free_bytes = self._free_bytes()
        if free_bytes < DISK_FREE_BYTES_MIN + size_bytes:
            raise self.full(f"{free_bytes} bytes are free, Fleet keeps {DISK_FREE_BYTES_MIN} in reserve")

    def is_full(self, error: lmdb.Error) -> bool:
        """Return whether this is how LMDB reports a full disk."""
        # LMDB calls a write that went half-way an I/O error: the space left tells which it was.
        text = str(error)
        return text.endswith(_FULL) or (text.endswith(_IO_ERROR) and self._free_bytes() < DISK_FREE_BYTES_MIN)

    def full(self, why: str) -> Unavailable:
        """Return the problem."""
        return Unavailable(
            "disk_full",
            f"The disk of the event log is full: {why}.",
            hint="Free space on the disk of the data directory; nothing was lost, and Fleet goes on by itself.",
            retry_after_s=10,
        )


def _free_bytes(path: Path) -> int:
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize
