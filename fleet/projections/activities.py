"""The current activity lines of sessions: one short line for each part in flight.

inflight.py supplies the parts. Nothing here is logged or stored: after a restart, OpenCode's events and store supply
the lines again. Until then a session shows the last line in its state (`State.last_line`).
"""

from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from fleet.core.session.activity import Activity, of_part
from fleet.limits import ACTIVITY_PARTS_MAX, HEAD_CHARS
from fleet.ports import Part, PartDelta


class _Open(NamedTuple):
    """The line of a part. `is_over`: a newline follows it, so the next word begins a new line."""

    line: Activity
    is_over: bool = False

    def appended(self, piece: str) -> "_Open":
        """Return the last line that is not blank after a piece of text."""
        words = piece.rstrip()
        blank = piece[len(words) :]
        is_over = "\n" in blank
        if not words:
            return self._with(self.line.text + ("" if is_over or self.is_over else blank), self.is_over or is_over)
        _, newline, rest = words.rpartition("\n")
        begun = "" if newline or self.is_over else self.line.text
        return self._with(begun + rest + ("" if is_over else blank), is_over)

    def _with(self, text: str, is_over: bool) -> "_Open":
        return _Open(replace(self.line, text=text.lstrip()[:HEAD_CHARS]), is_over)


class Activities:
    """The lines by session and part. `changed(session_id)` is called when a line of the session changes."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._open: dict[str, dict[str, _Open]] = {}
        self.changed: Callable[[str], None] = _ignore

    def now(self, session_id: str) -> Activity | None:
        """Return the line of the newest part that has one."""
        parts = reversed(self._open.get(session_id, {}).values())
        return next((each.line for each in parts if each.line.text or each.line.kind == "tool"), None)

    def part(self, session_id: str, part: Part) -> None:
        """Record that a part has begun or grown."""
        line = of_part(part.raw, self._now_ms()) or _empty(part, self._now_ms())
        if line is not None:
            self._put(session_id, part.id, _Open(line))

    def delta(self, session_id: str, delta: PartDelta) -> None:
        """Append text to a part."""
        known = self._open.get(session_id, {}).get(delta.part_id)
        if known is not None and delta.field == "text":
            self._put(session_id, delta.part_id, known.appended(delta.delta))

    def finished(self, session_id: str, part_id: str) -> None:
        """Discard the line of a part that is recorded now."""
        self._open.get(session_id, {}).pop(part_id, None)

    def forget(self, session_id: str) -> None:
        """Discard the lines of a session."""
        self._open.pop(session_id, None)

    def _put(self, session_id: str, part_id: str, now: _Open) -> None:
        parts = self._open.setdefault(session_id, {})
        before = parts.get(part_id)
        if before is not None:
            now = now._replace(line=replace(now.line, at_ms=before.line.at_ms))
        parts[part_id] = now
        if len(parts) > ACTIVITY_PARTS_MAX:
            del parts[next(iter(parts))]
        if before is None or now.line != before.line:
            self.changed(session_id)


def _ignore(_: str) -> None:
    """Do nothing, until `changed` is set."""


def _empty(part: Part, at_ms: int) -> Activity | None:
    """Return the line of a text part without words; its deltas follow."""
    if part.type == "text":
        return Activity("text", "", at_ms)
    return Activity("reasoning", "", at_ms) if part.type == "reasoning" else None
