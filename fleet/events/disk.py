"""Checks the free space on the disk of the data directory, and reports a full disk.

Keeps: ordinary events leave some space free, so that LMDB does not meet a full disk half-way; and a file of the data
directory holds space back (`reserve`), which is given up when there is no other, so that a server can start on a full
disk and erase something. lmdb_log.py and lmdb_blobs.py ask.
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import lmdb

from fleet.errors import Unavailable
from fleet.limits import DISK_FREE_BYTES_MIN, DISK_REUSABLE_BYTES_MIN

NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The system's errors that say that there is no room."""

_FULL: Final = tuple(os.strerror(code) for code in NO_SPACE)
_IO_ERROR: Final = os.strerror(errno.EIO)
_RESERVE: Final = "reserve"


class Disk:
    """The disk that `path` is on. `free_bytes` tells the space left, by default what the platform says.

    With `reserve_bytes` so much is held back from now on, where there is room; else what was held back is given up.
    """

    def __init__(self, path: Path, free_bytes: Callable[[], int] | None = None, *, reserve_bytes: int = 0) -> None:
        self._free_bytes = free_bytes or (lambda: _free_bytes(path))
        self._reserve = path / _RESERVE
        self._reserve_bytes = reserve_bytes
        if reserve_bytes and self._free_bytes() < reserve_bytes:
            self.give_up_reserve()
        elif self._is_short():
            self._hold_reserve(self._free_bytes())

    def check(self, size_bytes: int, reusable_bytes: Callable[[], int]) -> None:
        """Raise `Unavailable` disk_full unless there is room for so much more.

        `reusable_bytes` tells the space inside of the file that is to be written to.
        """
        free_bytes = self._free_bytes()
        if free_bytes >= DISK_FREE_BYTES_MIN + size_bytes:
            if self._is_short() and not self._hold_reserve(free_bytes):
                raise self.full("Fleet's reserve cannot be set aside again")
        elif reusable_bytes() < DISK_REUSABLE_BYTES_MIN + 2 * size_bytes:  # pages in a row are not always found
            raise self.full(f"{free_bytes} bytes are free, Fleet keeps {DISK_FREE_BYTES_MIN} in reserve")

    def is_full(self, error: lmdb.Error) -> bool:
        """Return whether this is how LMDB reports a full disk."""
        # LMDB calls a write that went half-way an I/O error: the space left tells which it was.
        text = str(error)
        return text.endswith(_FULL) or (text.endswith(_IO_ERROR) and self._free_bytes() < DISK_FREE_BYTES_MIN)

    def give_up_reserve(self) -> bool:
        """Free the space that is held back; return whether there was any. What gives space back may use it."""
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True

    def _is_short(self) -> bool:
        """Return whether less is held back than should be: a crash left a part, or another user of it gave it up."""
        return _size(self._reserve) < self._reserve_bytes

    def _hold_reserve(self, free_bytes: int) -> bool:
        """Hold space back where that leaves enough for others; return False where the system says that it is full."""
        if free_bytes < DISK_FREE_BYTES_MIN + 2 * self._reserve_bytes:
            return True  # later
        try:
            descriptor = os.open(self._reserve, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _allocate(descriptor, self._reserve_bytes)
            finally:
                os.close(descriptor)
        except OSError:
            with suppress(OSError):
                self._reserve.unlink()
            return False
        return True

    def full(self, why: str) -> Unavailable:
        """Return the problem."""
        return Unavailable(
            "disk_full",
            f"The disk of the event log is full: {why}.",
            hint="Free space on the disk of the data directory, or erase sessions (`fleet rm`), which works on a full "
            "disk; nothing was lost, and Fleet continues by itself.",
            retry_after_s=10,
        )


def remedy(error: Exception, otherwise: str) -> str:
    """Return what to do about a file that cannot be opened: make room where the disk is full, else `otherwise`."""
    full = error.errno in NO_SPACE if isinstance(error, OSError) else str(error).endswith(_FULL)
    return "free space on its disk, then start Fleet again." if full else otherwise


def _allocate(descriptor: int, size_bytes: int) -> None:
    """Take so many bytes of the disk. A file that merely has a size would take none."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size_bytes)
    else:
        os.pwrite(descriptor, bytes(size_bytes), 0)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _free_bytes(path: Path) -> int:
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize
