"""Checks the free space on the disk of the data directory, and reports a full disk.

Ordinary events leave some space free, so that the disk does not become full during a commit of LMDB. A file `reserve`
in the data directory holds more space back. It is released when no other space is left, so that a server can start on a
full disk and erase something. writer.py and lmdb_blobs.py use both.
"""

import errno
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import lmdb

from fleet.errors import FULL_DISK, StartupError, Unavailable
from fleet.limits import DISK_FREE_BYTES_MIN, DISK_REUSABLE_BYTES_MIN

if TYPE_CHECKING:
    from lmdb import _Database

NO_SPACE: Final = FULL_DISK | {errno.EFBIG}
"""The system's errors for a file that cannot grow: the disk is full, or the file has reached its limit."""

_FULL: Final = tuple(os.strerror(code) for code in NO_SPACE)
_IO_ERROR: Final = os.strerror(errno.EIO)
_RESERVE: Final = "reserve"


class Disk:
    """The disk that holds `path`. `free_bytes` returns the free space; the default asks the system.

    From now on, `reserve_bytes` are held back where there is room; otherwise an earlier reserve is released.
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
        """Raise `Unavailable` disk_full unless there is room for `size_bytes`.

        `reusable_bytes` returns the free space inside the file that will be written.
        """
        free_bytes = self._free_bytes()
        if free_bytes >= DISK_FREE_BYTES_MIN + size_bytes:
            if self._is_short() and not self._hold_reserve(free_bytes):
                raise self.full("Fleet cannot hold its reserve back again")
        elif reusable_bytes() < DISK_REUSABLE_BYTES_MIN + 2 * size_bytes:  # free pages are not always adjacent
            raise self.full(f"{free_bytes} bytes are free; the reserve is {DISK_FREE_BYTES_MIN}")

    def shortage(self) -> str | None:
        """Return the reason why ordinary events may be refused now; None while there is room."""
        free_bytes = self._free_bytes()
        if free_bytes >= DISK_FREE_BYTES_MIN:
            return None
        return f"{free_bytes} bytes are free on the disk of the data directory; the reserve is {DISK_FREE_BYTES_MIN}"

    def is_full(self, error: lmdb.Error) -> bool:
        """Return whether LMDB raised this error because the disk is full."""
        # LMDB reports a partial write as an I/O error; the free space shows whether the disk is full.
        text = str(error)
        return text.endswith(_FULL) or (text.endswith(_IO_ERROR) and self._free_bytes() < DISK_FREE_BYTES_MIN)

    def give_up_reserve(self) -> bool:
        """Release the reserve for writes that free space; return whether there was any."""
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True

    def _is_short(self) -> bool:
        """Return whether the reserve is too small: after a crash, or because the other store released it."""
        return _size(self._reserve) < self._reserve_bytes

    def _hold_reserve(self, free_bytes: int) -> bool:
        """Hold space back where enough remains for others; return False when the system reports a full disk."""
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
        """Return the problem for a full disk."""
        return Unavailable(
            "disk_full",
            f"the disk of the event log is full: {why}",
            hint="Free space on the disk of the data directory, or erase sessions (`fleet rm`), which works on a full "
            "disk; nothing was lost, and Fleet continues without a restart.",
            retry_after_s=10,
        )


def room_bytes(path: Path) -> int:
    """Return the free space of the disk of the data directory `path`, once its reserve is released."""
    return _free_bytes(path) + _size(path / _RESERVE)


def remedy(error: Exception, otherwise: str) -> str:
    """Return advice for a file that cannot be opened: free space when the disk is full, else `otherwise`."""
    full = error.errno in NO_SPACE if isinstance(error, OSError) else str(error).endswith(_FULL)
    return "free space on its disk, then start Fleet again." if full else otherwise


def _allocate(descriptor: int, size_bytes: int) -> None:
    """Allocate bytes on the disk; setting only the size of the file would allocate none."""
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


def free_bytes_of(environment: lmdb.Environment, tables: Iterable["_Database"]) -> int:
    """Return the size of the free pages of a file; `tables` are all of its tables except the main one."""
    with environment.begin() as transaction:
        found = [transaction.stat(table) for table in (environment.open_db(None, txn=transaction), *tables)]
    used = sum(each["branch_pages"] + each["leaf_pages"] + each["overflow_pages"] for each in found)
    return (environment.info()["last_pgno"] + 1 - used) * environment.stat()["psize"]


def unreadable_log(file: Path, why: object) -> StartupError:
    """Return the error for a file of the log that cannot be used."""
    advice = "Restore the data directory from a backup, or move the file away to start with an empty log."
    if isinstance(why, lmdb.Error) and remedy(why, advice) != advice:
        return StartupError(f"{file} cannot be written ({why}): {remedy(why, advice)}")
    return StartupError(f"{file} is damaged ({why}). {advice}")


def damaged_end(why: object) -> StartupError:
    """Return the error for a log whose last record cannot be used."""
    return StartupError(f"The event log is damaged at its end ({why}): restore the data directory from a backup.")
