"""An event stream that goes on by itself: over lost connections and restarts of the server, without gap or repeat.

It begins at a position of the log that is known before the first connection, and each reconnection asks for what comes
behind the last event that was received.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import TracebackType
from typing import Final, Generic, NamedTuple, Self, TypeVar

import msgspec
import trio

from fleet.client.connection import Connection, backoff
from fleet.client.errors import FleetError, unreachable, unreadable
from fleet.client.response import LOST, LongResponse
from fleet.limits import CLIENT_SILENCE_S
from fleet.wire.bodies import StreamQuery
from fleet.wire.frames import Delta, Event, Frame, PartChanged, Signal, Snapshot, StatusChanged
from fleet.wire.items import Health, NotificationItem

Item = TypeVar("Item")


class RawFrame(NamedTuple):
    """A frame as it came: its name, its log position if it has one, its JSON."""

    name: str
    position: int | None
    data: bytes


_SIGNALS: Final[Mapping[str, type[Snapshot | Signal]]] = {
    signal.type: signal for signal in (Snapshot, Delta, PartChanged, StatusChanged)
}


def frame_of(raw: RawFrame) -> Frame | None:
    """Return the frame, None for a signal of a newer server."""
    if raw.position is not None:
        return msgspec.json.decode(raw.data, type=Event)
    kind = _SIGNALS.get(raw.name)
    return None if kind is None else msgspec.json.decode(raw.data, type=kind)


def notification_of(raw: RawFrame) -> NotificationItem | None:
    """Return the notification, None for what is none."""
    return msgspec.json.decode(raw.data, type=NotificationItem) if raw.name == "notification" else None


class Stream(Generic[Item]):
    """What happens, as an asynchronous iterator.

    `async with` opens it at that moment, so that nothing which happens from then on is missed; a bare `async for` opens
    it with the first step. Leave it by `async with` or `aclose`; the client closes what is left open. While the server
    is away it tries again, and raises `Unreachable` only when that lasted longer than the client's `retry_for_s`; then
    the next step begins another attempt. One task at a time reads it.
    """

    def __init__(
        self, connection: Connection, path: str, after: int | None, decode: Callable[[RawFrame], Item | None]
    ) -> None:
        self._connection = connection
        self._path = path
        self._decode = decode
        self._received = after  # behind which a reconnection goes on
        self._position = after
        self._waiting: deque[RawFrame] = deque()
        self._response: LongResponse | None = None
        self._alive = False  # whether anything came since the last attempt began
        self._parser = FrameParser()

    @property
    def position(self) -> int | None:
        """The log position to go on from: that of the last event that was read, or where the stream began."""
        return self._position

    async def __aenter__(self) -> Self:
        await self._again(self._open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        while True:
            while self._waiting:
                raw = self._waiting.popleft()
                frame = self._decoded(raw)
                self._position = self._position if raw.position is None else raw.position
                if frame is not None:
                    return frame
            await self._again(self._read)

    def _decoded(self, raw: RawFrame) -> Item | None:
        try:
            return self._decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise unreadable(self._connection.url, 200, error) from error

    async def _again(self, step: Callable[[], Awaitable[None]]) -> None:
        """Do the step, again and again while the server is away."""
        end, pauses = None, backoff()
        while True:
            self._alive = False
            try:
                return await step()
            except FleetError as failure:
                if end is None or self._alive:  # it was there until now
                    end, pauses = trio.current_time() + self._connection.retry_for_s, backoff()
                wait = max(next(pauses), failure.retry_after_s or 0)
                if not failure.transient or trio.current_time() + wait > end:
                    raise
            await trio.sleep(wait)

    async def _open(self) -> None:
        if self._received is None:
            health = await self._connection.read(Health, "/healthz", retry=False)
            self._received = self._position = health.position
        self._response = await self._connection.open(self._path, StreamQuery(after=self._received))
        self._parser = FrameParser()

    async def _read(self) -> None:
        """Read until there is a frame. Raises `Unreachable` when the connection ends."""
        if self._response is None:
            await self._open()
        try:
            while not self._waiting:
                self._take(await self._chunk())
        except LOST as error:
            await self.aclose()
            raise unreachable(self._connection.url, error) from error
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

    def _take(self, chunk: bytes) -> None:
        for raw in self._parser.feed(chunk):
            if raw.position is not None:
                if self._received is not None and raw.position <= self._received:
                    continue
                self._received = raw.position
            self._waiting.append(raw)

    async def aclose(self) -> None:
        """Close the connection."""
        response, self._response = self._response, None
        if response is not None:
            with trio.CancelScope(shield=True):
                await self._connection.shut(response)


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
