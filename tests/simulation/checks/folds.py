"""Law 1 and 10: what is in memory, in views, in snapshots and in answers is the fold of the log, and nothing else."""

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from fleet.core.session.events import CallbacksErased
from fleet.core.session.state import State, initial
from fleet.projections.runner import Runner
from fleet.projections.views import Views, make_views
from tests.fakes.clock import FakeClock
from tests.fakes.memory_log import MemoryLog
from tests.fakes.memory_store import MemoryStore
from tests.simulation.evidence import Evidence
from tests.simulation.machine import REGISTRY


def views_are_the_fold(evidence: Evidence) -> Iterator[str]:
    """What a reader is shown is what the log says (law 1)."""
    yield from _differences(evidence, evidence.views, "live")


def rebuilt_views_are_the_fold(evidence: Evidence) -> Iterator[str]:
    """A view that is built again, or loaded from the rows that were kept, shows the same (law 10)."""
    for name, store in (("rebuilt", MemoryStore()), ("loaded", evidence.store)):
        views = make_views()
        Runner(MemoryLog(evidence.disk, REGISTRY, FakeClock()), store, views).open()
        yield from _differences(evidence, views, name)


def _differences(evidence: Evidence, views: Views, name: str) -> Iterator[str]:
    for view in views:
        expected = evidence.folds(view)
        shown = {state.id: state for state in view}
        if expected.keys() != shown.keys():
            yield f"the {name} {view.name} view has {len(shown)} rows, the log {len(expected)}"
        for aggregate_id in expected.keys() & shown.keys():
            if expected[aggregate_id] != shown[aggregate_id]:
                yield f"{view.name} {aggregate_id}: the {name} view shows {shown[aggregate_id]}"


def snapshots_are_the_fold(evidence: Evidence) -> Iterator[str]:
    """A snapshot is the fold up to its version, so that an activation from it is one from the log (law 1)."""
    for view in evidence.views:
        for aggregate_id, states in evidence.states(view).items():
            snapshot = evidence.disk.snapshots.get(view.stream(aggregate_id))
            if snapshot is None:
                continue
            position, expected = states[snapshot.version - 1]
            kept = msgspec.msgpack.decode(snapshot.state, type=view.state_type)
            if (position, expected) != (snapshot.position, kept):
                yield f"{view.name} {aggregate_id}: the snapshot at version {snapshot.version} is not the fold"


def actors_are_the_fold(evidence: Evidence) -> Iterator[str]:
    """At rest an actor answers with the fold of its stream: its memory changes from durable events alone (law 1)."""
    expected = evidence.folds(evidence.views.sessions)
    for session_id, state in evidence.replies.items():
        if expected.get(session_id) != state:
            yield f"session {session_id}: its actor holds {state}"


def answers_are_the_fold(evidence: Evidence) -> Iterator[str]:
    """What a caller was told is the fold at the position that it was told, or a later one for a repetition (law 1).

    A state of a parent from before a child was erased may quote the child, in the fields that the erasure changes.
    """
    states = evidence.states(evidence.views.sessions)
    for request in evidence.ledger.requests:
        for outcome in request.outcomes:
            known = states.get(outcome.session.id, [])
            then = [state for position, state in known if position <= outcome.position][-1:]
            later = [state for position, state in known if position > outcome.position and len(request.heard) > 1]
            if request.kind == "delete" or outcome.session.id in evidence.erased:
                continue
            events = evidence.stream(f"session-{outcome.session.id}")
            quotes = any(
                each.position > outcome.position and isinstance(each.event, CallbacksErased) for each in events
            )
            told, states_of_then = outcome.session, then + later
            if quotes:
                told, states_of_then = _without_quotes(told), [_without_quotes(state) for state in states_of_then]
            if told not in states_of_then:
                yield f"{request.mark} was answered at {outcome.position} with a state that never was"


def _without_quotes(state: State) -> State:
    """Return a state without what `CallbacksErased` changes."""
    unknown = initial(state.id)
    return replace(
        state,
        turn=None,
        queue=unknown.queue,
        digest_by_id=unknown.digest_by_id,
        erased_parts=(),
        asked="",
        last_line=None,
    )
