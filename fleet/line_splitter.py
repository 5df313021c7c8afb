"""Splits bytes that arrive in pieces into lines, each with a limit on its length.

A line ends at a line feed alone: JSON may hold every other character that ends a line elsewhere.
"""


class LineTooLongError(ValueError):
    """A line is longer than the limit; the text names the limit."""


class LineSplitter:
    """Returns each line once it is complete, without its line feed, and keeps the rest, up to `bytes_max`."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._pieces: list[bytes] = []  # of the line whose end has not arrived
        self._size_bytes = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes. Raises LineTooLongError for the line that `data` continues."""
        head, *rest = data.split(b"\n")
        self._pieces.append(head)
        self._size_bytes += len(head)
        if self._size_bytes > self._bytes_max:
            raise LineTooLongError(f"a line is longer than the limit of {self._bytes_max} bytes")
        if not rest:
            return []
        lines = [b"".join(self._pieces), *rest[:-1]]
        self._pieces, self._size_bytes = [rest[-1]], len(rest[-1])
        return lines
