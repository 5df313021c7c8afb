"""The recorded changes of a session: the manifests and names of its turns, and when its parent was informed.

They are folded once per session (folds.py), from the events that the index names, and can be read at any position.
"""

from fleet.core.session.events import CallbackOrdered
from fleet.core.session.turn_events import ChangesRecorded, PromptDelivered, TurnStarted, TurnSteered
from fleet.events.envelope import Recorded
from fleet.events.log import Log
from fleet.limits import CHANGE_RECORDS_KEPT
from fleet.projections.folds import Folds
from fleet.projections.indexes import Indexes, marked_pages


class ChangeRecords:
    """The records of one session."""

    def __init__(self) -> None:
        self.position = 0
        self.manifests: set[str] = set()
        self.callbacks: dict[int, int] = {}
        """The position at which each callback to the parent was requested, by its number."""
        self._records: list[tuple[int, ChangesRecorded]] = []
        self._turns: dict[str, tuple[int, int]] = {}

    def apply(self, recorded: Recorded) -> None:
        """See `Fold`."""
        event = recorded.event
        if isinstance(event, TurnStarted):
            self._turns[str(event.number)] = self._turns[event.message_id] = (recorded.position, event.number)
        elif isinstance(event, TurnSteered):
            self._turns[event.message_id] = (recorded.position, event.number)
        elif isinstance(event, PromptDelivered) and event.kept_as is not None:
            self._turns[event.kept_as] = self._turns[event.message_id]
        elif isinstance(event, CallbackOrdered):
            self.callbacks[event.number] = recorded.position
        elif isinstance(event, ChangesRecorded):
            self._records.append((recorded.position, event))
            self.manifests |= {event.turn_manifest, event.session_manifest}

    def until(self, at: int | None) -> list[ChangesRecorded]:
        """Return the records up to a log position, all of them for None, oldest first."""
        return [record for position, record in self._records if at is None or position <= at]

    def number(self, turn: str, at: int | None) -> int | None:
        """Return the number of the turn that has this number, or a message with this id; None where there is none.

        Besides its number, a turn is named by the message that began it and by each message that steered it since.
        """
        position, number = self._turns.get(turn, (0, None))
        return number if at is None or position <= at else None


def change_records(log: Log, indexes: Indexes | None = None) -> Folds[ChangeRecords]:
    """Return the records of changes by stream; without `indexes` they have an index of their own."""
    pages = marked_pages(log, indexes or Indexes(log), "changes")
    return Folds(log, ChangeRecords, CHANGE_RECORDS_KEPT, pages)
