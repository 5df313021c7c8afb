"""The event stream of one OpenCode process, followed over every break.

`EventStream` frames `/global/event` and yields the port's events; `wire` reads each one. It reads the socket itself
(h11 over trio) instead of through httpx, for two reasons: it can be cancelled at any await without losing a byte, and
one look at the socket gives everything that waits there. OpenCode sends one event per token, up to 28,000 a second, so
the tokens of one look are joined into one `PartDelta` per part.

Rules kept here: there is one `StreamOpened` per connection and one `StreamLost` per break, never two of a kind in a
row; silence counts only while this side is waiting, so a slow consumer never looks like a silent OpenCode; a line has
a bound.
"""

import math
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final

import h11
import msgspec
import trio

from fleet.adapters.opencode import event_wire, wire
from fleet.limits import (
    EVENT_LINE_BYTES_MAX,
    EVENT_READ_BYTES,
    EVENT_RECONNECT_S_MAX,
    EVENT_RECONNECT_S_MIN,
    EVENT_SILENCE_S,
    EVENT_TYPES_COUNTED_MAX,
    OPENCODE_REQUEST_TIMEOUT_S,
)
from fleet.ports import OpenCodeEvent, PartDelta, StreamLost, StreamOpened

_OVERFLOWING: Final = "(other types)"


class EventStreamStatistics(msgspec.Struct, frozen=True):
    """What a stream has seen so far: `unknown` counts skipped events by type, `unreadable` those that made no sense."""

    connections: int
    bytes_received: int
    events: int
    unreadable: int
    unknown: Mapping[str, int]


class _BrokenError(Exception):
    """The connection is of no more use; the text is the reason in `StreamLost`."""


class EventStream(AsyncIterator[OpenCodeEvent]):
    """Iterate over the events of the process that listens on `port`, for ever; close it with `aclose`."""

    def __init__(self, port: int, authorization: str) -> None:
        self._port = port
        self._authorization = authorization
        self._connection: _Connection | None = None
        self._waiting: deque[OpenCodeEvent] = deque()
        self._lost = False
        self._backoff_s = 0.0
        self._connections = self._bytes_received = self._events = self._unreadable = 0
        self._unknown: Counter[str] = Counter()

    def statistics(self) -> EventStreamStatistics:
        """Return the counters."""
        return EventStreamStatistics(
            connections=self._connections,
            bytes_received=self._bytes_received,
            events=self._events,
            unreadable=self._unreadable,
            unknown=dict(self._unknown),
        )

    async def aclose(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.aclose()

    async def __anext__(self) -> OpenCodeEvent:
        await trio.lowlevel.checkpoint()  # a burst must not keep the rest of Fleet from running
        while not self._waiting:
            try:
                await self._receive()
            except (_BrokenError, OSError, trio.BrokenResourceError, h11.ProtocolError) as error:
                await self._break(str(error) or type(error).__name__)
        return self._waiting.popleft()

    async def _receive(self) -> None:
        """Take what has arrived, connecting first where there is no connection. Raises when the stream is broken."""
        if self._connection is None:
            await trio.sleep(self._backoff_s)
            self._connection = await _connect(self._port, self._authorization)
        data = await self._connection.receive()
        if not self._connection.announced:  # OpenCode greets every reader: from here on nothing is missed
            self._connection.announced = True
            self._connections += 1
            self._backoff_s, self._lost = 0.0, False
            self._waiting.append(StreamOpened())
        self._bytes_received += len(data)
        self._waiting.extend(joined(self._read(self._connection.lines(data))))

    def _read(self, lines: Iterable[bytes]) -> Iterable[OpenCodeEvent]:
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            try:
                event = event_wire.event(memoryview(line)[5:])
            except wire.WireError:
                self._unreadable += 1
                continue
            self._events += 1
            if isinstance(event, str):
                self._count_unknown(event)
            else:
                yield event

    def _count_unknown(self, name: str) -> None:
        full = name not in self._unknown and len(self._unknown) >= EVENT_TYPES_COUNTED_MAX
        self._unknown[_OVERFLOWING if full else name] += 1

    async def _break(self, reason: str) -> None:
        await self.aclose()
        self._backoff_s = min(max(self._backoff_s * 2, EVENT_RECONNECT_S_MIN), EVENT_RECONNECT_S_MAX)
        if not self._lost:
            self._lost = True
            self._waiting.append(StreamLost(reason))


def joined(events: Iterable[OpenCodeEvent]) -> Iterable[OpenCodeEvent]:
    """Join neighbouring deltas of one part and field; everything else passes in order."""
    first: PartDelta | None = None
    texts: list[str] = []
    for event in events:
        if isinstance(event, PartDelta):
            if first is not None and (event.part_id, event.field) == (first.part_id, first.field):
                texts.append(event.delta)
                continue
            if first is not None:
                yield _join(first, texts)
            first, texts = event, [event.delta]
            continue
        if first is not None:
            yield _join(first, texts)
            first = None
        yield event
    if first is not None:
        yield _join(first, texts)


def _join(first: PartDelta, texts: list[str]) -> PartDelta:
    return first if len(texts) == 1 else msgspec.structs.replace(first, delta="".join(texts))


class _Connection:
    """One HTTP connection whose answer is an endless event stream."""

    def __init__(self, stream: trio.SocketStream, http: h11.Connection) -> None:
        self._stream = stream
        self._http = http
        self._partial: list[bytes] = []
        self._partial_bytes = 0
        self.announced = False

    async def aclose(self) -> None:
        await trio.aclose_forcefully(self._stream)

    async def receive(self) -> bytes:
        """Return all body bytes that have arrived, waiting for the first. Raises when the stream ends or is silent."""
        while True:
            chunks: list[bytes] = []
            while (event := self._http.next_event()) is not h11.NEED_DATA:
                if not isinstance(event, h11.Data):
                    raise _BrokenError("OpenCode ended the event stream")
                chunks.append(bytes(event.data))
            if chunks:
                return b"".join(chunks)
            await self._feed(EVENT_SILENCE_S)

    async def _feed(self, patience_s: float) -> None:
        try:
            with trio.fail_after(patience_s):
                received = await self._stream.receive_some(EVENT_READ_BYTES)
        except trio.TooSlowError:
            raise _BrokenError(f"OpenCode has sent nothing for {patience_s:g} s") from None
        self._http.receive_data(received)

    async def ask(self, request: h11.Request) -> None:
        """Send a request that has no body."""
        await self._stream.send_all((self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b""))

    async def response(self) -> h11.Response:
        """Wait for the head of the answer."""
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Response):
                return event
            if event is h11.NEED_DATA:
                await self._feed(math.inf)  # `_connect` has the deadline
            elif not isinstance(event, h11.InformationalResponse):
                raise _BrokenError("OpenCode closed the connection without an answer")

    def lines(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes, and keep the rest. Raises when a line grows over its bound."""
        head, *rest = data.split(b"\n")
        self._partial.append(head)
        self._partial_bytes += len(head)
        if not rest:
            if self._partial_bytes > EVENT_LINE_BYTES_MAX:
                raise _BrokenError(f"OpenCode sent an event of more than {EVENT_LINE_BYTES_MAX} bytes")
            return []
        complete = [b"".join(self._partial), *rest[:-1]]
        self._partial, self._partial_bytes = [rest[-1]], len(rest[-1])
        return complete


async def _connect(port: int, authorization: str) -> _Connection:
    """Open the stream and read the head of the answer. Raises `_BrokenError` and `OSError`."""
    with trio.move_on_after(OPENCODE_REQUEST_TIMEOUT_S):
        connection = _Connection(await trio.open_tcp_stream("127.0.0.1", port), h11.Connection(h11.CLIENT))
        try:
            await _request(connection, port, authorization)
        except BaseException:
            await connection.aclose()
            raise
        return connection
    raise _BrokenError(f"OpenCode did not answer within {OPENCODE_REQUEST_TIMEOUT_S:g} s")


async def _request(connection: _Connection, port: int, authorization: str) -> None:
    await connection.ask(
        h11.Request(
            method="GET",
            target="/global/event",
            headers=[
                ("Host", f"127.0.0.1:{port}"),
                ("Authorization", authorization),
                ("Accept", "text/event-stream"),
            ],
        )
    )
    response = await connection.response()
    content_type = dict(response.headers).get(b"content-type", b"")
    if response.status_code != 200 or not content_type.startswith(b"text/event-stream"):
        raise _BrokenError(f"OpenCode answered {response.status_code} instead of an event stream")
