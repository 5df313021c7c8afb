"""Makes a zip of the files of a pack while they are made, so that no more than a piece of it is in memory."""

import io
import zipfile
from collections.abc import AsyncGenerator
from contextlib import aclosing

import trio

from fleet.limits import PACK_ZIP_SLICE_BYTES


class _Drain(io.RawIOBase):
    """What the zip has written since it was drained last."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview[int]", /) -> int:  # type: ignore[override]  # a wider type than it can be given here
        self._written += data
        return len(data)

    @property
    def size_bytes(self) -> int:
        """How much that is."""
        return len(self._written)

    def drain(self) -> bytes:
        """Return it."""
        written, self._written = bytes(self._written), bytearray()
        return written


async def zipped(files: AsyncGenerator[tuple[str, bytes]], folder: str) -> AsyncGenerator[bytes]:
    """Yield the zip of files that come as (name, piece), the pieces of a file one after another."""
    drain = _Drain()
    with zipfile.ZipFile(drain, "w", zipfile.ZIP_DEFLATED) as archive:
        name, entry = "", None
        try:
            async with aclosing(files):
                async for next_name, piece in files:
                    if entry is None or next_name != name:
                        if entry is not None:
                            entry.close()
                        name, entry = next_name, archive.open(f"{folder}/{next_name}", "w", force_zip64=True)
                    for start in range(0, len(piece), PACK_ZIP_SLICE_BYTES):
                        entry.write(piece[start : start + PACK_ZIP_SLICE_BYTES])
                        await trio.lowlevel.checkpoint()
                    if drain.size_bytes >= PACK_ZIP_SLICE_BYTES:  # small pieces would cost a write of the server each
                        yield drain.drain()
        finally:  # also where its reader has left: the archive refuses to close with an open file
            if entry is not None:
                entry.close()
    yield drain.drain()
