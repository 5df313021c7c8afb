"""Exports the log: its lines as they arrive, over as many connections as that takes."""

from collections.abc import Iterator
from typing import Final

import msgspec

from fleet.client.connection import Connection
from fleet.client.sse import SseStream
from fleet.client.stream import RawFrame
from fleet.limits import CLIENT_FRAME_BYTES_MAX
from fleet.line_splitter import LineSplitter
from fleet.wire.audit import ExportQuery

_LINE: Final = "line"
_HEAD: Final = "head"


class _Line(msgspec.Struct):
    position: int
    signature: str | None = None


class LogExport(SseStream[bytes]):
    """Lines of the log: the bytes of a JSON object, without the end of line. `fleet log verify --export` proves them.

    It ends with the last event that there was when it began, or with the one that was asked for, and a signed head. It
    is a `Stream`, and resumes by itself like one; `position` is the line's that was read last.
    """

    def __init__(self, connection: Connection, after: int, through: int | None) -> None:
        super().__init__(connection, "/log/export", after, self._line_of)
        self._through = through
        self._is_signed = False

    def _query(self, after: int) -> ExportQuery:
        return ExportQuery(after, self._through)

    def _make_parser(self) -> "LineParser":
        return LineParser()

    async def _open(self) -> None:
        if self._through is None:
            self._through = await self._head()
        await super()._open()

    async def __anext__(self) -> bytes:
        if self._through is None:
            await self._again(self._open)
        if self._is_signed or not self._through:
            raise StopAsyncIteration
        return await super().__anext__()

    def _line_of(self, raw: RawFrame) -> bytes:
        self._is_signed = raw.name == _HEAD
        return raw.data


class LineParser:
    """Makes lines of bytes."""

    def __init__(self) -> None:
        self._lines = LineSplitter(CLIENT_FRAME_BYTES_MAX)

    def feed(self, chunk: bytes) -> Iterator[RawFrame]:
        """Yield the lines that are complete now."""
        for line in self._lines.feed(chunk):
            found = msgspec.json.decode(line, type=_Line)
            # A head has the position of the event before it, which a stream would take for a repetition.
            yield RawFrame(_LINE, found.position, line) if found.signature is None else RawFrame(_HEAD, None, line)
