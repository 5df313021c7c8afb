"""Replays the log: rebuilds every projection from events alone, and compares it with what is stored.

The views' rows, the snapshots of aggregates and the history are compared at the positions that they were stored for.
Where a stored row differs, its stream is folded again, event by event: the row parts from the log after the last
position at which both agree.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final, TypeAlias

import msgspec

from fleet.core.session.events import CallbacksErased
from fleet.events.envelope import Damaged, Erased, Recorded, StateSnapshot
from fleet.events.log import LogReader
from fleet.events.snapshots import fingerprint, pack
from fleet.limits import FEED_PAGE_BYTES, FEED_PAGE_EVENTS, VERIFY_PAGE_EVENTS
from fleet.projections.runner import digest_at
from fleet.projections.states import States
from fleet.projections.store import StoredRows, ViewStore
from fleet.projections.views import make_views

SNAPSHOTS: Final = "snapshots"
_FOREIGN: Final = "Fleet did not write it"


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

Steps: TypeAlias = Iterator[Finding | None]
"""Findings, with None after each step of some milliseconds, so that a server can do other work."""


def replay_views(log: LogReader, store: ViewStore, to: int, only: str | None = None) -> Steps:
    """Fold the views up to the position of their stored rows, and compare them; rows beyond `to` are left out."""
    kept: list[_Rows] = []
    for view in make_views():
        if only in (None, view.name):
            rows = yield from _stored(view, store, log)
            kept.append(_Rows(view, rows, min(to, log.head())))
    for page in pages_of(log, max((each.checkpoint for each in kept), default=0)):
        for each in kept:
            each.apply(page)
        yield None
    for each in kept:
        yield from each.compared(log)


def _stored(view: States[Any], store: ViewStore, log: LogReader) -> Generator[None, None, StoredRows]:
    return (yield from store.look(view.name, _States(view).fingerprint, partial(digest_at, log)))


class _Rows:
    """The stored rows of a view, and the view as it was at their checkpoint."""

    def __init__(self, view: States[Any], stored: StoredRows, to: int) -> None:
        self._view = view
        self._states = _States(view)
        self._sealed, self._position = stored.sealed, stored.position
        self.checkpoint = stored.position if stored.position <= to else 0
        self._rows = dict(stored.rows) if self.checkpoint else {}

    def apply(self, page: Sequence[Recorded]) -> None:
        """Fold the events of the page that are not beyond the checkpoint."""
        if page[0].position <= self.checkpoint:
            self._view.apply([each for each in page if each.position <= self.checkpoint])

    def compared(self, log: LogReader) -> Steps:
        """Compare the rows with the view."""
        view, parted = self._view, 0
        if self.checkpoint:
            for number, key in enumerate(sorted(self._rows.keys() | {*view.ids(), *view.erasing})):
                found = self._compare(log, key)
                parted += found is not None
                yield found
                if number % VERIFY_PAGE_EVENTS == 0:
                    yield None
        if not self._sealed and not parted:
            yield Parted(view.name, "", min(self._position, log.head()), ("Fleet did not write these rows",))
        yield Compared(view.name, self.checkpoint or None, len(view.ids()) + len(view.erasing))

    def _compare(self, log: LogReader, key: str) -> Parted | None:
        row, built = self._rows.get(key), self._view.row(key)
        if built is not None and row == pack(built):
            return None
        stream = self._view.stream(key)
        one, other = None if row is None else self._states.read(row), self._states.stored(built)
        if one == other or self._states.agree_since(log, stream, self.checkpoint, one, other):
            return None
        position = parting(events_of(log, stream, self.checkpoint), self._states.fold(key), one)
        return Parted(self._view.name, key, position, _differing(one, other))


def replay_snapshots(log: LogReader, to: int) -> Steps:
    """Fold every stream that has snapshots, and compare each snapshot that is not beyond `to`."""
    compared = 0
    for view in make_views():
        states = _States(view)
        for stream in _names(log, f"{view.decider.kind}-"):
            yield None
            stored = [each for each in log.snapshots_of(stream) if each[0].position <= to]
            compared += sum(snapshot.schema == states.fingerprint for snapshot, _ in stored)
            if stored:
                yield from _compare_snapshots(log, states, stream, stored)
    kinds = tuple(f"{view.decider.kind}-" for view in make_views())
    for stream in _names(log, ""):
        unsealed = [] if stream.startswith(kinds) else [each for each, sealed in log.snapshots_of(stream) if not sealed]
        yield next((Parted(SNAPSHOTS, stream, each.position, (_FOREIGN,)) for each in unsealed), None)
    yield Compared(SNAPSHOTS, to, compared)


def _names(log: LogReader, beginning: str) -> Iterator[str]:
    """Yield the names of streams, in pages, so that a caller may pause between two of them."""
    after = ""
    while page := list(islice(log.streams(beginning, after), VERIFY_PAGE_EVENTS)):
        yield from page
        after = page[-1]


def _compare_snapshots(
    log: LogReader, states: "_States", stream: str, stored: list[tuple[StateSnapshot, bool]]
) -> Steps:
    key = stream.partition("-")[2]
    wanted = {snapshot.position: snapshot for snapshot, _ in stored if snapshot.schema == states.fingerprint}
    parted = set[int]()
    if wanted and not log.is_erased(stream):
        state = states.initial(key)
        for number, (_, position, event) in enumerate(log.replay(stream)):
            state = states.evolve(state, event)
            if position in wanted and (found := _compare_snapshot(log, states, stream, wanted[position], state)):
                parted.add(position)
                yield found
            if number % VERIFY_PAGE_EVENTS == 0:
                yield None
    for snapshot, sealed in stored:
        if not sealed and snapshot.position not in parted:
            yield Parted(SNAPSHOTS, stream, snapshot.position, (_FOREIGN,))


def _compare_snapshot(
    log: LogReader, states: "_States", stream: str, snapshot: StateSnapshot, built: Any
) -> Parted | None:
    if snapshot.state == pack(built):
        return None
    one, other = states.read(snapshot.state), states.stored(built)
    if one == other or all(each != snapshot for each, _ in log.snapshots_of(stream)):  # it was dropped meanwhile
        return None
    found = parting(events_of(log, stream, snapshot.position), states.fold(stream.partition("-")[2]), one)
    return Parted(SNAPSHOTS, stream, found, _differing(one, other))


class _States:
    """How the states of a view are stored: equal states may have different bytes, so states are compared."""

    def __init__(self, view: States[Any]) -> None:
        state_type: Any = view.state_type
        self._view = view
        self.fingerprint = fingerprint(view.name, state_type, view.decider.revision)
        self.decode = msgspec.msgpack.Decoder(state_type).decode

    def initial(self, key: str) -> Any:
        return self._view.decider.initial(key)

    def evolve(self, state: Any, event: Any) -> Any:
        return state if isinstance(event, Erased | Damaged) else self._view.decider.evolve(state, event)

    def read(self, stored: bytes) -> Any:
        """Return the state, None for bytes that are none."""
        try:
            return self.decode(stored)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def agree_since(self, log: LogReader, stream: str, position: int, one: Any, other: Any) -> bool:
        """Return whether two states of a position are the same after a later event that replaced payloads before it.

        A state that was stored before that event has the texts that it took out, and the events do not any more.
        """
        events = [event for _, _, event in log.replay(stream, position)]
        last = max((number for number, event in enumerate(events, 1) if isinstance(event, CallbacksErased)), default=0)
        if one is None or other is None or not last:
            return False
        for event in events[:last]:
            one, other = self.evolve(one, event), self.evolve(other, event)
        return bool(one == other)

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
