"""Decides which events a command to an instance causes, and binds the functions of its `Decider`."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from fleet.core.decider import Decider
from fleet.core.instance import commands, events
from fleet.core.instance.effects import Effect, failure, pending, react
from fleet.core.instance.evolve import evolve, rules_digest
from fleet.core.instance.state import LIVE, OVER, State, initial
from fleet.errors import Rejected

Events = tuple[events.InstanceEvent, ...]


def decide(command: commands.InstanceCommand, state: State) -> Events:
    """Return the events that `command` causes. Raises `Rejected`."""
    if state.phase == "absent" and not isinstance(command, commands.StartInstance):
        raise Rejected("instance_not_found", f"there is no instance {state.id}")
    return _DECIDE[type(command)](command, state)


def _start(command: commands.StartInstance, state: State) -> Events:
    if state.phase != "absent":
        return ()
    return (
        events.InstanceRequested(
            instance_id=command.instance_id,
            key=command.key,
            directory=command.directory,
            host=command.host,
            at_ms=command.at_ms,
        ),
        events.SessionAttached(session_id=command.session_id, directory=command.session_directory, at_ms=command.at_ms),
    )


def _attach(command: commands.AttachSession, state: State) -> Events:
    if state.phase in OVER:
        raise Rejected("instance_not_found", f"instance {state.id} is {state.phase}")
    if state.sessions.get(command.session_id) == command.directory:
        return ()
    return (events.SessionAttached(session_id=command.session_id, directory=command.directory, at_ms=command.at_ms),)


def _detach(command: commands.DetachSession, state: State) -> Events:
    if command.session_id not in state.sessions:
        return ()
    detached = events.SessionDetached(session_id=command.session_id, at_ms=command.at_ms)
    if state.phase in OVER or len(state.sessions) > 1:
        return (detached,)
    return (detached, events.InstanceStopRequested(reason="unused", at_ms=command.at_ms))


def _stop_instance(command: commands.StopInstance, state: State) -> Events:
    if state.phase in OVER or (command.reason == "hung" and state.phase != "unreachable"):  # it responds again
        return ()
    return (events.InstanceStopRequested(reason=command.reason, at_ms=command.at_ms),)


def _spawned(command: commands.ReportSpawned, state: State) -> Events:
    if state.phase != "starting" or state.identity is not None:
        return ()
    return (events.InstanceSpawned(identity=command.identity, at_ms=command.at_ms),)


def _ready(command: commands.ReportReady, state: State) -> Events:
    if state.phase != "starting" or state.identity is None:
        return ()
    return (events.InstanceReady(endpoint=command.endpoint, at_ms=command.at_ms),)


def _start_failed(command: commands.ReportStartFailed, state: State) -> Events:
    if state.phase != "starting":
        return ()
    return (events.InstanceStartFailed(code=command.code, detail=command.detail, at_ms=command.at_ms),)


def _unreachable(command: commands.ReportUnreachable, state: State) -> Events:
    explains = command.of_host and state.phase == "unreachable" and command.evidence != state.evidence
    if state.phase != "ready" and not explains:
        return ()
    return (events.InstanceUnreachable(evidence=command.evidence, at_ms=command.at_ms),)


def _reachable(command: commands.ReportReachable, state: State) -> Events:
    return (events.InstanceReachable(at_ms=command.at_ms),) if state.phase == "unreachable" else ()


def _lost(command: commands.ReportLost, state: State) -> Events:
    if state.phase not in LIVE and not (command.host_lost and state.phase in ("starting", "stopping")):
        return ()
    lost = events.InstanceLost(
        exit=command.exit, evidence=command.evidence, host_lost=command.host_lost, at_ms=command.at_ms
    )
    return (lost,)


def _stopped(command: commands.ReportInstanceStopped, state: State) -> Events:
    if state.phase == "lost":
        return () if state.swept else (events.RemnantsKilled(steps=command.steps, at_ms=command.at_ms),)
    return (events.InstanceStopped(steps=command.steps, at_ms=command.at_ms),) if state.phase == "stopping" else ()


def _informed(command: commands.ReportInformed, state: State) -> Events:
    if state.phase not in OVER or command.session_id not in state.sessions:
        return ()
    return (events.SessionDetached(session_id=command.session_id, at_ms=command.at_ms),)


def _note_allowance(command: commands.NoteAllowance, state: State) -> Events:
    known = any(each.request_id == command.request_id for each in state.allowed)
    if state.phase not in LIVE or known:
        return ()
    return (
        events.PermissionAllowed(
            session_id=command.session_id,
            request_id=command.request_id,
            directory=command.directory,
            permission=command.permission,
            patterns=command.patterns,
            at_ms=command.at_ms,
        ),
    )


_NO_RULES: Final = (b"", b"[]", b"{}")


def _rules_read(command: commands.ReportPermissionRules, state: State) -> Events:
    agents = tuple(
        events.AgentRules(name, msgspec.Raw(rules)) for name, rules in command.agents if rules not in _NO_RULES
    )
    read = events.PermissionRulesRead(directory=command.directory, agents=agents, at_ms=command.at_ms)
    if state.phase not in LIVE or not agents or command.directory not in state.sessions.values():
        return ()
    return () if rules_digest(read) == state.rules.get(command.directory) else (read,)


_DECIDE: Final[Mapping[type[Any], Callable[[Any, State], Events]]] = {
    commands.StartInstance: _start,
    commands.AttachSession: _attach,
    commands.DetachSession: _detach,
    commands.StopInstance: _stop_instance,
    commands.ReportSpawned: _spawned,
    commands.ReportReady: _ready,
    commands.ReportStartFailed: _start_failed,
    commands.ReportUnreachable: _unreachable,
    commands.ReportReachable: _reachable,
    commands.ReportLost: _lost,
    commands.ReportInstanceStopped: _stopped,
    commands.ReportInformed: _informed,
    commands.NoteAllowance: _note_allowance,
    commands.ReportPermissionRules: _rules_read,
}

INSTANCE: Final[Decider[commands.InstanceCommand, State, events.InstanceEvent, Effect]] = Decider(
    "instance", initial, decide, evolve, react, pending, failure=failure
)
