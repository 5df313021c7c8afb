"""Evolves a workspace by each event, and has the table of which event may come in which phase."""

from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

from msgspec.structs import replace

from fleet.core.transition_table import StatePatch, patch_of, read_table
from fleet.core.workspace import events
from fleet.core.workspace.state import PHASES, Leftover, PortRange, ReturnedWork, State, Teardown
from fleet.ports import LOCAL

TABLE: Final = read_table(
    """
    event                      absent     preparing  ready      removing  removed    restoring  failed     erased
    WorkspaceRequested         preparing  x          preparing  x         x          x          preparing  x
    WorkspaceClaimed           x          =          =          x         x          =          x          x
    WorkspaceReady             x          ready      x          x         x          x          x          x
    WorkspaceFailed            x          failed     x          x         x          x          x          x
    WorkspaceLookedAt          x          x          =          x         x          x          x          x
    WorkspaceReleased          x          =          =          =         =          =          =          x
    WorkspaceRemovalRequested  x          x          removing   x         x          x          x          x
    WorkPreserved              x          x          x          =         x          x          x          x
    WorkSaved                  x          x          =          x         x          x          x          x
    WorkspaceRemoved           x          x          x          removed   x          x          x          x
    WorkspaceRemovalFailed     x          x          x          ready     x          x          x          x
    WorkspaceEdited            x          =          =          =         =          =          =          x
    PortsLeased                x          x          =          x         x          x          x          x
    WorkspaceRebound           x          x          =          x         =          x          =          x
    WorkspaceRelocated         x          =          =          =         =          =          =          x
    WorkspaceMoved             x          preparing  preparing  x         x          preparing  preparing  x
    LeftoversRemoved           x          =          =          =         =          =          =          x
    WorkspaceSetUp             x          x          =          x         x          x          x          x
    WorkspaceTornDown          x          x          x          =         x          x          x          x
    WorkspaceRestoreRequested  x          x          x          x         restoring  x          x          x
    WorkspaceRestored          x          x          x          x         x          ready      x          x
    WorkspaceRestoreFailed     x          x          x          x         x          removed    x          x
    WorkspaceErased            x          x          x          x         erased     x          erased     x
    """,
    PHASES,
    get_args(events.WorkspaceEvent),
)


def evolve(state: State, event: events.WorkspaceEvent) -> State:
    """Return the state after `event`. Raises `ImpossibleEvent` for what the table refuses."""
    return replace(state, **patch_of(TABLE, _CHANGES, state, event, "a workspace"))


def _requested(_: State, event: events.WorkspaceRequested) -> StatePatch:
    return {"spec": event.spec, **_without_fault(_, event), "recipe": None, "set_up": False}  # it is created again


def _without_fault(_: State, __: Any) -> StatePatch:
    return {"failure_code": None, "failure_detail": "", "fault": None}


def _looked_at(_: State, event: events.WorkspaceLookedAt) -> StatePatch:
    return {"fault": event.fault, "fault_since_ms": event.at_ms}


def _claimed(state: State, event: events.WorkspaceClaimed) -> StatePatch:
    others = (session for session in state.sessions if session != event.session_id)
    return {"sessions": (*others, event.session_id), "claims": state.claims + 1}


def _released(state: State, event: events.WorkspaceReleased) -> StatePatch:
    return {"sessions": tuple(session for session in state.sessions if session != event.session_id)}


def _ready(_: State, event: events.WorkspaceReady) -> StatePatch:
    return {"prepared": event.prepared}


def _failed(
    _: State, event: events.WorkspaceFailed | events.WorkspaceRemovalFailed | events.WorkspaceRestoreFailed
) -> StatePatch:
    return {"failure_code": event.code, "failure_detail": event.detail}


def _not_made(state: State, event: events.WorkspaceFailed) -> StatePatch:
    made_before = state.prepared is not None
    return {**_failed(state, event), "fault": "missing" if made_before else None, "ports": None}


def _kept(state: State, event: events.WorkPreserved) -> StatePatch:
    is_here = state.spec is None or state.spec.host == LOCAL
    return {"kept": event.kept, **({} if is_here else {"saved": event.kept})}


def _saved(_: State, event: events.WorkSaved) -> StatePatch:
    return {"saved": event.saved}


def _rebound(state: State, event: events.WorkspaceRebound) -> StatePatch:
    moved = None if state.spec is None else replace(state.spec, source_directory=event.source_directory)
    return {"spec": moved}


def _relocated(_: State, event: events.WorkspaceRelocated) -> StatePatch:
    return {"spec": event.spec, "prepared": event.prepared, "fault": None}


def _moved(state: State, event: events.WorkspaceMoved) -> StatePatch:
    left = _left_there(state)
    again = {"recipe": None, "set_up": False}  # what a set-up makes is not preserved
    return {"spec": event.spec, "left": left, **_without_fault(state, event), **again}


def _left_there(state: State) -> tuple[Leftover, ...]:
    """Return what is left on hosts once the workspace is no longer on its present one."""
    if state.spec is None or any(left.spec.host == state.spec.host for left in state.left):
        return state.left
    return (*state.left, Leftover(state.spec, state.saved, state.prepared is not None))


def _left_removed(state: State, event: events.LeftoversRemoved) -> StatePatch:
    left = tuple(left for left in state.left if left.spec.host != event.host)
    kept, ref = event.kept, None if event.kept is None else event.kept.ref
    was_here = state.phase == "removed" and state.spec is not None and state.spec.host == event.host
    if was_here and state.kept is not None and state.kept.ref in (None, ref):  # its removal is complete now
        return {"left": left, **({} if kept is None else {"kept": kept, "saved": kept})}
    if ref is None or any(each.ref == ref for each in state.returned):
        return {"left": left}
    return {"left": left, "returned": (*state.returned, ReturnedWork(event.host, ref))}


def _described(_: State, event: events.WorkspaceEdited) -> StatePatch:
    return {"title": event.title}


def _ports_leased(_: State, event: events.PortsLeased) -> StatePatch:
    return {"ports": PortRange(event.first, event.count)}


def _set_up(_: State, event: events.WorkspaceSetUp) -> StatePatch:
    return {"recipe": event.recipe, "recipe_of": event.repository, "set_up": event.complete, "teardown": None}


def _torn_down(_: State, event: events.WorkspaceTornDown) -> StatePatch:
    teardown = Teardown(event.exit_code, event.detail, event.output, event.at_ms)
    return {"recipe": None, "set_up": False, "teardown": teardown}


def _removed(state: State, event: events.WorkspaceRemoved) -> StatePatch:
    left = {"left": _left_there(state)} if event.left else {}
    return {**_without_fault(state, event), **left, "recipe": None, "set_up": False, "ports": None}


_CHANGES: Final[Mapping[type[Any], Callable[[State, Any], StatePatch]]] = {
    events.WorkspaceRequested: _requested,
    events.WorkspaceClaimed: _claimed,
    events.WorkspaceReady: _ready,
    events.WorkspaceFailed: _not_made,
    events.WorkspaceLookedAt: _looked_at,
    events.WorkspaceReleased: _released,
    events.WorkspaceRemovalRequested: _without_fault,
    events.WorkPreserved: _kept,
    events.WorkSaved: _saved,
    events.PortsLeased: _ports_leased,
    events.WorkspaceSetUp: _set_up,
    events.WorkspaceTornDown: _torn_down,
    events.WorkspaceRemoved: _removed,
    events.WorkspaceRemovalFailed: _failed,
    events.WorkspaceEdited: _described,
    events.WorkspaceRebound: _rebound,
    events.WorkspaceRelocated: _relocated,
    events.WorkspaceMoved: _moved,
    events.LeftoversRemoved: _left_removed,
    events.WorkspaceRestoreRequested: _without_fault,
    events.WorkspaceRestored: _without_fault,
    events.WorkspaceRestoreFailed: _failed,
    events.WorkspaceErased: _without_fault,
}
