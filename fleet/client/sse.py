"""Server-Sent Events: a stream with its own connection."""

from collections.abc import Callable, Iterator
from typing import Final, Protocol

import msgspec
import trio

from fleet.client.connection import Connection
from fleet.client.errors import unreachable, unreadable
from fleet.client.response import LOST
from fleet.client.stream import Item, RawFrame, Stream
from fleet.http1 import HttpConnection
from fleet.limits import CLIENT_FRAME_BYTES_MAX, CLIENT_SILENCE_S
from fleet.line_splitter import LineSplitter
from fleet.wire.bodies import Query, StreamQuery

_FIELDS: Final = (b"event", b"id", b"data")


class SseStream(Stream[Item]):
    """A `Stream` over Server-Sent Events."""

    def __init__(
        self, connection: Connection, path: str, after: int | None, decode: Callable[[RawFrame], Item | None]
    ) -> None:
        super().__init__(connection, after, decode)
        self._path = path
        self._response: HttpConnection | None = None
        self._parser = self._make_parser()

    def _query(self, after: int) -> Query:
        return StreamQuery(after=after)

    def _make_parser(self) -> "Parser":
        return FrameParser()

    async def _open(self) -> None:
        query = self._query(await self._begin())
        self._response = await self._connection.open(self._path, query)
        self._parser = self._make_parser()

    async def _read(self) -> None:
        if self._response is None:
            await self._open()
        try:
            while not self._waiting:
                for raw in self._parser.feed(await self._chunk()):
                    self._take(raw)
        except LOST as error:
            await self.aclose()
            raise unreachable(self._connection.url, error) from error
        except (msgspec.MsgspecError, ValueError) as error:
            await self.aclose()
            raise unreadable(self._connection.url, 200, error) from error
        except BaseException:  # cancelled: a frame that was read partly is read again
            await self.aclose()
            raise

    async def _chunk(self) -> bytes:
        assert self._response is not None  # noqa: S101 - it was opened
        with trio.fail_after(CLIENT_SILENCE_S):
            chunk = await self._response.receive()
        if not chunk:
            raise trio.BrokenResourceError("the stream has ended")
        self._alive = True
        return chunk

    async def aclose(self) -> None:
        """Close the connection."""
        response, self._response = self._response, None
        if response is not None:
            self._connection.shut(response)


class Parser(Protocol):
    """Makes frames of what comes."""

    def feed(self, chunk: bytes) -> Iterator[RawFrame]:
        """Yield the frames that are whole now."""
        ...


class FrameParser:
    """Makes frames of bytes."""

    def __init__(self) -> None:
        self._lines = LineSplitter(CLIENT_FRAME_BYTES_MAX)
        self._fields: dict[bytes, bytes] = {}

    def feed(self, chunk: bytes) -> Iterator[RawFrame]:
        """Yield the frames that are whole now."""
        for line in self._lines.feed(chunk):
            name, _, value = line.partition(b": ")
            if name in _FIELDS:
                self._fields[name] = value
            elif not line and (frame := self._ended()):
                yield frame

    def _ended(self) -> RawFrame | None:
        fields, self._fields = self._fields, {}
        if b"data" not in fields:
            return None  # a heartbeat
        position = int(fields[b"id"]) if b"id" in fields else None
        return RawFrame(fields.get(b"event", b"").decode(), position, fields[b"data"])
