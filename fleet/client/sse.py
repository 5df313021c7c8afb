"""Server-Sent Events: a stream with its own connection."""

from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec
import trio

from fleet.client.connection import Connection
from fleet.client.errors import unreachable, unreadable
from fleet.client.response import LOST, LongResponse
from fleet.client.stream import Item, RawFrame, Stream
from fleet.limits import CLIENT_SILENCE_S
from fleet.wire.bodies import Query, StreamQuery


class SseStream(Stream[Item]):
    """A `Stream` over Server-Sent Events."""

    def __init__(
        self, connection: Connection, path: str, after: int | None, decode: Callable[[RawFrame], Item | None]
    ) -> None:
        super().__init__(connection, after, decode)
        self._path = path
        self._response: LongResponse | None = None
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
        except BaseException:  # cancelled: what was read half is read again
            await self.aclose()
            raise

    async def _chunk(self) -> bytes:
        assert self._response is not None  # noqa: S101 - it was opened
        with trio.fail_after(CLIENT_SILENCE_S):
            chunk = await self._response.chunk()
        if not chunk:
            raise trio.BrokenResourceError("the stream has ended")
        self._alive = True
        return chunk

    async def aclose(self) -> None:
        """Close the connection."""
        response, self._response = self._response, None
        if response is not None:
            with trio.CancelScope(shield=True):
                await self._connection.shut(response)


class Parser(Protocol):
    """Makes frames of what comes."""

    def feed(self, chunk: bytes) -> Iterator[RawFrame]:
        """Yield the frames that are whole now."""
        ...


class FrameParser:
    """Makes frames of bytes. Lines end at a line feed alone: JSON may hold every other sign that looks like an end."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []  # of a line whose end has not come
        self._fields: dict[bytes, bytes] = {}

    def feed(self, chunk: bytes) -> Iterator[RawFrame]:
        """Yield the frames that are whole now."""
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            if self._pieces:
                line = b"".join((*self._pieces, line))  # noqa: PLW2901 - what came before belongs to it
                self._pieces = []
            if line:
                name, _, value = line.partition(b": ")
                self._fields[name] = value
            elif fields := self._ended():
                yield fields
        if rest:
            self._pieces.append(rest)

    def _ended(self) -> RawFrame | None:
        fields, self._fields = self._fields, {}
        if b"data" not in fields:
            return None  # a heartbeat
        position = int(fields[b"id"]) if b"id" in fields else None
        return RawFrame(fields.get(b"event", b"").decode(), position, fields[b"data"])
