"""The recorded changes of a session: its trees, the manifests and names of its turns, when its parent was informed.

The index (indexes.py) names their events, so that a diff at any position reads only the few that it needs.
"""

from typing import NamedTuple

from fleet.core.session.events import SetupEnded, WorkspaceAttached
from fleet.core.session.turn_events import ChangesRecorded, StepSnapshotTaken, TurnSnapshotTaken
from fleet.events.envelope import Erased
from fleet.events.log import Log, undamaged
from fleet.projections.indexes import Indexed, Indexes


class UnknownTurn(Exception):  # noqa: N818 - it says what was asked for
    """The session had no such turn."""


class FoundChanges(NamedTuple):
    """The newest record of changes, those with overlaps, oldest first, and the number of the turn asked for.

    `position` is that of the newest record, 0 for none.
    """

    newest: ChangesRecorded | None = None
    overlapping: tuple[ChangesRecorded, ...] = ()
    number: int | None = None
    position: int = 0


class TakenTree(NamedTuple):
    """A tree of the session's directory, and the position of its event.

    `part_id` is the tool call of `turn` after which it was taken while that ran; both are None for any other tree.
    """

    tree: str
    position: int
    part_id: str | None = None
    turn: int | None = None


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
            record = next(iter(self._read(newest)), None)
            return FoundChanges(record, self._read(overlapping), position=0 if record is None else newest[0])
        named = [each for each in found.store.facts(found.stream, "named", turn) if each <= last]
        started = undamaged(self._log.read_events(named[-1:]))
        if not started or isinstance(started[0].event, Erased):
            raise UnknownTurn
        number = int(started[0].event.number)
        of_turn = [each for each in found.store.facts(found.stream, "changes", str(number)) if each <= last]
        records = self._read(of_turn)
        overlapping_ones = tuple(each for each in records if each.overlaps)
        if not records:
            return FoundChanges(None, (), number)
        return FoundChanges(records[-1], overlapping_ones, number, of_turn[-1])

    async def tree(self, stream: str, at: int | None = None) -> TakenTree | None:
        """Return the newest tree of the directory, None where none had been taken.

        Raises `CorruptRecord` if its event is damaged.
        """
        last = self._log.head() if at is None else at
        found = await self._indexes.read(stream, lambda each: each.store.marks_down(each.stream, "tree", last + 1, 1))
        for recorded in undamaged(self._log.read_events(found or ())):
            event = recorded.event
            if isinstance(event, WorkspaceAttached | SetupEnded) and event.baseline is not None:
                return TakenTree(event.baseline, recorded.position)
            if isinstance(event, StepSnapshotTaken):
                return TakenTree(event.tree, recorded.position, event.part_id, event.number)
            if isinstance(event, TurnSnapshotTaken | ChangesRecorded):
                return TakenTree(event.tree, recorded.position)
        return None

    def _read(self, positions: list[int]) -> tuple[ChangesRecorded, ...]:
        events = (recorded.event for recorded in undamaged(self._log.read_events(positions)))
        return tuple(event for event in events if isinstance(event, ChangesRecorded))

    async def is_manifest(self, stream: str, digest: str) -> bool:
        """Return whether a blob is a manifest of the session, which is no content."""
        return bool(await self._indexes.read(stream, lambda found: found.store.facts(found.stream, "manifest", digest)))

    async def callback_position(self, stream: str, number: int) -> int | None:
        """Return the position at which a callback to the parent was requested, None where it was erased."""
        found = await self._indexes.read(stream, lambda each: each.store.facts(each.stream, "callback", str(number)))
        return found[0] if found else None
