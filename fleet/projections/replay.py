"""Replays the log: rebuilds every projection from events alone, and compares it with what is stored.

The views' rows, the snapshots of aggregates and the history are compared at the positions that they were stored for.
Where a stored row differs, its stream is folded again, event by event: the row parts from the log after the last
position at which both agree.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from fleet.events.envelope import Erased, Recorded
from fleet.events.log import LogReader
from fleet.events.snapshots import fingerprint, pack
from fleet.limits import FEED_PAGE_BYTES, FEED_PAGE_EVENTS
from fleet.projections.runner import digest_at
from fleet.projections.states import States
from fleet.projections.store import ViewStore
from fleet.projections.views import make_views

SNAPSHOTS: Final = "snapshots"


class Parted(msgspec.Struct, frozen=True):
    """Something that is stored and does not follow from the log.

    `position` is the first event after which both differ; `fields` names what differs.
    """

    projection: str
    key: str
    position: int
    fields: tuple[str, ...]


class Compared(msgspec.Struct, frozen=True):
    """What was compared: rows of a projection, as of log position `through`; None where none could be compared."""

    projection: str
    through: int | None
    rows: int = 0


Finding: TypeAlias = Compared | Parted


def replay_views(log: LogReader, store: ViewStore, to: int, only: str | None = None) -> Iterator[Finding]:
    """Fold each view up to the position of its stored rows, and compare them; rows beyond `to` are left out."""
    for view in make_views():
        if only in (None, view.name):
            yield from _replay_view(log, store, view, min(to, log.head()))


def _replay_view(log: LogReader, store: ViewStore, view: States[Any], to: int) -> Iterator[Finding]:
    states = _States(view)
    checkpoint, rows = store.load(view.name, states.fingerprint, partial(digest_at, log))
    stored = {key: states.decode(row) for key, row in rows}
    if not 0 < checkpoint <= to:
        yield Compared(view.name, None)
        return
    for page in pages_of(log, checkpoint):
        view.apply(page)
    built = {key: states.stored(view.row(key)) for key in (*view.ids(), *view.erasing)}
    for key in sorted(stored.keys() | built.keys()):
        one, other = stored.get(key), built.get(key)
        if one != other:
            position = parting(events_of(log, view.stream(key), checkpoint), states.fold(key), one)
            yield Parted(view.name, key, position, _differing(one, other))
    yield Compared(view.name, checkpoint, len(built))


def replay_snapshots(log: LogReader, to: int) -> Iterator[Finding]:
    """Fold every stream that has snapshots, and compare each snapshot that is not beyond `to`."""
    compared = 0
    for view in make_views():
        states = _States(view)
        for stream in list(log.streams(f"{view.decider.kind}-")):
            key = stream.removeprefix(f"{view.decider.kind}-")
            for position, stored, built in _snapshots(log, states, stream, key, to):
                compared += 1
                if stored != built:
                    found = parting(events_of(log, stream, position), states.fold(key), stored)
                    yield Parted(SNAPSHOTS, stream, found, _differing(stored, built))
    yield Compared(SNAPSHOTS, to, compared)


def _snapshots(log: LogReader, states: "_States", stream: str, key: str, to: int) -> Iterator[tuple[int, Any, Any]]:
    """Yield the position of each readable snapshot of a stream, its state, and the state of the log there."""
    wanted: dict[int, Any] = {}
    at = to
    while (snapshot := log.load_snapshot(stream, at)) is not None:
        if snapshot.schema == states.fingerprint:
            wanted[snapshot.position] = states.decode(snapshot.state)
        at = snapshot.position - 1
    if wanted and not log.is_erased(stream):
        fold = states.fold(key)
        for recorded in events_of(log, stream, max(wanted)):
            built = fold(recorded)
            if recorded.position in wanted:
                yield recorded.position, wanted[recorded.position], built


class _States:
    """How the states of a view are stored: equal states may have different bytes, so states are compared."""

    def __init__(self, view: States[Any]) -> None:
        state_type: Any = view.state_type
        self._view = view
        self.fingerprint = fingerprint(view.name, state_type, view.decider.revision)
        self.decode = msgspec.msgpack.Decoder(state_type).decode

    def stored(self, state: Any) -> Any:
        return None if state is None else self.decode(pack(state))

    def fold(self, key: str) -> "Fold":
        state = self._view.decider.initial(key)

        def step(recorded: Recorded) -> Any:
            nonlocal state
            if not isinstance(recorded.event, Erased):
                state = self._view.decider.evolve(state, recorded.event)
            return self.stored(state)

        return step


def pages_of(log: LogReader, through: int) -> Iterator[list[Recorded]]:
    """Yield the events up to a position, in bounded pages."""
    position = 0
    while position < through and (page := log.read_all(position, FEED_PAGE_EVENTS, FEED_PAGE_BYTES)):
        position = page[-1].position
        yield [recorded for recorded in page if recorded.position <= through]


def events_of(log: LogReader, stream: str, through: int) -> Iterator[Recorded]:
    """Yield the events of a stream up to a position."""
    position = 0
    while page := log.read_stream(stream, position, FEED_PAGE_EVENTS, FEED_PAGE_BYTES):
        for recorded in page:
            if recorded.position > through:
                return
            yield recorded
        position = page[-1].position


Fold: TypeAlias = Callable[[Recorded], Any]
"""Applies the next event of a stream, and returns what would be stored then."""


def parting(events: Iterator[Recorded], fold: Fold, stored: Any) -> int:
    """Return the position of the first event after the last one at which the fold was what is stored."""
    parted, agrees = 0, stored is None
    for recorded in events:
        if fold(recorded) == stored:
            agrees = True
        elif agrees or not parted:
            parted, agrees = recorded.position, False
    return parted


def _differing(stored: Any, built: Any) -> tuple[str, ...]:
    if stored is None or built is None:
        return ("the log does not have it",) if built is None else ("it is not stored",)
    return tuple(name for name in built.__struct_fields__ if getattr(stored, name) != getattr(built, name))
