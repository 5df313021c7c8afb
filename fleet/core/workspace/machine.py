"""What a workspace may be ordered to do, and the effects that follow.

A removal first keeps what is only there and logs where (`WorkspaceKept`), and only then takes anything away (law 9).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from fleet.core.decider import Decider
from fleet.core.workspace import messages as m
from fleet.core.workspace.faults import described, way_out
from fleet.core.workspace.state import State, evolve, initial
from fleet.errors import Rejected
from fleet.ports import Kept, WorkspaceOrder

__all__ = ["WORKSPACE", "Effect", "Prepare", "Remove", "Restore", "State", "decide", "evolve", "initial", "pending"]

Events = tuple[m.Event, ...]

# ----------------------------------------------------------------------------------------------------------- effects


class Prepare(msgspec.Struct, frozen=True):
    """Make the workspace, then `ReportPrepared`; where that fails discard it, then `ReportPrepareFailed`."""

    key: str
    order: WorkspaceOrder


class Remove(msgspec.Struct, frozen=True):
    """Keep what is only there and `ReportKept`, take it away and `ReportRemoved`, or else `ReportRemovalFailed`."""

    key: str
    order: WorkspaceOrder


class Restore(msgspec.Struct, frozen=True):
    """Bring it back from what was kept, then `ReportRestored` or `ReportRestoreFailed`."""

    key: str
    order: WorkspaceOrder
    kept: Kept


Effect = Prepare | Remove | Restore


def pending(state: State) -> tuple[Effect, ...]:
    """Return what is ordered and not yet answered."""
    if state.order is None:
        return ()
    if state.phase == "preparing":
        return (Prepare("prepare", state.order),)
    if state.phase == "removing":
        return (Remove("remove", state.order),)
    if state.phase == "restoring" and state.kept is not None:
        return (Restore("restore", state.order, state.kept),)
    return ()


def failure(effect: Effect, code: str, detail: str, at_ms: int) -> m.Command:
    """Return the report that `effect` has failed."""
    if isinstance(effect, Prepare):
        return m.ReportPrepareFailed(code, detail, at_ms)
    if isinstance(effect, Remove):
        return m.ReportRemovalFailed(code, detail, at_ms)
    return m.ReportRestoreFailed(code, detail, at_ms)


_ORDERS: Final = frozenset((m.WorkspaceRequested, m.WorkspaceRemovalRequested, m.WorkspaceRestoreRequested))


def react(state: State, event: m.Event) -> tuple[Effect, ...]:
    """Return the effects that `event` orders, given the state after it."""
    return pending(state) if type(event) in _ORDERS else ()


# ------------------------------------------------------------------------------------------------------------ decide


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
    if state.phase in ("removing", "removed"):
        raise Rejected(
            "workspace_gone",
            f"the workspace is {state.phase}",
            hint=f"bring it back with POST /api/workspaces/{state.id}/restore",
        )
    retry = state.phase == "failed" and state.order is not None
    requested = (m.WorkspaceRequested(state.order, command.at_ms),) if retry and state.order else ()
    return (*requested, m.WorkspaceClaimed(command.session_id, command.at_ms))  # again: a removal under way sees it


def _remove(command: m.RemoveWorkspace, state: State) -> Events:
    if command.claims != state.claims:
        return ()
    leaving = (session for session in state.sessions if session in command.session_ids)
    released = tuple(m.WorkspaceReleased(session, command.at_ms) for session in leaving)
    others = len(released) < len(state.sessions)
    if others or command.guests or _is_given(state) or state.phase != "ready":
        return released
    return (*released, m.WorkspaceRemovalRequested(command.at_ms))


def _is_given(state: State) -> bool:
    """Return whether the directory was there before Fleet: it is not Fleet's to remove."""
    return state.order is None or state.order.strategy == "existing"


def _rebind(command: m.RebindWorkspace, state: State) -> Events:
    if state.phase not in ("ready", "removed", "failed"):
        raise Rejected("workspace_busy", f"the workspace is {state.phase}", hint="try again in a moment")
    if _is_given(state):
        raise Rejected("workspace_existing", "a directory that was there before Fleet has no source")
    if state.order is not None and state.order.source_directory == command.source_directory:
        return ()
    return (m.WorkspaceRebound(command.source_directory, command.at_ms),)


def _describe(command: m.DescribeWorkspace, state: State) -> Events:
    return () if command.title == state.title else (m.WorkspaceDescribed(command.title, command.at_ms),)


def _lease_ports(command: m.LeasePorts, state: State) -> Events:
    if state.phase != "ready" or state.ports is not None:
        return ()
    return (m.PortsLeased(command.first, command.count, command.at_ms),)


def _record_setup(command: m.RecordSetup, state: State) -> Events:
    if state.phase != "ready" or (command.recipe, command.complete) == (state.recipe, state.set_up):
        return ()
    return (m.WorkspaceSetUp(command.repository, command.recipe, command.complete, command.at_ms),)


def _torn_down(command: m.ReportTornDown, state: State) -> Events:
    if state.phase != "removing" or state.recipe is None:
        return ()
    return (m.WorkspaceTornDown(command.exit_code, command.detail, command.output, command.at_ms),)


def _restore(command: m.RestoreWorkspace, state: State) -> Events:
    if state.fault == "missing" and _is_given(state):
        raise Rejected("workspace_gone", described(state) or "the directory is missing", hint=way_out(state))
    if state.order is not None and state.fault == "missing":
        return (m.WorkspaceRequested(state.order, command.at_ms),)  # made again: its branch has what was committed
    if state.phase in ("ready", "restoring"):
        return ()
    if state.phase != "removed" or state.kept is None:
        raise Rejected("workspace_busy", f"the workspace is {state.phase}: only one that was removed can be restored")
    return (m.WorkspaceRestoreRequested(command.at_ms),)


def _prepared(command: m.ReportPrepared, state: State) -> Events:
    if state.phase != "preparing":
        return ()
    ready = m.WorkspaceReady(command.prepared, command.at_ms)
    if state.sessions or _is_given(state) or state.prepared is not None:  # that one was asked for again
        return (ready,)
    return (ready, m.WorkspaceRemovalRequested(command.at_ms))  # all have left it while it was being made


def _fault(command: m.ReportFault, state: State) -> Events:
    if state.phase != "ready" or command.fault == state.fault:
        return ()
    return (m.WorkspaceLookedAt(command.fault, command.at_ms),)


def _prepare_failed(command: m.ReportPrepareFailed, state: State) -> Events:
    if state.phase != "preparing":
        return ()
    return (m.WorkspaceFailed(command.code, command.detail, command.at_ms),)


def _kept(command: m.ReportKept, state: State) -> Events:
    if state.phase != "removing" or state.kept == command.kept:
        return ()
    return (m.WorkspaceKept(command.kept, command.at_ms),)


def _removed(command: m.ReportRemoved, state: State) -> Events:
    return (m.WorkspaceRemoved(command.at_ms),) if state.phase == "removing" else ()


def _removal_failed(command: m.ReportRemovalFailed, state: State) -> Events:
    if state.phase != "removing":
        return ()
    return (m.WorkspaceRemovalFailed(command.code, command.detail, command.at_ms),)


def _restored(command: m.ReportRestored, state: State) -> Events:
    return (m.WorkspaceRestored(command.at_ms),) if state.phase == "restoring" else ()


def _restore_failed(command: m.ReportRestoreFailed, state: State) -> Events:
    if state.phase != "restoring":
        return ()
    return (m.WorkspaceRestoreFailed(command.code, command.detail, command.at_ms),)


_DECIDE: Final[Mapping[type[Any], Callable[[Any, State], Events]]] = {
    m.PrepareWorkspace: _prepare,
    m.ClaimWorkspace: _claim,
    m.RemoveWorkspace: _remove,
    m.DescribeWorkspace: _describe,
    m.LeasePorts: _lease_ports,
    m.RebindWorkspace: _rebind,
    m.RecordSetup: _record_setup,
    m.ReportTornDown: _torn_down,
    m.RestoreWorkspace: _restore,
    m.ReportPrepared: _prepared,
    m.ReportPrepareFailed: _prepare_failed,
    m.ReportFault: _fault,
    m.ReportKept: _kept,
    m.ReportRemoved: _removed,
    m.ReportRemovalFailed: _removal_failed,
    m.ReportRestored: _restored,
    m.ReportRestoreFailed: _restore_failed,
}

WORKSPACE: Final[Decider[m.Command, State, m.Event, Effect]] = Decider(
    "workspace", initial, decide, evolve, react, pending, revision=2, failure=failure
)
