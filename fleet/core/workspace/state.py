"""The workspace's state, its transition table, and `evolve`."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, get_args

import msgspec
from msgspec.structs import replace

from fleet.core.table import ImpossibleEvent, read_table
from fleet.core.workspace import messages as m
from fleet.ports import Fault, Kept, PreparedWorkspace, Recipe, WorkspaceOrder

Phase = Literal["unborn", "preparing", "ready", "removing", "removed", "restoring", "failed"]
PHASES: Final[tuple[Phase, ...]] = get_args(Phase)

TABLE: Final = read_table(
    """
    event                     unborn    preparing ready    removing removed   restoring failed
    WorkspaceRequested        preparing x         preparing x        x         x         preparing
    WorkspaceClaimed          x         =         =        x        x         =         x
    WorkspaceReady            x         ready     x        x        x         x         x
    WorkspaceFailed           x         failed    x        x        x         x         x
    WorkspaceLookedAt         x         x         =        x        x         x         x
    WorkspaceReleased         x         =         =        =        =         =         =
    WorkspaceRemovalRequested x         x         removing x        x         x         x
    WorkspaceKept             x         x         x        =        x         x         x
    WorkspaceRemoved          x         x         x        removed  x         x         x
    WorkspaceRemovalFailed    x         x         x        ready    x         x         x
    WorkspaceDescribed        x         =         =        =        =         =         =
    PortsLeased               x         x         =        x        x         x         x
    WorkspaceRebound          x         x         =        x        =         x         =
    WorkspaceSetUp            x         x         =        x        x         x         x
    WorkspaceTornDown         x         x         x        =        x         x         x
    WorkspaceRestoreRequested x         x         x        x        restoring x         x
    WorkspaceRestored         x         x         x        x        x         ready     x
    WorkspaceRestoreFailed    x         x         x        x        x         removed   x
    """,
    PHASES,
    get_args(m.Event),
)


class PortRange(msgspec.Struct, frozen=True):
    """Ports of the loopback address that are one workspace's."""

    first: int
    count: int


class Teardown(msgspec.Struct, frozen=True):
    """How the teardown ended; `exit_code` is None where it did not come to an end."""

    exit_code: int | None
    detail: str
    output: str
    at_ms: int


class State(msgspec.Struct, frozen=True):
    """A workspace. `sessions` are those that claim it, `kept` is what was kept of it when it was last removed.

    `claims` counts every claim that there has been, those of a session that comes back included. `fault` is what is
    wrong with the checkout of one that is ready. `recipe` is what a set-up has begun with, allowed in the repository
    `recipe_of`, whose teardown is still to run; `set_up`: that set-up has done its work.
    """

    id: str
    phase: Phase = "unborn"
    since_ms: int = 0
    order: WorkspaceOrder | None = None
    prepared: PreparedWorkspace | None = None
    sessions: tuple[str, ...] = ()
    claims: int = 0
    kept: Kept | None = None
    failure_code: str | None = None
    failure_detail: str = ""
    title: str | None = None
    fault: Fault | None = None
    fault_since_ms: int = 0
    recipe: Recipe | None = None
    recipe_of: str | None = None
    set_up: bool = False
    teardown: Teardown | None = None
    ports: PortRange | None = None


def initial(workspace_id: str) -> State:
    """Return the state of a workspace that does not exist yet."""
    return State(id=workspace_id)


def evolve(state: State, event: m.Event) -> State:
    """Return the state after `event`. Raises `ImpossibleEvent` for what the table refuses."""
    kind = type(event)
    phase = TABLE[state.phase, kind]
    if phase is None:
        raise ImpossibleEvent(f"{kind.__name__} in a workspace that is {state.phase}")
    changes = _CHANGES[kind](state, event)
    if phase != state.phase:
        changes["phase"] = phase
        changes["since_ms"] = event.at_ms
    return replace(state, **changes)


Changes = dict[str, Any]


def _requested(_: State, event: m.WorkspaceRequested) -> Changes:
    return {"order": event.order, **_well(_, event), "recipe": None, "set_up": False}  # it is made anew


def _well(_: State, __: Any) -> Changes:
    return {"failure_code": None, "failure_detail": "", "fault": None}


def _looked_at(_: State, event: m.WorkspaceLookedAt) -> Changes:
    return {"fault": event.fault, "fault_since_ms": event.at_ms}


def _claimed(state: State, event: m.WorkspaceClaimed) -> Changes:
    others = (session for session in state.sessions if session != event.session_id)
    return {"sessions": (*others, event.session_id), "claims": state.claims + 1}


def _released(state: State, event: m.WorkspaceReleased) -> Changes:
    return {"sessions": tuple(session for session in state.sessions if session != event.session_id)}


def _ready(_: State, event: m.WorkspaceReady) -> Changes:
    return {"prepared": event.prepared}


def _failed(_: State, event: m.WorkspaceFailed | m.WorkspaceRemovalFailed | m.WorkspaceRestoreFailed) -> Changes:
    return {"failure_code": event.code, "failure_detail": event.detail}


def _not_made(state: State, event: m.WorkspaceFailed) -> Changes:
    made_before = state.prepared is not None
    return {**_failed(state, event), "fault": "missing" if made_before else None, "ports": None}


def _kept(_: State, event: m.WorkspaceKept) -> Changes:
    return {"kept": event.kept}


def _rebound(state: State, event: m.WorkspaceRebound) -> Changes:
    moved = None if state.order is None else replace(state.order, source_directory=event.source_directory)
    return {"order": moved}


def _described(_: State, event: m.WorkspaceDescribed) -> Changes:
    return {"title": event.title}


def _ports_leased(_: State, event: m.PortsLeased) -> Changes:
    return {"ports": PortRange(event.first, event.count)}


def _set_up(_: State, event: m.WorkspaceSetUp) -> Changes:
    return {"recipe": event.recipe, "recipe_of": event.repository, "set_up": event.complete, "teardown": None}


def _torn_down(_: State, event: m.WorkspaceTornDown) -> Changes:
    teardown = Teardown(event.exit_code, event.detail, event.output, event.at_ms)
    return {"recipe": None, "set_up": False, "teardown": teardown}


def _removed(state: State, event: m.WorkspaceRemoved) -> Changes:
    return {**_well(state, event), "recipe": None, "set_up": False, "ports": None}


_CHANGES: Final[Mapping[type[Any], Callable[[State, Any], Changes]]] = {
    m.WorkspaceRequested: _requested,
    m.WorkspaceClaimed: _claimed,
    m.WorkspaceReady: _ready,
    m.WorkspaceFailed: _not_made,
    m.WorkspaceLookedAt: _looked_at,
    m.WorkspaceReleased: _released,
    m.WorkspaceRemovalRequested: _well,
    m.WorkspaceKept: _kept,
    m.PortsLeased: _ports_leased,
    m.WorkspaceSetUp: _set_up,
    m.WorkspaceTornDown: _torn_down,
    m.WorkspaceRemoved: _removed,
    m.WorkspaceRemovalFailed: _failed,
    m.WorkspaceDescribed: _described,
    m.WorkspaceRebound: _rebound,
    m.WorkspaceRestoreRequested: _well,
    m.WorkspaceRestored: _well,
    m.WorkspaceRestoreFailed: _failed,
}
