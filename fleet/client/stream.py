"""An event stream that resumes by itself after lost connections and server restarts, without gap or repeat.

It begins at a position of the log that is known before the first connection, and each reconnection asks for what comes
behind the last event that was received.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Final, Generic, NamedTuple, Self, TypeVar

import msgspec
import trio

from fleet.client.connection import Connection, wait_before
from fleet.client.errors import FleetError, unreadable
from fleet.wire.frames import Delta, Event, Frame, PartChanged, Signal, Snapshot, StatusChanged
from fleet.wire.inbox import NotificationItem
from fleet.wire.server import Health

Item = TypeVar("Item")


class RawFrame(NamedTuple):
    """A received frame: its name, its log position if it has one, its JSON."""

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


class Stream(ABC, Generic[Item]):
    """What happens, as an asynchronous iterator.

    `async with` opens it at that moment, so that nothing which happens from then on is missed; a bare `async for` opens
    it with the first step. Leave it by `async with` or `aclose`; the client closes what is left open. While the server
    is away it tries again, and raises `Unreachable` only when that lasted longer than the client's `retry_for_s`; then
    the next step begins another attempt. One task at a time reads it.
    """

    def __init__(self, connection: Connection, after: int | None, decode: Callable[[RawFrame], Item | None]) -> None:
        self._connection = connection
        self._decode = decode
        self._received = after  # after which a reconnection continues
        self._position = after
        self._waiting: deque[RawFrame] = deque()
        self._waiting_bytes = 0
        self._alive = False  # whether anything came since the last attempt began

    @property
    def position(self) -> int | None:
        """The log position to continue from: that of the last event that was read, or where the stream began."""
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
                self._waiting_bytes -= len(raw.data)
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
        """Run the step, and repeat it while the server is not reachable."""
        end, times = None, 0
        while True:
            self._alive = False
            try:
                await step()
            except FleetError as failure:
                if end is None or self._alive:  # it was reachable until now
                    end, times = trio.current_time() + self._connection.retry_for_s, 0
                times += 1
                wait = wait_before(times, failure)
                if not failure.transient or trio.current_time() + wait > end:
                    raise
                self._connection.failed(failure, times)
            else:
                return self._connection.succeeded()
            await trio.sleep(wait)

    async def _begin(self) -> int:
        """Return the position where it continues, by default the current end of the log."""
        if self._received is None:
            self._received = self._position = await self._head()
        return self._received

    async def _head(self) -> int:
        """Return the position of the end of the log."""
        return (await self._connection.read(Health, "/healthz", retry=False)).position

    def _take(self, raw: RawFrame) -> None:
        """Buffer a frame for the reader, unless it was received before."""
        if raw.position is not None:
            if self._received is not None and raw.position <= self._received:
                return
            self._received = raw.position
        self._waiting.append(raw)
        self._waiting_bytes += len(raw.data)

    @abstractmethod
    async def _open(self) -> None:
        """Open it. Raises `FleetError`; transient errors are retried."""

    @abstractmethod
    async def _read(self) -> None:
        """Open it if it is not open, and read until a frame is buffered. Raises as `_open` does."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close it."""
