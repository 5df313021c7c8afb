"""Finds the relatives of a session in a log without views: its parent, its origin, and its children."""

from fleet.core.session.decide import SESSION
from fleet.core.session.events import SessionCreated
from fleet.core.session.state import State
from fleet.events.envelope import Erased
from fleet.events.log import LogReader
from fleet.evidence.document import RelatedSession, Relatives

_PREFIX = f"{SESSION.kind}-"


def relatives_in(log: LogReader, state: State) -> Relatives:
    """Return the relatives of a session. Reads the first event of every session for its children."""
    origin = state.settings.origin
    return Relatives(
        _related(log, state.settings.parent_id),
        _related(log, None if origin is None else origin.session_id),
        [child for each in list(log.streams(_PREFIX)) if (child := _child(log, each, state.id)) is not None],
    )


def _child(log: LogReader, stream: str, parent_id: str) -> RelatedSession | None:
    first = log.read_stream(stream, 0, 1)
    event = first[0].event if first else None
    if not isinstance(event, SessionCreated) or event.settings.parent_id != parent_id:
        return None
    return _related(log, stream.removeprefix(_PREFIX))


def _related(log: LogReader, session_id: str | None) -> RelatedSession | None:
    if session_id is None:
        return None
    stream = f"{_PREFIX}{session_id}"
    if not log.stream_version(stream) or log.is_erased(stream):
        return RelatedSession(session_id=session_id, title="", outcome="erased")
    state: State = SESSION.initial(session_id)
    for _, position, event in log.replay(stream):
        if isinstance(event, Erased):
            return RelatedSession(session_id=session_id, title="", outcome=f"event {position} cannot be read")
        state = SESSION.evolve(state, event)
    return related(state)


def related(state: State) -> RelatedSession:
    """Return how a relative is named, and how far it is."""
    outcome = state.last_outcome or "no turn has ended"
    return RelatedSession(session_id=state.id, title=state.settings.title, outcome=f"{state.phase}, {outcome}")
