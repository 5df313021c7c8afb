"""Parcels: packs as files in a directory, on their way to or from another host. Each is named by its content."""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from fleet.adapters.git.packs import PIPE_BYTES, NewParcel, digest
from fleet.errors import Problem, Unavailable
from fleet.limits import PARCEL_KEPT_S, PARCEL_PIECE_BYTES, PARCEL_POLL_S, PARCEL_STALL_S
from fleet.ports import Packed, Parcel
from fleet.private_files import make_private_directory

_Result = TypeVar("_Result")


class Parcels:
    """The parcels in a directory, which is made on first use. All errors of the disk are `Problem` git_failed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def directory(self) -> Path:
        """Return the directory. It exists, and parcels that no transfer needs any more are deleted."""
        await self._run(self._make)
        return self._directory

    async def put(self, name: str, offset: int, piece: memoryview) -> int:
        """Write a piece and return where the next one begins (see `Transfer.put`)."""
        path = self._path(name)
        if offset == 0:
            await self.directory()
        return await self._run(lambda: _put(path, offset, piece))

    async def read(self, name: str, offset: int, count: int) -> bytes:
        """Return a piece of a parcel."""
        path = self._path(name)
        return await self._run(lambda: _read(path, offset, count))

    async def piece(self, file: Path, offset: int) -> bytes:
        """Return a piece of a parcel that was just made, or is being made."""
        return await self._run(lambda: _read(file, offset, PARCEL_PIECE_BYTES))

    async def size(self, file: Path) -> int:
        """Return how many bytes a parcel that is being made has by now."""
        return await self._run(lambda: _size(file))

    async def follow(self, name: str, pipe: int) -> None:
        """Move the bytes of a parcel into a pipe as they arrive, until none has arrived for `PARCEL_STALL_S`.

        It looks from time to time: the pipe would wake it for each 4 KiB that git reads, which takes as long as storing
        them.
        """
        path, offset, last_s = self._path(name), 0, trio.current_time()
        while trio.current_time() - last_s < PARCEL_STALL_S:
            if moved := await self._run(partial(_move_arrived, path, offset, pipe)):
                offset, last_s = offset + moved, trio.current_time()
            await trio.sleep(PARCEL_POLL_S)

    async def drop(self, name: str) -> None:
        """Delete a parcel. Idempotent."""
        path = self._path(name)
        await self._run(lambda: path.unlink(missing_ok=True))

    async def claim(self, parcel: Parcel | None) -> Path | None:
        """Return a parcel that has arrived whole, as a file that is the caller's. A damaged one is deleted."""
        if parcel is None:
            return None
        path = self._path(parcel.sent_as or parcel.name)
        return await self._run(lambda: _claim(path, parcel))

    async def new(self) -> Path:
        """Return the path of a file that is the caller's; it does not exist."""
        return await self.directory() / f"{os.urandom(8).hex()}.arriving"

    async def require_room(self, parcel: Parcel) -> None:
        """Raise `Unavailable` disk_full if a parcel that another machine announces does not fit on the disk."""
        directory = await self.directory()
        free_bytes = await self._run(lambda: shutil.disk_usage(directory).free)
        if parcel.size_bytes > free_bytes:
            said = f"a parcel of {parcel.size_bytes} bytes is to arrive, and {free_bytes} bytes are free in {directory}"
            raise Unavailable("disk_full", said)

    async def add(self, file: Path, piece: bytes) -> None:
        """Write the next piece of a parcel into a file that is the caller's."""
        await self._run(lambda: _add(file, piece))

    async def is_whole(self, file: Path, parcel: Parcel) -> bool:
        """Return whether a file has exactly the bytes of a parcel."""
        return await self._run(lambda: _is_whole(file, parcel))

    async def delete(self, file: Path | None) -> None:
        """Delete a file that is the caller's. Idempotent."""
        if file is not None:
            with trio.CancelScope(shield=True):
                await self._run(lambda: file.unlink(missing_ok=True))

    async def packed(self, made: NewParcel | None) -> Packed:
        """Give a new parcel its name, and return it with its first bytes. If these are all, the file is deleted."""
        if made is None:
            return Packed()
        first = await self.piece(made.file, 0)
        if len(first) == made.parcel.size_bytes:
            await self.delete(made.file)
        else:
            await self._run(lambda: made.file.replace(self._path(made.parcel.name)))
        return Packed(made.parcel, first)

    def _path(self, name: str) -> Path:
        if len(name) != 64 or not set(name) <= set("0123456789abcdef"):
            raise Problem("git_failed", f"{name!r} is not the name of a parcel")
        return self._directory / name

    def _make(self) -> None:
        make_private_directory(self._directory)
        old = time.time() - PARCEL_KEPT_S
        for path in self._directory.iterdir():
            with suppress(FileNotFoundError):  # another transfer has just deleted it
                if path.stat().st_mtime < old:
                    path.unlink()

    async def _run(self, action: Callable[[], _Result]) -> _Result:
        try:
            return await trio.to_thread.run_sync(action)
        except OSError as error:
            detail = f"Fleet cannot use {str(self._directory)!r} for transfers: {error.strerror}"
            raise Problem("git_failed", detail, hint="Check permissions and free space.") from None


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _put(path: Path, offset: int, piece: memoryview) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        size = os.fstat(descriptor).st_size
        if offset <= size < offset + len(piece):
            file.seek(offset)
            file.write(piece)
            return offset + len(piece)
        return size


def _read(path: Path, offset: int, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(count)


def _move_arrived(path: Path, offset: int, pipe: int) -> int:
    """Move what is new of a file into a pipe, as far as there is room, without a copy. Return how many bytes."""
    with suppress(FileNotFoundError, BlockingIOError), path.open("rb", buffering=0) as file:
        return os.splice(file.fileno(), pipe, PIPE_BYTES, offset_src=offset)
    return 0


def _add(file: Path, piece: bytes) -> None:
    with file.open("ab") as opened:
        opened.write(piece)


def _claim(path: Path, parcel: Parcel) -> Path | None:
    """Another transfer may have the same parcel: each file is for one of them."""
    own = path.with_name(f"{os.urandom(8).hex()}.claimed")
    try:
        path.replace(own)
    except FileNotFoundError:
        return None
    if _is_whole(own, parcel):
        return own
    own.unlink()
    return None


def _is_whole(file: Path, parcel: Parcel) -> bool:
    return file.stat().st_size == parcel.size_bytes and digest(file) == parcel.name
