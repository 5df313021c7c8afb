"""Finds the event that a person asks about: the outcome of a session, or the last change of a file."""

from typing import TYPE_CHECKING, Final

import msgspec

from fleet.cli.commands.log.local_log import LocalLog
from fleet.client import FleetError, NotFound
from fleet.limits import PAGE_MAX

if TYPE_CHECKING:
    from fleet.cli.commands.log.source import LogSource
    from fleet.wire.audit import EventItem

_OUTCOMES: Final = (
    "session.turn-ended",
    "session.turn-failed",
    "session.provision-failed",
    "session.disconnected",
    "session.stopped",
    "session.erased",
)
_CHANGES: Final = "session.changes-recorded"


class _Turn(msgspec.Struct):
    number: int


async def find_outcome(source: "LogSource", session: str) -> int:
    """Return the position of the session's newest outcome, or of its newest event while it has none."""
    for types in (_OUTCOMES, ()):
        page, _ = await _newest(source, session, types, None)
        if page:
            return page[0].position
    raise NotFound("session_not_found", f"the log has no session {session!r}")


async def find_change(source: "LogSource", file: str, session: str | None) -> tuple[int, str]:
    """Return the position at which the newest change of the file was recorded, and its path. Raises `NotFound`.

    The end of a path does, and so does an absolute path that ends with one.
    """
    before: int | None = None
    while True:
        page, before = await _newest(source, session, (_CHANGES,), before)
        for event in page:
            found = _matching(file, set() if event.erased else await _paths(source, event))
            if found is not None:
                return event.position, found
        if before is None:
            hint = "`fleet diff SESSION --stat` lists the files that a session has changed."
            raise NotFound("file_not_found", f"no turn has changed the file {file!r}", members={"hint": hint})


def _matching(file: str, paths: set[str]) -> str | None:
    ends = (each for each in sorted(paths) if f"/{each}".endswith(f"/{file}") or file.endswith(f"/{each}"))
    return file if file in paths else next(ends, None)


async def _paths(source: "LogSource", event: "EventItem") -> set[str]:
    """Return the paths that the turn of this event changed."""
    if isinstance(source, LocalLog):
        return await source.changed_paths(event.position)
    session = source.session(event.stream.partition("-")[2])
    try:
        turn = msgspec.json.decode(event.data, type=_Turn).number
        files = await session.diffs(turn=turn, contents=False)
    except FleetError as error:
        if error.status in (404, 410):  # erased since, or its list is not kept
            return set()
        raise
    return {path for each in files for path in (each.file, each.old_file) if path is not None}


async def _newest(
    source: "LogSource", session: str | None, types: tuple[str, ...], before: int | None
) -> "tuple[list[EventItem], int | None]":
    """Return a page of events, newest first, and where the next one begins; None at the end. It is rarely empty."""
    while True:
        page = await source.log(session=session, types=types, newest_first=True, before=before, limit=PAGE_MAX)
        before = page.go_on
        if page or before is None:
            return page, before
