"""Follows the event stream of one OpenCode process, and reconnects after every break.

`OpenCodeEventStream` splits `/global/event` into lines and yields the port's events; `event_wire` reads each event,
`http` the socket. It can be cancelled at any await without losing a byte, and one read returns everything that waits.
OpenCode sends one event per token, up to 28,000 a second, so the tokens of one read are joined into one `PartDelta` per
part.

There is one `StreamOpened` per connection and one `StreamLost` per break, never two of a kind in a row. Silence counts
only while Fleet waits, so a slow consumer is not mistaken for a silent OpenCode. The length of a line is limited.
"""

from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final

import msgspec
import trio

from fleet.adapters.opencode import event_wire, wire
from fleet.adapters.opencode.http import connect, media_type, what_went_wrong
from fleet.backoff import backoff_s
from fleet.http1 import BrokenConnectionError, HttpConnection
from fleet.http_pool import FAULTS
from fleet.limits import (
    EVENT_LINE_BYTES_MAX,
    EVENT_RECONNECT_S_MAX,
    EVENT_RECONNECT_S_MIN,
    EVENT_SILENCE_S,
    EVENT_TYPES_COUNTED_MAX,
    OPENCODE_REQUEST_TIMEOUT_S,
)
from fleet.line_splitter import LineSplitter, LineTooLongError
from fleet.ports import Endpoint, OpenCodeEvent, PartDelta, StreamLost, StreamOpened

_OVERFLOWING: Final = "(other types)"


class EventStreamStatistics(msgspec.Struct, frozen=True):
    """Counts of a stream: `unknown` are skipped events by type, `unreadable` are events that could not be parsed."""

    connections: int
    bytes_received: int
    events: int
    unreadable: int
    unknown: Mapping[str, int]


class OpenCodeEventStream(AsyncIterator[OpenCodeEvent]):
    """Iterate over the events of the process at `endpoint`; the iteration has no end. `close` it."""

    def __init__(self, endpoint: Endpoint, authorization: str) -> None:
        self._endpoint = endpoint
        self._authorization = authorization
        self._connection: HttpConnection | None = None
        self._lines = LineSplitter(EVENT_LINE_BYTES_MAX)
        self._announced = False
        self._waiting: deque[OpenCodeEvent] = deque()
        self._lost = False
        self._breaks = 0  # since something was received
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

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def __anext__(self) -> OpenCodeEvent:
        await trio.lowlevel.checkpoint()  # a burst must not block other tasks
        while not self._waiting:
            try:
                await self._receive()
            except FAULTS as error:
                self._break(f"OpenCode's events stopped: {what_went_wrong(error)}")
        return self._waiting.popleft()

    async def _receive(self) -> None:
        """Receive the next bytes, connecting first if necessary. Raises when the stream breaks."""
        if self._connection is None:
            if self._breaks:
                wait_s = backoff_s(self._breaks, first_s=EVENT_RECONNECT_S_MIN, max_s=EVENT_RECONNECT_S_MAX)
                await trio.sleep(wait_s)
            self._connection = await _follow(self._endpoint, self._authorization)
            self._lines, self._announced = LineSplitter(EVENT_LINE_BYTES_MAX), False
        data = await self._connection.receive(EVENT_SILENCE_S)
        if not data:
            raise BrokenConnectionError("it closed the stream")
        if not self._announced:  # OpenCode's first event: nothing is missed from here on
            self._announced = True
            self._connections += 1
            self._breaks, self._lost = 0, False
            self._waiting.append(StreamOpened())
        self._bytes_received += len(data)
        self._waiting.extend(joined(self._read(self._split(data))))

    def _split(self, data: bytes) -> list[bytes]:
        try:
            return self._lines.feed(data)
        except LineTooLongError as error:
            raise BrokenConnectionError(f"it sent an event that is too long: {error}") from error

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

    def _break(self, reason: str) -> None:
        self.close()
        self._breaks += 1
        if not self._lost:
            self._lost = True
            self._waiting.append(StreamLost(reason))


def joined(events: Iterable[OpenCodeEvent]) -> Iterable[OpenCodeEvent]:
    """Join adjacent deltas of one part and field; all other events pass in order."""
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


async def _follow(endpoint: Endpoint, authorization: str) -> HttpConnection:
    """Open the stream and read the head of the response. Raises FAULTS."""
    with trio.move_on_after(OPENCODE_REQUEST_TIMEOUT_S):
        connection = await connect(endpoint, authorization)
        try:
            head = await connection.ask("GET", "/global/event")
        except BaseException:
            connection.close()
            raise
        if head.status_code == 200 and media_type(head).startswith("text/event-stream"):
            return connection
        connection.close()
        raise BrokenConnectionError(f"it responded with {head.status_code} instead of a stream")
    raise BrokenConnectionError(f"it has sent no response within {OPENCODE_REQUEST_TIMEOUT_S:g} s")
