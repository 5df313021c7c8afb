"""Decides which events a command to an instance causes, and binds the functions of its `Decider`."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from fleet.core.decider import Decider
from fleet.core.instance.commands import (
    AttachSession,
    DetachSession,
    InstanceCommand,
    NoteAllowance,
    ReportInformed,
    ReportInstanceStopped,
    ReportLost,
    ReportReachable,
    ReportReady,
    ReportSpawned,
    ReportStartFailed,
    ReportUnreachable,
    StartInstance,
    StopInstance,
)
from fleet.core.instance.effects import Effect, failure, pending, react
from fleet.core.instance.events import (
    InstanceEvent,
    InstanceLost,
    InstanceReachable,
    InstanceReady,
    InstanceRequested,
    InstanceSpawned,
    InstanceStartFailed,
    InstanceStopped,
    InstanceStopRequested,
    InstanceUnreachable,
    PermissionAllowed,
    RemnantsKilled,
    SessionAttached,
    SessionDetached,
)
from fleet.core.instance.evolve import evolve
from fleet.core.instance.state import LIVE, OVER, State, initial
from fleet.errors import Rejected

Events = tuple[InstanceEvent, ...]


def decide(command: InstanceCommand, state: State) -> Events:
    """Return the events that `command` causes. Raises `Rejected`."""
    if state.phase == "absent" and not isinstance(command, StartInstance):
        raise Rejected("instance_not_found", f"there is no instance {state.id}")
    return _DECIDE[type(command)](command, state)


def _start(command: StartInstance, state: State) -> Events:
    if state.phase != "absent":
        return ()
    return (
        InstanceRequested(
            instance_id=command.instance_id, key=command.key, directory=command.directory, at_ms=command.at_ms
        ),
        SessionAttached(session_id=command.session_id, directory=command.session_directory, at_ms=command.at_ms),
    )


def _attach(command: AttachSession, state: State) -> Events:
    if state.phase in OVER:
        raise Rejected("instance_not_found", f"instance {state.id} is {state.phase}")
    if state.sessions.get(command.session_id) == command.directory:
        return ()
    return (SessionAttached(session_id=command.session_id, directory=command.directory, at_ms=command.at_ms),)


def _detach(command: DetachSession, state: State) -> Events:
    if command.session_id not in state.sessions:
        return ()
    detached = SessionDetached(session_id=command.session_id, at_ms=command.at_ms)
    if state.phase in OVER or len(state.sessions) > 1:
        return (detached,)
    return (detached, InstanceStopRequested(reason="unused", at_ms=command.at_ms))


def _stop_instance(command: StopInstance, state: State) -> Events:
    if state.phase in OVER or (command.reason == "hung" and state.phase != "unreachable"):  # it has answered meanwhile
        return ()
    return (InstanceStopRequested(reason=command.reason, at_ms=command.at_ms),)


def _spawned(command: ReportSpawned, state: State) -> Events:
    if state.phase != "starting" or state.identity is not None:
        return ()
    return (InstanceSpawned(identity=command.identity, at_ms=command.at_ms),)


def _ready(command: ReportReady, state: State) -> Events:
    if state.phase != "starting" or state.identity is None:
        return ()
    return (InstanceReady(endpoint=command.endpoint, at_ms=command.at_ms),)


def _start_failed(command: ReportStartFailed, state: State) -> Events:
    if state.phase != "starting":
        return ()
    return (InstanceStartFailed(code=command.code, detail=command.detail, at_ms=command.at_ms),)


def _silent(command: ReportUnreachable, state: State) -> Events:
    return (InstanceUnreachable(evidence=command.evidence, at_ms=command.at_ms),) if state.phase == "ready" else ()


def _answering(command: ReportReachable, state: State) -> Events:
    return (InstanceReachable(at_ms=command.at_ms),) if state.phase == "unreachable" else ()


def _gone(command: ReportLost, state: State) -> Events:
    if state.phase not in LIVE:
        return ()
    return (InstanceLost(exit=command.exit, evidence=command.evidence, at_ms=command.at_ms),)


def _stopped(command: ReportInstanceStopped, state: State) -> Events:
    if state.phase == "lost":
        return () if state.swept else (RemnantsKilled(steps=command.steps, at_ms=command.at_ms),)
    return (InstanceStopped(steps=command.steps, at_ms=command.at_ms),) if state.phase == "stopping" else ()


def _informed(command: ReportInformed, state: State) -> Events:
    if state.phase not in OVER or command.session_id not in state.sessions:
        return ()
    return (SessionDetached(session_id=command.session_id, at_ms=command.at_ms),)


def _note_allowance(command: NoteAllowance, state: State) -> Events:
    known = any(each.request_id == command.request_id for each in state.allowed)
    if state.phase not in LIVE or known:
        return ()
    return (
        PermissionAllowed(
            session_id=command.session_id,
            request_id=command.request_id,
            directory=command.directory,
            permission=command.permission,
            patterns=command.patterns,
            at_ms=command.at_ms,
        ),
    )


_DECIDE: Final[Mapping[type[Any], Callable[[Any, State], Events]]] = {
    StartInstance: _start,
    AttachSession: _attach,
    DetachSession: _detach,
    StopInstance: _stop_instance,
    ReportSpawned: _spawned,
    ReportReady: _ready,
    ReportStartFailed: _start_failed,
    ReportUnreachable: _silent,
    ReportReachable: _answering,
    ReportLost: _gone,
    ReportInstanceStopped: _stopped,
    ReportInformed: _informed,
    NoteAllowance: _note_allowance,
}

INSTANCE: Final[Decider[InstanceCommand, State, InstanceEvent, Effect]] = Decider(
    "instance", initial, decide, evolve, react, pending, failure=failure
)
