"""The recorded changes of a session: the manifests and names of its turns, and when its parent was informed.

The index (indexes.py) names their events, so that a diff at any position reads only the few that it needs.
"""

from typing import NamedTuple

from fleet.core.session.turn_events import ChangesRecorded
from fleet.events.envelope import Erased
from fleet.events.log import Log
from fleet.projections.indexes import Indexed, Indexes


class UnknownTurn(Exception):  # noqa: N818 - it says what was asked for
    """The session had no such turn."""


class FoundChanges(NamedTuple):
    """The newest record of changes, those with overlaps, oldest first, and the number of the turn asked for."""

    newest: ChangesRecorded | None = None
    overlapping: tuple[ChangesRecorded, ...] = ()
    number: int | None = None


class ChangeRecords:
    """The records of all sessions, by stream. `at` is a log position, None for now."""

    def __init__(self, log: Log, indexes: Indexes) -> None:
        self._log = log
        self._indexes = indexes

    async def find(self, stream: str, turn: str | None = None, at: int | None = None) -> FoundChanges:
        """Return what had been recorded, of all turns or of one.

        A turn is named by its number, by the message that began it, and by each message that steered it since. Raises
        `UnknownTurn`.
        """
        found = await self._indexes.read(stream, lambda indexed: self._find(indexed, turn, at))
        if found is None and turn is not None:
            raise UnknownTurn
        return found or FoundChanges()

    def _find(self, found: Indexed, turn: str | None, at: int | None) -> FoundChanges:
        last = self._log.head() if at is None else at
        if turn is None:
            newest = found.store.marks_down(found.stream, "changes", last + 1, 1)
            overlapping = [each for each in found.store.facts(found.stream, "overlaps", "") if each <= last]
            return FoundChanges(next(iter(self._read(newest)), None), self._read(overlapping))
        named = [each for each in found.store.facts(found.stream, "named", turn) if each <= last]
        started = self._log.read_events(named[-1:])
        if not started or isinstance(started[0].event, Erased):
            raise UnknownTurn
        number = int(started[0].event.number)
        of_turn = [each for each in found.store.facts(found.stream, "changes", str(number)) if each <= last]
        records = self._read(of_turn)
        overlapping_ones = tuple(each for each in records if each.overlaps)
        return FoundChanges(records[-1] if records else None, overlapping_ones, number)

    def _read(self, positions: list[int]) -> tuple[ChangesRecorded, ...]:
        events = (recorded.event for recorded in self._log.read_events(positions))
        return tuple(event for event in events if isinstance(event, ChangesRecorded))

    async def is_manifest(self, stream: str, digest: str) -> bool:
        """Return whether a blob is a manifest of the session, which is no content."""
        return bool(await self._indexes.read(stream, lambda found: found.store.facts(found.stream, "manifest", digest)))

    async def callback_position(self, stream: str, number: int) -> int | None:
        """Return the position at which a callback to the parent was requested, None where it was erased."""
        found = await self._indexes.read(stream, lambda each: each.store.facts(each.stream, "callback", str(number)))
        return found[0] if found else None
