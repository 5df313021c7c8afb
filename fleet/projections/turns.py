"""The turns of a session: prompt and actor, steering prompts, cost, changes, and end.

They are folded from the events and charges that the index names (index_store.py). Values that can change are kept with
their positions, so `TurnFold.at` returns the turns at any position without reading the log again.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from fleet.core.session import turn_events
from fleet.core.session.activity import head, prompt_words
from fleet.core.session.state import TurnEnd
from fleet.core.session.values import Totals
from fleet.events.envelope import Recorded
from fleet.events.log import Log
from fleet.limits import FEED_PAGE_EVENTS, TURNS_KEPT
from fleet.ports import Tokens
from fleet.projections.folds import Folds
from fleet.projections.index_queries import Charge
from fleet.projections.indexes import Indexed, Indexes, marked_pages


class Asked(msgspec.Struct, frozen=True):
    """A prompt: the head of its text, its actor, and the command whose arguments the text is."""

    head: str = ""
    actor: str = "system"
    command: str | None = None


class Steered(msgspec.Struct, frozen=True):
    """A prompt that was sent into a running turn."""

    prompt_id: str
    message_id: str
    asked: Asked
    at_ms: int


class Turn(msgspec.Struct, frozen=True):
    """A turn now or at an earlier position. It began at `position` of the log and ended at `end_position`."""

    number: int
    message_id: str
    prompt_id: str
    asked: Asked
    started_at_ms: int
    position: int
    ended_at_ms: int | None
    end_position: int | None
    outcome: TurnEnd | None
    cost_usd: float
    tokens: Tokens
    changes: Totals | None
    steered: tuple[Steered, ...]


class _Charge(msgspec.Struct, frozen=True):
    """The cost and tokens of a message."""

    position: int
    cost_usd: float
    tokens: Tokens


class _Steering(msgspec.Struct):
    """A steering prompt and its position. `left`: the turn ended before it arrived, and it waits again."""

    position: int
    prompt: Steered
    arrived: bool = False
    left: int | None = None


class _End(msgspec.Struct, frozen=True):
    position: int
    at_ms: int
    outcome: TurnEnd


class _TurnRecord:
    """A turn with the positions of all of its values."""

    def __init__(self, event: turn_events.TurnStarted, position: int, asked: Asked) -> None:
        self.event = event
        self.message_id = event.message_id
        self.position = position
        self.asked = asked
        self.end: _End | None = None
        self.charges: list[_Charge] = []
        self.changes: list[tuple[int, Totals | None]] = []
        self.steered: list[_Steering] = []
        self._now: Turn | None = None

    def changed(self) -> None:
        """Discard the cached result of `now`."""
        self._now = None

    def now(self) -> Turn:
        """Return the current turn. It is cached, because a long session has thousands of ended turns."""
        if self._now is None:
            self._now = self.at(None)
        return self._now

    def at(self, position: int | None) -> Turn:
        """Return the turn at `position` (None: now), which is not before its beginning."""

        def is_by_then(each: int) -> bool:
            return position is None or each <= position

        charges = [each for each in self.charges if is_by_then(each.position)]
        changes = [totals for each, totals in self.changes if is_by_then(each)]
        steered = (s for s in self.steered if is_by_then(s.position) and (s.left is None or not is_by_then(s.left)))
        end = self.end if self.end is not None and is_by_then(self.end.position) else None
        return Turn(
            self.event.number,
            self.message_id,
            self.event.prompt_id,
            self.asked,
            self.event.at_ms,
            self.position,
            None if end is None else end.at_ms,
            None if end is None else end.position,
            None if end is None else end.outcome,
            sum(each.cost_usd for each in charges),
            sum((each.tokens for each in charges), Tokens()),
            changes[-1] if changes else None,
            tuple(each.prompt for each in steered),
        )


class TurnFold:
    """Folds the events of a session into its turns. `apply` takes the session's events, each once and in order."""

    def __init__(self) -> None:
        self.position = 0
        self.charged = 0
        """The position of the last charge."""
        self._turns: list[_TurnRecord] = []
        self._asked: dict[str, Asked] = {}

    def apply(self, recorded: Recorded) -> None:
        """Apply the next event; events that concern no turn are ignored."""
        event: object = recorded.event
        take = _TAKE.get(type(event))
        if take is not None:
            take(self, recorded, event)

    def charge(self, position: int, number: int, amount: Charge) -> None:
        """Charge a turn for a message, in the order of positions, unless the fold does not know the turn yet."""
        if number <= len(self._turns) and position > self.charged:
            turn = self._turn(number)
            turn.charges.append(_Charge(position, amount.cost_usd, amount.tokens))
            turn.changed()
            self.charged = position

    def at(self, position: int | None) -> list[Turn]:
        """Return the turns that had begun at `position` (None: now), oldest first."""
        if position is None:
            return [turn.now() for turn in self._turns]
        return [turn.at(position) for turn in self._turns if turn.position <= position]

    def asked(self, prompt_id: str) -> Asked:
        """Return the beginning of a prompt's text and its actor."""
        return self._asked.get(prompt_id, Asked())

    # --------------------------------------------------------------------------------------------------------- prompts

    def _accepted(self, recorded: Recorded, event: turn_events.PromptAccepted) -> None:
        line = head(prompt_words(event.text, event.command))
        self._asked[event.prompt_id] = Asked(line, recorded.cause.actor, event.command)

    def _edited(self, _: Recorded, event: turn_events.PromptEdited) -> None:
        asked = self.asked(event.prompt_id)
        self._asked[event.prompt_id] = replace(asked, head=head(prompt_words(event.text, asked.command)))

    def _started(self, recorded: Recorded, event: turn_events.TurnStarted) -> None:
        self._turns.append(_TurnRecord(event, recorded.position, self.asked(event.prompt_id)))

    def _steered(self, recorded: Recorded, event: turn_events.TurnSteered) -> None:
        prompt = Steered(event.prompt_id, event.message_id, self.asked(event.prompt_id), event.at_ms)
        self._turns[-1].steered.append(_Steering(recorded.position, prompt))
        self._turns[-1].changed()

    def _delivered(self, _: Recorded, event: turn_events.PromptDelivered) -> None:
        if event.kept_as is not None:
            self._turns[-1].message_id = event.kept_as
            self._turns[-1].changed()
        for steering in self._turns[-1].steered:
            if steering.prompt.message_id == event.message_id:
                steering.arrived = True

    # ------------------------------------------------------------------------------------------------ changes, the end

    def _changes(self, recorded: Recorded, event: turn_events.ChangesRecorded) -> None:
        turn = self._turn(event.number)
        turn.changes.append((recorded.position, event.turn_totals))
        turn.changed()

    def _ended(self, recorded: Recorded, event: turn_events.TurnEnded) -> None:
        self._end(event.number, _End(recorded.position, event.at_ms, event.outcome))

    def _failed(self, recorded: Recorded, event: turn_events.TurnFailed) -> None:
        self._end(event.number, _End(recorded.position, event.at_ms, "error"))

    def _end(self, number: int, end: _End) -> None:
        turn = self._turn(number)
        turn.end = end
        for steering in turn.steered:
            if not steering.arrived:
                steering.left = end.position
        turn.changed()

    def _turn(self, number: int) -> _TurnRecord:
        return self._turns[number - 1]  # a session counts its turns from 1


_TAKE: Final[Mapping[type[Any], Callable[[TurnFold, Recorded, Any], None]]] = {
    turn_events.PromptAccepted: TurnFold._accepted,
    turn_events.PromptEdited: TurnFold._edited,
    turn_events.TurnStarted: TurnFold._started,
    turn_events.TurnSteered: TurnFold._steered,
    turn_events.PromptDelivered: TurnFold._delivered,
    turn_events.ChangesRecorded: TurnFold._changes,
    turn_events.TurnEnded: TurnFold._ended,
    turn_events.TurnFailed: TurnFold._failed,
}


class Turns:
    """The turns by session."""

    def __init__(self, log: Log, indexes: Indexes) -> None:
        self._indexes = indexes
        self._folds = Folds(log, TurnFold, TURNS_KEPT, marked_pages(log, indexes, "turn"))

    async def of(self, stream: str) -> TurnFold:
        """Return the fold of a session's turns."""
        fold = await self._folds.of(stream)
        while True:
            after = fold.charged
            page = await self._indexes.read(stream, partial(_charges, after))
            for position, number, amount in page or ():
                fold.charge(position, number, amount)
            if fold.charged == after:
                return fold

    def forget(self, stream: str) -> None:
        """Discard the fold of an erased session."""
        self._folds.forget(stream)


def _charges(after: int, found: Indexed) -> list[tuple[int, int, Charge]]:
    return found.store.charges(found.stream, after, FEED_PAGE_EVENTS)
