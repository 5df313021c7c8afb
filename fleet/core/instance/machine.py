"""What an instance may be ordered to do, and the effects that its events order.

`pending` is also what makes a crash harmless: a spawn whose identity was never logged is swept by marker and done
again, a ready process is looked for and operated again, and a session that has not heard of an end is told again.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from fleet.core.decider import Decider
from fleet.core.instance import messages as m
from fleet.core.instance.state import LIVE, OVER, State, evolve, initial
from fleet.errors import Rejected
from fleet.ports import Endpoint, ProcessIdentity

Events = tuple[m.Event, ...]

# ----------------------------------------------------------------------------------------------------------- effects


class Spawn(msgspec.Struct, frozen=True):
    """Sweep what an earlier attempt left, spawn, then `ReportSpawned` or `ReportStartFailed`."""

    key: str
    instance_id: str
    directory: str


class AwaitReady(msgspec.Struct, frozen=True):
    """Wait until the process serves, then `ReportReady` or `ReportStartFailed`."""

    key: str
    instance_id: str
    identity: ProcessIdentity


class Operate(msgspec.Struct, frozen=True):
    """Connect to the process, follow its events, watch over its life; `ReportGone` ends it."""

    key: str
    instance_id: str
    identity: ProcessIdentity
    endpoint: Endpoint


class Stop(msgspec.Struct, frozen=True):
    """Abort what runs, go down the stop ladder, then `ReportStopped`. For a lost process: sweep what it left."""

    key: str
    instance_id: str
    identity: ProcessIdentity | None
    endpoint: Endpoint | None
    directories: tuple[str, ...]


class InformSession(msgspec.Struct, frozen=True):
    """Tell the session that this instance has ended, then `ReportInformed`."""

    key: str
    instance_id: str
    session_id: str
    orderly: bool
    evidence: str


Effect = Spawn | AwaitReady | Operate | Stop | InformSession


def pending(state: State) -> tuple[Effect, ...]:
    """Return what is ordered and not yet answered."""
    if state.phase == "starting":
        if state.identity is None:
            return (Spawn("spawn", state.id, state.directory),)
        return (AwaitReady("await", state.id, state.identity),)
    if state.phase in LIVE and state.identity is not None and state.endpoint is not None:
        return (Operate("operate", state.id, state.identity, state.endpoint),)
    if state.phase in OVER:
        return (*_stop(state), *_inform(state))
    return ()


def _stop(state: State) -> tuple[Effect, ...]:
    if state.phase == "stopped" or (state.swept and state.phase == "lost"):
        return ()
    directories = tuple(sorted(set(state.sessions.values())))
    endpoint = state.endpoint if state.phase == "stopping" else None
    return (Stop("stop", state.id, state.identity, endpoint, directories),)


def _inform(state: State) -> tuple[Effect, ...]:
    return tuple(
        InformSession(f"inform:{session}", state.id, session, state.orderly, state.evidence)
        for session in state.sessions
    )


_ORDERS_NOTHING: Final = frozenset(
    (
        m.SessionAttached,
        m.SessionDetached,
        m.InstanceUnreachable,
        m.InstanceReachable,
        m.InstanceStopped,
        m.InstanceSwept,
        m.PermissionAllowed,
    )
)


def react(state: State, event: m.Event) -> tuple[Effect, ...]:
    """Return the effects that `event` orders, given the state after it."""
    return () if type(event) in _ORDERS_NOTHING else pending(state)


def failure(effect: Effect, code: str, detail: str, at_ms: int) -> m.Command | None:
    """Return the report that `effect` has failed, None where the process must be looked after all the same."""
    return m.ReportStartFailed(code, detail, at_ms) if isinstance(effect, Spawn | AwaitReady) else None


# ------------------------------------------------------------------------------------------------------------ decide


def decide(command: m.Command, state: State) -> Events:
    """Return the events that `command` causes. Raises `Rejected`."""
    if state.phase == "unborn" and not isinstance(command, m.StartInstance):
        raise Rejected("instance_not_found", f"there is no instance {state.id}")
    return _DECIDE[type(command)](command, state)


def _start(command: m.StartInstance, state: State) -> Events:
    if state.phase != "unborn":
        return ()
    return (
        m.InstanceRequested(command.instance_id, command.key, command.directory, command.at_ms),
        m.SessionAttached(command.session_id, command.session_directory, command.at_ms),
    )


def _attach(command: m.AttachSession, state: State) -> Events:
    if state.phase in OVER:
        raise Rejected("instance_not_found", f"instance {state.id} is {state.phase}")
    if state.sessions.get(command.session_id) == command.directory:
        return ()
    return (m.SessionAttached(command.session_id, command.directory, command.at_ms),)


def _detach(command: m.DetachSession, state: State) -> Events:
    if command.session_id not in state.sessions:
        return ()
    detached = m.SessionDetached(command.session_id, command.at_ms)
    if state.phase in OVER or len(state.sessions) > 1:
        return (detached,)
    return (detached, m.InstanceStopRequested("unused", command.at_ms))


def _stop_instance(command: m.StopInstance, state: State) -> Events:
    if state.phase in OVER or (command.reason == "hung" and state.phase != "unreachable"):  # it has answered meanwhile
        return ()
    return (m.InstanceStopRequested(command.reason, command.at_ms),)


def _spawned(command: m.ReportSpawned, state: State) -> Events:
    if state.phase != "starting" or state.identity is not None:
        return ()
    return (m.InstanceSpawned(command.identity, command.at_ms),)


def _ready(command: m.ReportReady, state: State) -> Events:
    if state.phase != "starting" or state.identity is None:
        return ()
    return (m.InstanceReady(command.endpoint, command.at_ms),)


def _start_failed(command: m.ReportStartFailed, state: State) -> Events:
    if state.phase != "starting":
        return ()
    return (m.InstanceStartFailed(command.code, command.detail, command.at_ms),)


def _silent(command: m.ReportSilent, state: State) -> Events:
    return (m.InstanceUnreachable(command.evidence, command.at_ms),) if state.phase == "ready" else ()


def _answering(command: m.ReportAnswering, state: State) -> Events:
    return (m.InstanceReachable(command.at_ms),) if state.phase == "unreachable" else ()


def _gone(command: m.ReportGone, state: State) -> Events:
    if state.phase not in LIVE:
        return ()
    return (m.InstanceLost(command.exit, command.evidence, command.at_ms),)


def _stopped(command: m.ReportStopped, state: State) -> Events:
    if state.phase == "lost":
        return () if state.swept else (m.InstanceSwept(command.steps, command.at_ms),)
    return (m.InstanceStopped(command.steps, command.at_ms),) if state.phase == "stopping" else ()


def _informed(command: m.ReportInformed, state: State) -> Events:
    if state.phase not in OVER or command.session_id not in state.sessions:
        return ()
    return (m.SessionDetached(command.session_id, command.at_ms),)


def _note_allowance(command: m.NoteAllowance, state: State) -> Events:
    known = any(each.request_id == command.request_id for each in state.allowed)
    if state.phase not in LIVE or known:
        return ()
    return (
        m.PermissionAllowed(
            command.session_id,
            command.request_id,
            command.directory,
            command.permission,
            command.patterns,
            command.at_ms,
        ),
    )


_DECIDE: Final[Mapping[type[Any], Callable[[Any, State], Events]]] = {
    m.StartInstance: _start,
    m.AttachSession: _attach,
    m.DetachSession: _detach,
    m.StopInstance: _stop_instance,
    m.ReportSpawned: _spawned,
    m.ReportReady: _ready,
    m.ReportStartFailed: _start_failed,
    m.ReportSilent: _silent,
    m.ReportAnswering: _answering,
    m.ReportGone: _gone,
    m.ReportStopped: _stopped,
    m.ReportInformed: _informed,
    m.NoteAllowance: _note_allowance,
}

INSTANCE: Final[Decider[m.Command, State, m.Event, Effect]] = Decider(
    "instance", initial, decide, evolve, react, pending, failure=failure
)
