"""The workspace's state and table, what it may be ordered to do, and the effect that follows."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, get_args

import msgspec
from msgspec.structs import replace

from fleet.core.decider import Decider
from fleet.core.table import ImpossibleEvent, read_table
from fleet.core.workspace import messages as m
from fleet.errors import Rejected
from fleet.ports import PreparedWorkspace, WorkspaceOrder

Phase = Literal["unborn", "preparing", "ready", "failed"]
PHASES: Final[tuple[Phase, ...]] = get_args(Phase)

TABLE: Final = read_table(
    """
    event               unborn     preparing  ready  failed
    WorkspaceRequested  preparing  x          x      preparing
    WorkspaceClaimed    x          =          =      x
    WorkspaceReady      x          ready      x      x
    WorkspaceFailed     x          failed     x      x
    """,
    PHASES,
    get_args(m.Event),
)

Events = tuple[m.Event, ...]


class State(msgspec.Struct, frozen=True):
    """A workspace; `sessions` are those that claim it."""

    id: str
    phase: Phase = "unborn"
    since_ms: int = 0
    order: WorkspaceOrder | None = None
    prepared: PreparedWorkspace | None = None
    sessions: tuple[str, ...] = ()
    failure_code: str | None = None
    failure_detail: str = ""


class Prepare(msgspec.Struct, frozen=True):
    """Make the workspace, then `ReportPrepared`; where that fails discard it, then `ReportPrepareFailed`."""

    key: str
    order: WorkspaceOrder


Effect = Prepare


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
    return {"order": event.order, "failure_code": None, "failure_detail": ""}


def _claimed(state: State, event: m.WorkspaceClaimed) -> Changes:
    return {"sessions": (*state.sessions, event.session_id)}


def _ready(_: State, event: m.WorkspaceReady) -> Changes:
    return {"prepared": event.prepared}


def _failed(_: State, event: m.WorkspaceFailed) -> Changes:
    return {"failure_code": event.code, "failure_detail": event.detail}


_CHANGES: Final[Mapping[type[Any], Callable[[State, Any], Changes]]] = {
    m.WorkspaceRequested: _requested,
    m.WorkspaceClaimed: _claimed,
    m.WorkspaceReady: _ready,
    m.WorkspaceFailed: _failed,
}


def pending(state: State) -> tuple[Effect, ...]:
    """Return what is ordered and not yet answered."""
    if state.phase == "preparing" and state.order is not None:
        return (Prepare("prepare", state.order),)
    return ()


def react(state: State, event: m.Event) -> tuple[Effect, ...]:
    """Return the effects that `event` orders, given the state after it."""
    return pending(state) if isinstance(event, m.WorkspaceRequested) else ()


def decide(command: m.Command, state: State) -> Events:
    """Return the events that `command` causes. Raises `Rejected`."""
    if state.phase == "unborn" and not isinstance(command, m.PrepareWorkspace):
        raise Rejected("workspace_not_found", f"there is no workspace {state.id}")
    return _DECIDE[type(command)](command, state)


def _prepare(command: m.PrepareWorkspace, state: State) -> Events:
    if state.phase == "unborn":
        requested = m.WorkspaceRequested(command.order, command.at_ms)
        return (requested, m.WorkspaceClaimed(command.session_id, command.at_ms))
    return _claim(m.ClaimWorkspace(command.session_id, command.at_ms), state)


def _claim(command: m.ClaimWorkspace, state: State) -> Events:
    retry = state.phase == "failed" and state.order is not None
    requested = (m.WorkspaceRequested(state.order, command.at_ms),) if retry and state.order else ()
    if command.session_id in state.sessions:
        return requested
    return (*requested, m.WorkspaceClaimed(command.session_id, command.at_ms))


def _prepared(command: m.ReportPrepared, state: State) -> Events:
    return (m.WorkspaceReady(command.prepared, command.at_ms),) if state.phase == "preparing" else ()


def _prepare_failed(command: m.ReportPrepareFailed, state: State) -> Events:
    if state.phase != "preparing":
        return ()
    return (m.WorkspaceFailed(command.code, command.detail, command.at_ms),)


_DECIDE: Final[Mapping[type[Any], Callable[[Any, State], Events]]] = {
    m.PrepareWorkspace: _prepare,
    m.ClaimWorkspace: _claim,
    m.ReportPrepared: _prepared,
    m.ReportPrepareFailed: _prepare_failed,
}

WORKSPACE: Final[Decider[m.Command, State, m.Event, Effect]] = Decider(
    "workspace", initial, decide, evolve, react, pending
)
