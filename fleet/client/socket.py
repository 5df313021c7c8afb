"""One WebSocket for many streams, each with its own cursor and its own buffer.

A reader's task does for its stream what it does for one of its own connection: it begins, and begins again behind the
last event received. What they share is the connection, which is made again for the first stream that needs it. A buffer
that is full ends a subscription, as it does on the server: its reader gets what was in it, and then continues from the
log.
"""

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self

import trio

from fleet.client.connection import Connection
from fleet.client.errors import FleetError
from fleet.client.stream import RawFrame, Stream, frame_of
from fleet.limits import CLIENT_BUFFER_BYTES_MAX, CLIENT_BUFFER_FRAMES_MAX
from fleet.wire.frames import Frame

if TYPE_CHECKING:
    from fleet.client.link import Link


class Socket:
    """Many streams over one connection, for as long as its `async with` block; `FleetClient.socket` makes it.

    The connection is made with the first stream, and again when it was lost. It has 100 streams at most, each of up to
    1,000 sessions or of all; a server refuses more as `Invalid`.

    >>> one, two = await fleet.create("/home/user/plain"), await fleet.create("/home/user/plain")
    >>> async with fleet.socket() as socket, socket.events([one.id, two.id]) as both, socket.events() as everything:
    ...     await one.prompt("Say something")
    ...     for events in (both, everything):
    ...         async for event in events:
    ...             if event.type == "session.turn-ended":
    ...                 print(event.session_id == one.id, event.data["outcome"])
    ...                 break
    True finished
    True finished
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tasks: AbstractAsyncContextManager[trio.Nursery] | None = None
        self._nursery: trio.Nursery | None = None
        self._link: Link | None = None

    def events(self, sessions: str | Iterable[str] | None = None, *, after: int | None = None) -> "Stream[Frame]":
        """Follow a session, several (by their ids), or without any the whole fleet, as `FleetClient.events` does.

        A slow reader does not delay the others: a stream whose buffer is full (4,096 frames or 8 MiB) continues from
        the log, with a `Snapshot`, and misses signals alone. Reading raises `FleetError`: `NotFound` where a session
        does not exist; and `trio.ClosedResourceError` when this socket has ended.
        """
        named = [sessions] if isinstance(sessions, str) else sessions
        return SocketSubscription(self._connection, self, None if named is None else list(named), after)

    async def __aenter__(self) -> Self:
        self._tasks = trio.open_nursery()
        self._nursery = await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._tasks is not None  # noqa: S101 - it was entered
        assert self._nursery is not None  # noqa: S101
        self._nursery.cancel_scope.cancel()
        tasks, self._tasks, self._nursery = self._tasks, None, None
        await tasks.__aexit__(None, None, None)  # an error of the block is raised as it is, without a group

    async def link(self) -> "Link":
        """Return the connection, made again if it was lost. Raises `FleetError`, or `trio.ClosedResourceError`."""
        from fleet.client.link import Link  # trio-websocket takes 16 ms to load, and most programs do not use it

        if self._nursery is None:
            raise trio.ClosedResourceError("the socket is not open")
        if self._link is None or self._link.over:
            self._link = Link(self._connection)
            self._nursery.start_soon(self._link.run)
        link = self._link
        await link.opened()
        return link


class SocketSubscription(Stream[Frame]):
    """A `Stream` over a socket."""

    def __init__(self, connection: Connection, socket: Socket, sessions: list[str] | None, after: int | None) -> None:
        super().__init__(connection, after, frame_of)
        self._socket = socket
        self._sessions = sessions
        self._link: Link | None = None  # while it is subscribed
        self._name = ""
        self._failure: FleetError | None = None  # why it is not any more
        self._news = trio.Event()

    async def _open(self) -> None:
        after = await self._begin()
        link = await self._socket.link()
        self._link, self._name = link, link.follow(self, self._sessions, after)
        try:
            await self._wait()
        except BaseException:
            await self.aclose()
            raise

    async def _read(self) -> None:
        if self._link is None and self._failure is None:
            await self._open()
        else:
            await self._wait()

    async def _wait(self) -> None:
        """Wait for a frame. If the subscription has ended, raise the reason."""
        while self._link is not None and not self._waiting:
            self._news = trio.Event()
            await self._news.wait()
        if self._failure is not None and not self._waiting:
            failure, self._failure = self._failure, None
            raise failure

    def arrived(self, raw: RawFrame) -> None:
        """Buffer a frame for the reader; end the subscription if the buffer is full."""
        self._alive = True
        self._take(raw)
        too_many = len(self._waiting) >= CLIENT_BUFFER_FRAMES_MAX
        if too_many or (len(self._waiting) > 1 and self._waiting_bytes > CLIENT_BUFFER_BYTES_MAX):
            self._leave()
        self._news.set()

    def told(self, position: int) -> None:
        """Continue after this position."""
        self._received = max(self._received or 0, position)

    def ended(self, failure: FleetError | None) -> None:
        """End following."""
        self._link, self._failure = None, failure
        self._news.set()

    def _leave(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.forget(self._name)

    async def aclose(self) -> None:
        """End the subscription."""
        self._leave()
        self._failure = None
        self._news.set()
