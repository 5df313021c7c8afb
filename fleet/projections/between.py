"""What changed in the fleet between two positions of the log, session by session.

Only the streams that have events in between are read, and of these the headers and a few events. The states before and
after come from the log's snapshots (past.py), so the length of the log and of the sessions costs little.
"""

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import trio

from fleet.core.session.state import State, initial
from fleet.core.session.turn_events import ChangesRecorded
from fleet.errors import Rejected
from fleet.events.blobs import Blobs
from fleet.events.envelope import Recorded
from fleet.events.log import LogReader
from fleet.limits import BETWEEN_LISTED_MAX, LOG_SEARCH_PAGE_EVENTS
from fleet.projections.why_turn import changed_files, read_one

StateAt = Callable[[str, int], Awaitable[State | None]]
"""Returns the state of a session at a position; None where it did not exist yet, is erased or damaged."""

_SESSION: Final = "session-"
_ENDS: Final = {
    "session.turn-ended": "turns",
    "session.turn-failed": "failed",
    "session.request-answered": "answered",
    "session.abort-requested": "aborts",
}
_LISTED: Final = ("session.prompt-accepted", "session.changes-recorded", "session.created", "session.erased")


class SessionChanges(NamedTuple):
    """What happened in one session. `before` is the state at the first position, `after` that at the last.

    `prompts` and `files` are at most `BETWEEN_LISTED_MAX`; `prompts_total` counts all prompts. `counts` are of the
    events in `_ENDS`. `after` is None for an erased session.
    """

    id: str
    before: State | None
    after: State | None
    created: Recorded | None
    erased: Recorded | None
    prompts: tuple[Recorded, ...]
    prompts_total: int
    files: tuple[str, ...]
    counts: dict[str, int]
    last: int


async def changes_between(
    log: LogReader, state_at: StateAt, blobs: Blobs | None, first: int, last: int
) -> list[SessionChanges]:
    """Return the sessions with events after position `first` up to `last`, the one that changed last first.

    Raises `Rejected` invalid where `last` is before `first`.
    """
    if last < first:
        raise Rejected("invalid", f"the range ends at {last}, before it begins at {first}", field="to")
    found: list[SessionChanges] = []
    for stream in list(log.streams(_SESSION)):
        if log.stream_positions(stream, first, last + 1, 1, newest_first=False):
            found.append(await _session(log, state_at, blobs, stream, (first, last)))
        await trio.lowlevel.checkpoint()
    return sorted(found, key=lambda each: each.last, reverse=True)


async def _session(
    log: LogReader, state_at: StateAt, blobs: Blobs | None, stream: str, span: tuple[int, int]
) -> SessionChanges:
    first, last = span
    listed, counts, newest = await _headers(log, stream, first, last)
    prompts = listed["session.prompt-accepted"]
    created, erased = listed["session.created"], listed["session.erased"]
    session_id = stream.removeprefix(_SESSION)
    return SessionChanges(
        session_id,
        await state_at(session_id, first) if not created else None,
        await state_at(session_id, last),
        read_one(log, created[0]) if created else None,
        read_one(log, erased[-1]) if erased else None,
        tuple(read_one(log, position) for position in prompts[-BETWEEN_LISTED_MAX:]),
        len(prompts),
        _files(log, blobs, listed["session.changes-recorded"]),
        counts,
        newest,
    )


async def _headers(
    log: LogReader, stream: str, first: int, last: int
) -> tuple[dict[str, list[int]], dict[str, int], int]:
    """Return the positions of the events to list by type, the counts, and the last position."""
    listed: dict[str, list[int]] = {kind: [] for kind in _LISTED}
    counts = dict.fromkeys(_ENDS.values(), 0)
    after = first
    while page := log.stream_positions(stream, after, last + 1, LOG_SEARCH_PAGE_EVENTS, newest_first=False):
        for header in log.read_headers(page):
            if header.type in listed:
                listed[header.type].append(header.position)
            if header.type in _ENDS:
                counts[_ENDS[header.type]] += 1
        after = page[-1]
        await trio.lowlevel.checkpoint()
    return listed, counts, after


def _files(log: LogReader, blobs: Blobs | None, changes: list[int]) -> tuple[str, ...]:
    """Return the files that the newest turns changed."""
    found: dict[str, None] = {}
    for position in reversed(changes[-BETWEEN_LISTED_MAX:]):
        event = read_one(log, position).event
        for file in changed_files(event, blobs) if isinstance(event, ChangesRecorded) else ():
            found[file.file] = None
    return tuple(sorted(found)[:BETWEEN_LISTED_MAX])


def used_between(changes: SessionChanges) -> tuple[float, int]:
    """Return the dollars and tokens that the session used in between."""
    after = changes.after
    if after is None:
        return 0.0, 0
    before = changes.before or initial(changes.id)
    used = after.usage.tokens - before.usage.tokens
    tokens = used.input + used.output + used.reasoning + used.cache_read + used.cache_write
    return after.usage.cost_usd - before.usage.cost_usd, tokens
