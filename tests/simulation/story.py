"""Tells the end of a history in readable lines: time, position, stream, event."""

from collections.abc import Sequence

import msgspec

from fleet.events.envelope import Recorded
from tests.fakes.clock import EPOCH_MS

FIELD_CHARS_MAX = 60
LEFT_OUT = frozenset(("at_ms", "body", "attachments", "part_ids", "tags"))


def tell(history: Sequence[Recorded], newest: int = 150) -> str:
    """Return the `newest` events, one a line."""
    return "\n".join(_line(recorded) for recorded in history[-newest:])


def _line(recorded: Recorded) -> str:
    seconds = (recorded.recorded_at_ms - EPOCH_MS) / 1000
    kind, _, stream_id = recorded.stream.partition("-")
    fields = {
        name: value
        for name, value in msgspec.json.decode(recorded.payload).items()
        if name not in LEFT_OUT and value not in (None, "", [])
    }
    told = " ".join(f"{name}={str(value)[-FIELD_CHARS_MAX:]}" for name, value in fields.items())
    where = f"{kind[0]}…{stream_id[-4:]} v{recorded.version:<4d}"
    return f"{seconds:9.3f} {recorded.position:5d} {where} {recorded.type} {told}"
