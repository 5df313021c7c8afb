"""Decides which events a command to a workspace causes, and binds the functions of its `Decider`."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from fleet.core.decider import Decider
from fleet.core.workspace import commands, events
from fleet.core.workspace.effects import Effect, failure, pending, react
from fleet.core.workspace.evolve import evolve
from fleet.core.workspace.faults import described, way_out
from fleet.core.workspace.state import State, initial
from fleet.errors import Rejected

Events = tuple[events.WorkspaceEvent, ...]


def decide(command: commands.WorkspaceCommand, state: State) -> Events:
    """Return the events that `command` causes. Raises `Rejected`."""
    if state.phase == "erased" or (state.phase == "absent" and not isinstance(command, commands.PrepareWorkspace)):
        raise Rejected("workspace_not_found", f"there is no workspace {state.id}")
    return _DECIDE[type(command)](command, state)


def _prepare(command: commands.PrepareWorkspace, state: State) -> Events:
    if state.phase == "absent":
        requested = events.WorkspaceRequested(spec=command.spec, at_ms=command.at_ms)
        return (requested, events.WorkspaceClaimed(session_id=command.session_id, at_ms=command.at_ms))
    if state.phase == "failed" and state.prepared is None:  # nothing of it exists: it may be made on another host
        again = events.WorkspaceRequested(spec=command.spec, at_ms=command.at_ms)
        return (again, events.WorkspaceClaimed(session_id=command.session_id, at_ms=command.at_ms))
    return _claim(commands.ClaimWorkspace(session_id=command.session_id, at_ms=command.at_ms), state)


def _claim(command: commands.ClaimWorkspace, state: State) -> Events:
    if state.phase in ("removing", "removed"):
        raise Rejected(
            "workspace_gone",
            f"the workspace is {state.phase}",
            hint=f"Restore it with POST /api/workspaces/{state.id}/restore.",
        )
    # A repeated claim is recorded too: a removal that was decided before sees it.
    claimed = events.WorkspaceClaimed(session_id=command.session_id, at_ms=command.at_ms)
    if state.phase != "failed" or state.spec is None:
        return (claimed,)
    return (events.WorkspaceRequested(spec=state.spec, at_ms=command.at_ms), claimed)


def _remove(command: commands.RemoveWorkspace, state: State) -> Events:
    if command.claims != state.claims:
        return ()
    leaving = (session for session in state.sessions if session in command.session_ids)
    released = tuple(events.WorkspaceReleased(session_id=session, at_ms=command.at_ms) for session in leaving)
    others = len(released) < len(state.sessions)
    if others or command.guests or _is_given(state) or state.phase != "ready":
        return released
    return (*released, events.WorkspaceRemovalRequested(at_ms=command.at_ms))


def _is_given(state: State) -> bool:
    """Return whether the directory existed before the workspace, so that Fleet must not remove it."""
    return state.spec is None or state.spec.strategy == "existing"


def _rebind(command: commands.RebindWorkspace, state: State) -> Events:
    if state.phase not in ("ready", "removed", "failed"):
        raise Rejected("workspace_busy", f"the workspace is {state.phase}", hint="Try again in a moment.")
    if _is_given(state):
        raise Rejected("workspace_existing", "a directory that was there before Fleet has no source")
    if state.spec is not None and state.spec.source_directory == command.source_directory:
        return ()
    return (events.WorkspaceRebound(source_directory=command.source_directory, at_ms=command.at_ms),)


def _relocate(command: commands.RelocateWorkspace, state: State) -> Events:
    if state.phase == "erased" or (state.spec, state.prepared) == (command.spec, command.prepared):
        return ()
    return (events.WorkspaceRelocated(spec=command.spec, prepared=command.prepared, at_ms=command.at_ms),)


def _move(command: commands.MoveWorkspace, state: State) -> Events:
    if state.phase in ("removing", "removed"):
        raise Rejected("workspace_gone", f"the workspace is {state.phase}")
    if state.spec is None or state.spec.host != command.source or state.claims != command.claims:
        return ()
    if _is_given(state) or any(left.spec.host == command.host for left in state.left):
        raise Rejected("host_unsuitable", f"the workspace cannot be made on {command.host!r} now")
    spec = replace(state.spec, host=command.host)
    return (events.WorkspaceMoved(spec=spec, evidence=command.evidence, at_ms=command.at_ms),)


def _leftovers(command: commands.ReportLeftovers, state: State) -> Events:
    if all(left.spec.host != command.host for left in state.left):
        return ()
    return (events.LeftoversRemoved(host=command.host, kept=command.kept, at_ms=command.at_ms),)


def _edit(command: commands.EditWorkspace, state: State) -> Events:
    return () if command.title == state.title else (events.WorkspaceEdited(title=command.title, at_ms=command.at_ms),)


def _lease_ports(command: commands.LeasePorts, state: State) -> Events:
    if state.phase != "ready" or state.ports is not None:
        return ()
    return (events.PortsLeased(first=command.first, count=command.count, at_ms=command.at_ms),)


def _record_setup(command: commands.RecordSetup, state: State) -> Events:
    if state.phase != "ready" or (command.recipe, command.complete) == (state.recipe, state.set_up):
        return ()
    return (
        events.WorkspaceSetUp(
            repository=command.repository, recipe=command.recipe, complete=command.complete, at_ms=command.at_ms
        ),
    )


def _torn_down(command: commands.ReportTornDown, state: State) -> Events:
    if state.phase != "removing" or state.recipe is None:
        return ()
    return (
        events.WorkspaceTornDown(
            exit_code=command.exit_code, detail=command.detail, output=command.output, at_ms=command.at_ms
        ),
    )


def _restore(command: commands.RestoreWorkspace, state: State) -> Events:
    if state.fault == "missing" and _is_given(state):
        raise Rejected("workspace_gone", described(state) or "the directory is missing", hint=way_out(state))
    if state.spec is not None and state.fault == "missing":  # created again: its branch has what was committed
        return (events.WorkspaceRequested(spec=state.spec, at_ms=command.at_ms),)
    if state.phase in ("ready", "restoring"):
        return ()
    if state.phase != "removed" or state.kept is None:
        raise Rejected("workspace_busy", f"the workspace is {state.phase}: only one that was removed can be restored")
    return (events.WorkspaceRestoreRequested(at_ms=command.at_ms),)


def _erase(command: commands.EraseWorkspace, state: State) -> Events:
    if state.phase not in ("removed", "failed") or state.sessions:
        raise Rejected("workspace_busy", f"the workspace is {state.phase}: only one that is gone can be erased")
    return (events.WorkspaceErased(at_ms=command.at_ms),)


def _prepared(command: commands.ReportPrepared, state: State) -> Events:
    if state.phase != "preparing":
        return ()
    ready = events.WorkspaceReady(prepared=command.prepared, at_ms=command.at_ms)
    if state.sessions or _is_given(state) or state.prepared is not None:  # a lost one was requested again
        return (ready,)
    return (ready, events.WorkspaceRemovalRequested(at_ms=command.at_ms))  # all sessions left during the creation


def _fault(command: commands.ReportFault, state: State) -> Events:
    if state.phase != "ready" or command.fault == state.fault:
        return ()
    return (events.WorkspaceLookedAt(fault=command.fault, at_ms=command.at_ms),)


def _prepare_failed(command: commands.ReportPrepareFailed, state: State) -> Events:
    if state.phase != "preparing":
        return ()
    return (events.WorkspaceFailed(code=command.code, detail=command.detail, at_ms=command.at_ms),)


def _kept(command: commands.ReportPreserved, state: State) -> Events:
    if state.phase != "removing" or state.kept == command.kept:
        return ()
    return (events.WorkPreserved(kept=command.kept, at_ms=command.at_ms),)


def _saved(command: commands.ReportSaved, state: State) -> Events:
    is_here = state.phase == "ready" and state.spec is not None and state.spec.host == command.host
    if not is_here or state.saved == command.saved:
        return ()
    return (events.WorkSaved(saved=command.saved, at_ms=command.at_ms),)


def _removed(command: commands.ReportRemoved, state: State) -> Events:
    removed = events.WorkspaceRemoved(left=command.left, at_ms=command.at_ms)
    return (removed,) if state.phase == "removing" else ()


def _removal_failed(command: commands.ReportRemovalFailed, state: State) -> Events:
    if state.phase != "removing":
        return ()
    return (events.WorkspaceRemovalFailed(code=command.code, detail=command.detail, at_ms=command.at_ms),)


def _restored(command: commands.ReportRestored, state: State) -> Events:
    return (events.WorkspaceRestored(at_ms=command.at_ms),) if state.phase == "restoring" else ()


def _restore_failed(command: commands.ReportRestoreFailed, state: State) -> Events:
    if state.phase != "restoring":
        return ()
    return (events.WorkspaceRestoreFailed(code=command.code, detail=command.detail, at_ms=command.at_ms),)


_DECIDE: Final[Mapping[type[Any], Callable[[Any, State], Events]]] = {
    commands.PrepareWorkspace: _prepare,
    commands.ClaimWorkspace: _claim,
    commands.RemoveWorkspace: _remove,
    commands.EditWorkspace: _edit,
    commands.LeasePorts: _lease_ports,
    commands.RebindWorkspace: _rebind,
    commands.RelocateWorkspace: _relocate,
    commands.MoveWorkspace: _move,
    commands.ReportLeftovers: _leftovers,
    commands.RecordSetup: _record_setup,
    commands.ReportTornDown: _torn_down,
    commands.RestoreWorkspace: _restore,
    commands.EraseWorkspace: _erase,
    commands.ReportPrepared: _prepared,
    commands.ReportPrepareFailed: _prepare_failed,
    commands.ReportFault: _fault,
    commands.ReportPreserved: _kept,
    commands.ReportSaved: _saved,
    commands.ReportRemoved: _removed,
    commands.ReportRemovalFailed: _removal_failed,
    commands.ReportRestored: _restored,
    commands.ReportRestoreFailed: _restore_failed,
}

WORKSPACE: Final[Decider[commands.WorkspaceCommand, State, events.WorkspaceEvent, Effect]] = Decider(
    "workspace", initial, decide, evolve, react, pending, revision=2, failure=failure
)
