"""Keeps the contents of the diffs of running turns in memory, up to a number of bytes. Nothing is stored.

A reader requests the list of files first and contents afterwards. If a content was discarded in between, the reader
requests the list again.
"""

from collections import OrderedDict
from collections.abc import Mapping

from fleet.limits import DIFF_LIVE_BYTES_MAX, DIFF_LIVE_ENTRY_BYTES


class LiveContents:
    """Contents by stream and digest; those least recently named are discarded first."""

    def __init__(self, bytes_max: int = DIFF_LIVE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._contents: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._bytes = 0

    def keep(self, stream: str, contents: Mapping[str, bytes]) -> None:
        """Keep contents by digest, for as long as there is room."""
        for digest, content in contents.items():
            self._drop((stream, digest))
            self._contents[stream, digest] = content
            self._bytes += len(content) + DIFF_LIVE_ENTRY_BYTES
        while self._bytes > self._bytes_max:
            self._drop(next(iter(self._contents)))

    def get(self, stream: str, digest: str) -> bytes | None:
        """Return a content that a live diff of the stream has named; None if it was discarded."""
        return self._contents.get((stream, digest))

    def forget(self, stream: str) -> None:
        """Discard the contents of an erased stream."""
        for key in [key for key in self._contents if key[0] == stream]:
            self._drop(key)

    def _drop(self, key: tuple[str, str]) -> None:
        content = self._contents.pop(key, None)
        if content is not None:
            self._bytes -= len(content) + DIFF_LIVE_ENTRY_BYTES
