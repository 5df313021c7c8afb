"""The open mandates of one stream, and the causes of events and effects that follow from them.

Beside the state, an actor keeps where each open mandate (core/mandate.py) is in the log and whose it is. After a start
they are found again in the log, from its end backwards.
"""

from collections.abc import Sequence
from itertools import count
from typing import Any, Final

import trio
from msgspec.structs import replace

from fleet.core.mandate import Mandates
from fleet.events.envelope import Cause, OwnCauses, caused_by, causes_of
from fleet.events.log import Log

_PAGE_EVENTS: Final = 100
"""Few: most mandates are near the end of their stream, and an event can have a megabyte."""


class OpenMandates:
    """The causes that the open mandates of a stream give, by key. `rules` are those of its aggregate."""

    def __init__(self, rules: Mandates[Any, Any, Any]) -> None:
        self._rules = rules
        self._causes: dict[str, Cause] = {}

    def own_causes(self, events: Sequence[Any], state: Any) -> OwnCauses:
        """Return the causes of those `events`, decided in `state`, that do not follow from their command."""
        own: dict[int, Cause | int] = {}
        given: dict[str, int] = {}
        for index, event in enumerate(events):
            key = self._rules.of_event(event, state)
            if key is not None and (cause := given.get(key, self._causes.get(key))) is not None:
                own[index] = cause
            if (begun := self._rules.given_by(event)) is not None:
                given[begun] = index
        return own

    def follow(
        self, first_position: int, events: Sequence[Any], cause: Cause, own_causes: OwnCauses, state: Any
    ) -> list[Cause]:
        """Take in the events of an append and the `state` after it; return the causes of what each event orders."""
        causes = causes_of(first_position, len(events), cause, own_causes)
        recorded = list(zip(count(first_position), events, causes, strict=False))
        for position, event, own in recorded:
            if (key := self._rules.given_by(event)) is not None:
                self._causes[key] = self._given(position, event, own, state)
        if self._causes:
            open_keys = self._rules.open(state)
            self._causes = {key: given for key, given in self._causes.items() if key in open_keys}
        return [replace(caused_by(position, own), actor="system") for position, _, own in recorded]

    def of_effect(self, effect: Any) -> Cause | None:
        """Return the cause of an effect that works for a mandate; None if that is the event that orders it."""
        key = self._rules.of_effect(effect)
        return None if key is None else self._causes.get(key)

    async def find(self, log: Log, stream: str, state: Any) -> None:
        """Find the mandates that are open in `state`, the newest of each key."""
        self._causes.clear()
        wanted, before = self._rules.open(state), log.head() + 1
        while wanted and (positions := log.stream_positions(stream, 0, before, _PAGE_EVENTS, newest_first=True)):
            before = positions[-1]
            for recorded in log.read_stream(stream, before - 1, len(positions)):
                if (key := self._rules.given_by(recorded.event)) in wanted:
                    self._causes[key] = self._given(recorded.position, recorded.event, recorded.cause, state)
            wanted -= self._causes.keys()
            await trio.lowlevel.checkpoint()

    def _given(self, position: int, event: Any, cause: Cause, state: Any) -> Cause:
        """Return the cause that a mandate gives: of its actor, unless it follows from another mandate itself."""
        given = caused_by(position, cause)
        return given if self._rules.of_event(event, state) is None else replace(given, actor="system")
