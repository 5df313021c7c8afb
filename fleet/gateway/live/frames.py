"""Encodes events for live readers: once each, for Server-Sent Events and WebSockets alike."""

from collections import OrderedDict
from typing import NamedTuple

import msgspec

from fleet.core.times import rfc3339
from fleet.events.envelope import Erased, Recorded, is_erased
from fleet.limits import FRAMES_CACHED, FRAMES_CACHED_BYTES


class EventFrame(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A logged event, as live readers get it. Causes are there where they are known, `erased` where it is true."""

    position: int
    stream: str
    version: int
    type: str
    at: str
    actor: str
    data: msgspec.Raw
    erased: bool = False
    causation_id: str | None = None
    correlation_id: str | None = None


class EncodedEvent(NamedTuple):
    """An event in both encodings: a whole SSE frame, and a WebSocket frame from where readers do not differ."""

    sse: bytes
    socket: bytes


class Frames:
    """Encoded events. Those that were encoded last are kept, so that many readers of one event cost one encoding."""

    def __init__(self) -> None:
        self._frames: OrderedDict[int, EncodedEvent] = OrderedDict()
        self._size_bytes = 0

    def of(self, recorded: Recorded) -> EncodedEvent:
        """Return the event, encoded."""
        if isinstance(recorded.event, Erased) or recorded.replaced:  # what it was before may have been encoded
            self._drop(recorded.position)
            return _encoded(recorded)
        frame = self._frames.get(recorded.position)
        if frame is None:
            frame = self._frames[recorded.position] = _encoded(recorded)
            self._size_bytes += _size_bytes(frame)
            while len(self._frames) > FRAMES_CACHED or self._size_bytes > FRAMES_CACHED_BYTES:
                self._drop(next(iter(self._frames)))
        return frame

    def _drop(self, position: int) -> None:
        frame = self._frames.pop(position, None)
        if frame is not None:
            self._size_bytes -= _size_bytes(frame)


def _size_bytes(frame: EncodedEvent) -> int:
    return len(frame.sse) + len(frame.socket)


def _encoded(recorded: Recorded) -> EncodedEvent:
    body = msgspec.json.encode(
        EventFrame(
            recorded.position,
            recorded.stream,
            recorded.version,
            recorded.type,
            rfc3339(recorded.recorded_at_ms),
            recorded.cause.actor,
            msgspec.Raw(recorded.payload),
            is_erased(recorded.event),
            recorded.cause.causation_id,
            recorded.cause.correlation_id,
        )
    )
    sse = b"id: %d\nevent: %s\ndata: %s\n\n" % (recorded.position, recorded.type.encode(), body)
    return EncodedEvent(sse, b'"position":%d,"event":%s}' % (recorded.position, body))
